"""The rings and plans a new installation starts with. Once there are any, they are the operators'."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from tenants import roles
from tenants.models import Plan, ReleaseChannel
from tenants.rls import acting_as_system

# Seed 001, section 2: who is in each ring, and how long a feature soaks there before it may go on.
CHANNELS = (
    {"slug": "internal", "name": "Internal", "rank": 1, "soak_days": 0, "purpose": "Development & debugging"},
    {"slug": "pilot", "name": "Pilot", "rank": 2, "soak_days": 7, "purpose": "Early adopter testing"},
    {"slug": "general", "name": "General", "rank": 3, "soak_days": 0, "purpose": "Production release"},
)
PLANS = (
    {"slug": "starter", "name": "Starter", "rank": 1},
    {"slug": "pro", "name": "Pro", "rank": 2},
    {"slug": "enterprise", "name": "Enterprise", "rank": 3},
)


def after_migrate(using: str, **_kwargs) -> None:
    """Receive `post_migrate`: fill the tables of channels and plans if they are empty, and never touch them again."""
    connection = connections[using]
    if not roles.ready(connection):
        return  # roles.after_migrate says what to do; this runs again with the next migrate.
    with acting_as_system("fill new tables of channels and plans"), transaction.atomic(using=using):
        _fill(ReleaseChannel, CHANNELS, connection)
        _fill(Plan, PLANS, connection)


def _fill(model: type[Model], rows: Sequence[Mapping[str, Any]], connection: BaseDatabaseWrapper) -> None:
    if model._meta.db_table not in connection.introspection.table_names():
        return  # `migrate tenants zero` has taken it away.
    manager = model._default_manager.using(connection.alias)
    if not manager.exists():
        manager.bulk_create([model(**row) for row in rows])
