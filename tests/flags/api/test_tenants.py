"""Companies by API: provisioning, what each has, and the seed's two calls."""

import base64
import json

import pytest

from flags import changes
from flags.models import Change, Flag, Override
from tenants.models import Company, Membership
from tests.factories import (
    ChannelDefaultFactory,
    CompanyFactory,
    FlagFactory,
    OptInFactory,
    OverrideFactory,
)

pytestmark = pytest.mark.django_db
TENANTS = "/api/admin/tenants"


@pytest.fixture
def post(admin):
    return lambda body, path=TENANTS: admin.post(path, body, content_type="application/json")


class TestProvisioning:
    BODY = {
        "slug": "initech",
        "name": "Initech",
        "channel": "pilot",
        "plan": "pro",
        "admins": [{"email": "Peter@Initech.example", "name": "Peter"}, {"email": "samir@initech.example"}],
        "overrides": [
            {"key": "api_access", "enabled": True, "reason": "contract 881"},
            {"key": "driver_management", "enabled": False, "expires_at": "2999-01-01T00:00:00Z"},
        ],
        "reason": "signed today",
    }

    def test_one_call_makes_the_company_with_all_it_starts_with(self, post, admin):
        response = post(self.BODY)

        assert response.status_code == 201
        assert response["Location"] == "http://testserver/api/admin/tenants/initech"
        answer = response.json()
        company = Company.objects.get()
        assert (answer["id"], answer["slug"], answer["channel"], answer["plan"]) == (
            str(company.pk),
            "initech",
            "pilot",
            "pro",
        )
        assert (answer["created"], answer["admins_added"], answer["overrides_added"]) == (True, 2, 2)
        assert set(Membership.objects.values_list("user__email", "role")) == {
            ("peter@initech.example", "admin"),
            ("samir@initech.example", "admin"),
        }
        assert admin.get("/api/features?company=initech").json()["api_access"] is True
        assert len(set(Change.objects.values_list("batch", flat=True))) == 1

    def test_a_second_call_changes_nothing(self, post):
        post(self.BODY)
        before = Change.objects.count()

        response = post(self.BODY)

        assert (response.status_code, response.json()["created"]) == (200, False)
        assert Change.objects.count() == before

    def test_a_second_call_adds_what_is_missing_and_leaves_what_operators_changed(self, post, admin):
        post(self.BODY)
        company = Company.objects.get()
        admin.patch(f"{TENANTS}/initech", {"channel": "general"}, content_type="application/json")
        admin.put(f"{TENANTS}/initech/overrides/api_access", {"enabled": False}, content_type="application/json")

        answer = post({**self.BODY, "admins": [*self.BODY["admins"], {"email": "bill@initech.example"}]}).json()

        assert (answer["channel"], answer["admins_added"], answer["overrides_added"]) == ("general", 1, 0)
        assert Override.objects.get(company=company, flag="api_access").enabled is False

    def test_a_slug_of_another_company_is_refused(self, post, acme):
        response = post({"slug": "acme", "name": "Acme Two"})

        assert (response.status_code, response.json()["code"]) == (409, "SLUG_TAKEN")

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"slug": "Not A Slug"}, "slug"),
            ({"slug": ""}, "slug"),
            ({"name": " "}, "name"),
            ({"channel": "moon"}, "channel"),
            ({"plan": "platinum"}, "plan"),
            ({"admins": [{"email": "nobody"}]}, "email"),
            ({"admins": [{"name": "No Address"}]}, "admins[0].email"),
            ({"overrides": [{"key": "api_access", "enabled": "yes"}]}, "overrides[0].enabled"),
            ({"overrides": [{"key": "api_access", "enabled": True}] * 2}, "overrides[1].key"),
            ({"is_active": False}, "is_active"),
        ],
    )
    def test_a_bad_part_undoes_the_whole(self, wrong, field, post):
        response = post({**self.BODY, **wrong})

        assert response.status_code == 400
        assert field in response.json()["errors"]
        assert not Company.objects.exists()
        assert not Change.objects.exists()

    def test_an_unknown_flag_is_named_by_its_row(self, post):
        response = post({**self.BODY, "overrides": [{"key": "nothing_here", "enabled": True}]})

        assert (response.status_code, response.json()["code"]) == (404, "FLAG_NOT_FOUND")
        assert (response.json()["index"], response.json()["of"]) == (0, "overrides")
        assert not Company.objects.exists()

    def test_a_key_bound_to_a_company_makes_none(self, as_token, acme):
        response = as_token("tenants:write", company=acme).post(TENANTS, self.BODY, content_type="application/json")

        assert (response.status_code, response.json()["code"]) == (403, "TOKEN_COMPANY_MISMATCH")
        assert Company.objects.count() == 1


