"""The gates that releases begin with, as operators edit them. A release in flight keeps those it began with."""

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import connections
from django.db.models import QuerySet

from flags.exceptions import ChangeRefused, Invalid, Missing
from flags.recording import Actor, authorise, check_seen, clean_reason, clean_text, record, stamp, writing
from flags.releasemodels import GateTemplate
from flags.repeating import verb
from tenants import roles
from tenants.models import ReleaseChannel
from tenants.rls import acting_as_system

WRITE = "releases:write"
Check = GateTemplate.Check


def templates() -> QuerySet[GateTemplate]:
    """Return all templates, in the order of channels and ranks."""
    return GateTemplate.objects.select_related("channel")


@verb
def add_gate(
    channel: str, title: str, *, actor: Actor, check_kind: str = Check.SIGN_OFF, rank: int = 100, reason: str = ""
) -> GateTemplate:
    """Put a gate before a channel, for releases that begin from now on. Raises Invalid, Missing or ChangeRefused."""
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    title = _title(title)
    _check(check_kind, rank)
    with writing("add a gate"):
        before = ReleaseChannel.objects.filter(rank__lt=_channel(channel).rank)
        if not before.exists():
            raise Invalid(
                "Nothing stands before the first channel: a release begins there.",
                errors={"channel": ["Choose a later channel."]},
            )
        _refuse_twin(channel, title)
        gate = GateTemplate.objects.create(channel_id=channel, check_kind=check_kind, title=title, rank=rank)
        record("add_gate", actor=actor, before={}, after=_state(gate), reason=reason)
    return gate


@verb
def edit_gate(
    pk: uuid.UUID,
    *,
    actor: Actor,
    title: str | None = None,
    rank: int | None = None,
    reason: str = "",
    seen: str | None = None,
) -> GateTemplate:
    """Change the title or the place of a gate. What it checks stays: that would be another gate.

    Raises Conflict if `seen`, a `stamp_of` the gate, is out of date.
    """
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    with writing("edit a gate"):
        gate = _gate(pk)
        before = _state(gate)
        if title is not None:
            gate.title = _title(title)
        if rank is not None:
            gate.rank = rank
        _check(gate.check_kind, gate.rank)
        after = _state(gate)
        if before != after:
            check_seen(_named(before), seen, thing="this gate", yours=_named(after))
            _refuse_twin(gate.channel_id, gate.title, gate.pk)
            gate.save()
            record("edit_gate", actor=actor, before=before, after=after, reason=reason, keep=("gate", "channel"))
    return gate


@verb
def move_gate(pk: uuid.UUID, places: int, *, actor: Actor, reason: str = "") -> GateTemplate:
    """Move a gate so many places down, or up where negative, among those before its channel; at an end it stays.

    The gates of that channel are numbered anew, in tens; history says so of each whose number changes, in one batch.
    Raises Missing.
    """
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    with writing("move a gate"):
        gate = _gate(pk)
        gates = list(GateTemplate.objects.filter(channel=gate.channel_id))
        now = next(place for place, one in enumerate(gates) if one.pk == pk)
        gates.insert(min(max(now + places, 0), len(gates) - 1), gates.pop(now))
        if gates[now].pk != pk:
            _number_anew(gates, actor=actor, reason=reason)
    return gate


def _number_anew(gates: Sequence[GateTemplate], *, actor: Actor, reason: str) -> None:
    batch = uuid.uuid4()
    for number, gate in enumerate(gates, start=1):
        before = _state(gate)
        gate.rank = number * 10
        if (after := _state(gate)) != before:
            gate.save(update_fields=["rank"])
            keep = ("gate", "channel")
            record("edit_gate", actor=actor, before=before, after=after, reason=reason, keep=keep, batch=batch)


