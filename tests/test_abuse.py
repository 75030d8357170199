"""What strangers and insiders try at every door: forged requests, hidden methods, markup in every field."""

import json
import re

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from flags import changes
from flags.models import Change, Flag
from flags.recording import clean_text
from tenants.models import Company, Plan, ReleaseChannel
from tenants.tokens import SCOPES
from tests.factories import (
    ApiTokenFactory,
    CompanyFactory,
    FlagFactory,
    GrantFactory,
    MembershipFactory,
    OverrideFactory,
    UserFactory,
)
from tests.test_doors import COMPANY, CONSOLE

pytestmark = pytest.mark.django_db

DEFAULT = "/super-admin/feature-flags/api_access/default/"
FLAGS = "/api/admin/feature-flags"


@pytest.fixture
def key():
    """A client with a key that may do everything, and the key."""
    token = ApiTokenFactory(scopes=list(SCOPES))
    client = Client(headers={"authorization": f"Bearer {token.plain}"})
    client.plain = token.plain
    return client


def is_untouched() -> bool:
    return not Change.objects.exists() and not Flag.objects.get(key="api_access").is_default_set


@pytest.fixture(autouse=True)
def _default_was_never_set(db):
    Flag.objects.filter(key="api_access").update(is_default_set=False)


# T4, T5: who one is, by the one way there is


@pytest.mark.parametrize(
    "header",
    [
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Forwarded-Path",
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
    ],
)
def test_no_header_makes_another_request_of_it(key, header):
    value = f"{FLAGS}/api_access" if "URL" in header or "Path" in header else "DELETE"
    assert Client().get("/healthz", headers={header: value}).json() == {"status": "ok"}
    assert key.get(f"{FLAGS}/api_access", headers={header: value}).json()["key"] == "api_access"
    assert is_untouched()


@pytest.mark.parametrize(
    "form", ["Bearer {0},Bearer {0}", "Bearer {0}, Bearer nobody", "Bearer", "Bearer  ", "bearer {1}"]
)
def test_two_credentials_or_none_or_half_of_one_are_nobodys(key, form):
    header = form.format(key.plain, key.plain[:-5])
    response = Client(headers={"authorization": header}).get("/api/features")
    assert (response.status_code, response.json()["code"]) == (401, "TOKEN_INVALID")


@pytest.mark.parametrize("name", ["token", "access_token", "api_key", "key", "authorization"])
def test_a_token_in_the_address_is_nobodys(key, name):
    assert Client().get(f"/api/features?{name}={key.plain}").status_code == 401
    assert Client().post("/api/features/check", {name: key.plain}, content_type="application/json").status_code == 401
    assert Client().get("/api/features", headers={"cookie": f"{name}={key.plain}"}).status_code == 401


# T31: a token is in no log, no answer and no history


def test_a_token_is_told_nowhere(key, caplog):
    caplog.set_level("DEBUG")
    answers = [
        key.get("/api/features"),
        key.get("/api/nowhere"),
        key.get(f"{FLAGS}?{key.plain}=1"),
        key.post(FLAGS, "{", content_type="application/json"),
        key.patch(f"{FLAGS}/api_access", {"nonsense": True}, content_type="application/json"),
        key.patch(f"{FLAGS}/api_access", {"description": "new"}, content_type="application/json"),
        key.get("/api/features", headers={"referer": f"https://example.org/?token={key.plain}"}),
    ]
    secret = key.plain.rpartition("_")[2]
    assert secret not in caplog.text.replace(f"{FLAGS}?{key.plain}", "")
    assert all(secret not in answer.content.decode() for answer in answers if answer is not answers[2])
    assert secret not in json.dumps(list(Change.objects.values("before", "after", "actor", "actor_name", "reason")))


# T33, T35: forged forms


# How a form is sent without the right to. `{mine}` is the token of this browser, `{theirs}` another one's.
FORGED = {
    "no token": {},
    "an empty token": {"x-csrftoken": ""},
    "a wrong token": {"x-csrftoken": "x" * 32},
    "somebody else's": {"x-csrftoken": "{theirs}"},
    "another origin": {"x-csrftoken": "{mine}", "origin": "https://evil.example"},
    "no origin": {"x-csrftoken": "{mine}", "origin": "null"},
}