class TestTheList:
    def test_it_is_filtered_and_paged(self, admin, acme, globex, django_assert_num_queries):
        CompanyFactory(slug="old", name="Old", is_active=False)

        def slugs(query):
            return [row["slug"] for row in admin.get(f"{TENANTS}?{query}").json()["results"]]

        assert slugs("") == ["acme", "globex", "old"]
        assert slugs("q=GLO") == ["globex"]
        assert slugs("channel=pilot") == ["globex"]
        assert slugs("plan=pro&is_active=true") == ["acme"]
        assert slugs("is_active=false") == ["old"]
        assert slugs("ordering=-name&page_size=2") == ["old", "globex"]
        assert slugs("ordering=-created_at&page_size=1") == ["old"]
        with django_assert_num_queries(2):
            slugs("page_size=200")

    @pytest.mark.parametrize("ordering", ["name", "-name", "slug", "-slug", "created_at", "-created_at"])
    def test_pages_follow_each_other_whatever_the_order_and_whoever_comes_between(self, ordering, admin):
        for n in range(7):
            CompanyFactory(slug=f"company-{n}", name=f"Company {6 - n}")
        whole = [row["slug"] for row in admin.get(f"{TENANTS}?ordering={ordering}").json()["results"]]
        url, seen, pages = f"{TENANTS}?ordering={ordering}&page_size=3", [], []
        while url:
            page = admin.get(url).json()
            seen += [row["slug"] for row in page["results"]]
            pages.append(page)
            url = page["next"]

        assert seen == whole
        assert len(pages) == 3
        assert admin.get(pages[-1]["previous"]).json()["results"] == pages[1]["results"]

    @pytest.mark.parametrize(
        "cursor",
        [
            '[0, "a\\u0000", "0a8c7d2e-5b1f-4c3d-9e6a-7f8091a2b3c4"]',
            '[0, "\\ud800", "0a8c7d2e-5b1f-4c3d-9e6a-7f8091a2b3c4"]',
            '[0, "a"]',
            '[0, "a", "b"]',
            "[" * 300,
            "7",
            '{"a": 1}',
        ],
    )
    def test_a_cursor_that_is_none_is_400(self, cursor, admin):
        name = base64.urlsafe_b64encode(cursor.encode()).decode().rstrip("=")
        response = admin.get(f"{TENANTS}?cursor={name}")

        assert (response.status_code, list(response.json()["errors"])) == (400, ["cursor"])

    def test_a_cursor_beyond_all_time_is_400(self, admin):
        for moment in ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"):
            text = json.dumps([0, moment, "0a8c7d2e-5b1f-4c3d-9e6a-7f8091a2b3c4"])
            name = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
            for path in ("/api/admin/changes?", f"{TENANTS}?ordering=created_at&"):
                response = admin.get(f"{path}cursor={name}")
                assert (response.status_code, list(response.json()["errors"])) == (400, ["cursor"])

    def test_a_key_bound_to_a_company_does_not_get_it(self, as_token, acme):
        response = as_token("flags:read", company=acme).get(TENANTS)

        assert response.json()["code"] == "TOKEN_COMPANY_MISMATCH"


