"""One flag, or one flag as a company has it, as commands print it: as JSON for scripts and as words for people."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from flags.channels import ChannelState
from flags.companyfeatures import FeatureRow
from flags.evaluation import Decision, Step
from flags.models import Flag, Override
from flags.overview import FlagRow
from tenants.models import Company, User


def moment(value: datetime | None) -> str | None:
    """Return a moment as people read it here, to the minute."""
    return None if value is None else f"{value:%Y-%m-%d %H:%M} UTC"


def on_off(enabled: bool) -> str:
    """Return an answer as a word."""
    return "on" if enabled else "off"


def channel_words(state: ChannelState) -> str | None:
    """Return what a channel answers: off, on, on for a share of its companies, or nothing."""
    if state.enabled and state.percentage < 100:
        return f"{state.percentage} %"
    return None if state.enabled is None else on_off(state.enabled)


def flag_json(row: FlagRow) -> dict[str, Any]:
    """Return a flag in the shape that the API gives it, too. Its `requires` should be prefetched."""
    flag = row.flag
    return {
        "key": flag.key,
        "name": flag.name,
        "description": flag.description,
        "category": flag.category,
        "owner": flag.owner,
        "metadata": flag.metadata,
        "default_enabled": flag.default_enabled,
        "default_source": flag.default_source,
        "is_internal": flag.is_internal,
        "is_killswitch": flag.is_killswitch,
        "killed": flag.is_killed,
        "killed_at": flag.killed_at,
        "kill_reason": flag.kill_reason,
        "needs_grant": flag.needs_grant,
        "minimum_plan": flag.minimum_plan_id,
        "is_self_service": flag.is_self_service,
        "requires": sorted(required.key for required in flag.requires.all()),
        "channels": {
            state.slug: {"enabled": state.enabled, "percentage": state.percentage}
            for state in row.channels
            if state.enabled is not None
        },
        "overrides": {"on": row.overrides_on, "off": row.overrides_off},
        "archived_at": flag.archived_at,
        "version": flag.version,
        "created_at": flag.created_at,
        "updated_at": flag.updated_at,
    }


def feature_json(row: FeatureRow, company: Company) -> dict[str, Any]:
    """Return a flag as one company has it, grants aside, in the shape that the API gives it."""
    override = row.override
    return {
        "key": row.flag.key,
        "name": row.flag.name,
        "category": row.flag.category,
        "company": company.slug,
        "default": row.flag.default_enabled,
        "channel": None
        if row.channel.enabled is None
        else {"slug": row.channel.slug, "enabled": row.channel.enabled, "percentage": row.channel.percentage},
        "plan": row.flag.minimum_plan_id,
        "override": None
        if override is None
        else {
            "enabled": override.enabled,
            "reason": override.reason,
            "created_by": override.created_by.email if override.created_by else None,
            "expires_at": override.expires_at,
            "paused": override.paused,
            "version": override.version,
        },
        "opt_in": None if row.opt_in is None else row.opt_in.enabled,
        "enabled": row.decision.enabled,
        "reason": row.decision.reason,
    }


def ladder_json(
    decision: Decision, ladder: Sequence[Step], company: Company | None, user: User | None
) -> dict[str, Any]:
    """Return an answer with the twelve steps that lead to it."""
    return {
        "key": decision.key,
        "enabled": decision.enabled,
        "reason": decision.reason,
        "company": company.slug if company is not None else None,
        "user": user.email if user is not None else None,
        "ladder": [asdict(step) for step in ladder],
    }


# Lines of tables


def list_line(row: FlagRow) -> tuple[object, ...]:
    """Return a flag as one line of a list, with a cell for each channel."""
    flag = row.flag
    return (
        flag.key,
        flag.name,
        flag.category,
        on_off(flag.default_enabled),
        *map(channel_words, row.channels),
        override_words(row),
        notes(flag),
    )


def flag_facts(row: FlagRow) -> list[tuple[str, object]]:
    """Return a flag as names and values."""
    flag = row.flag
    pairs: list[tuple[str, object]] = [
        ("key", flag.key),
        ("name", flag.name),
        ("description", flag.description),
        ("category", flag.category),
        ("owner", flag.owner),
        ("default", f"{on_off(flag.default_enabled)} ({flag.default_source})"),
        *((f"channel {state.slug}", channel_words(state)) for state in row.channels),
        ("requires", ", ".join(sorted(required.key for required in flag.requires.all()))),
        ("notes", notes(flag)),
    ]
    if flag.killed_at is not None:
        pairs.append(("killed", f"{moment(flag.killed_at)} — {flag.kill_reason}"))
    return [*pairs, ("overrides", override_words(row))]


def override_line(override: Override) -> tuple[object, ...]:
    """Return an override as one line of a flag's list. Its company should be loaded."""
    answer = f"{on_off(override.enabled)} (paused)" if override.paused else on_off(override.enabled)
    return (override.company.slug, answer, moment(override.expires_at), override.reason)


def step_line(step: Step) -> tuple[object, ...]:
    """Return one rung of the ladder as a line."""
    return (step.number, step.rule, None if step.would is None else on_off(step.would), step.outcome.replace("_", " "))


def override_words(row: FlagRow) -> str | None:
    """Return who differs: `3 on, 1 off`."""
    counts = ((row.overrides_on, "on"), (row.overrides_off, "off"))
    return ", ".join(f"{number} {word}" for number, word in counts if number) or None


def notes(flag: Flag) -> str | None:
    """Return what else decides about a flag, in few words."""
    said = [
        (flag.is_killed, "killed"),
        (flag.archived_at is not None, "archived"),
        (flag.is_internal, "internal"),
        (flag.needs_grant, "needs a grant"),
        (flag.is_self_service, "self-service"),
        (flag.minimum_plan_id is not None, f"from {flag.minimum_plan_id}"),
    ]
    return ", ".join(words for holds, words in said if holds) or None
