"""Answers are filed under the versions they were read at: fresh, whole, few in number, and found with few queries."""

import threading
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flags import sharedcache, snapshots
from flags.loading import Loaded, Malformed, load
from flags.models import Flag, Override, Version
from flags.versions import NIL
from tenants import rls
from tenants.models import Company, Plan
from tests.factories import CompanyFactory, FlagFactory, OverrideFactory
from tests.flags.asking import ask, counted_loads, forget_everything, forget_process, in_thread

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def flag() -> Flag:
    return FlagFactory(key="trip_map")


# What it costs


@pytest.mark.parametrize("flags", [1, 20, 1000])
def test_the_number_of_queries_does_not_grow_with_the_number_of_flags(acme, globex, flags):
    Flag.objects.all().delete()
    made = Flag.objects.bulk_create(Flag(key=f"feature_{n}", name=f"Feature {n}") for n in range(flags))
    Override.objects.bulk_create(Override(company=acme, flag=flag, enabled=True) for flag in made[:50])
    forget_everything()
    counts = []
    for company in (acme, acme, globex, globex):
        with CaptureQueriesContext(connection) as queries:
            assert len(ask(company)) == flags
        counts.append(len(queries))
    cold_process, warm, cold_company, warm_again = counts
    assert (cold_process, warm, cold_company, warm_again) == (3, 1, 2, 1)


def test_a_new_process_finds_in_the_shared_cache_what_others_have_read(acme, django_assert_num_queries):
    ask(acme)
    forget_process()
    with django_assert_num_queries(1):
        assert ask(acme)["driver_management"]


def test_after_a_change_of_one_company_only_that_company_is_read_again(acme, globex, flag, monkeypatch):
    ask(acme), ask(globex)
    Override.objects.bulk_create([Override(company=acme, flag=flag, enabled=True)])
    with counted_loads(monkeypatch) as loads:
        assert ask(acme)["trip_map"]
        assert not ask(globex)["trip_map"]
    assert loads == [(acme.pk, False)]


def test_after_a_change_of_the_rules_they_are_read_once_for_all_companies(acme, globex, flag, monkeypatch):
    ask(acme), ask(globex)
    Flag.objects.filter(pk=flag.pk).update(default_enabled=True)
    with counted_loads(monkeypatch) as loads:
        assert ask(acme)["trip_map"]
        assert ask(globex)["trip_map"]
    assert loads == [(None, True)]


def test_while_nothing_changes_the_answers_are_one_object(acme):
    at = timezone.now()
    assert snapshots.resolve(acme.pk, at) is snapshots.resolve(acme.pk, at)


def test_a_crowd_that_asks_for_the_same_cold_company_reads_it_once(acme, monkeypatch):
    forget_everything()
    crowd = threading.Barrier(8)

    def asked() -> dict[str, bool] | None:
        crowd.wait(10)
        return ask(acme)

    with counted_loads(monkeypatch, before=lambda rules: threading.Event().wait(0.2)) as loads:
        results = [result() for result in [in_thread(asked) for _ in range(8)]]
    assert sorted(loads, key=str) == sorted([(None, True), (acme.pk, False)], key=str)
    assert all(result == results[0] for result in results)


def test_nobody_waits_for_ever_for_somebody_else_to_read(acme, monkeypatch):
    forget_everything()
    monkeypatch.setattr(snapshots, "SECONDS_TO_WAIT_FOR_ANOTHER", 0.05)
    with snapshots._single_flight(acme.pk):
        assert in_thread(lambda: ask(acme))()["driver_management"]


