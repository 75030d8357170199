"""Every page refuses everybody it should. Made from the map of the site, so that new ones are covered on arrival."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from flags.models import Change, Flag
from tenants import tokens
from tenants.principal import VIEWING_AS
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

ARGUMENTS = {"key": "api_access", "company": "acme", "slug": "acme", "channel": "pilot", "domain": "accounting"}
BY_KIND = {"uuid": UUID(int=7), "int": 7, "slug": "acme", "str": "acme"}
METHODS = ("get", "post", "put", "delete")
HTMX = {"HX-Request": "true", "HX-Current-URL": "http://testserver/"}

# A super admin who views as a company is none for the while; what is named here is the way back.
OPEN_WHILE_VIEWING = {"console:view_as_stop"}
# Pages for everybody of a company, not only for those who may read about it.
OPEN_TO_MEMBERS = {"company:billing", "company:integrations", "company:integration"}
# No door is before these: they are the front door itself, and what machines ask. Each is tested at its own place.
ELSEWHERE = ("", "login/", "logout/", "invitation/", "workspace/", "healthz", "readyz", "metrics", "api/", "ofrep/")


def addresses(urls: URLResolver | None = None, namespace: str = "", before: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield every named address of the site: its full name, its route, and an address made from it."""
    for pattern in (urls or get_resolver()).url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            inner = pattern.namespace or ""
            yield from addresses(pattern, f"{namespace}{inner}:" if inner else namespace, route)
        elif isinstance(pattern, URLPattern) and pattern.name:
            kinds = {name: type(kind).__name__ for name, kind in pattern.pattern.converters.items()}
            values = {
                name: ARGUMENTS.get(name, BY_KIND[kind.removesuffix("Converter").replace("String", "str").lower()])
                for name, kind in kinds.items()
            }
            yield namespace + pattern.name, route, reverse(namespace + pattern.name, kwargs=values)


SITE = list(addresses())
CONSOLE = [(name, path) for name, route, path in SITE if route.startswith("super-admin/")]
COMPANY = [(name, path) for name, route, path in SITE if name.startswith("company:")]


def test_every_address_is_behind_a_door_that_is_tested():
    known = {path for _, path in (*CONSOLE, *COMPANY)}
    strays = [route for _, route, path in SITE if path not in known and not _is_elsewhere(route)]
    assert strays == []
    assert len(CONSOLE) > 15
    assert len(COMPANY) > 2


def _is_elsewhere(route: str) -> bool:
    return any(route == start or (start and route.startswith(start)) for start in ELSEWHERE)


def knock(browser: Client, path: str, headers: dict[str, str] | None = None) -> dict[str, int]:
    """Return what each method is answered with."""
    return {method: getattr(browser, method)(path, headers=headers or {}).status_code for method in METHODS}


@pytest.fixture(autouse=True)
def _nothing_is_changed(db, acme):
    versions = dict(Flag.objects.values_list("key", "version"))
    before = Change.objects.count()
    yield
    assert dict(Flag.objects.values_list("key", "version")) == versions
    assert Change.objects.count() == before


def is_refused(answers: dict[str, int], status: int) -> bool:
    """Whether all were answered so. 405 refuses as well, where a page has no such method for anybody."""
    return set(answers.values()) <= {status, 405} and status in answers.values()


@pytest.mark.parametrize(("name", "path"), CONSOLE)
class TestConsole:
    def test_strangers_are_sent_to_sign_in(self, name, path, client):
        assert is_refused(knock(client, path), 302)
        assert is_refused(knock(client, path, HTMX), 401)
        for method in ("get", "post"):
            answer = getattr(client, method)(path)
            assert answer.status_code == 405 or answer["Location"].startswith(settings.LOGIN_URL)

    def test_company_people_are_refused_whatever_their_role(self, name, path, sign_in, bob, dan):
        for person in (bob, dan, UserFactory()):
            assert is_refused(knock(sign_in(person), path), 403), person

    def test_somebody_who_was_a_super_admin_is_refused(self, name, path, sign_in, alice):
        browser = sign_in(alice)
        alice.is_superuser = False
        alice.save()
        assert is_refused(knock(browser, path), 403)
        alice.is_active = False
        alice.save()
        assert is_refused(knock(browser, path), 302)

    def test_programs_have_no_business_here(self, name, path, client):
        _, secret = tokens.mint(name="deploy", kind="server", scopes=["flags:write", "tenants:write"])
        assert is_refused(knock(client, path, {"Authorization": f"Bearer {secret}"}), 302)

    def test_a_forged_form_is_refused(self, name, path, sign_in, alice):
        browser = sign_in(alice, enforce_csrf_checks=True)
        assert browser.post(path).status_code == 403

    def test_super_admins_come_in_and_nothing_is_stored(self, name, path, sign_in, alice):
        answer = sign_in(alice).get(path)
        assert answer.status_code in (200, 302, 400, 404, 405, 422)
        if answer.status_code == 200:
            assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("path", [path for name, path in CONSOLE if name not in OPEN_WHILE_VIEWING])
def test_a_super_admin_who_views_as_a_company_is_refused(path, sign_in, alice, acme):
    browser = sign_in(alice)
    session = browser.session
    session[VIEWING_AS] = str(acme.pk)
    session.save()
    assert is_refused(knock(browser, path), 403)


@pytest.mark.parametrize("path", [path for name, path in CONSOLE if name != "console:view_as"])
def test_every_refusal_is_a_page(path, sign_in, alice):
    nonsense = {"version": "?", "enabled": "?", "paused": "?", "places": "?", "since": "?", "density": "?"}
    browser = sign_in(alice)
    for method in METHODS:
        answer = getattr(browser, method)(path, nonsense if method in ("get", "post") else None)
        assert answer.status_code < 400 or "<h1" in answer.content.decode(), (method, answer.status_code)


@pytest.mark.parametrize(("name", "path"), COMPANY)
class TestCompany:
    def test_strangers_are_sent_to_sign_in(self, name, path, client):
        assert client.get(path)["Location"].startswith(settings.LOGIN_URL)

    def test_nobody_writes(self, name, path, client, sign_in, bob, alice):
        for browser in (client, sign_in(bob), sign_in(alice)):
            answers = knock(browser, path)
            del answers["get"]
            assert set(answers.values()) == {405}

    def test_people_without_a_company_are_refused(self, name, path, sign_in):
        assert sign_in(UserFactory()).get(path).status_code == 403

    def test_members_see_only_what_is_for_everybody(self, name, path, sign_in, dan):
        assert sign_in(dan).get(path).status_code == 403 or name in OPEN_TO_MEMBERS
