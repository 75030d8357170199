"""Reads rules and companies from the database: one statement, so that nothing in it can be half old, half new.

The statement carries the version rows it was read at. What comes back is checked before anybody relies on it:
a duplicate, a blank or a wrong type anywhere raises `Malformed`, and the last good state goes on.
"""

import json
from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from flags.evaluation import ChannelAnswer, CompanyFacts, FlagRules, GrantFact, OverrideFact
from flags.versions import NIL, as_stored
from tenants import patience
from tenants.rls import fetch_as_system

P = ParamSpec("P")
T = TypeVar("T")


class Malformed(ValueError):
    """What was loaded breaks a promise that rules or companies must keep. Says which."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One read. `rules` and `company` are JSON text, or None where they were not asked for or do not exist."""

    global_version: int
    company_version: int
    rules: str | None
    company: str | None


class _Postgres:
    array = "json_build_array({})"
    gather = "coalesce((select json_agg({item}) from {source}), '[]'::json)"
    text = "cast({} as text)"
    moment = "to_char({} at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US')"


class _SQLite:
    array = "json_array({})"
    gather = "coalesce((select json_group_array({item}) from {source}), json('[]'))"
    text = "{}"
    moment = "{}"


def _sql(vendor: str, with_rules: bool, with_company: bool) -> str:
    dialect = _Postgres if vendor == "postgresql" else _SQLite

    def gather(source: str, *columns: str) -> str:
        item = dialect.array.format(", ".join(columns))
        return dialect.gather.format(item=item, source=source)

    rules = dialect.text.format(
        dialect.array.format(
            ", ".join(
                (
                    gather(
                        "flags_flag f left join tenants_plan p on p.slug = f.minimum_plan_id",
                        "f.key",
                        "f.default_enabled",
                        "f.is_killswitch",
                        "f.killed_at is not null",
                        "f.archived_at is not null",
                        "f.needs_grant",
                        "p.rank",
                        "f.minimum_plan_id",
                        "f.is_self_service",
                        "f.is_internal",
                        "f.category",
                    ),
                    gather("flags_channeldefault", "flag_id", "channel_id", "enabled", "percentage"),
                    gather("flags_requirement", "flag_id", "requires_id"),
                )
            )
        )
    )
    until = dialect.moment.format("expires_at")
    company = dialect.text.format(
        dialect.array.format(
            ", ".join(
                (
                    "c.channel_id",
                    "cp.rank",
                    gather("flags_override where company_id = c.id", "flag_id", "enabled", until, "paused"),
                    gather("flags_optin where company_id = c.id", "flag_id", "enabled"),
                    gather(
                        # Without a membership a grant has no effect, whatever is stored.
                        "flags_grant g join tenants_membership m on m.company_id = g.company_id "
                        "and m.user_id = g.user_id where g.company_id = c.id",
                        "g.user_id",
                        "g.flag_id",
                        "g.enabled",
                        until.replace("expires_at", "g.expires_at"),
                    ),
                )
            )
        )
    )
    company_row = (
        f"(select {company} from tenants_company c join tenants_plan cp on cp.slug = c.plan_id "
        "where c.id = %s and c.is_active)"
    )
    return (
        "select coalesce((select n from flags_version where scope = %s), 0), "
        "coalesce((select n from flags_version where scope = %s), 0), "
        f"{rules if with_rules else 'null'}, {company_row if with_company else 'null'}"
    )


def load(company_id: UUID | None, *, rules: bool, using: str = DEFAULT_DB_ALIAS) -> Loaded:
    """Read one company (an inactive or unknown one is None) and, if asked, all rules, in one statement.

    Raises django.db.Error when the database is away.
    """
    vendor = connections[using].vendor
    nil = as_stored(NIL, vendor)
    scope = nil if company_id is None else as_stored(company_id, vendor)
    params = (nil, scope) if company_id is None else (nil, scope, scope)
    with patience.at_most(patience.QUICK_SECONDS):
        row = fetch_as_system(_sql(vendor, rules, company_id is not None), params, using)[0]
    return Loaded(row[0], 0 if company_id is None else row[1], row[2], row[3])


