"""A company's people and their grants by API."""

from uuid import uuid4

import pytest

from flags.models import Change, Flag, Grant
from tenants.models import Membership, User
from tests.factories import FlagFactory, GrantFactory, MembershipFactory

pytestmark = pytest.mark.django_db
MEMBERS = "/api/admin/tenants/acme/members"


@pytest.fixture
def chat(db) -> Flag:
    return FlagFactory(key="fleet_chat", needs_grant=True, default_enabled=True)


def grant_url(user: User, key: str = "fleet_chat", company: str = "acme") -> str:
    return f"/api/admin/tenants/{company}/grants/{key}/{user.pk}"


class TestMembers:
    def test_a_new_person_is_added(self, admin, acme):
        body = {"email": "Eve@Acme.example", "role": "coordinator", "name": "Eve", "reason": "new hire"}

        response = admin.post(MEMBERS, body, content_type="application/json")

        user = User.objects.get(email="eve@acme.example")
        assert response.status_code == 201
        assert response.json() == {
            "user": {"id": str(user.pk), "email": "eve@acme.example", "name": "Eve"},
            "role": "coordinator",
            "is_home": True,
        }
        assert (Change.objects.get().verb, Change.objects.get().reason) == ("add_member", "new hire")

    def test_a_known_one_gets_the_new_role(self, admin, dan):
        response = admin.post(MEMBERS, {"email": dan.email, "role": "admin"}, content_type="application/json")

        assert (response.status_code, response.json()["role"]) == (200, "admin")
        assert Change.objects.get().verb == "set_role"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"email": "nobody", "role": "admin"}, "email"),
            ({"email": "x@y.example", "role": "owner"}, "role"),
            ({"email": "x@y.example"}, "role"),
            ({"email": "x" * 300 + "@y.example", "role": "admin"}, "email"),
            ({"email": "x@y.example", "role": "admin", "is_superuser": True}, "is_superuser"),
        ],
    )
    def test_bad_ones_are_refused(self, body, field, admin, acme):
        response = admin.post(MEMBERS, body, content_type="application/json")

        assert (response.status_code, list(response.json()["errors"])) == (400, [field])
        assert not Membership.objects.exists()

    def test_they_are_listed_in_pages(self, admin, acme, bob, dan, cora, carol, django_assert_num_queries):
        url, seen = f"{MEMBERS}?page_size=2", []
        while url:
            with django_assert_num_queries(3):
                page = admin.get(url).json()
            seen += [row["user"]["email"] for row in page["results"]]
            url = page["next"]

        assert seen == [bob.email, dan.email, cora.email]
        assert "password" not in admin.get(MEMBERS).content.decode()

    def test_they_are_found_by_text_and_role(self, admin, acme, bob, dan, cora):
        def found(query: str) -> list[str]:
            people = admin.get(f"/api/admin/tenants/acme/members?{query}").json()["results"]
            return sorted(person["user"]["email"] for person in people)

        assert found("q=BOB") == [bob.email]
        assert found("role=coordinator") == [cora.email]
        assert found("q=acme&role=member") == [dan.email]
        assert found("q=nobody") == []
        refused = admin.get("/api/admin/tenants/acme/members?role=boss")
        assert (refused.status_code, list(refused.json()["errors"])) == (400, ["role"])

    def test_one_leaves_with_what_was_granted(self, admin, acme, dan, chat):
        GrantFactory(company=acme, user=dan, flag=chat)

        assert admin.delete(f"{MEMBERS}/{dan.pk}?reason=left").status_code == 204
        assert not Membership.objects.filter(user=dan).exists()
        assert not Grant.objects.filter(user=dan).exists()
        assert Change.objects.get().reason == "left"

    def test_somebody_elses_person_is_404_like_nobody(self, admin, acme, carol):
        refusals = [
            admin.delete(f"{MEMBERS}/{pk}", headers={"x-request-id": "same-id-1"}) for pk in (carol.pk, uuid4())
        ]

        assert [refusal.status_code for refusal in refusals] == [404, 404]
        assert {refusal.json()["code"] for refusal in refusals} == {"MEMBER_NOT_FOUND"}
        assert refusals[0].json()["detail"] == refusals[1].json()["detail"]
        assert Membership.objects.filter(user=carol).exists()

    def test_a_bound_key_sees_its_own_people_only(self, as_token, acme, globex, bob, carol):
        key = as_token("tenants:write", company=acme)

        assert [row["user"]["email"] for row in key.get(MEMBERS).json()["results"]] == [bob.email]
        assert key.get("/api/admin/tenants/globex/members").status_code == 404
        assert key.get(f"/api/admin/tenants/globex/members/{carol.pk}").status_code == 404
        assert key.get(f"{MEMBERS}/{bob.pk}").json()["role"] == "admin"

    def test_reading_people_takes_more_than_reading_flags(self, as_token, acme):
        assert as_token("flags:read").get(MEMBERS).json()["code"] == "SCOPE_MISSING"


class TestGrants:
    def test_one_is_given_and_taken(self, admin, acme, dan, chat, as_person):
        client = as_person(dan)
        before = client.get("/api/features/fleet_chat").json()["reason"]

        made = admin.put(grant_url(dan), {"reason": "premium"}, content_type="application/json")
        granted = client.get("/api/features/fleet_chat").json()["enabled"]
        taken = admin.delete(grant_url(dan))

        assert (before, granted) == ("grant_missing", True)
        assert (made.status_code, made.json()["user"]["email"], made.json()["reason"]) == (201, dan.email, "premium")
        assert taken.status_code == 204
        assert client.get("/api/features/fleet_chat").json()["reason"] == "grant_missing"

    def test_a_denial_is_a_grant_of_false(self, admin, dan, chat, as_person):
        answer = admin.put(grant_url(dan), {"enabled": False}, content_type="application/json").json()

        assert answer["enabled"] is False
        assert as_person(dan).get("/api/features/fleet_chat").json()["reason"] == "grant_denied"
        assert admin.get(grant_url(dan)).json() == answer

    def test_one_there_is_not_is_404(self, admin, dan, chat):
        assert admin.get(grant_url(dan)).json()["code"] == "GRANT_NOT_FOUND"

    def test_a_grant_is_for_the_companys_own_people(self, admin, acme, carol, chat):
        assert admin.put(grant_url(carol), {}, content_type="application/json").json()["code"] == "MEMBER_NOT_FOUND"
        assert not Grant.objects.exists()

    def test_an_unknown_flag_is_404(self, admin, dan):
        for method in (admin.put, admin.delete, admin.get):
            response = method(grant_url(dan, "nothing_here"), content_type="application/json")
            assert response.json()["code"] == "FLAG_NOT_FOUND"

    def test_a_bound_key_grants_in_its_company_only(self, as_token, acme, globex, dan, carol, chat):
        MembershipFactory(company=globex, user=dan, role="member", is_home=False)
        key = as_token("tenants:write", company=acme)
        put = lambda *which: key.put(grant_url(*which), {}, content_type="application/json")  # noqa: E731

        assert put(dan).status_code == 201
        assert put(dan, "fleet_chat", "globex").json()["code"] == "COMPANY_NOT_FOUND"
        assert put(carol, "fleet_chat", "globex").json()["code"] == "COMPANY_NOT_FOUND"
        assert put(carol).json()["code"] == "MEMBER_NOT_FOUND"
        assert Grant.objects.get().company == acme
