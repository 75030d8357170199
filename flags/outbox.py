"""Messages on their way: written in the transaction of the change they tell of, sent after it by a command, once.

Sending is claimed row by row, so that commands may run at the same time or again. A process that dies between the
claim and the end of sending leaves a row that is claimed and not sent; nobody knows whether it arrived, so it is not
sent again unless somebody asks for it.
"""

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db import connection
from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.utils import timezone

from flags.models import Flag
from flags.releasemodels import Mail
from flags.setwise import as_parameter, chosen, new_id
from tenants.models import Company, Membership, Role
from tenants.rls import acting_as_system

logger = logging.getLogger(__name__)

# Stands in a message where each company's own name comes.
COMPANY = "⟦company⟧"
AT_ONCE = 100
GIVEN_UP_AFTER = timedelta(minutes=15)
"""How long after it was claimed a message that is not sent counts as stuck."""

QUEUE = """
insert into flags_mail (id, company_id, "to", subject, body, created_at, claimed_at, sent_at)
select {id}, c.id, u.email, replace(%s, %s, c.name), replace(%s, %s, c.name), %s, null, null
from {chosen} as chosen
join tenants_company c on c.id = chosen.value
join tenants_membership m on m.company_id = c.id and m.role = %s
join tenants_user u on u.id = m.user_id and u.is_active
"""


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody is told."""

    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Preview:
    """A message before it is sent: to how many people of how many companies, who the first are, and how it reads.

    `message` is None where nobody may be told.
    """

    recipients: int
    companies: int
    first: list[Membership]
    message: Message | None


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of what waited: how many were sent, could not be sent now, and were claimed long ago and not sent."""

    sent: int
    failed: int
    stuck: int


def gained(flag: Flag, company: str = COMPANY) -> Message:
    """Return what the admins of a company are told when it gets a feature."""
    context = {"flag": flag, "company": company}
    # Templates call all they write safe to put into a page. Plain text is not: joined, it is a string like another.
    subject, body = (
        "".join([render_to_string(f"email/{name}.txt", context)])
        for name in ("feature_gained_subject", "feature_gained")
    )
    return Message(subject.strip()[:200], body)


def count_recipients(companies: Collection[UUID]) -> int:
    """Return to how many people a message to these companies would go: their admins, once for each company."""
    sql = (
        f"select count(*) from {chosen()} as chosen join tenants_membership m on m.company_id = chosen.value "
        "join tenants_user u on u.id = m.user_id and u.is_active where m.role = %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [as_parameter(companies), Role.ADMIN])
        return cursor.fetchone()[0]


def first_recipients(companies: Collection[UUID], most: int = 5) -> list[Membership]:
    """Return the first few of those people, with their companies."""
    some = sorted(companies)[:most]
    rows = Membership.objects.filter(role=Role.ADMIN, user__is_active=True, company__in=some)
    return list(rows.select_related("user", "company").order_by("company__name", "user__email")[:most])


def preview(flag: Flag, companies: Collection[UUID]) -> Preview:
    """Return what the admins of these companies would be told when they get a feature, as the first one reads it.

    Nobody is told of an internal flag.
    """
    if flag.is_internal:
        return Preview(0, len(companies), [], None)
    first = Company.objects.filter(pk__in=sorted(companies)[:1]).first()
    message = gained(flag, first.name if first is not None else "the company")
    return Preview(count_recipients(companies), len(companies), first_recipients(companies), message)


def queue(message: Message, companies: Collection[UUID]) -> int:
    """Write a message to every admin of these companies. Inside the transaction of the change. Returns how many."""
    field = Mail._meta.get_field("created_at")
    now = field.get_db_prep_save(timezone.now(), connection)
    texts = (message.subject, COMPANY, message.body, COMPANY)
    with connection.cursor() as cursor:
        cursor.execute(
            QUEUE.format(id=new_id(), chosen=chosen()), [*texts, now, as_parameter(companies), Role.ADMIN.value]
        )
        return cursor.rowcount


def waiting() -> QuerySet[Mail]:
    """Return the messages that nobody has begun to send, oldest first."""
    return Mail.objects.filter(sent_at=None, claimed_at=None)


def stuck(at: datetime | None = None) -> QuerySet[Mail]:
    """Return the messages that somebody began to send long ago, and that may or may not have arrived."""
    return Mail.objects.filter(sent_at=None, claimed_at__lt=(at or timezone.now()) - GIVEN_UP_AFTER)


def send_waiting(*, again: bool = False) -> Sent:
    """Send what waits. Safe to run twice, and at the same time: each message is claimed before it is sent.

    With `again`, what is stuck is sent too, which may be the second time for some.
    """
    sent = failed = 0
    if again:
        with acting_as_system("let go of messages that are stuck"):
            stuck().update(claimed_at=None)
    tried: set[UUID] = set()
    with get_connection() as server:
        for mail in _claimed(tried):
            try:
                EmailMessage(mail.subject, mail.body, settings.DEFAULT_FROM_EMAIL, [mail.to], connection=server).send()
            except Exception as error:  # whatever a mail server comes up with, the next message may fare better
                logger.warning("mail not sent id=%s error=%s", mail.pk, type(error).__name__)
                _note(mail, claimed_at=None)
                failed += 1
            else:
                _note(mail, sent_at=timezone.now())
                sent += 1
    with acting_as_system("count messages that are stuck"):
        return Sent(sent, failed, stuck().count())


def _claimed(tried: set[UUID]) -> Iterator[Mail]:
    """Yield messages, each of them ours alone and not yet tried, until none waits. Each claim is committed at once."""
    while True:
        with acting_as_system("look for messages"):
            some = [mail for mail in waiting()[: AT_ONCE + len(tried)] if mail.pk not in tried]
        if not some:
            return
        for mail in some:
            tried.add(mail.pk)
            with acting_as_system("claim a message"):
                is_ours = Mail.objects.filter(pk=mail.pk, sent_at=None, claimed_at=None).update(
                    claimed_at=timezone.now()
                )
            if is_ours:
                yield mail


def _note(mail: Mail, **fields: datetime | None) -> None:
    with acting_as_system("note what became of a message"):
        Mail.objects.filter(pk=mail.pk).update(**fields)
