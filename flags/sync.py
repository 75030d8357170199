"""Brings the catalogues into the database, and what the environment says with them. Never undoes an operator.

A flag is made once, from its catalogue. After that only what it *inherits* is kept up to date, so that SQL, which reads
neither code nor environment, gives the same answer as Python.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from flags import announcements, features, registry, snapshots
from flags.catalogue import Feature
from flags.models import Change, ChannelDefault, Flag, Requirement, RetiredKey
from flags.recording import line, writing
from flags.repeating import verb
from tenants import roles
from tenants.models import Plan, ReleaseChannel

WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
CATALOGUE, ENVIRONMENT = "catalogue", "environment"
SYNCED = ("default_enabled", "is_default_set", "inherited_enabled", "inherited_from", "version", "updated_at")


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did, by key. `retired` and `postponed` were left out; the latter say what they wait for."""

    created: list[str] = field(default_factory=list)
    updated_default: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    postponed: dict[str, str] = field(default_factory=dict)


def environment_default(key: str) -> bool | None:
    """Return what the environment says of a key (`MULTI_WORKSPACE_ENABLED=true`), or None where it is silent.

    Raises ImproperlyConfigured for a value that is neither true nor false.
    """
    name = key.upper()
    text = settings.FLAGS_ENVIRONMENT.get(name)
    if text is None:
        return None
    try:
        return WORDS[text.strip().lower()]
    except KeyError:
        raise ImproperlyConfigured(
            f"The environment variable {name} is {text!r}. Set it to one of {', '.join(WORDS)}, or unset it."
        ) from None


def _inherited(flag: Flag, feature: Feature | None) -> tuple[bool, str]:
    """Return what a flag falls back to when no operator has spoken, and who says so."""
    if feature is not None:
        said = environment_default(feature.key)
        return (feature.default_enabled, CATALOGUE) if said is None else (said, ENVIRONMENT)
    # An operator's own key may happen to be named like a variable that means something else, such as `path`.
    said = WORDS.get(settings.FLAGS_ENVIRONMENT.get(flag.key.upper(), "").strip().lower())
    if said is not None:
        return said, ENVIRONMENT
    # What a catalogue said last goes on when it stops listing the key.
    return (flag.inherited_enabled, flag.inherited_from) if flag.inherited_from == CATALOGUE else (False, "")


@verb
def sync_flags(using: str = DEFAULT_DB_ALIAS) -> SyncReport:
    """Make the catalogue flags that the database lacks, and update the defaults that nobody but us has set.

    One transaction; run again, it writes nothing. A key that was ever deleted stays deleted. A flag whose plan, channel
    or required flag is not there yet is postponed to the next run. Raises ImproperlyConfigured for an environment
    variable that is neither true nor false; then nothing is written.
    """
    with writing("sync flags", using):
        flags = {flag.key: flag for flag in Flag.objects.using(using).order_by("key")}
        report = SyncReport()
        lacking = {key: feature for key, feature in registry.catalogue().items() if key not in flags}
        wrote = _update_inherited(flags.values(), report, using)
        if lacking:
            wrote |= _create(lacking, set(flags), report, using)
        if wrote:
            # Bulk writes send no signals.
            features.forget_here()
            snapshots.mark_changed(None, using=using)
            announcements.announce(using=using)
    return report


def _update_inherited(flags: Iterable[Flag], report: SyncReport, using: str) -> bool:
    known, changed, history = registry.catalogue(), [], []
    for flag in flags:
        before = {name: getattr(flag, name) for name in SYNCED}
        default = {"default_enabled": flag.default_enabled, "default_source": flag.default_source}
        # A default that is not what we wrote last was changed by SQL, which is an operator's right.
        flag.is_default_set = flag.default_source == "operator"
        flag.inherited_enabled, flag.inherited_from = _inherited(flag, known.get(flag.key))
        if not flag.inherited_from:
            flag.is_default_set = True
        elif not flag.is_default_set:
            flag.default_enabled = flag.inherited_enabled
        if before == {name: getattr(flag, name) for name in SYNCED}:
            report.unchanged.append(flag.key)
            continue
        flag.version += 1
        flag.updated_at = timezone.now()
        changed.append(flag)
        if flag.default_enabled == default["default_enabled"]:
            report.unchanged.append(flag.key)
            continue
        after = {"default_enabled": flag.default_enabled, "default_source": flag.default_source}
        report.updated_default.append(flag.key)
        history.append(line("sync_default", actor=None, flag=flag, before=default, after=after))
    if changed:
        Flag.objects.using(using).bulk_update(changed, SYNCED)
        Change.objects.using(using).bulk_create(history)
    return bool(changed)


