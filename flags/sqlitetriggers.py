"""The triggers on SQLite: for each row, with their statements written out, since it has no functions."""

from flags.tracked import (
    COMPANY_COLUMNS,
    COMPANY_TABLES,
    GLOBAL_SCOPE,
    GLOBAL_TABLES,
    TOKEN_COLUMNS,
    TOKENS_SCOPE,
)

# The clock ticks in milliseconds here; what is left to microseconds is chance, so that a number that was rolled back
# is not given out again in the same tick.
NOW = "cast((julianday('now') - 2440587.5) * 86400000 as integer) * 1000 + abs(random() % 1000)"
NEXT = f"max(n + 1, {NOW})"


def _bump(scope: str) -> str:
    return f"insert into flags_version (scope, n) values ({scope}, {NOW}) on conflict (scope) do update set n = {NEXT};"


def triggers() -> list[tuple[str, str, str]]:
    """Name, table and definition of every trigger on SQLite. UUIDs are 32 hex digits there."""
    every_rule = _bump(f"'{GLOBAL_SCOPE.replace('-', '')}'")
    bumps: list[tuple[str, str, str, str]] = []  # Table, event, condition, what to do.
    for table in GLOBAL_TABLES:
        bumps += [(table, event, "", every_rule) for event in ("insert", "update", "delete")]
    for table in COMPANY_TABLES:
        old, new = _bump("old.company_id"), _bump("new.company_id")
        bumps += [(table, "insert", "", new), (table, "update", "", f"{old} {new}"), (table, "delete", "", old)]
    company = "tenants_company"
    moved = " or ".join(f"old.{column} is not new.{column}" for column in ("id", "channel_id", "plan_id", "is_active"))
    old, new = _bump("old.id"), _bump("new.id")
    bumps += [
        (company, "insert", "", new),
        (company, "update", f"when {moved}", f"{old} {new}"),
        (company, "delete", "", old),
    ]
    token = _bump(f"'{TOKENS_SCOPE.replace('-', '')}'")
    bumps += [("tenants_apitoken", event, "", token) for event in ("insert", "delete")]
    every = [
        (f"flags_bump_{event}_{table}", table, f"after {event} on {table} {condition} begin {bump} end")
        for table, event, condition, bump in bumps
    ]
    for table, columns in (("tenants_apitoken", TOKEN_COLUMNS), (company, COMPANY_COLUMNS)):
        changed = f"after update of {columns} on {table} begin {token} end"
        every.append((f"flags_bump_tokens_{table}", table, changed))
    # What a company knows of its plan is the rank.
    every_company = f"update flags_version set n = {NEXT};"
    every.append(
        (
            "flags_bump_rank",
            "tenants_plan",
            f"after update on tenants_plan when old.rank is not new.rank begin {every_company} end",
        )
    )
    refused = "select raise(abort, 'History is append-only: {} of flags_change is refused.');"
    # `insert or replace` deletes without a delete trigger.
    again = "insert on flags_change when exists (select 1 from flags_change c where c.id = new.id)"
    for event, when in (("update", "update on flags_change"), ("delete", "delete on flags_change"), ("replace", again)):
        every.append(
            (
                f"flags_append_only_{event}",
                "flags_change",
                f"before {when} begin {refused.format(event)} end",
            )
        )
    every += [
        (
            "flags_retire_key",
            "flags_flag",
            "before delete on flags_flag begin insert or ignore into flags_retiredkey (key, retired_at) "
            "values (old.key, strftime('%Y-%m-%d %H:%M:%f', 'now')); end",
        ),
        (
            "flags_key_is_free",
            "flags_flag",
            "before insert on flags_flag when exists (select 1 from flags_retiredkey r where r.key = new.key) begin "
            "select raise(abort, 'This key belonged to a flag that was deleted; it can never be used again.'); end",
        ),
        (
            "flags_key_is_permanent",
            "flags_flag",
            "before update of key on flags_flag when new.key <> old.key begin "
            "select raise(abort, 'The key of a flag is permanent.'); end",
        ),
        (
            "flags_end_grants",
            "tenants_membership",
            "before delete on tenants_membership begin "
            "delete from flags_grant where company_id = old.company_id and user_id = old.user_id; end",
        ),
    ]
    return every
