"""Who a request comes from, and what the database is told about it."""

import asyncio
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.test import AsyncClient, Client
from django.utils import timezone

from tenants import jwt, provenance, rls
from tenants.models import ApiToken, ReleaseChannel, Role
from tests.factories import ApiTokenFactory, CompanyFactory, MembershipFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.tenants.urls_for_middleware")]

is_postgres = connection.vendor == "postgresql"


def bearer(value: str) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": f"Bearer {value}"}


def written() -> bool:
    return ReleaseChannel.objects.filter(slug="written").exists()


def test_a_stranger_is_nobody_and_bound_to_nothing(client):
    answer = client.get("/who/").json()
    assert (answer["kind"], answer["user"], answer["company"], answer["super"]) == ("anonymous", None, None, False)
    assert answer["binding"] == ["none", None, ""]
    assert answer["database"] in ({}, {"role": "login", "company": "", "user": "", "member_role": ""})


def test_a_company_person_is_bound_to_their_company(sign_in, bob, acme):
    answer = sign_in(bob).get("/who/").json()
    assert (answer["user"], answer["company"], answer["role"]) == (bob.email, "acme", "admin")
    assert answer["binding"] == ["headgate_tenant", str(acme.id), ""]
    assert answer["credential"] == "session"
    if is_postgres:
        assert answer["database"] == {
            "role": "headgate_tenant",
            "company": str(acme.id),
            "user": str(bob.id),
            "member_role": "admin",
        }


def test_a_super_admin_is_bound_to_the_console(sign_in, alice):
    answer = sign_in(alice).get("/who/").json()
    assert answer["super"] is True
    assert answer["binding"] == ["headgate_console", None, ""]
    if is_postgres:
        assert answer["database"]["role"] == "headgate_console"
        assert answer["database"]["user"] == str(alice.id)


def test_a_person_without_a_company_sees_no_company(sign_in):
    answer = sign_in(UserFactory()).get("/who/").json()
    assert (answer["company"], answer["binding"]) == (None, ["headgate_tenant", None, ""])


def test_an_inactive_company_counts_as_none(sign_in, bob, acme):
    acme.is_active = False
    acme.save()
    answer = sign_in(bob).get("/who/").json()
    assert (answer["company"], answer["role"], answer["binding"]) == (None, "", ["headgate_tenant", None, ""])


def test_home_decides_among_several_companies(sign_in, bob, globex):
    MembershipFactory(company=globex, user=bob, role=Role.MEMBER)
    answer = sign_in(bob).get("/who/").json()
    assert (answer["company"], answer["role"]) == ("acme", "admin")


def test_a_removed_membership_counts_at_the_next_request(sign_in, bob):
    browser = sign_in(bob)
    assert browser.get("/who/").json()["company"] == "acme"
    bob.memberships.all().delete()
    assert browser.get("/who/").json()["company"] is None


def test_a_deactivated_person_is_a_stranger_at_the_next_request(sign_in, bob):
    browser = sign_in(bob)
    bob.is_active = False
    bob.save()
    assert browser.get("/who/").json()["kind"] == "anonymous"


def test_a_super_admin_who_views_as_a_company_has_no_bypass(sign_in, alice, acme):
    browser = sign_in(alice)
    session = browser.session
    session["viewing_as"] = str(acme.id)
    session.save()
    answer = browser.get("/who/").json()
    assert (answer["super"], answer["company"], answer["role"]) == (False, "acme", "admin")
    assert answer["binding"] == ["headgate_tenant", str(acme.id), ""]


def test_viewing_as_an_inactive_company_is_being_in_none(sign_in, alice):
    company = CompanyFactory(is_active=False)
    browser = sign_in(alice)
    session = browser.session
    session["viewing_as"] = str(company.id)
    session.save()
    answer = browser.get("/who/").json()
    assert (answer["super"], answer["company"], answer["binding"]) == (False, None, ["headgate_tenant", None, ""])


@pytest.mark.parametrize("nonsense", ["", "no-uuid", "00000000-0000-0000-0000-000000000000", 7])
def test_viewing_as_nothing_that_exists_is_not_viewing(sign_in, alice, nonsense):
    browser = sign_in(alice)
    session = browser.session
    session["viewing_as"] = nonsense
    session.save()
    assert browser.get("/who/").json()["super"] is True


def test_only_super_admins_can_view_as_a_company(sign_in, bob, globex):
    browser = sign_in(bob)
    session = browser.session
    session["viewing_as"] = str(globex.id)
    session.save()
    assert browser.get("/who/").json()["company"] == "acme"


# Bearer credentials


