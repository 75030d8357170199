"""Going back and forth between migrations leaves a database that can be worked with."""

import pytest
from django.core.management import call_command
from django.db import connection

from flags import triggers
from flags.catalogue import FEATURES
from flags.isolation import audit
from flags.models import Flag
from tenants import rls
from tests.factories import MembershipFactory
from tests.sampling import LONG

pytestmark = pytest.mark.django_db(transaction=True)


def migrate(*target: str) -> None:
    """Migrate as a command does: bound to nobody, as the owner of the tables, each migration in its own transaction."""
    token = rls._current.set(rls.NOBODY)
    try:
        _take_role("none")
        call_command("migrate", "flags", *target, verbosity=0)
    finally:
        rls._current.reset(token)
        _take_role(rls.CONSOLE_ROLE)


def _take_role(role: str) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"set session role {role}")


# From nothing, without people and companies in between, `tests/test_migrations.py` goes too.
TARGETS = ["zero", "0001", "0002"] if LONG else ["0001"]


@pytest.mark.parametrize("target", TARGETS)
def test_flags_can_be_taken_back_and_put_in_again(target):
    try:
        migrate(target)
        MembershipFactory()  # No trigger of flags stands in the way of people and companies.
    finally:
        migrate()
    assert set(Flag.objects.values_list("key", flat=True)) == {feature.key for feature in FEATURES}
    assert triggers.missing(connection) == []
    assert audit("schema").passed