def _create(lacking: dict[str, Feature], there: set[str], report: SyncReport, using: str) -> bool:
    report.retired.extend(
        RetiredKey.objects.using(using).filter(key__in=lacking).order_by("key").values_list("key", flat=True)
    )
    wanted = {key: feature for key, feature in lacking.items() if key not in report.retired}
    report.postponed.update(_waiting(wanted, there, using))
    new = [feature for key, feature in wanted.items() if key not in report.postponed]
    Flag.objects.using(using).bulk_create([_as_flag(feature) for feature in new])
    ChannelDefault.objects.using(using).bulk_create(
        ChannelDefault(flag_id=feature.key, channel_id=channel, enabled=enabled)
        for feature in new
        for channel, enabled in feature.channels
    )
    Requirement.objects.using(using).bulk_create(
        Requirement(flag_id=feature.key, requires_id=required) for feature in new for required in feature.requires
    )
    report.created.extend(feature.key for feature in new)
    return bool(new)


def _waiting(wanted: dict[str, Feature], there: set[str], using: str) -> dict[str, str]:
    """Return which of the wanted flags cannot be made whole yet, and what each waits for.

    A flag without its plan, channel or requirement would be on where it should not be.
    """
    plans = set(Plan.objects.using(using).values_list("pk", flat=True)) | {None}
    channels = set(ReleaseChannel.objects.using(using).values_list("pk", flat=True))
    waiting: dict[str, str] = {}
    for key, feature in wanted.items():
        if feature.minimum_plan not in plans:
            waiting[key] = f"plan {feature.minimum_plan}"
        elif missing := [channel for channel, _ in feature.channels if channel not in channels]:
            waiting[key] = f"channel {missing[0]}"
    while more := {
        key: f"flag {required}"
        for key, feature in wanted.items()
        if key not in waiting
        for required in feature.requires
        if required not in there and (required not in wanted or required in waiting)
    }:
        waiting.update(more)
    return waiting


def _as_flag(feature: Feature) -> Flag:
    flag = Flag(
        key=feature.key,
        name=feature.name,
        description=feature.description,
        category=feature.category,
        is_internal=feature.is_internal,
        is_killswitch=feature.is_killswitch,
        needs_grant=feature.needs_grant,
        is_self_service=feature.is_self_service,
        minimum_plan_id=feature.minimum_plan,
        is_default_set=False,
    )
    flag.inherited_enabled, flag.inherited_from = _inherited(flag, feature)
    flag.default_enabled = flag.inherited_enabled
    return flag


def after_migrate(using: str, **_kwargs) -> None:
    """Receive `post_migrate`: sync, once the schema is the one this code knows. Runs after the triggers are made."""
    if _is_ready(connections[using]):
        sync_flags(using)


def _is_ready(connection: BaseDatabaseWrapper) -> bool:
    """Say whether the database can be worked with: `migrate flags 0001` leaves tables that code cannot use yet.

    Without the roles of row-level security nothing can be written; tenants.roles says what to do about that.
    """
    if Flag._meta.db_table not in connection.introspection.table_names():
        return False
    if not roles.ready(connection):
        return False
    loader = MigrationLoader(connection)
    newest = [node for label in ("tenants", "flags") for node in loader.graph.leaf_nodes(label)]
    return all(node in loader.applied_migrations for node in newest)