def test_a_server_key_works_as_headgate_and_says_which_it_is(client):
    token = ApiTokenFactory(name="Nightly import")
    answer = client.get("/api/who", **bearer(token.plain)).json()
    assert (answer["kind"], answer["super"], answer["credential"]) == ("server", False, "token")
    assert answer["binding"] == ["headgate_console", None, "server key Nightly import"]


def test_a_bound_server_key_sees_one_company(client, acme):
    token = ApiTokenFactory(company=acme)
    answer = client.get("/api/who", **bearer(token.plain)).json()
    assert (answer["company"], answer["binding"]) == ("acme", ["headgate_tenant", str(acme.id), ""])


def test_a_client_key_sees_one_company(client, acme):
    token = ApiTokenFactory(company=acme, kind=ApiToken.Kind.CLIENT)
    answer = client.get("/ofrep/who", HTTP_X_API_KEY=token.plain).json()
    assert (answer["kind"], answer["binding"]) == ("client", ["headgate_tenant", str(acme.id), ""])


def test_a_key_bound_to_an_inactive_company_sees_none_instead_of_all(client):
    token = ApiTokenFactory(company=CompanyFactory(is_active=False))
    answer = client.get("/api/who", **bearer(token.plain)).json()
    assert (answer["company"], answer["binding"]) == (None, ["headgate_tenant", None, ""])


def test_an_access_token_is_its_person(client, bob, acme):
    pair = jwt.issue(bob, acme)
    answer = client.get("/api/who", **bearer(pair["access"])).json()
    assert (answer["user"], answer["request_user"]) == (bob.email, "Bob")
    assert (answer["company"], answer["role"], answer["credential"]) == ("acme", "admin", "jwt")


def test_the_session_is_ignored_beside_a_bearer_credential(sign_in, alice, acme):
    token = ApiTokenFactory(company=acme)
    answer = sign_in(alice).get("/api/who", **bearer(token.plain)).json()
    assert (answer["user"], answer["request_user"], answer["super"]) == (None, "AnonymousUser", False)
    assert answer["company"] == "acme"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "nonsense",
        "hg_s_000000000000_" + "x" * 43,  # Well-formed, and nobody's.
        "hg_s_000000000000_short",
        "hg_s_%s,hg_s_%s",
        "eyJhbGciOiJub25lIn0.e30.",  # A JWT without a signature.
    ],
)
def test_a_bad_credential_is_an_error_and_never_the_session(sign_in, alice, value):
    answer = sign_in(alice).get("/api/who", **bearer(value)).json()
    assert (answer["kind"], answer["error"], answer["request_user"]) == ("anonymous", "TOKEN_INVALID", "AnonymousUser")
    assert answer["binding"] == ["none", None, ""]


def test_a_scheme_is_written_in_any_case(client):
    token = ApiTokenFactory()
    assert client.get("/api/who", HTTP_AUTHORIZATION=f"bEARER   {token.plain}").json()["kind"] == "server"


def test_other_schemes_are_none_of_ours(sign_in, bob):
    answer = sign_in(bob).get("/who/", HTTP_AUTHORIZATION="Basic Zm9vOmJhcg==").json()
    assert (answer["user"], answer["error"]) == (bob.email, None)


def test_a_token_in_the_address_is_ignored(client):
    token = ApiTokenFactory()
    answer = client.get(f"/api/who?access_token={token.plain}&token={token.plain}").json()
    assert (answer["kind"], answer["error"]) == ("anonymous", None)


def test_an_api_key_header_counts_for_openfeature_only(client, acme):
    token = ApiTokenFactory(company=acme)
    assert client.get("/ofrep/who", HTTP_X_API_KEY=token.plain).json()["kind"] == "server"
    assert client.get("/api/who", HTTP_X_API_KEY=token.plain).json()["kind"] == "anonymous"


def test_using_a_token_is_noted(client):
    token = ApiTokenFactory()
    client.get("/api/who", **bearer(token.plain))
    token.refresh_from_db()
    assert timezone.now() - token.last_used_at < timedelta(minutes=1)


# Doors


@pytest.mark.parametrize(
    ("path", "door"),
    [("/who/", "company"), ("/api/who", "api"), ("/ofrep/who", "api"), ("/super-admin/who", "console")],
)
def test_history_will_name_the_door(client, path, door):
    assert client.get(path).json()["via"] == door
    assert provenance.via.get() == "system"


@pytest.mark.parametrize("path", ["/metrics", "/static/file"])
def test_what_machines_ask_costs_no_query(sign_in, bob, path, django_assert_num_queries):
    browser = sign_in(bob)
    with django_assert_num_queries(0):
        response = browser.get(path)
    assert (response.content, response.wsgi_request.principal.kind) == (b"fine", "anonymous")


def test_a_stranger_costs_no_query(client, django_assert_num_queries):
    with django_assert_num_queries(0 + is_postgres):
        client.get("/who/")


