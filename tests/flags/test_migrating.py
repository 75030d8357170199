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

pytestmark = pytest.mark.django_db(transaction=True)


def migrate(*target: str) -> None:
    """Migrate as the owner of the tables, each migration in a transaction of its own."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("set session role none")
    call_command("migrate", "flags", *target, verbosity=0)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"set session role {rls.CONSOLE_ROLE}")


@pytest.mark.parametrize("target", ["zero", "0001", "0002"])
def test_flags_can_be_taken_back_and_put_in_again(target):
    try:
        migrate(target)
        MembershipFactory()  # No trigger of flags stands in the way of people and companies.
    finally:
        migrate()
    assert set(Flag.objects.values_list("key", flat=True)) == {feature.key for feature in FEATURES}
    assert triggers.missing(connection) == []
    assert audit("schema").passed
