"""API tokens by API: made by super admins, shown once, ended at once."""

import json

import pytest

from flags.models import Change
from tenants.models import ApiToken
from tests.factories import ApiTokenFactory

pytestmark = pytest.mark.django_db
TOKENS = "/api/admin/tokens"


@pytest.fixture
def make(admin):
    return lambda **body: admin.post(TOKENS, {"name": "CI", **body}, content_type="application/json")


def test_the_secret_is_in_the_answer_and_nowhere_else(make, admin, client):
    response = make(scopes=["flags:read", "evaluate"], expires_at="2999-01-01T00:00:00Z")
    secret = response.json()["secret"]

    assert response.status_code == 201
    assert response["Cache-Control"] == "no-store"
    assert response.json()["scopes"] == ["evaluate", "flags:read"]
    assert client.get("/api/features", headers={"authorization": f"Bearer {secret}"}).status_code == 200
    listed = admin.get(TOKENS).content.decode() + admin.get(response["Location"]).content.decode()
    history = json.dumps(list(Change.objects.values("before", "after", "reason")), default=str)
    assert secret not in listed + history
    assert secret.split("_", 3)[3] not in listed + history
    assert Change.objects.get().verb == "create_token"


def test_one_may_be_bound_to_a_company(make, acme):
    answer = make(kind="client", company="acme").json()

    assert (answer["kind"], answer["company"], answer["scopes"]) == ("client", "acme", ["evaluate"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"kind": "master"}, "kind"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"scopes": "evaluate"}, "scopes"),
        ({"kind": "client"}, "company"),
        ({"kind": "client", "company": "acme", "scopes": ["flags:write"]}, "scopes"),
        ({"company": "nowhere"}, "company"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"secret": "mine"}, "secret"),
    ],
)
def test_a_bad_one_is_refused(body, field, make, acme):
    response = make(**body)

    assert (response.status_code, list(response.json()["errors"])) == (400, [field])
    assert not ApiToken.objects.exists()


def test_one_ends_at_once(make, admin, client):
    made = make().json()
    headers = {"authorization": f"Bearer {made['secret']}"}
    before = client.get("/api/features", headers=headers).status_code

    ended = admin.delete(f"{TOKENS}/{made['id']}?reason=leaked")

    assert (before, ended.status_code) == (200, 204)
    assert client.get("/api/features", headers=headers).json()["code"] == "TOKEN_INVALID"
    assert Change.objects.get(verb="revoke_token").reason == "leaked"
    assert admin.delete(f"{TOKENS}/{made['id']}").status_code == 204


def test_they_are_listed_by_kind_and_whether_they_still_serve(make, admin, acme):
    ended = make(name="Old").json()
    admin.delete(f"{TOKENS}/{ended['id']}")
    make(name="Web", kind="client", company="acme")
    make(name="CI")

    def names(query=""):
        return {row["name"] for row in admin.get(f"{TOKENS}?{query}").json()["results"]}

    assert names() == {"Web", "CI"}
    assert names("kind=client") == {"Web"}
    assert names("revoked=true") == {"Old"}


def test_no_token_makes_or_lists_tokens(as_token):
    key = as_token("evaluate", "flags:read", "flags:write", "tenants:write", "audit:read")

    assert key.get(TOKENS).status_code == 403
    assert key.post(TOKENS, {"name": "Child"}, content_type="application/json").status_code == 403
    assert ApiToken.objects.count() == 1


def test_a_token_may_look_at_and_end_only_itself(as_token, acme):
    other = ApiTokenFactory()
    for key in (as_token("evaluate"), as_token("evaluate", kind="client", company=acme)):
        own = f"{TOKENS}/{key.token.pk}"
        assert key.get(own).json()["id"] == str(key.token.pk)
        assert key.delete(f"{TOKENS}/{other.pk}").status_code == 403
        assert key.delete(own).status_code == 204
        assert key.get(own).status_code == 401


def test_one_there_is_not_is_404(admin):
    response = admin.get(f"{TOKENS}/00000000-0000-0000-0000-000000000000")

    assert (response.status_code, response.json()["code"]) == (404, "TOKEN_NOT_FOUND")
