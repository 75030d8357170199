"""What a change costs, with its line of history and its versions, and what another reader then pays to know it."""

from collections.abc import Iterator

from django.db import connection
from django.utils import timezone

from flags import changes, overrides, rollbacks, snapshots
from flags.models import Change, Flag, Override
from tenants.models import Company, User
from tenants.rls import acting_as_nobody, acting_as_system
from tests.benchmarks import stage
from tests.benchmarks.measuring import Row, Run, Times, each

KEY = "scale_000001"
FULL = 100_000  # So many companies the bar is for.


def rows(run: Run) -> Iterator[Row]:
    """A toggle, an override, and one flag for every company at once."""
    companies = run.about(FULL, 1_000)
    stage.database(1_000, companies, companies * 10)
    stage.act_as_console()
    actor, _ = User.objects.get_or_create(email="bench@example.com", defaults={"name": "Bench", "is_superuser": True})
    company = Company.objects.get(pk=stage.a_company())
    yield from _single(run, actor, company)
    yield _applied(run, actor, company)
    yield from _bulk(actor, companies)


def _single(run: Run, actor: User, company: Company) -> Iterator[Row]:
    def toggle() -> None:
        default = Flag.objects.values_list("default_enabled", flat=True).get(pk=KEY)
        changes.set_default(KEY, not default, actor=actor)

    def override() -> None:
        was = Override.objects.filter(company=company, flag=KEY).values_list("enabled", flat=True).first()
        overrides.set_override(company, KEY, not was, actor=actor)

    times = run.about(200, 30)
    for name, work in (("a toggle of a default", toggle), ("an override", override)):
        work()
        taken = each(work, times)
        note = f"half of {times} within {taken.median * 1e3:.1f} ms; with the look at what is there before"
        yield Row(f"{name}, with history and versions", taken.best * 1e3, "ms", 5, note=note)


def _applied(run: Run, actor: User, company: Company) -> Row:
    taken = []
    for n in range(run.about(100, 20)):
        with acting_as_system("measure"):
            Override.objects.update_or_create(company=company, flag_id=KEY, defaults={"enabled": bool(n % 2)})
        # What this process does itself, it reads ahead; let it be another that did it.
        Override.objects.filter(company=company, flag=KEY).update(enabled=not n % 2)
        taken += each(lambda: snapshots.resolve(company.pk, timezone.now()), 1).rounds
    note = "the query that notices, one that reads the company, and compiling it"
    return Row("applying a change of one company", Times(taken).best * 1e3, "ms", note=note)


def _bulk(actor: User, companies: int) -> Iterator[Row]:
    lines = Change.objects.count()
    done = []
    taken = each(lambda: done.append(rollbacks.roll_back_companies(KEY, _all(), actor=actor, reason="to measure")), 1)
    note = f"{done[0].changed:,} changed, {Change.objects.count() - lines:,} lines of history in one batch"
    bar = 5 if companies >= FULL else None
    yield Row(f"one feature off for {companies:,} companies", taken.best, "s", bar, note=note)
    taken = each(lambda: rollbacks.undo_batch(done[0].batch, actor=actor), 1)
    yield Row("and all of that taken back as one", taken.best, "s", note=f"{companies:,} companies as they were")
    if connection.vendor == "postgresql":
        with acting_as_nobody(), connection.cursor() as cursor:
            cursor.execute("vacuum analyze flags_override, flags_version")


def _all() -> list[Company]:
    return list(Company.objects.only("pk"))
