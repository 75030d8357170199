"""Invitations: the link, the page it leads to, and the message that carries it."""

from datetime import timedelta

import pytest
from django.contrib.auth.tokens import default_token_generator
from django.core import mail
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlsafe_base64_encode

from tenants import invitations
from tenants.models import User
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

NEW = {"name": "Nora", "password": "three plain words", "repeated": "three plain words"}


@pytest.fixture
def nora(acme) -> User:
    """Somebody who was just added, and has no password yet."""
    return User.objects.create_user("nora@acme.example")


def test_whoever_was_invited_sets_a_password_and_is_in(client, nora):
    path = invitations.path_for(nora)
    page = client.get(path)
    assert page.status_code == 200
    assert "nora@acme.example" in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    response = client.post(path, NEW)
    assert (response.status_code, response["Location"]) == (302, "/")
    assert client.get("/").wsgi_request.principal.user == nora
    nora.refresh_from_db()
    assert (nora.name, nora.check_password("three plain words")) == ("Nora", True)


def test_a_link_works_once(client, nora):
    path = invitations.path_for(nora)
    client.post(path, NEW)
    client.logout()
    for answer in (client.get(path), client.post(path, {**NEW, "password": "another three words"})):
        assert answer.status_code == 410
        assert "no longer good" in answer.content.decode()
    nora.refresh_from_db()
    assert nora.check_password("three plain words")


def test_a_link_ends_by_itself(client, nora, time_machine):
    path = invitations.path_for(nora)
    time_machine.move_to(timezone.now() + timedelta(days=3, minutes=1))
    assert client.get(path).status_code == 410


def test_a_link_for_somebody_deactivated_is_none(client, nora):
    path = invitations.path_for(nora)
    User.objects.filter(pk=nora.pk).update(is_active=False)
    assert client.post(path, NEW).status_code == 410


def test_a_link_for_somebody_else_or_something_else_is_none(client, nora, bob):
    uid = urlsafe_base64_encode(str(nora.pk).encode())
    forged = (
        invitations.path_for(bob),
        reverse("invitation", args=[uid, default_token_generator.make_token(nora)]),
        reverse("invitation", args=[uid, "nonsense"]),
        reverse("invitation", args=["nonsense", "nonsense"]),
        reverse("invitation", args=["8J-YgA", "nonsense"]),
    )
    for path in forged:
        assert client.get(path).status_code == 410
    assert User.objects.get(pk=bob.pk).check_password(PASSWORD)


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ({"password": "short", "repeated": "short"}, "too short"),
        ({"password": "1234567890123", "repeated": "1234567890123"}, "entirely numeric"),
        ({"repeated": "three other words"}, "not the password you typed above"),
        ({"password": "", "repeated": ""}, "required"),
    ],
)
def test_a_bad_password_is_refused_where_it_was_typed(client, nora, typed, complaint):
    response = client.post(invitations.path_for(nora), {**NEW, **typed})
    assert response.status_code == 422
    page = response.content.decode()
    assert complaint in page
    assert "three plain words" not in page
    nora.refresh_from_db()
    assert not nora.has_usable_password()


def test_accepting_replaces_whoever_was_signed_in(sign_in, bob, nora):
    client = sign_in(bob)
    client.post(invitations.path_for(nora), NEW)
    assert client.get("/").wsgi_request.principal.user == nora


def test_the_message_goes_out_once_the_change_is_committed(nora, acme, alice, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        invitations.send(nora, acme, inviter=alice, origin="https://headgate.example")
        assert mail.outbox == []
    [message] = mail.outbox
    assert (message.to, message.subject) == (["nora@acme.example"], "Alice invites you to Acme")
    path = next(line for line in message.body.splitlines() if line.startswith("https://headgate.example/invitation/"))
    assert invitations.invited(*path.removesuffix("/").split("/")[-2:]) == nora


def test_who_has_a_password_is_sent_to_sign_in(bob, acme, alice, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        invitations.send(bob, acme, inviter=alice, origin="https://headgate.example")
    [message] = mail.outbox
    assert "https://headgate.example/login/" in message.body
    assert "/invitation/" not in message.body


def test_a_name_with_line_breaks_makes_no_headers(nora, acme, alice, django_capture_on_commit_callbacks):
    acme.name = "Acme\nBcc: everybody@example.com"
    with django_capture_on_commit_callbacks(execute=True):
        invitations.send(nora, acme, inviter=alice, origin="https://headgate.example")
    [message] = mail.outbox
    assert message.recipients() == ["nora@acme.example"]


def test_mail_that_cannot_be_sent_is_logged_and_changes_nothing(
    nora, acme, alice, settings, caplog, django_capture_on_commit_callbacks
):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    with django_capture_on_commit_callbacks(execute=True):
        invitations.send(nora, acme, inviter=alice, origin="https://headgate.example")
    assert "invitation not sent" in caplog.text
    assert "/invitation/" not in caplog.text