class TestOneCompany:
    @pytest.mark.parametrize("name", ["slug", "pk"])
    def test_it_is_found_by_slug_and_by_id(self, name, admin, acme):
        answer = admin.get(f"{TENANTS}/{getattr(acme, name)}")

        assert answer.json()["name"] == "Acme"
        assert answer["ETag"] == '"1"'

    @pytest.mark.parametrize(
        "name", ["nowhere", "x" * 300, "%00", "A", "-", "00000000-0000-0000-0000-000000000000", "0" * 32, "acme%0a"]
    )
    def test_what_is_none_is_404(self, name, admin, acme):
        assert admin.get(f"{TENANTS}/{name}").json()["code"] == "COMPANY_NOT_FOUND"

    def test_it_moves_to_another_channel_and_its_answers_with_it(self, admin, acme):
        flag = FlagFactory(key="fleet_chat")
        ChannelDefaultFactory(flag=flag, channel="pilot")
        before = admin.get("/api/features/fleet_chat?company=acme").json()["enabled"]

        answer = admin.patch(
            f"{TENANTS}/acme", {"channel": "pilot", "reason": "asked to"}, content_type="application/json"
        )

        assert (answer.json()["channel"], answer["ETag"]) == ("pilot", '"2"')
        assert (before, admin.get("/api/features/fleet_chat?company=acme").json()["enabled"]) == (False, True)
        assert Change.objects.get().verb == "move_company"

    def test_a_lost_race_is_refused(self, admin, acme):
        response = admin.patch(
            f"{TENANTS}/acme", {"plan": "starter"}, content_type="application/json", headers={"if-match": '"7"'}
        )

        assert response.status_code == 412
        assert response.json()["current"]["plan"] == "pro"

    def test_a_bound_key_changes_its_own_only(self, as_token, acme, globex):
        key = as_token("tenants:write", company=acme)
        patch = lambda name: key.patch(f"{TENANTS}/{name}", {"name": "New"}, content_type="application/json")  # noqa: E731

        assert patch("acme").status_code == 200
        assert patch("globex").status_code == 404
        assert Company.objects.get(slug="globex").name == "Globex"

    def test_the_key_of_an_inactive_company_finds_nothing(self, as_token):
        gone = CompanyFactory(slug="gone", is_active=False)
        key = as_token("flags:read", "tenants:write", company=gone)

        assert key.get(f"{TENANTS}/gone").status_code == 404
        assert key.get(f"{TENANTS}/gone/overrides/api_access").status_code == 404


