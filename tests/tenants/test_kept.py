"""A form that came too late, without scripts: the same person gets back what they typed, once, and nobody else does."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tenants import kept
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

FORM = "/workspace/?from=menu"
TYPED = {"workspace": "acme", "next": "/", "reason": "Because <b>I</b> said so"}


@pytest.fixture
def bobs(client: Client, bob) -> Client:
    """A browser in which Bob has signed in, and whose session has ended since."""
    client.post("/login/", {"username": bob.email, "password": PASSWORD})
    del client.cookies[settings.SESSION_COOKIE_NAME]
    return client


def seal_in(response) -> str:
    """Return what the page to sign in on carries, or ""."""
    found = re.search(r'<noscript><input type="hidden" name="kept" value="([^"]+)">', response.content.decode())
    return unescape(found[1]) if found else ""


def sign_in(client: Client, user, seal: str, password: str = PASSWORD):
    return client.post("/login/", {"username": user.email, "password": password, "next": "/features/", "kept": seal})


def test_they_may_send_what_they_typed_once_they_have_signed_in(bobs, bob):
    asked = bobs.post(FORM, TYPED)
    assert asked.status_code == 401
    assert seal_in(asked)
    assert seal_in(wrong := sign_in(bobs, bob, seal_in(asked), "no such password")) == seal_in(asked)
    assert wrong.status_code == 422
    page = sign_in(bobs, bob, seal_in(asked)).content.decode()
    assert f'action="{FORM}"' in page
    assert '<input type="hidden" name="next" value="/">' in page
    assert "<dt>Reason</dt><dd>Because &lt;b&gt;I&lt;/b&gt; said so</dd>" in page
    assert "<dt>Next</dt>" not in page
    assert 'href="/features/"' in page
    assert bobs.get("/login/").status_code == 302  # They are signed in.


def test_nobody_else_gets_it(bobs, carol):
    answer = sign_in(bobs, carol, seal_in(bobs.post(FORM, TYPED)))
    assert (answer.status_code, answer["Location"]) == (302, "/features/")


def test_it_is_kept_for_half_an_hour_only(bobs, bob, clock):
    seal = seal_in(bobs.post(FORM, TYPED))
    clock.shift(timedelta(seconds=kept.HOLDS + 1))
    assert sign_in(bobs, bob, seal).status_code == 302


@pytest.mark.parametrize("change", [lambda seal: seal[:-1], lambda seal: "x" + seal, lambda seal: ""])
def test_only_what_was_sealed_here_is_shown(bobs, bob, change):
    assert sign_in(bobs, bob, change(seal_in(bobs.post(FORM, TYPED)))).status_code == 302


@pytest.mark.parametrize(
    "typed",
    [
        {"new_password": "correct horse"},
        {"reason": "x" * (kept.MOST + 1)},
        {"reason": "with a file", "file": SimpleUploadedFile("a.csv", b"a,b")},
        {},
    ],
    ids=["a password", "too long", "a file", "nothing"],
)
def test_some_forms_are_never_kept(bobs, typed):
    assert bobs.post(FORM, typed)["Location"].startswith("/login/")


def test_a_stranger_s_form_is_not_kept_nor_that_of_somebody_who_signed_out(client, bobs):
    assert Client().post(FORM, TYPED)["Location"].startswith("/login/")
    bobs.post("/logout/")
    assert bobs.post(FORM, TYPED)["Location"].startswith("/login/")


def test_who_signed_in_is_noted_for_the_browser_alone(client, bob):
    cookie = client.post("/login/", {"username": bob.email, "password": PASSWORD}).cookies[kept.COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
