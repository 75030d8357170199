"""One change for many, in steps: begun once, resumable, and one batch in history that is undone as one.

Each is changed by the same verb as a single one (flags.bulkdeeds), or together with others by the same rules
(flags.bulkoverrides, flags.bulkmoves). A step is one transaction: what it changed, what it wrote to history and how
far the batch has come are kept together or not at all, so a step that is cut off is simply taken again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Any
from uuid import UUID

from django.utils import timezone

from flags import bulkdeeds, bulkmoves, bulkoverrides, reverting
from flags.batchmodels import Batch
from flags.exceptions import ChangeRefused, Conflict, Invalid, Missing
from flags.impact import COMPANIES_AT_ONCE
from flags.models import Change, Flag
from flags.recording import authorise, clean_expiry, clean_reason, record, writing
from flags.repeating import verb
from tenants.models import Company, Membership, ReleaseChannel, Role, User

WRITE = ("flags:write", "tenants:write")
MOST = 100_000
AT_ONCE = 200
TOGETHER = COMPANIES_AT_ONCE
"""How many a step takes: one by one, and of companies that get or lose one override, or move, together."""
NAMES_KEPT = 200
OF = {
    Batch.Deed.GRANT: Batch.Subject.PEOPLE,
    Batch.Deed.DENY: Batch.Subject.PEOPLE,
    Batch.Deed.CHANNEL_ON: Batch.Subject.FLAGS,
    Batch.Deed.CHANNEL_OFF: Batch.Subject.FLAGS,
    Batch.Deed.UNDO: Batch.Subject.LINES,
}
VERBS = {
    Batch.Subject.COMPANIES: "change_companies",
    Batch.Subject.PEOPLE: "change_people",
    Batch.Subject.FLAGS: "change_flags",
    Batch.Subject.LINES: "undo_batch",
}
"""The verb of the line of history that stands for the whole."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What shall become of each. `flag` is a key and `channel` a slug, where the deed is about one; with `company`,
    an override of that company is set for each of many flags. `undoes` is the batch that is taken back.
    """

    deed: str
    flag: str = ""
    channel: str = ""
    percentage: int = 100
    company: Company | None = None
    expires_at: datetime | None = None
    undoes: UUID | None = None

    @property
    def of(self) -> Batch.Subject:
        """What it is done to."""
        return Batch.Subject.FLAGS if self.company else OF.get(Batch.Deed(self.deed), Batch.Subject.COMPANIES)


@verb
def begin(
    pk: UUID,
    subjects: Iterable[UUID | str],
    wish: Wish,
    *,
    actor: User,
    reason: str = "",
    expected: int | None = None,
) -> Batch:
    """Begin a change for these: companies or memberships by id, flags by key, as the wish is `of`. Nothing is changed
    yet. Begun again under the same id, it is the same batch.

    `expected` is how many one was shown. Raises Conflict when they are not as many by now, Invalid, Missing.
    """
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    if wish.deed not in Batch.Deed.values:
        raise Invalid("Say what to do: turn on, turn off, or reset.", errors={"deed": ["Choose one."]})
    with writing("begin a batch"):
        known = Batch.objects.filter(pk=pk).first()
        if known is not None:
            return _own(known, actor)
        name = _checked(wish)
        chosen = list(dict.fromkeys(str(one) for one in subjects))
        word = wish.of.label
        if not chosen:
            only = {"companies": "company", "flags": "flag", "people": "person", "changes": "change"}[word]
            raise Invalid(f"No {only} is chosen.", errors={word: ["Choose at least one."]})
        if len(chosen) > MOST:
            raise Invalid(f"At most {MOST} {word} at once.", errors={word: ["Too many."]})
        if expected is not None and len(chosen) != expected:
            raise Conflict(
                f"{len(chosen)} {word} match by now, not {expected}. Look at what it would do, and decide again.",
                current=len(chosen),
                yours=expected,
            )
        if _together(wish.of, wish.deed) and len(chosen) > TOGETHER:
            chosen.sort()  # As indexes have them, so that each step finds what it writes side by side.
        return Batch.objects.create(
            pk=pk,
            person=actor,
            of=wish.of,
            deed=wish.deed,
            name=name[:300],
            flag=wish.flag,
            channel=wish.channel,
            percentage=wish.percentage,
            company=wish.company.pk if wish.company else None,
            undoes=wish.undoes,
            reason=reason,
            expires_at=None if wish.deed == Batch.Deed.RESET else wish.expires_at,
            subjects=chosen,
            total=len(chosen),
        )


def undo(batch: UUID, pk: UUID, *, actor: User, reason: str = "", expected: int | None = None) -> Batch:
    """Begin to take a batch back, line by line, the newest first. What somebody changed since will be refused."""
    whole = Change.objects.filter(batch=batch, verb__in=VERBS.values()).first()
    if whole is None:
        raise Missing("History knows no such batch.", code="BATCH_NOT_FOUND")
    if not reverting.goes_in_steps(whole):
        raise ChangeRefused("This batch is taken back at once: take back the line that stands for it.")
    lines = list(lines_of(batch).order_by("-at", "-id").values_list("pk", flat=True))
    return begin(pk, lines, Wish(Batch.Deed.UNDO, undoes=batch), actor=actor, reason=reason, expected=expected)


def lines_of(batch: UUID) -> Any:
    """Return the lines of history of a batch, but for those that stand for the whole."""
    return Change.objects.filter(batch=batch).exclude(verb__in=[*VERBS.values(), "roll_back_companies"])


def members(companies: Iterable[UUID], role: str = "") -> list[UUID]:
    """Return who belongs to these companies, or has this role there, as a grant for them names them: by company."""
    if role and role not in Role.values:
        raise Invalid(f"There is no role {role!r}.", errors={"role": ["Unknown role."]})
    chosen, found = list(companies), list[UUID]()
    for start in range(0, len(chosen), COMPANIES_AT_ONCE):
        rows = Membership.objects.filter(company__in=chosen[start : start + COMPANIES_AT_ONCE])
        rows = rows.filter(role=role) if role else rows
        found += rows.order_by("company__name", "user__email", "pk").values_list("pk", flat=True)
        if len(found) > MOST:
            break
    return found


@verb
def step(pk: UUID, *, actor: User, most: int | None = None) -> Batch:
    """Change the next of a batch, at most so many, and return how far it is. Silent on one that is done."""
    authorise(actor, WRITE)
    with writing("take a step of a batch"):
        batch = _locked(pk, actor)
        if batch.finished_at is not None:
            return batch
        together = _together(batch.of, batch.deed)
        some = batch.subjects[batch.done : batch.done + (most or (TOGETHER if together else AT_ONCE))]
        there: dict[str, Any] = together.load(some) if together else bulkdeeds.load(batch.of, some)
        outcomes = together.change_all(batch, there.values()) if together else {}
        for one in some:
            _take(batch, one, there.get(one), outcomes)
        batch.done += len(some)
        if batch.done >= batch.total:
            _finish(batch)
        _save(batch)
    return batch


@verb
def stop(pk: UUID, *, actor: User) -> Batch:
    """End a batch where it is; what was not taken stays as it is."""
    authorise(actor, WRITE)
    with writing("stop a batch"):
        batch = _locked(pk, actor)
        if batch.finished_at is None:
            _finish(batch)
            _save(batch)
    return batch


def _together(of: str, deed: str) -> ModuleType | None:
    """Return what changes many of these at once, or None where each is changed by itself."""
    if of != Batch.Subject.COMPANIES:
        return None
    return bulkoverrides if deed in bulkdeeds.OVERRIDES else bulkmoves if deed == Batch.Deed.MOVE else None


def _checked(wish: Wish) -> str:
    """Refuse what no single one could be done, and return what the batch is called."""
    clean_expiry(None if wish.deed == Batch.Deed.RESET else wish.expires_at)
    deed = Batch.Deed(wish.deed).label
    if wish.deed == Batch.Deed.UNDO:
        whole = Batch.objects.filter(pk=wish.undoes).first() if wish.undoes else None
        if not Change.objects.filter(batch=wish.undoes).exists():
            raise Missing("History knows no such batch.", code="BATCH_NOT_FOUND")
        return f"{deed}: {whole.name}" if whole else deed
    if wish.channel or wish.of == Batch.Subject.FLAGS or wish.deed == Batch.Deed.MOVE:
        if not wish.company:
            return _channel_name(wish)
        return f"{wish.company.name}: {deed.lower()}"
    flag = Flag.objects.filter(key=wish.flag).first()
    if flag is None:
        raise Missing(f"There is no flag {wish.flag!r}.", code="FLAG_NOT_FOUND")
    if wish.of == Batch.Subject.PEOPLE and not flag.needs_grant:
        raise Invalid(f"{flag.name} needs no grant: all people of a company have it with the company.")
    return f"{flag.name}: {deed.lower()}"


def _channel_name(wish: Wish) -> str:
    channel = ReleaseChannel.objects.filter(pk=wish.channel).first()
    if channel is None:
        raise Missing(f"There is no release channel {wish.channel!r}.", code="CHANNEL_NOT_FOUND")
    if not 0 <= wish.percentage <= 100:
        raise Invalid("A percentage is a whole number from 0 to 100.", errors={"percentage": ["0 to 100."]})
    if wish.deed == Batch.Deed.MOVE:
        return f"Move to {channel.name}"
    if wish.deed == Batch.Deed.CHANNEL_OFF:
        return f"{channel.name}: off"
    return f"{channel.name}: on" + ("" if wish.percentage == 100 else f" for {wish.percentage} %")


def _own(batch: Batch, actor: User) -> Batch:
    if batch.person_id != actor.pk:
        raise ChangeRefused("Somebody else began this. Ask them to go on, or begin anew.", code="NOT_YOUR_BATCH")
    return batch


def _locked(pk: UUID, actor: User) -> Batch:
    batch = Batch.objects.select_for_update(of=("self",)).filter(pk=pk).first()
    if batch is None:
        raise Missing("There is no such batch.", code="BATCH_NOT_FOUND")
    return _own(batch, actor)


def _take(batch: Batch, name: str, subject: Any, outcomes: Mapping[UUID, bulkoverrides.Outcome]) -> None:
    """Change one, by the verb that changes a single one, unless it was with others, and note what came of it."""
    if subject is None:
        _refuse(batch, name, bulkdeeds.MISSING[Batch.Subject(batch.of)])
        return
    outcome = outcomes.get(subject.pk)
    if outcome is None:
        try:
            outcome = bulkdeeds.change(batch, subject)
        except ChangeRefused as refusal:
            outcome = refusal.detail
    if isinstance(outcome, str):
        _refuse(batch, bulkdeeds.called(subject), outcome)
    elif outcome:
        batch.changed_count += 1
    else:
        batch.unchanged_count += 1
        if len(batch.unchanged) < NAMES_KEPT:
            batch.unchanged.append(bulkdeeds.called(subject))


def _refuse(batch: Batch, name: str, why: str) -> None:
    batch.refused_count += 1
    if len(batch.refused) < NAMES_KEPT:
        batch.refused.append([name, why])


def _save(batch: Batch) -> None:
    """Keep how far a batch has come; what it was begun for, which may be long, is not written again."""
    counts = ("done", "changed_count", "unchanged_count", "refused_count", "unchanged", "refused", "finished_at")
    batch.save(update_fields=counts)


def _finish(batch: Batch) -> None:
    """End a batch with a line of history of its own, by which it is found and undone as one."""
    batch.finished_at = timezone.now()
    if not batch.changed_count:
        return
    flag = Flag.objects.filter(key=batch.flag).first() if batch.flag else None
    if batch.flag and flag is None:
        return
    after: dict[str, Any] = {"deed": batch.deed, batch.of: batch.changed_count}
    if batch.channel:
        after["channel"] = batch.channel
    if batch.deed == Batch.Deed.CHANNEL_ON:
        after["percentage"] = batch.percentage
    if batch.undoes:
        after["batch"] = str(batch.undoes)
    company = Company.objects.filter(pk=batch.company).first() if batch.company else None
    verb = VERBS[Batch.Subject(batch.of)]
    record(
        verb,
        actor=batch.person,
        flag=flag,
        company=company,
        before={},
        after=after,
        reason=batch.reason,
        batch=batch.pk,
    )
