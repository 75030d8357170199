"""Which company a request is about, for somebody who belongs to several (seed 003)."""

import pytest

from flags import changes
from flags.features import features_for
from flags.models import Flag
from tenants import jwt
from tenants.models import Company, Membership
from tests.factories import CompanyFactory, MembershipFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def second(dan) -> Company:
    """A company dan belongs to as well; home is acme."""
    company = CompanyFactory(slug="second", name="Second Hand", channel="pilot")
    MembershipFactory(company=company, user=dan, role="admin")
    return company


@pytest.fixture
def switched_on():
    Flag.objects.filter(key="multi_workspace_enabled").update(default_enabled=True)


@pytest.fixture
def only_there(second):
    """A feature that tells the two companies apart."""
    changes.set_override(second, "api_access", True, actor=None)


def refusal(response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


class TestSwitchedOff:
    def test_only_home_exists(self, dan, second, only_there, as_person):
        client = as_person(dan)
        assert client.get("/api/features").json()["api_access"] is False
        assert refusal(client.get("/api/workspaces")) == (403, "MULTI_WORKSPACE_DISABLED")
        answer = client.put("/api/workspaces/active", {"id": "second"}, content_type="application/json")
        assert refusal(answer) == (403, "MULTI_WORKSPACE_DISABLED")

    def test_naming_another_company_is_refused_not_ignored(self, dan, second, globex, as_person):
        client = as_person(dan)
        for name in (second.slug, str(second.pk), globex.slug, "no-such-company"):
            for answer in (
                client.get("/api/features", headers={"x-workspace-id": name}),
                client.get("/api/features", {"workspace": name}),
            ):
                assert refusal(answer) == (403, "MULTI_WORKSPACE_DISABLED")

    def test_naming_home_is_fine(self, dan, acme, second, as_person):
        assert as_person(dan).get("/api/features", headers={"x-workspace-id": acme.slug}).status_code == 200

    def test_a_page_refuses_too(self, client, dan, second):
        client.force_login(dan)
        assert client.get("/integrations/", {"workspace": "second"}).status_code == 403
        assert client.post("/workspace/", {"workspace": "second"}).status_code == 403

    def test_the_token_claims_home_and_nothing_else(self, dan, acme, second, client):
        pair = client.post(
            "/api/auth/token",
            {"email": dan.email, "password": "correct horse battery"},
            content_type="application/json",
        ).json()
        claims = jwt.read(pair["access"])
        assert claims["tenantId"] == str(acme.pk)
        assert "activeWorkspaceId" not in claims

    def test_there_is_no_switcher(self, client, dan, second):
        client.force_login(dan)
        assert "Second Hand" not in client.get("/integrations/").content.decode()


@pytest.mark.usefixtures("switched_on")
class TestSwitchedOn:
    def test_the_list_says_which_is_home_and_which_is_active(self, dan, acme, second, globex, as_person):
        found = as_person(dan).get("/api/workspaces").json()["results"]
        assert [(one["slug"], one["role"], one["is_home"], one["is_active"]) for one in found] == [
            ("acme", "member", True, True),
            ("second", "admin", False, False),
        ]

    @pytest.mark.usefixtures("only_there")
    def test_header_and_parameter_choose_for_one_request(self, dan, second, as_person):
        client = as_person(dan)
        for answer in (
            client.get("/api/features", headers={"x-workspace-id": str(second.pk)}),
            client.get("/api/features", headers={"x-workspace-id": second.slug}),
            client.get("/api/features", {"workspace": second.slug}),
        ):
            assert answer.json()["api_access"] is True
        assert client.get("/api/features").json()["api_access"] is False

    def test_both_given_and_different_is_an_error(self, dan, acme, second, as_person):
        answer = as_person(dan).get("/api/features?workspace=second", headers={"x-workspace-id": "acme"})
        assert refusal(answer) == (400, "WORKSPACE_AMBIGUOUS")

    def test_a_company_one_does_not_belong_to_gives_no_hint_whether_it_exists(self, dan, second, globex, as_person):
        client = as_person(dan)
        answers = [client.get("/api/features", headers={"x-workspace-id": name}) for name in ("globex", "no-such")]
        bodies = [{**answer.json(), "request_id": ""} for answer in answers]
        assert refusal(answers[0]) == (403, "NOT_A_MEMBER")
        assert bodies[0] == bodies[1]
        answer = client.put("/api/workspaces/active", {"id": "globex"}, content_type="application/json")
        assert refusal(answer) == (403, "NOT_A_MEMBER")

    @pytest.mark.usefixtures("only_there")
    def test_making_one_active_gives_a_token_that_stays_there(self, dan, acme, second, as_person, client):
        answer = as_person(dan).put("/api/workspaces/active", {"id": str(second.pk)}, content_type="application/json")
        access = answer.json()["access"]
        claims = jwt.read(access)
        assert (claims["tenantId"], claims["activeWorkspaceId"]) == (str(acme.pk), str(second.pk))
        bearer = {"authorization": f"Bearer {access}"}
        assert client.get("/api/features", headers=bearer).json()["api_access"] is True
        listed = client.get("/api/workspaces", headers=bearer).json()["results"]
        assert [one["is_active"] for one in listed] == [False, True]

    def test_making_one_active_can_be_tried(self, dan, acme, second, globex, as_person, client):
        address = "/api/workspaces/active?dry_run=1"
        answer = as_person(dan).put(address, {"id": "second"}, content_type="application/json").json()

        assert (answer["dry_run"], answer["status"], answer["changes"]) == (True, 200, [])
        assert (answer["result"]["slug"], answer["result"]["is_active"]) == ("second", True)
        assert "access" not in answer["result"]
        refused = as_person(dan).put(address, {"id": "globex"}, content_type="application/json")
        assert refusal(refused) == (403, "NOT_A_MEMBER")
        client.force_login(dan)
        client.put(address, {"id": "second"}, content_type="application/json")
        assert [one["slug"] for one in client.get("/api/workspaces").json()["results"] if one["is_active"]] == ["acme"]

    @pytest.mark.usefixtures("only_there")
    def test_ending_the_membership_ends_access_at_once_whatever_the_token_says(self, dan, acme, second, client):
        bearer = {"authorization": f"Bearer {jwt.issue(dan, acme, second.pk)['access']}"}
        assert client.get("/api/features", headers=bearer).json()["api_access"] is True
        Membership.objects.filter(user=dan, company=second).delete()
        assert client.get("/api/features", headers=bearer).json()["api_access"] is False
        answer = client.get("/api/features", headers={**bearer, "x-workspace-id": "second"})
        assert refusal(answer) == (403, "NOT_A_MEMBER")

    @pytest.mark.usefixtures("only_there")
    def test_switching_off_again_needs_no_restart_and_no_change_of_data(self, dan, acme, second, client):
        bearer = {"authorization": f"Bearer {jwt.issue(dan, acme, second.pk)['access']}"}
        assert client.get("/api/features", headers=bearer).json()["api_access"] is True
        Flag.objects.filter(key="multi_workspace_enabled").update(default_enabled=False)
        assert client.get("/api/features", headers=bearer).json()["api_access"] is False
        Flag.objects.filter(key="multi_workspace_enabled").update(default_enabled=True)
        assert client.get("/api/features", headers=bearer).json()["api_access"] is True

    @pytest.mark.usefixtures("only_there")
    def test_the_browser_remembers_the_choice_and_shows_a_switcher(self, client, dan, acme, second):
        client.force_login(dan)
        assert "Second Hand" in client.get("/integrations/").content.decode()
        assert client.post("/workspace/", {"workspace": str(second.pk)}).status_code == 302
        assert client.get("/features/").status_code == 200  # An admin there, a member at home.
        assert client.get("/api/features").json()["api_access"] is True
        client.post("/workspace/", {"workspace": str(acme.pk)})
        assert client.get("/features/").status_code == 403

    def test_the_role_is_that_of_the_workspace(self, dan, acme, second, as_person):
        client = as_person(dan)
        body = {"default_currency": "EUR"}
        at_home = client.patch("/api/org-settings", body, content_type="application/json")
        there = client.patch("/api/org-settings?workspace=second", body, content_type="application/json")
        assert (at_home.status_code, there.status_code) == (403, 200)

    def test_an_inactive_company_is_no_workspace(self, dan, second, as_person):
        Company.objects.filter(pk=second.pk).update(is_active=False)
        assert len(as_person(dan).get("/api/workspaces").json()["results"]) == 1

    def test_a_token_has_no_workspaces(self, as_token):
        answer = as_token("evaluate").get("/api/workspaces")
        assert answer.status_code == 403

    def test_whether_it_is_on_is_asked_at_home(self, dan, acme, second, as_person):
        changes.set_override(acme, "multi_workspace_enabled", False, actor=None)
        assert not features_for(dan, acme)["multi_workspace_enabled"]
        assert refusal(as_person(dan).get("/api/workspaces", {"workspace": "second"})) == (
            403,
            "MULTI_WORKSPACE_DISABLED",
        )