def token_of(browser: Client) -> str:
    browser.get("/login/")
    browser.get("/super-admin/feature-flags/api_access/")
    return browser.cookies[settings.CSRF_COOKIE_NAME].value


@pytest.mark.parametrize("how", FORGED)
@pytest.mark.parametrize("htmx", [False, True], ids=["page", "htmx"])
def test_a_forged_form_changes_nothing(sign_in, alice, how, htmx):
    browser = sign_in(alice, enforce_csrf_checks=True)
    tokens = {"mine": token_of(browser), "theirs": token_of(Client())}
    headers = {name: value.format(**tokens) for name, value in FORGED[how].items()}
    if htmx:
        headers["hx-request"] = "true"
    assert browser.post(DEFAULT, {"enabled": "true"}, headers=headers).status_code == 403
    assert is_untouched()
    right = {"x-csrftoken": tokens["mine"]}
    assert browser.post(DEFAULT, {"enabled": "true"}, headers=right).status_code < 400  # It is the token that counts.


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_the_api_takes_no_form_from_a_session(sign_in, alice, content_type):
    """What another site can make a browser send needs no leave of ours; so it must do nothing."""
    browser = sign_in(alice, enforce_csrf_checks=True)
    answer = browser.post(FLAGS, '{"key": "api_access", "enabled": true}', content_type=content_type)
    assert answer.status_code in (403, 415)
    assert is_untouched()


# T34: what looks changes nothing


@pytest.mark.parametrize(("name", "path"), CONSOLE)
def test_looking_changes_nothing(sign_in, alice, acme, name, path):
    browser = sign_in(alice)
    before = (Change.objects.count(), dict(Flag.objects.values_list("key", "version")))
    for headers in ({}, {"purpose": "prefetch", "sec-purpose": "prefetch"}):
        for method in ("get", "head", "options"):
            getattr(browser, method)(path, headers=headers)
    assert (Change.objects.count(), dict(Flag.objects.values_list("key", "version"))) == before


# T37: twice


def test_a_form_that_is_sent_twice_is_one_change(sign_in, alice, acme):
    browser = sign_in(alice)
    form = {"enabled": "true", "ask": ""}
    for _ in range(2):
        assert browser.post(DEFAULT, form).status_code == 302
    assert Change.objects.count() == 1


# T38: nothing is left in a browser


def test_what_was_made_for_somebody_is_kept_by_no_shared_cache(key, sign_in, bob):
    for browser, path in ((key, FLAGS), (key, "/api/features"), (sign_in(bob), "/api/features"), (sign_in(bob), "/")):
        answer = browser.get(path)
        assert "private" in answer["Cache-Control"] or "no-store" in answer["Cache-Control"], path


def test_pages_are_kept_neither_by_browsers_nor_by_htmx(sign_in, alice, bob, acme):
    for person, paths in ((alice, CONSOLE), (bob, COMPANY)):
        browser = sign_in(person)
        for _, path in paths:
            answer = browser.get(path)
            if (
                answer.status_code == 200
                and answer["Content-Type"].startswith("text/html")
                and b"<html" in answer.content
            ):
                assert "no-store" in answer["Cache-Control"], path
                assert b"&quot;historyCacheSize&quot;:0" in answer.content or b'"historyCacheSize":0' in answer.content
    browser.post("/logout/")
    assert browser.get("/features/").status_code == 302


# T98: what people type is text, wherever it is shown

MARKUP = '<script>alert(1)</script><img src=x onerror=alert(2)>" onfocus=\'alert(3)\' hx-get="/evil" {{7919*7927}}'
RAW = re.compile(r"<script>alert|<img src=x|onerror=alert\(2\)>|\" onfocus='alert|\" hx-get=\"/evil|62773913")


