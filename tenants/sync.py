"""The rings and plans a new installation starts with. Once there are any, they are the operators'."""

from django.db import connections, transaction

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
    there = set(connection.introspection.table_names())
    with acting_as_system("fill new tables of channels and plans"), transaction.atomic(using=using):
        for model, rows in ((ReleaseChannel, CHANNELS), (Plan, PLANS)):
            if model._meta.db_table in there and not model.objects.using(using).exists():
                model.objects.using(using).bulk_create([model(**row) for row in rows])
