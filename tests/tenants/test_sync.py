import pytest

from flags.models import Flag
from tenants import sync
from tenants.models import Plan, ReleaseChannel

pytestmark = pytest.mark.django_db


def test_a_new_database_has_three_channels_in_order():
    channels = ReleaseChannel.objects.values_list("slug", "rank", "soak_days", "purpose")
    assert list(channels) == [
        ("internal", 1, 0, "Development & debugging"),
        ("pilot", 2, 7, "Early adopter testing"),
        ("general", 3, 0, "Production release"),
    ]


def test_a_new_database_has_three_plans_in_order():
    assert list(Plan.objects.values_list("slug", "rank")) == [("starter", 1), ("pro", 2), ("enterprise", 3)]


def test_what_operators_changed_stays():
    Flag.objects.all().delete()  # Nothing refers to channels or plans any more.
    ReleaseChannel.objects.filter(slug="pilot").update(soak_days=3, purpose="Ours")
    ReleaseChannel.objects.filter(slug="internal").delete()
    Plan.objects.filter(slug="pro").delete()
    sync.after_migrate(using="default")
    assert list(ReleaseChannel.objects.values_list("slug", "soak_days", "purpose")) == [
        ("pilot", 3, "Ours"),
        ("general", 0, "Production release"),
    ]
    assert not Plan.objects.filter(slug="pro").exists()


def test_emptied_tables_are_filled_again():
    Flag.objects.all().delete()
    ReleaseChannel.objects.all().delete()
    sync.after_migrate(using="default")
    assert ReleaseChannel.objects.count() == 3
