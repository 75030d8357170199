"""How long PostgreSQL takes to answer for one company. A thousand flags, with everything they can have."""

from collections.abc import Iterator

from django.db import connection, transaction

from flags.models import ChannelDefault, Flag, Grant, Override, Requirement
from tenants import rls
from tests.benchmarks import stage
from tests.benchmarks.measuring import Row, Run, each
from tests.factories import CompanyFactory, MembershipFactory

FLAGS, COMPANIES, LIMIT_MS = 1_000, 100, 50


def rows(run: Run) -> Iterator[Row]:
    """The three SQL functions, as a coordinator and as the console."""
    stage.need_postgres()
    stage.database(flags=0, companies=0, overrides=0)
    with rls.acting_as_system("measure"), transaction.atomic():
        company, person = _fill()
        coordinator = rls.Binding(rls.TENANT_ROLE, company.pk, person.pk, "coordinator")
        asked = (
            ("list_feature_flags() as a coordinator", coordinator, "select * from list_feature_flags()"),
            ("is_feature_enabled(key) as a coordinator", coordinator, "select is_feature_enabled('roster_500')"),
            (
                "flags_decide_all(company) as the console",
                rls.Binding(rls.CONSOLE_ROLE),
                f"select * from flags_decide_all('{company.pk}', null, false, now())",
            ),
        )
        for name, binding, sql in asked:
            with rls.bound(binding), connection.cursor() as cursor:
                times = each(lambda cursor=cursor, sql=sql: cursor.execute(sql).fetchall(), run.about(50, 10))
            yield Row(name, times.best * 1e3, "ms", LIMIT_MS, note=f"median {times.median * 1e3:.1f} ms")
        transaction.set_rollback(True)


def _fill():
    flags = Flag.objects.bulk_create(
        Flag(key=f"roster_{n}", name=f"Roster {n}", default_enabled=n % 2 == 0, needs_grant=n % 10 == 0)
        for n in range(FLAGS)
    )
    ChannelDefault.objects.bulk_create(
        ChannelDefault(flag=flag, channel_id="general", enabled=True, percentage=n % 101)
        for n, flag in enumerate(flags)
        if n % 3 == 0
    )
    Requirement.objects.bulk_create(Requirement(flag=flags[n], requires=flags[n - 1]) for n in range(1, FLAGS, 7))
    companies = CompanyFactory.create_batch(COMPANIES)
    Override.objects.bulk_create(
        [Override(company=company, flag=flag, enabled=True) for company in companies for flag in flags[::5]],
        batch_size=5_000,
    )
    person = MembershipFactory(company=companies[0], role="coordinator").user
    Grant.objects.bulk_create(Grant(company=companies[0], user=person, flag=flag) for flag in flags[::20])
    with rls.acting_as_nobody(), connection.cursor() as cursor:
        cursor.execute("analyze flags_flag, flags_override, flags_grant, flags_requirement, flags_channeldefault")
    return companies[0], person