class TestItsFeatures:
    def test_each_row_says_global_channel_plan_override_and_what_comes_of_it(self, admin, globex, alice):
        flag = FlagFactory(key="fleet_chat", name="Fleet chat", category="zebra", minimum_plan="pro")
        ChannelDefaultFactory(flag=flag, channel="pilot", percentage=50)
        admin.put(
            f"{TENANTS}/globex/overrides/fleet_chat",
            {"enabled": True, "reason": "trial"},
            content_type="application/json",
        )

        rows = {row["key"]: row for row in admin.get(f"{TENANTS}/globex/features").json()["results"]}

        row = rows["fleet_chat"]
        assert {name: row[name] for name in ("name", "category", "default", "plan", "enabled", "reason")} == {
            "name": "Fleet chat",
            "category": "zebra",
            "default": False,
            "plan": "pro",
            "enabled": True,
            "reason": "override",
        }
        assert row["channel"] == {"slug": "pilot", "enabled": True, "percentage": 50}
        assert row["override"]["reason"] == "trial"
        assert row["override"]["created_by"] == alice.email
        assert (row["override"]["version"], row["override"]["expires_at"]) == (1, None)
        assert rows["api_access"]["override"] is rows["api_access"]["channel"] is None
        assert rows["ai_enabled"]["reason"] == "plan"

    def test_the_answers_are_those_the_company_gets(self, admin, acme, bob, as_person):
        OverrideFactory(company=acme, flag=Flag.objects.get(key="api_access"))
        OptInFactory(company=acme, flag=Flag.objects.get(key="accounting_enabled"))

        rows = admin.get(f"{TENANTS}/acme/features").json()["results"]

        shown = {row["key"]: row["enabled"] for row in rows if row["key"] != "inspector"}
        assert shown == as_person(bob).get("/api/features").json()

    def test_a_bound_key_sees_its_company_without_internal_flags(self, as_token, acme, admin):
        OverrideFactory(company=acme, flag=Flag.objects.get(key="api_access"))
        key = as_token("flags:read", company=acme)

        rows = {row["key"]: row for row in key.get(f"{TENANTS}/acme/features").json()["results"]}

        assert rows["api_access"]["override"]["enabled"] is True
        assert "inspector" not in rows
        assert "inspector" in {row["key"] for row in admin.get(f"{TENANTS}/acme/features").json()["results"]}
        assert key.get(f"{TENANTS}/globex/features").status_code == 404

    def test_they_are_filtered_by_state(self, admin, acme, alice, as_token):
        def found(query: str, client=admin) -> set[str]:
            return {row["key"] for row in client.get(f"/api/admin/tenants/acme/features?{query}").json()["results"]}

        changes.set_override(acme, "api_access", True, actor=alice)
        changes.set_override(acme, "inspector", True, actor=alice)
        assert found("state=overridden") == {"api_access", "inspector"}
        assert "api_access" in found("state=on") & found("state=differs")
        assert "api_access" not in found("state=off") | found("state=expiring")
        assert found("state=overridden", as_token("flags:read", company=acme)) == {"api_access"}
        refused = admin.get("/api/admin/tenants/acme/features?state=odd")
        assert (refused.status_code, list(refused.json()["errors"])) == (400, ["state"])

    def test_its_queries_do_not_grow_with_flags(self, admin, acme, django_assert_max_num_queries):
        admin.get(f"{TENANTS}/acme/features")
        for _ in range(30):
            OverrideFactory(company=acme, flag=FlagFactory())
        with django_assert_max_num_queries(7):
            admin.get(f"{TENANTS}/acme/features?page_size=200")

    def test_an_inactive_company_is_answered_like_none(self, admin):
        CompanyFactory(slug="gone", is_active=False)

        assert {row["reason"] for row in admin.get(f"{TENANTS}/gone/features").json()["results"]} == {"no_company"}


class TestMultiWorkspace:
    """POST /api/admin/tenants/:tenantId/enable-multi-workspace, to the letter (seed 003)."""

    def test_it_is_enabled_and_disabled_for_one_company(self, admin, acme, bob, as_person):
        client = as_person(bob)

        answer = admin.post(f"{TENANTS}/{acme.pk}/enable-multi-workspace")
        on = client.get("/api/features").json()["multi_workspace_enabled"]
        admin.post(f"{TENANTS}/acme/disable-multi-workspace", {"reason": "rollback"}, content_type="application/json")
        off = client.get("/api/features").json()["multi_workspace_enabled"]

        assert answer.status_code == 200
        assert (answer.json()["tenantId"], answer.json()["enabled"]) == (str(acme.pk), True)
        assert (on, off) == (True, False)
        assert list(Change.objects.order_by("at").values_list("verb", "reason")) == [
            ("set_override", ""),
            ("set_override", "rollback"),
        ]

    def test_only_super_admins_and_keys_may(self, as_person, as_token, bob, acme):
        url = f"{TENANTS}/acme/enable-multi-workspace"

        assert as_person(bob).post(url).status_code == 403
        assert as_token("flags:read").post(url).json()["code"] == "SCOPE_MISSING"
        assert as_token("tenants:write").post(url).status_code == 200
        assert as_token("flags:write", company=acme).post(url).status_code == 200