@pytest.fixture
def marked_up(alice):
    """Markup in every field that takes words."""
    company = CompanyFactory(slug="acme", name=MARKUP, channel="general", plan="pro")
    person = UserFactory(email="mallory@acme.example", name=MARKUP)
    MembershipFactory(company=company, user=person, role="admin")
    ReleaseChannel.objects.update(name=MARKUP[:40])
    Plan.objects.update(name=MARKUP[:40])
    flag = FlagFactory(
        key="marked_up", name=MARKUP, description=MARKUP, category=MARKUP[:40], owner=MARKUP, metadata={MARKUP: MARKUP}
    )
    flag.needs_grant = True
    flag.save()
    OverrideFactory(company=company, flag=flag, reason=MARKUP)
    GrantFactory(company=company, user=person, flag=flag, reason=MARKUP)
    ApiTokenFactory(name=MARKUP[:80], company=company)
    changes.kill("marked_up", actor=alice, reason=MARKUP)
    changes.revive("marked_up", actor=alice, reason=MARKUP)
    return person


@pytest.mark.parametrize(("name", "path"), CONSOLE)
def test_markup_is_text_on_every_page_of_the_console(sign_in, alice, marked_up, name, path):
    browser = sign_in(alice)
    for address in {path, path.replace("api_access", "marked_up"), f"{path}?q=marked&ask=on&enabled=true"}:
        for headers in ({}, {"hx-request": "true"}):
            answer = browser.get(address, headers=headers)
            if answer.get("Content-Type", "").startswith("text/html") and not answer.streaming:
                assert RAW.findall(answer.content.decode()) == [], address


@pytest.mark.parametrize(("name", "path"), COMPANY)
def test_markup_is_text_on_every_page_of_a_company(sign_in, marked_up, name, path):
    answer = sign_in(marked_up).get(path)
    assert RAW.findall(answer.content.decode()) == []


def test_what_is_searched_for_is_text(sign_in, alice, marked_up):
    browser = sign_in(alice)
    for page in ("console:flag_list", "console:company_list", "console:change_list"):
        answer = browser.get(reverse(page), {"q": MARKUP})
        assert RAW.findall(answer.content.decode()) == []


# T65: no character turns a sentence of history around


@pytest.mark.parametrize("char", ["\u202e", "\u202a", "\u2066", "\u2069", "\u200f", "\n", "\x1b", "\0"])
def test_no_character_that_reorders_or_breaks_a_line_is_kept(key, char):
    answer = key.patch(
        f"{FLAGS}/api_access", {"description": "new", "reason": f"safe{char}evil"}, content_type="application/json"
    )
    assert answer.status_code == 400
    assert is_untouched()


def test_words_in_any_script_are_kept():
    for words in ("Größe", "שלום עולם", "مرحبا", "日本語", "👩‍👩‍👧"):
        assert clean_text(words, "reason", longest=100) == words


# T99: names are no filters


@pytest.mark.parametrize(
    "name",
    [
        "_connector",
        "__class__",
        "key__startswith",
        "company__name",
        "pk",
        "_negated",
        "id__in",
        "overrides__reason__contains",
    ],
)
def test_no_name_reaches_a_query(key, acme, name):
    assert key.get(f"{FLAGS}?{name}=OR").status_code == 400
    assert key.get(f"/api/admin/changes?{name}=OR").status_code == 400
    for path, method in ((f"{FLAGS}/api_access", key.patch), ("/api/admin/tenants/acme", key.patch)):
        answer = method(path, {name: "OR"}, content_type="application/json")
        assert (answer.status_code, name in answer.json()["errors"]) == (400, True)
    assert Company.objects.get().slug == "acme"
    assert is_untouched()


@pytest.mark.parametrize(
    "field", ["id", "key", "version", "created_at", "killed_at", "is_default_set", "default_source"]
)
def test_what_is_not_ones_to_set_is_refused(key, field):
    answer = key.patch(f"{FLAGS}/api_access", {field: "1"}, content_type="application/json")
    assert answer.status_code in (400, 409)
    assert Flag.objects.get(key="api_access").version == 1 or is_untouched()
