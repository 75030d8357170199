"""Releases as commands print them: as JSON for scripts, in the API's shape, and as words for people."""

from dataclasses import asdict
from typing import Any

from flags.gates import GateState
from flags.impact import Effect, Impact
from flags.management.flagreport import moment
from flags.outbox import Preview
from flags.releasemodels import Promotion
from flags.standing import Standing


def release_json(standing: Standing) -> dict[str, Any]:
    """Return a release in the shape that the API gives it, too."""
    release = standing.release
    return {
        "key": standing.flag.key,
        "channel": release.channel_id,
        "since": release.entered_at,
        "by": release.moved_by,  # type: ignore[attr-defined]
        "forced": release.was_forced,  # type: ignore[attr-defined]
        "started_at": release.started_at,
        "paused": standing.is_held,
        "gates": [gate_json(state) for state in standing.gates],
        "next": standing.following.slug if standing.following is not None else None,
        "can_promote": standing.can_promote,
        "ready_at": standing.ready_at,
        "when": standing.when,
        "evaluations": standing.seen.evaluations,
        "errors": standing.seen.errors,
    }


def gate_json(state: GateState) -> dict[str, Any]:
    """Return a gate in the shape that the API gives it, too."""
    word = state.sign_off
    return {
        "id": state.gate.pk,
        "title": state.gate.title,
        "kind": state.gate.check_kind,
        "holds": state.holds,
        "words": state.words,
        "ready_at": state.ready_at,
        "signed_off_by": word.by_name if word is not None else None,
        "signed_off_at": word.at if word is not None else None,
        "note": word.note if word is not None else None,
        "link": word.link if word is not None else None,
    }


def impact_json(found: Impact) -> list[dict[str, Any]]:
    """Return what a change would do, in the shape in which the API rehearses it: every flag whose answer changes."""
    names = ("key", "goes_on", "goes_off", "stays_on", "stays_off", "names_on", "names_off")
    effects = [found.effect, *found.dependents]
    return [{name: getattr(effect, name) for name in names} for effect in effects if effect.changes]


def preview_json(told: Preview | None) -> dict[str, Any]:
    """Return the message of a promotion in the shape of the API; nothing where none was asked for."""
    if told is None:
        return {}
    return {"recipients": told.recipients, "message": None if told.message is None else asdict(told.message)}


# Words


def status_line(standing: Standing) -> tuple[object, ...]:
    """Return a release as one line of a list."""
    gates = f"{standing.passed}/{len(standing.gates)}" if standing.gates else None
    return (standing.flag.key, standing.release.channel_id, moment(standing.release.entered_at), gates, standing.when)


def release_facts(standing: Standing) -> list[tuple[str, object]]:
    """Return a release as names and values."""
    release, answer = standing.release, standing.answer
    forced = ", past open gates" if release.was_forced else ""  # type: ignore[attr-defined]
    pairs: list[tuple[str, object]] = [
        ("flag", standing.flag.key),
        ("channel", release.channel_id),
        ("answer", None if answer is None else f"{answer.percentage} %" if answer.enabled else "off"),
        ("since", f"{moment(release.entered_at)}, by {release.moved_by}{forced}"),  # type: ignore[attr-defined]
        ("evaluations", standing.seen.evaluations),
        ("errors", standing.seen.errors),
        ("next", standing.when),
    ]
    return [*pairs, ("then", standing.when_at_the_end)] if standing.when_at_the_end else pairs


def gate_line(state: GateState) -> tuple[object, ...]:
    """Return a gate as one line of a list."""
    return (
        "holds" if state.holds else "open",
        state.gate.title,
        state.words,
        state.gate.pk if state.is_by_hand else None,
    )


def step_line(step: Promotion) -> tuple[object, ...]:
    """Return one step of a release as a line of its history."""
    kind = f"{step.get_kind_display().lower()}, forced" if step.forced else step.get_kind_display().lower()
    return (moment(step.at), kind, step.from_channel, step.to_channel, step.by_name, step.reason)


def step_json(step: Promotion) -> dict[str, Any]:
    """Return one step of a release in the shape that the API gives it, too."""
    names = ("kind", "from_channel", "to_channel", "at", "reason", "forced", "evidence")
    return {**{name: getattr(step, name) for name in names}, "by": step.by_name}


def preview_words(told: Preview | None) -> list[str]:
    """Return the message of a promotion as lines: to how many it would go, its subject, and its text."""
    if told is None:
        return []
    if told.message is None:
        return ["Nobody would be told: the flag is internal, and companies may not know of it."]
    people = "person" if told.recipients == 1 else "people"
    companies = "company" if told.companies == 1 else "companies"
    would = f"Would write to {told.recipients} {people} in {told.companies} {companies}."
    return [would, f"\nSubject: {told.message.subject}\n\n{told.message.body.strip()}"] if told.recipients else [would]


def impact_words(name: str, found: Impact, verb: str) -> list[str]:
    """Return what a change does, in sentences: to a flag called `name`, and to those that require it.

    `verb` is Turns for what was done, or Would turn.
    """
    return [_words(name, found.effect, verb), *(_words(other.key, other, verb) for other in found.dependents)]


def _words(name: str, effect: Effect, verb: str) -> str:
    if not effect.changes:
        said = "changes nothing for any company" if verb == "Turns" else "would change nothing for any company"
        parts = [f"{name}: {said}"]
    else:
        ways = [(effect.goes_on, "on"), (effect.goes_off, "off")]
        turns = " and ".join(f"{way} for {number}" for number, way in ways if number)
        shown = ", ".join(effect.names) + (f" and {effect.more} more" if effect.more else "")
        parts = [f"{verb} {name} {turns} of {effect.total} companies ({shown})"]
    for number, way in ((effect.overrides_stay_on, "on"), (effect.overrides_stay_off, "off")):
        if number:
            parts.append(f"{number} stay{'s' if number == 1 else ''} {way} by override")
    return "; ".join(parts) + "."
