"""Who is told of a promotion, and that each message is sent once, whoever sends it."""

import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from django.utils.safestring import SafeData

from flags import changes, outbox, releases, standing
from flags.exceptions import ChangeRefused, Invalid
from flags.impact import companies_gaining
from flags.models import Change, Flag
from flags.releasemodels import Mail
from tenants.models import Role
from tests.factories import CompanyFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

KEY = "trip_management"


@pytest.fixture
def in_internal(alice):
    return releases.start(KEY, actor=alice)


def promote(alice, **how):
    return releases.promote(KEY, actor=alice, force=True, reason="ready", **how)


def test_the_admins_of_the_companies_that_gain_are_told_and_nobody_else(
    in_internal, alice, globex, carol, acme, bob, default_tenant
):
    MembershipFactory(company=globex, user=UserFactory(email="member@globex.example"))
    away = UserFactory(email="left@globex.example", is_active=False)
    MembershipFactory(company=globex, user=away, role=Role.ADMIN)
    MembershipFactory(company=default_tenant, user=UserFactory(email="us@example.com"), role=Role.ADMIN)
    promote(alice, tell=True)
    message = Mail.objects.get()
    assert (message.to, message.company) == (carol.email, globex)
    assert message.subject == "Trip Management is now on for Globex"
    assert "Globex can use Trip Management from now on." in message.body
    assert outbox.COMPANY not in message.subject + message.body
    assert Change.objects.get(verb="force_promote").after["told"] == 1


def test_a_company_that_had_it_or_does_not_get_it_is_not_told(in_internal, alice, globex, carol):
    late = CompanyFactory(channel="pilot")
    MembershipFactory(company=late, user=UserFactory(email="late@example.com"), role=Role.ADMIN)
    changes.set_override(globex, KEY, True, actor=alice)
    changes.set_override(late, KEY, False, actor=alice)
    promote(alice, tell=True)
    assert not Mail.objects.exists()


def test_nobody_is_told_unless_asked_for_nor_of_a_promotion_that_is_refused(in_internal, alice, globex, carol):
    with pytest.raises(ChangeRefused):
        releases.promote(KEY, actor=alice, tell=True)
    promote(alice)
    assert not Mail.objects.exists()


def test_nobody_is_told_of_an_internal_flag(in_internal, alice, globex, carol):
    changes.edit_flag(KEY, actor=alice, is_internal=True)
    with pytest.raises(Invalid, match="internal"):
        promote(alice, tell=True)


def test_what_is_taken_back_is_not_told(in_internal, alice, globex, carol):
    with transaction.atomic():
        promote(alice, tell=True)
        transaction.set_rollback(True)
    assert not Mail.objects.exists()


def test_the_preview_says_to_how_many_and_what(in_internal, alice, globex, carol):
    gaining = companies_gaining(standing.of(KEY).promotion())
    assert gaining == [globex.pk]
    assert outbox.count_recipients(gaining) == 1
    assert [row.user for row in outbox.first_recipients(gaining)] == [carol]
    said = outbox.gained(Flag.objects.get(key=KEY), "Globex")
    promote(alice, tell=True)
    assert (said.subject, said.body) == Mail.objects.values_list("subject", "body").get()


def test_a_message_is_plain_text_which_no_page_takes_for_markup(in_internal, globex, carol, alice, sign_in):
    changes.edit_flag(KEY, actor=alice, description="<script>alert(1)</script>")
    said = outbox.gained(Flag.objects.get(key=KEY))
    assert "<script>" in said.body
    assert not isinstance(said.subject, SafeData)
    assert not isinstance(said.body, SafeData)
    page = sign_in(alice).get(f"/super-admin/feature-flags/{KEY}/release/promote/").content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page


def test_a_person_who_is_admin_of_two_companies_is_told_for_each(in_internal, alice, globex, carol):
    other = CompanyFactory(slug="initech", name="Initech", channel="pilot")
    MembershipFactory(company=other, user=carol, role=Role.ADMIN)
    promote(alice, tell=True)
    assert set(Mail.objects.values_list("to", "company__slug")) == {(carol.email, "globex"), (carol.email, "initech")}


# Sending


def waiting(number: int) -> None:
    Mail.objects.bulk_create(Mail(to=f"p{n}@example.com", subject=f"Message {n}", body="…") for n in range(number))


def test_what_waits_is_sent_once(capsys):
    waiting(3)
    call_command("send_mail")
    assert capsys.readouterr().out.strip() == "Sent 3 messages."
    call_command("send_mail")
    assert capsys.readouterr().out.strip() == "Nothing waits."
    assert [message.to for message in mail.outbox] == [["p0@example.com"], ["p1@example.com"], ["p2@example.com"]]
    assert not Mail.objects.filter(sent_at=None).exists()


def test_what_the_server_refuses_waits_for_the_next_time(monkeypatch):
    waiting(2)
    send = EmailBackend.send_messages

    def choosy(self, messages):
        if messages[0].to == ["p0@example.com"]:
            raise ConnectionRefusedError
        return send(self, messages)

    with monkeypatch.context() as broken:
        broken.setattr(EmailBackend, "send_messages", choosy)
        with pytest.raises(CommandError, match="1 could not be sent") as refusal:
            call_command("send_mail")
    assert refusal.value.returncode == 1
    assert [message.to for message in mail.outbox] == [["p1@example.com"]]
    call_command("send_mail")
    assert [message.to for message in mail.outbox] == [["p1@example.com"], ["p0@example.com"]]


def test_what_somebody_else_has_claimed_is_left_to_them_and_said_when_they_died(capsys):
    waiting(2)
    now = timezone.now()
    Mail.objects.filter(to="p0@example.com").update(claimed_at=now)
    Mail.objects.filter(to="p1@example.com").update(claimed_at=now - timedelta(hours=1))
    call_command("send_mail")
    said = capsys.readouterr()
    assert not mail.outbox
    assert "1 may or may not have arrived" in said.err
    call_command("send_mail", again=True)
    assert [message.to for message in mail.outbox] == [["p1@example.com"]]


@pytest.mark.django_db(transaction=True)
def test_two_that_send_at_once_send_each_message_once():
    waiting(60)
    begin = threading.Barrier(3)
    counts = []

    def sender():
        begin.wait()
        counts.append(outbox.send_waiting().sent)
        connection.close()

    threads = [threading.Thread(target=sender) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(counts) == 60
    assert sorted(message.to[0] for message in mail.outbox) == sorted(f"p{n}@example.com" for n in range(60))