def _whole(reading: Callable[P, T]) -> Callable[P, T]:
    """Let a parser that stumbles over anything at all say so in one way."""

    @wraps(reading)
    def parse(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return reading(*args, **kwargs)
        except Malformed:
            raise
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise Malformed(f"not readable: {error}") from error

    return parse


def _text(value: Any, what: str) -> str:
    if isinstance(value, str) and value:
        return value
    raise Malformed(f"{what} is {value!r}")


def _number(value: Any, what: str, most: int | None = None) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0 and (most is None or value <= most):
        return value
    raise Malformed(f"{what} is {value!r}")


def _flag(value: Any, what: str) -> bool:
    """Read a boolean, which SQLite says as 0 or 1."""
    if isinstance(value, (bool, int)) and value in (0, 1):
        return bool(value)
    raise Malformed(f"{what} is {value!r}")


def _moment(value: Any, what: str) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(_text(value, what))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _once(found: Container[str], name: str, what: str) -> str:
    if name in found:
        raise Malformed(f"{what} {name!r} stands there twice")
    return name


@_whole
def parse_rules(text: str | None) -> list[FlagRules]:
    """Turn loaded rules into FlagRules. Raises Malformed for anything that is not whole."""
    flags, channels, requirements = json.loads(text or "")
    answers: dict[str, dict[str, ChannelAnswer]] = {}
    for key, channel, enabled, percentage in channels:
        of_flag = answers.setdefault(_text(key, "a channel's flag"), {})
        of_flag[_once(of_flag, _text(channel, f"channel of {key}"), f"{key}: the channel")] = ChannelAnswer(
            _flag(enabled, f"{key} on {channel}"), _number(percentage, f"percentage of {key} on {channel}", 100)
        )
    requires: dict[str, set[str]] = {}
    for key, required in requirements:
        needs = requires.setdefault(_text(key, "a requirement's flag"), set())
        needs.add(_once(needs, _text(required, f"requirement of {key}"), f"{key}: the requirement"))
    rules: dict[str, FlagRules] = {}
    for key, default, killswitch, killed, archived, grant, rank, plan, self_service, internal, category in flags:
        rules[_once(rules, _text(key, "a key"), "the key")] = FlagRules(
            key=key,
            default_enabled=_flag(default, f"default of {key}"),
            is_killswitch=_flag(killswitch, f"kill switch of {key}"),
            killed=_flag(killed, f"killed of {key}"),
            archived=_flag(archived, f"archived of {key}"),
            needs_grant=_flag(grant, f"needs_grant of {key}"),
            minimum_plan=None if plan is None else _number(rank, f"rank of {plan!r}, the plan of {key},"),
            is_self_service=_flag(self_service, f"self-service of {key}"),
            is_internal=_flag(internal, f"internal of {key}"),
            category=_text(category, f"category of {key}"),
            requires=tuple(sorted(requires.get(key, ()))),
            channels=answers.get(key, {}),
        )
    return list(rules.values())


@_whole
def parse_company(company_id: UUID, text: str | None) -> CompanyFacts | None:
    """Turn one loaded company into facts, or None where there is no active one. Raises Malformed."""
    if text is None:
        return None
    channel, plan, override_rows, choices, grants = json.loads(text)
    overrides: dict[str, OverrideFact] = {}
    for key, enabled, expires_at, paused in override_rows:
        overrides[_once(overrides, _text(key, "an override's flag"), "the override of")] = OverrideFact(
            _flag(enabled, f"override of {key}"),
            _moment(expires_at, f"end of the override of {key}"),
            _flag(paused, f"paused of the override of {key}"),
        )
    opt_ins: dict[str, bool] = {}
    for key, enabled in choices:
        opt_ins[_once(opt_ins, _text(key, "a choice's flag"), "the choice of")] = _flag(enabled, f"choice of {key}")
    people: dict[str, dict[str, GrantFact]] = {}
    for user_id, key, enabled, expires_at in grants:
        person = people.setdefault(str(UUID(user_id)), {})
        person[_once(person, _text(key, "a grant's flag"), f"{user_id}: the grant of")] = GrantFact(
            _flag(enabled, f"grant of {key}"), _moment(expires_at, f"end of a grant of {key}")
        )
    return CompanyFacts(
        id=str(company_id),
        channel=_text(channel, "channel"),
        plan=_number(plan, "rank of the plan"),
        overrides=overrides,
        opt_ins=opt_ins,
        grants=people,
    )