def test_only_so_many_companies_are_kept_and_those_asked_last_stay(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(snapshots, "COMPANIES_IN_PROCESS", 3)
    companies = [CompanyFactory() for _ in range(6)]
    for company in companies[:3]:
        ask(company)
    ask(companies[0])
    for company in companies[3:5]:
        ask(company)
    assert set(snapshots._known) == {companies[0].pk, companies[3].pk, companies[4].pk}
    cache.clear()
    with django_assert_num_queries(1):
        ask(companies[0])
    with django_assert_num_queries(2):
        ask(companies[1])


def test_only_so_many_versions_of_the_rules_are_kept(acme, flag):
    for n in range(6):
        Flag.objects.filter(pk=flag.pk).update(description=str(n))
        ask(acme)
    assert len(snapshots._rules) == snapshots.RULES_IN_PROCESS
    assert len(snapshots._known) == 1


# What it answers


def test_a_company_that_is_not_there_or_not_active_has_no_answers(acme):
    assert snapshots.resolve(uuid4(), timezone.now()) is None
    assert ask(acme) is not None
    Company.objects.filter(pk=acme.pk).update(is_active=False)
    assert ask(acme) is None
    Company.objects.filter(pk=acme.pk).update(is_active=True)
    assert ask(acme) is not None


def test_a_company_that_was_asked_for_before_it_was_made_is_there_once_it_is():
    company = CompanyFactory.build(channel_id="general", plan_id="pro", settings=None)
    assert ask(company) is None
    Company.objects.bulk_create([company])
    assert ask(company)["driver_management"]


@pytest.mark.postgres
def test_a_company_whose_version_we_are_not_shown_is_read_each_time(acme):
    company = CompanyFactory.build(channel_id="general", plan_id="pro", settings=None)

    def ask_as_acme() -> dict[str, bool] | None:
        with rls.acting_as_company(acme.pk, None, "admin"):
            return ask(company)

    assert ask_as_acme() is None
    Company.objects.bulk_create([company])
    assert ask_as_acme()["driver_management"]
    Company.objects.filter(pk=company.pk).update(is_active=False)
    assert ask_as_acme() is None


def test_a_plan_that_changes_its_rank_changes_what_its_companies_may_use(acme):
    FlagFactory(key="for_pros", default_enabled=True, minimum_plan="enterprise")
    assert not ask(acme)["for_pros"]
    Plan.objects.filter(pk="pro").update(rank=99)
    assert ask(acme)["for_pros"]


def test_an_override_ends_without_anybody_changing_anything(acme, flag, time_machine):
    end = timezone.now() + timezone.timedelta(minutes=5)
    OverrideFactory(company=acme, flag=flag, enabled=True, expires_at=end)
    assert ask(acme)["trip_map"]
    time_machine.move_to(end)
    assert not ask(acme)["trip_map"]


# Uncommitted changes

CHANGES = {
    "save": lambda flag: Flag(**{**vars_of(flag), "default_enabled": True}).save(),
    "update": lambda flag: Flag.objects.filter(pk=flag.pk).update(default_enabled=True),
    "sql": lambda flag: sql("update flags_flag set default_enabled = %s where key = %s", True, flag.pk),
}


def vars_of(flag: Flag) -> dict:
    return {field.attname: getattr(flag, field.attname) for field in flag._meta.concrete_fields}


def sql(statement: str, *params: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def kept() -> tuple:
    return dict(snapshots._rules), dict(snapshots._known), snapshots._latest_rules


@pytest.mark.parametrize("change", CHANGES)
def test_a_transaction_sees_its_own_changes_and_files_none_of_them(acme, flag, change, monkeypatch):
    ask(acme)
    before, filed = kept(), []
    with monkeypatch.context() as patch:
        patch.setattr(sharedcache, "put", lambda *what: filed.append(what))
        with transaction.atomic():
            CHANGES[change](flag)
            assert ask(acme)["trip_map"]
            assert snapshots.resolve_rules(timezone.now()).flags["trip_map"].default_enabled
            assert kept() == before
            transaction.set_rollback(True)
    assert (kept(), filed) == (before, [])
    assert not ask(acme)["trip_map"]


@pytest.mark.parametrize("change", CHANGES)
def test_others_do_not_see_it_before_it_is_committed_and_do_after(acme, flag, change):
    with transaction.atomic():
        CHANGES[change](flag)
        assert ask(acme)["trip_map"]
        assert not in_thread(lambda: ask(acme))()["trip_map"]
    assert in_thread(lambda: ask(acme))()["trip_map"]


def test_a_transaction_that_has_changed_something_reads_all_in_one_query(acme, flag, django_assert_num_queries):
    with transaction.atomic():
        CHANGES["save"](flag)
        with django_assert_num_queries(1):
            assert ask(acme)["trip_map"]


def test_what_a_savepoint_takes_back_is_not_seen_in_the_rest_of_the_transaction(acme, flag):
    with transaction.atomic():
        with transaction.atomic():
            CHANGES["save"](flag)
            assert ask(acme)["trip_map"]
            transaction.set_rollback(True)
        assert not ask(acme)["trip_map"]


# Readers that are overtaken


def overtake(monkeypatch, reads: Callable[[], object], writes: Callable[[], object], at_load: int = 1) -> object:
    """Let a reader come as far as its `at_load`-th read of the database, then write, then let it go on."""
    arrived, go_on = threading.Event(), threading.Event()
    reader: list[int] = []
    count = 0

    def pause(rules: bool) -> None:
        nonlocal count
        if threading.get_ident() in reader:
            count += 1
            if count == at_load:
                arrived.set()
                assert go_on.wait(10)

    def read() -> object:
        reader.append(threading.get_ident())
        return reads()

    with counted_loads(monkeypatch, before=pause):
        result = in_thread(read)
        assert arrived.wait(10)
        writes()
        go_on.set()
        return result()


def test_a_reader_that_was_overtaken_cannot_bring_an_old_answer_back(acme, flag, monkeypatch):
    """It has read the old version and, just before the write, the old rows."""
    forget_everything()
    arrived, go_on = threading.Event(), threading.Event()

    def slow(company_id, *, rules, **kwargs) -> Loaded:
        loaded = load(company_id, rules=rules, **kwargs)
        if threading.current_thread() is not threading.main_thread() and not rules:
            arrived.set()
            assert go_on.wait(10)
        return loaded

    monkeypatch.setattr(snapshots, "load", slow)
    result = in_thread(lambda: ask(acme))
    assert arrived.wait(10)
    OverrideFactory(company=acme, flag=flag, enabled=True)
    assert ask(acme)["trip_map"]
    go_on.set()
    assert not result()["trip_map"]  # It began before the write.
    # Not even as what goes on when the database is away.
    assert snapshots.last_known(acme.pk, timezone.now()).company["trip_map"]
    assert ask(acme)["trip_map"]
    forget_process()
    assert ask(acme)["trip_map"]


@pytest.mark.parametrize(("process", "at_load"), [("cold", 1), ("cold", 2), ("knows the company", 1)])
def test_rules_and_a_company_that_change_together_are_seen_together(acme, flag, monkeypatch, process, at_load):
    OverrideFactory(company=acme, flag=flag, enabled=True)
    other = FlagFactory(key="other_map")

    def swap() -> None:
        with transaction.atomic():
            Override.objects.filter(company=acme).update(flag=other)
            Flag.objects.filter(pk=flag.pk).update(needs_grant=True)

    if process == "cold":
        forget_everything()
    else:
        ask(acme)
        Flag.objects.filter(pk=flag.pk).update(description="The rules are to be read again.")
    answers = overtake(monkeypatch, lambda: snapshots.resolve(acme.pk, timezone.now()), swap, at_load)
    old = ({"trip_map"}, False)
    new = ({"other_map"}, True)
    assert (set(answers.facts.overrides), answers.rules.flags["trip_map"].needs_grant) in (old, new)
    assert dict(answers.company) == {
        **dict(answers.company),
        "trip_map": "trip_map" in answers.facts.overrides,
        "other_map": "other_map" in answers.facts.overrides,
    }
    assert ask(acme)["other_map"]


# Rows that are not whole


def spoil(monkeypatch, **texts: str) -> None:
    def spoilt(company_id, *, rules, **kwargs) -> Loaded:
        loaded = load(company_id, rules=rules, **kwargs)
        return Loaded(
            loaded.global_version,
            loaded.company_version,
            texts.get("rules", loaded.rules) if rules else None,
            texts.get(str(company_id), loaded.company),
        )

    monkeypatch.setattr(snapshots, "load", spoilt)


def version_of(scope) -> int:
    return Version.objects.get(scope=scope).n


def test_versions_that_go_back_are_believed_and_what_was_read_since_is_forgotten(acme, flag, django_assert_num_queries):
    """A backup is restored under a process that goes on: right at once, and as quick as ever after the first answer."""
    override = OverrideFactory(company=acme, flag=flag, enabled=False)
    rules, own = version_of(NIL), version_of(acme.pk)
    flag.default_enabled = True
    flag.save()
    Override.objects.filter(pk=override.pk).update(enabled=True)
    assert ask(acme)["trip_map"]
    with transaction.atomic():
        Flag.objects.filter(pk="trip_map").update(default_enabled=False)
        Override.objects.filter(pk=override.pk).update(enabled=False)
        with rls.acting_as_nobody():
            Version.objects.filter(scope=NIL).update(n=rules)
            Version.objects.filter(scope=acme.pk).update(n=own)
    assert not ask(acme)["trip_map"]
    assert snapshots.version_held(None) == rules
    with django_assert_num_queries(1):
        assert not ask(acme)["trip_map"]


def test_rules_that_are_not_whole_are_not_taken_in_and_the_last_good_ones_are_kept(acme, flag, monkeypatch, caplog):
    right = ask(acme)
    Flag.objects.filter(pk=flag.pk).update(default_enabled=True)
    spoil(monkeypatch, rules='[[["trip_map"]], [], []]')
    with pytest.raises(Malformed):
        ask(acme)
    assert "rules refused" in caplog.text
    assert dict(snapshots.last_known(acme.pk, timezone.now()).company) == right
    monkeypatch.undo()
    assert ask(acme)["trip_map"]


def test_one_company_whose_rows_are_not_whole_is_no_harm_to_another(acme, globex, monkeypatch):
    right = ask(globex)
    forget_everything()
    spoil(monkeypatch, **{str(acme.pk): '["general", 1, [["trip_map", 1, null, null]], [], []]'})
    with pytest.raises(Malformed):
        ask(acme)
    assert ask(globex) == right


# The past, for when the database is away


def test_what_was_never_read_is_not_known(acme):
    forget_everything()
    assert snapshots.last_known(acme.pk, timezone.now()) is None
    assert snapshots.last_known(None, timezone.now()) is None


def test_a_company_that_was_not_there_is_known_not_to_be_there(acme):
    Company.objects.filter(pk=acme.pk).update(is_active=False)
    assert ask(acme) is None
    assert snapshots.last_known(acme.pk, timezone.now()) is snapshots._latest_rules


def test_what_is_remembered_ends_when_it_ends(acme, flag):
    at = timezone.now()
    end = at + timezone.timedelta(minutes=5)
    OverrideFactory(company=acme, flag=flag, enabled=True, expires_at=end)
    ask(acme)
    assert snapshots.last_known(acme.pk, at).company["trip_map"]
    assert not snapshots.last_known(acme.pk, end).company["trip_map"]


def test_a_kill_that_this_process_knows_of_reaches_answers_from_before_it(acme, globex, flag):
    Flag.objects.filter(pk=flag.pk).update(default_enabled=True)
    assert ask(acme)["trip_map"]
    Flag.objects.filter(pk=flag.pk).update(killed_at=timezone.now())
    Flag.objects.filter(pk="driver_management").update(default_enabled=False)
    ask(globex)
    past = snapshots.last_known(acme.pk, timezone.now()).company
    assert not past["trip_map"]
    # Everything else stays as it was when it was last read whole.
    assert past["driver_management"]