@verb
def remove_gate(pk: uuid.UUID, *, actor: Actor, reason: str = "", seen: str | None = None) -> None:
    """Take a gate away, for releases that begin from now on. Raises Missing, and Conflict like `edit_gate`."""
    authorise(actor, WRITE)
    reason = clean_reason(reason)
    with writing("remove a gate"):
        gate = _gate(pk)
        before = _state(gate)
        check_seen(_named(before), seen, thing="this gate", yours={})
        gate.delete()
        record("remove_gate", actor=actor, before=before, after={}, reason=reason)


def stamp_of(gate: GateTemplate) -> str:
    """Return what a form carries of a gate, to say later what it saw. Its place is left out: others move it along."""
    return stamp(_named(_state(gate)))


def state_of(channel: str, title: str) -> dict[str, Any]:
    """Return how the gate of this title before a channel is now, as history tells it; nothing where there is none."""
    gate = GateTemplate.objects.filter(channel=channel, title=title).first()
    return {} if gate is None else _state(gate)


def _named(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name != "rank"}


def _gate(pk: uuid.UUID) -> GateTemplate:
    gate = GateTemplate.objects.filter(pk=pk).first()
    if gate is None:
        raise Missing("There is no such gate.", code="GATE_NOT_FOUND")
    return gate


def _channel(slug: str) -> ReleaseChannel:
    channel = ReleaseChannel.objects.filter(pk=slug).first()
    if channel is None:
        raise Missing(f"There is no release channel {slug!r}.", code="CHANNEL_NOT_FOUND")
    return channel


def _title(title: str) -> str:
    return clean_text(title, "title", longest=120, required=True)


def _check(check_kind: str, rank: int) -> None:
    if check_kind not in Check.values:
        kinds = ", ".join(Check.values)
        raise Invalid(f"There is no check {check_kind!r}. Choose from {kinds}.", errors={"check_kind": ["Unknown."]})
    if isinstance(rank, bool) or not isinstance(rank, int) or not 0 <= rank <= 1000:
        raise Invalid("A gate's place is a number from 0 to 1000.", errors={"rank": ["0 to 1000."]})


def _refuse_twin(channel: str, title: str, but: uuid.UUID | None = None) -> None:
    twins = GateTemplate.objects.filter(channel=channel, title=title)
    if (twins if but is None else twins.exclude(pk=but)).exists():
        raise ChangeRefused(
            f"There already is a gate “{title}” before that channel.",
            code="TITLE_TAKEN",
            errors={"title": ["This title is taken."]},
        )


def _state(gate: GateTemplate) -> dict[str, Any]:
    return {"gate": gate.title, "channel": gate.channel_id, "kind": gate.check_kind, "rank": gate.rank}


TEMPLATES = (
    # Seed 001, section 5: what stands before pilot, and before general.
    ("pilot", Check.SIGN_OFF, "Works in the internal company", 10),
    ("pilot", Check.SIGN_OFF, "No console errors", 20),
    ("pilot", Check.NO_SERVER_ERRORS, "No server errors since entry", 30),
    ("pilot", Check.ISOLATION_AUDIT, "Isolation audit passed since entry", 40),
    ("general", Check.SOAK, "Soak time has passed", 10),
    ("general", Check.SIGN_OFF, "No support issues", 20),
    ("general", Check.SIGN_OFF, "Performance acceptable", 30),
    ("general", Check.ISOLATION_AUDIT, "Isolation audit passed since entry", 40),
    ("general", Check.REQUIRED_FLAGS, "Required flags at least as far", 50),
)


def after_migrate(using: str, **_kwargs: Any) -> None:
    """Receive `post_migrate`: describe the gates of seed 001 where no operator has described any."""
    connection = connections[using]
    if "flags_gatetemplate" not in connection.introspection.table_names() or not roles.ready(connection):
        return
    with acting_as_system("describe the gates"):
        if GateTemplate.objects.using(using).exists():
            return
        known = set(ReleaseChannel.objects.using(using).values_list("slug", flat=True))
        GateTemplate.objects.using(using).bulk_create(
            GateTemplate(channel_id=channel, check_kind=kind, title=title, rank=rank)
            for channel, kind, title, rank in TEMPLATES
            if channel in known
        )