def test_a_person_costs_two_queries(sign_in, bob, django_assert_num_queries):
    browser = sign_in(bob)
    with django_assert_num_queries(2 + is_postgres):  # Session, person with home; what the view asks itself.
        browser.get("/who/")


def test_a_token_costs_one_query(client, acme, django_assert_num_queries):
    token = ApiTokenFactory(company=acme, last_used_at=timezone.now())
    with django_assert_num_queries(1 + is_postgres):
        client.get("/api/who", **bearer(token.plain))


def test_an_access_token_costs_one_query(client, bob, acme, django_assert_num_queries):
    pair = jwt.issue(bob, acme)
    with django_assert_num_queries(1 + is_postgres):
        client.get("/api/who", **bearer(pair["access"]))


# One transaction


@pytest.mark.django_db(transaction=True)
def test_a_request_of_somebody_known_is_one_transaction_on_postgresql_and_none_on_sqlite(sign_in, bob):
    assert sign_in(bob).get("/who/").json()["in_transaction"] is is_postgres


@pytest.mark.django_db(transaction=True)
def test_where_people_become_somebody_else_nothing_spans_the_request(sign_in, bob):
    for path in ("/login/", "/api/auth/who"):
        answer = sign_in(bob).get(path).json()
        assert (answer["user"], answer["binding"]) == (bob.email, ["none", None, ""])


@pytest.mark.django_db(transaction=True)
def test_what_is_written_at_the_doorstep_outlives_a_refusal(sign_in, bob):
    assert sign_in(bob).get("/login/write").status_code == 403
    assert written()


def test_what_a_request_wrote_stays(sign_in, bob):
    assert sign_in(bob).get("/write/fine").status_code == 200
    assert written()


def test_a_meant_404_keeps_what_was_written(sign_in, bob):
    assert sign_in(bob).get("/write/api-404").status_code == 404
    assert written()


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/write/refuse", 403),
        ("/write/unavailable", 503),
        ("/write/broken-template", 500),
        ("/write/api-refuses", 400),
    ],
)
def test_a_refused_request_leaves_nothing_behind(sign_in, bob, path, status):
    browser = sign_in(bob, raise_request_exception=False)
    assert browser.get(path).status_code == status
    assert not written()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_refused_request_leaves_nothing_behind_in_a_real_transaction(sign_in, bob):
    browser = sign_in(bob, raise_request_exception=False)
    for path in ("/write/refuse", "/write/broken-template", "/write/api-refuses"):
        browser.get(path)
        assert not written()


def test_a_template_is_rendered_within_the_binding(sign_in, bob):
    assert sign_in(bob).get("/late-template").content.split()[0] == b"headgate_tenant"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/who/", "/write/refuse", "/write/broken-template"])
def test_the_next_request_on_the_connection_is_of_nobody(sign_in, bob, path):
    sign_in(bob, raise_request_exception=False).get(path)
    answer = Client().get("/who/").json()
    assert (answer["kind"], answer["binding"]) == ("anonymous", ["none", None, ""])
    if is_postgres:
        assert answer["database"] == {"role": "login", "company": "", "user": "", "member_role": ""}


# Streaming


@pytest.mark.django_db(transaction=True)
def test_a_stream_is_bound_while_it_is_consumed_and_its_consumer_is_not(sign_in, bob, acme):
    before = rls.current()
    chunks = iter(sign_in(bob).get("/stream").streaming_content)
    role = "headgate_tenant" if is_postgres else ""
    line = f"headgate_tenant {acme.id} {role} company\n".encode()
    for _ in range(3):
        assert next(chunks) == line
        assert rls.current() == before
    assert list(chunks) == []
    assert not connection.in_atomic_block


@pytest.mark.django_db(transaction=True)
def test_a_stream_that_is_left_half_way_leaves_no_binding(sign_in, bob):
    response = sign_in(bob).get("/stream")
    next(iter(response.streaming_content))
    response.close()
    assert not connection.in_atomic_block


@pytest.mark.django_db(transaction=True)
def test_a_stream_that_breaks_leaves_no_binding(sign_in, bob):
    response = sign_in(bob).get("/breaking-stream")
    with pytest.raises(RuntimeError, match="half-way"):
        list(response.streaming_content)
    assert not connection.in_atomic_block


# Asynchronous servers


@pytest.mark.django_db(transaction=True)
def test_a_request_is_bound_under_an_asynchronous_server_too(sign_in, bob, acme):
    browser = AsyncClient()
    browser.cookies = sign_in(bob).cookies

    async def ask():
        try:
            return (await browser.get("/who/")).json()
        finally:
            await sync_to_async(connections.close_all)()  # Those of the thread that views run in.

    answer = asyncio.run(ask())
    assert answer["binding"] == ["headgate_tenant", str(acme.id), ""]
