"""Saving and deleting a rule brings this process up to date as soon as it is committed, and not before."""

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flags import features, snapshots
from flags.features import evaluation_scope, is_enabled
from flags.models import Flag, Override
from tests.factories import (
    ChannelDefaultFactory,
    CompanyFactory,
    FlagFactory,
    GrantFactory,
    MembershipFactory,
    OptInFactory,
    OverrideFactory,
    PlanFactory,
    ReleaseChannelFactory,
    RequirementFactory,
    UserFactory,
)
from tests.flags.asking import ask, counted_loads

pytestmark = pytest.mark.django_db(transaction=True)

RULES = {
    "flag": lambda: FlagFactory(),
    "requirement": lambda: RequirementFactory(),
    "channel default": lambda: ChannelDefaultFactory(),
    "release channel": lambda: ReleaseChannelFactory(),
    "plan": lambda: PlanFactory(),
}
OF_A_COMPANY = {
    "override": lambda company: OverrideFactory(company=company),
    "opt-in": lambda company: OptInFactory(company=company),
    "grant": lambda company: GrantFactory(company=company),
    "membership": lambda company: MembershipFactory(company=company),
    "company": lambda company: company,
}


@pytest.mark.parametrize("verb", ["save", "delete"])
@pytest.mark.parametrize("kind", RULES)
def test_a_rule_that_is_saved_or_deleted_is_read_before_anybody_asks(kind, verb, acme, monkeypatch):
    row = RULES[kind]()
    ask(acme)
    with counted_loads(monkeypatch) as loads:
        getattr(row, verb)()
        warmed = list(loads)
        ask(acme)
    assert warmed
    assert set(warmed) == {(None, True)}
    assert loads == warmed


@pytest.mark.parametrize("verb", ["save", "delete"])
@pytest.mark.parametrize("kind", OF_A_COMPANY)
def test_a_row_of_a_company_is_read_before_anybody_asks(kind, verb, globex, monkeypatch):
    row, pk = OF_A_COMPANY[kind](globex), globex.pk
    ask(globex)
    if kind == "company":
        row.channel_id = "internal"  # What it is called would be no change of its answers.
        row.memberships.all().delete()
    with counted_loads(monkeypatch) as loads:
        getattr(row, verb)()
        warmed = list(loads)
        snapshots.resolve(pk, timezone.now())
    assert (pk, False) in warmed
    assert loads == warmed


def test_requirements_that_are_added_through_the_flag_are_noticed(acme, monkeypatch):
    one, other = FlagFactory(), FlagFactory()
    ask(acme)
    for change in (lambda: one.requires.add(other), one.requires.clear):
        with counted_loads(monkeypatch) as loads:
            change()
        assert loads


def test_a_transaction_with_many_changes_is_read_once_when_it_ends(acme, globex, monkeypatch):
    ask(acme), ask(globex)
    with counted_loads(monkeypatch) as loads, CaptureQueriesContext(connection) as queries:
        with transaction.atomic():
            for _ in range(20):
                with transaction.atomic():
                    OverrideFactory(company=acme)
            assert loads == []
        assert sorted(loads, key=str) == sorted([(None, True), (acme.pk, False)], key=str)
    assert sum("select n from flags_version" in query["sql"] for query in queries) <= 4


def test_what_is_rolled_back_is_not_read(acme, monkeypatch):
    ask(acme)
    with counted_loads(monkeypatch) as loads, transaction.atomic():
        OverrideFactory(company=acme)
        transaction.set_rollback(True)
    assert loads == []


def test_nothing_is_read_for_companies_that_nobody_here_has_asked_for(acme, globex, monkeypatch):
    ask(globex)
    with counted_loads(monkeypatch) as loads:
        OverrideFactory(company=acme, flag_id="api_access", flag=None)
    assert loads == []


def test_a_change_of_very_many_companies_reads_only_so_many_of_them_ahead(monkeypatch):
    monkeypatch.setattr(snapshots, "COMPANIES_TO_WARM", 2)
    companies = [CompanyFactory() for _ in range(4)]
    for company in companies:
        ask(company)
    with counted_loads(monkeypatch) as loads, transaction.atomic():
        for company in companies:
            Override(company=company, flag_id="api_access", enabled=True).save()
    assert len(loads) == 2
    assert all(ask(company)["api_access"] for company in companies)


def test_reading_ahead_that_fails_is_no_harm_to_the_change(acme, monkeypatch, caplog):
    flag = FlagFactory()
    ask(acme)

    def broken(*args, **kwargs):
        raise DatabaseError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "load", broken)
        flag.default_enabled = True
        flag.save()
    assert "reading ahead failed" in caplog.text
    assert ask(acme)[flag.key]


def test_work_that_changes_a_rule_sees_its_own_change(acme):
    flag = FlagFactory(key="trip_map")
    with evaluation_scope(company=acme):
        assert not is_enabled("trip_map")
        flag.default_enabled = True
        flag.save()
        assert is_enabled("trip_map")
        flag.delete()
        assert not is_enabled("trip_map")


def test_signals_make_nothing_true(acme, monkeypatch):
    """With every receiver gone, the next request still sees what was changed."""
    flag = FlagFactory(key="trip_map")
    assert not ask(acme)["trip_map"]
    monkeypatch.setattr(snapshots, "mark_changed", lambda *scopes, using: None)
    monkeypatch.setattr(features, "forget_here", lambda: None)
    flag.default_enabled = True
    flag.save()
    assert ask(acme)["trip_map"]
    Override(company=acme, flag=flag, enabled=False).save()
    assert not ask(acme)["trip_map"]
    Flag.objects.get(pk=flag.pk).delete()
    assert "trip_map" not in ask(acme)


def test_people_are_no_rules(acme, monkeypatch):
    ask(acme)
    with counted_loads(monkeypatch) as loads:
        user = UserFactory()
        user.is_active = False
        user.save()
        assert snapshots.resolve(acme.pk, timezone.now())
    assert loads == []
