"""What pages count is what there is, whoever changed it and however."""

import random
import threading
from collections import Counter

import pytest
from django.db import connection, connections, transaction

from flags import channels, overview, tallies, triggers
from flags.models import Flag, Override, Tally
from tenants import rls
from tenants.models import Company
from tests.factories import CompanyFactory, FlagFactory, OverrideFactory

pytestmark = pytest.mark.django_db


def sql(statement: str, *params: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def counted() -> dict[tuple[str, str], int]:
    """What the triggers have kept."""
    sums: Counter[tuple[str, str]] = Counter()
    for row in Tally.objects.all():
        sums[row.what, row.name] += row.n
    return {name: n for name, n in sums.items() if n}


def truth() -> dict[tuple[str, str], int]:
    """What there is."""
    kinds = {True: tallies.OVERRIDES_ON, False: tallies.OVERRIDES_OFF}
    overrides = Counter((kinds[row.enabled], row.flag_id) for row in Override.objects.all())
    companies = Counter((tallies.COMPANIES, row.channel_id) for row in Company.objects.filter(is_active=True))
    return dict(overrides + companies)


def some(rows, chance: random.Random, most: int = 4) -> list:
    keys = sorted(rows.values_list("pk", flat=True), key=str)
    return chance.sample(keys, min(len(keys), chance.randint(1, most)))


def new_overrides(chance: random.Random) -> list[Override]:
    flags, companies = some(Flag.objects.all(), chance), some(Company.objects.all(), chance)
    taken = set(Override.objects.values_list("company_id", "flag_id"))
    return [
        Override(company_id=company, flag_id=flag, enabled=chance.random() < 0.5)
        for company in companies
        for flag in flags
        if (company, flag) not in taken
    ]


def flip_by_upsert(chance: random.Random) -> None:
    rows = [
        Override(company_id=row.company_id, flag_id=row.flag_id, enabled=not row.enabled)
        for row in Override.objects.filter(pk__in=some(Override.objects, chance))
    ]
    Override.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["company", "flag"], update_fields=["enabled"]
    )


WORK = {
    "a flag": lambda chance: FlagFactory(),
    "a company": lambda chance: CompanyFactory(channel=chance.choice(["internal", "pilot", "general"])),
    "overrides": lambda chance: Override.objects.bulk_create(new_overrides(chance)),
    "overrides in pieces": lambda chance: Override.objects.bulk_create(new_overrides(chance), batch_size=2),
    "on": lambda chance: Override.objects.filter(pk__in=some(Override.objects, chance)).update(enabled=True),
    "turned by SQL": lambda chance: sql("update flags_override set enabled = not enabled"),
    "turned by upsert": flip_by_upsert,
    "another reason": lambda chance: Override.objects.update(reason="As it was"),
    "expired": lambda chance: Override.objects.update(expires_at="2020-01-01T00:00Z"),
    "taken away": lambda chance: Override.objects.filter(pk__in=some(Override.objects, chance)).delete(),
    "taken away by SQL": lambda chance: sql("delete from flags_override where enabled"),
    "moved": lambda chance: Company.objects.filter(pk__in=some(Company.objects, chance)).update(channel="pilot"),
    "inactive": lambda chance: Company.objects.filter(pk__in=some(Company.objects, chance)).update(is_active=False),
    "active": lambda chance: Company.objects.update(is_active=True),
    "renamed": lambda chance: sql("update tenants_company set name = name || '!'"),
    "a flag goes": lambda chance: Flag.objects.filter(pk__in=some(Flag.objects, chance, 1)).delete(),
    "a company goes": lambda chance: Company.objects.filter(pk__in=some(Company.objects, chance, 1)).delete(),
}


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_the_truth_after_any_work(seed):
    chance = random.Random(seed)
    for _ in range(3):
        FlagFactory()
        CompanyFactory()
    for _ in range(40):
        name = chance.choice(list(WORK))
        undone = chance.random() < 0.2
        with transaction.atomic():
            WORK[name](chance)
            transaction.set_rollback(undone)
        assert counted() == truth(), name


def test_lists_show_these_counts_and_cost_one_query_whatever_they_count(acme, globex, django_assert_num_queries):
    flag, other = FlagFactory(), FlagFactory()
    OverrideFactory(flag=flag, company=acme, enabled=True)
    OverrideFactory(flag=flag, company=globex, enabled=False)
    with django_assert_num_queries(1):
        assert overview.override_counts([flag.key, other.key]) == {flag.key: (1, 1)}
    assert list(overview.find_flags(state="overridden", internal=True)) == [flag]
    Override.objects.all().delete()
    assert overview.override_counts([flag.key]) == {}
    assert not overview.find_flags(state="overridden", internal=True).exists()


def test_companies_of_a_channel_are_the_active_ones(acme):
    CompanyFactory(channel="pilot")
    CompanyFactory(channel="pilot", is_active=False)
    assert channels.companies_per_channel()["pilot"] == 1
    Company.objects.update(is_active=False)
    assert channels.companies_per_channel() == {}


def test_who_is_bound_to_a_company_counts_its_own_alone(acme, globex):
    flag = FlagFactory()
    for company in (acme, globex, CompanyFactory()):
        OverrideFactory(flag=flag, company=company, enabled=True)
    with rls.acting_as_company(acme.pk, None, "server"):
        assert overview.override_counts([flag.key]) == {flag.key: (1, 0)}


def test_what_no_trigger_saw_is_counted_when_migrating():
    OverrideFactory(enabled=True)
    with rls.acting_as_nobody():
        triggers.uninstall_tallies(connection)
    OverrideFactory(enabled=False)
    CompanyFactory()
    assert counted() != truth()
    with rls.acting_as_nobody():
        triggers.after_migrate("default")
        assert triggers.missing(connection) == []
    assert counted() == truth()


@pytest.mark.postgres
def test_emptying_a_table_empties_its_counts(acme):
    OverrideFactory(company=acme)
    sql("set constraints all immediate")
    with rls.acting_as_nobody():
        sql("truncate flags_override cascade")
    assert counted() == truth() == {(tallies.COMPANIES, acme.channel_id): 1}


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_writers_of_the_same_flags_in_any_order_neither_wait_nor_lose_a_count():
    """Each turns overrides of all flags, in an order of its own, in transactions of several statements."""
    flags, companies = [FlagFactory() for _ in range(4)], [CompanyFactory() for _ in range(4)]
    for company in companies:
        Override.objects.bulk_create(Override(company=company, flag=flag, enabled=True) for flag in flags)
    errors: list[Exception] = []

    def work(number: int) -> None:
        chance = random.Random(number)
        try:
            for _ in range(25):
                with rls.acting_as_system("turn overrides"):
                    for flag in chance.sample(flags, len(flags)):
                        mine = Override.objects.filter(company=companies[number], flag=flag)
                        mine.update(enabled=chance.random() < 0.5)
                    if chance.random() < 0.3:
                        transaction.set_rollback(True)
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(companies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert counted() == truth()
    # What others had in hand was left, and folded in by who came next: not a row for each of 400 statements.
    assert Tally.objects.count() < 50
