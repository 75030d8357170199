"""What the console's pages and the API's lists cost at full size: 1,000 flags, 100,000 companies, 1,000,000 overrides.

Each address is asked as a super admin through Django's test client. Told are the time of the server, and how many
statements and bytes it took: neither may grow with companies or overrides.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from django.db.models import Count
from django.test import Client
from django.test.utils import CaptureQueriesContext

from flags.keyset import cursor
from flags.models import Flag, Override
from tenants.models import Company, User
from tenants.rls import acting_as_system
from tests.benchmarks import stage
from tests.benchmarks.measuring import Row, Run, each

MOST_QUERIES = 10
PERSON = "benchmark@headgate.invalid"
TRANSACTION = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK")


@dataclass(frozen=True, slots=True)
class Page:
    """One address, what people call it, and how many milliseconds of the server it may take; a file, as it has rows."""

    name: str
    path: str
    bar: float | None = 20.0
    fragment: bool = False


@contextmanager
def signed_in() -> Iterator[Client]:
    """A client of a super admin who exists as long as this lasts."""
    with acting_as_system("sign a benchmark in"):
        User.objects.filter(email=PERSON).delete()
        person = User.objects.create_superuser(PERSON, password=None, name="Benchmark")
        client = Client()
        client.force_login(person)
    try:
        yield client
    finally:
        with acting_as_system("sign a benchmark out"):
            client.logout()
            person.delete()


def pages() -> list[Page]:
    """The lists and pages of console and API, about the flag with the most overrides and a company with some."""
    with acting_as_system("choose what to look at"):
        busiest = Override.objects.order_by().values_list("flag").annotate(n=Count("pk")).order_by("-n")[0][0]
        quiet = Flag.objects.exclude(key=busiest).order_by("-key").first()
        granted = Flag.objects.filter(needs_grant=True).order_by("key").values_list("key", flat=True)[0]
        company = Company.objects.filter(slug__startswith="scale-").order_by("slug")[777]
        assert quiet is not None
    console, admin = "/super-admin", "/api/admin"
    flag, one, tenant = f"{console}/feature-flags/{busiest}", f"{console}/companies/{company.slug}", f"{admin}/tenants"
    return [
        Page("flags", f"{console}/feature-flags/"),
        Page("flags, last page", f"{console}/feature-flags/?page=40"),
        Page("flags, search", f"{console}/feature-flags/?q=freight", fragment=True),
        Page("flags, overridden", f"{console}/feature-flags/?state=overridden", fragment=True),
        Page("a flag", f"{flag}/"),
        Page("a flag, quiet", f"{console}/feature-flags/{quiet.key}/"),
        Page("a flag's channel", f"{flag}/companies/", fragment=True),
        Page("a flag's grants", f"{flag}/grants/", fragment=True),
        Page("a flag's history", f"{flag}/history/", fragment=True),
        Page("overview", f"{console}/"),
        Page("overview: its releases", f"{console}/overview/releases/", fragment=True),
        Page("overview: what ends soon", f"{console}/overview/ending/", fragment=True),
        Page("overview: its changes", f"{console}/overview/changes/", fragment=True),
        Page("a flag's companies", f"{flag}/overrides/", 10, fragment=True),
        Page("a flag's companies, deep", f"{flag}/overrides/?after=DEEP", 10, fragment=True),
        Page("a flag's companies, search", f"{flag}/overrides/?q=kite+cabs", 10, fragment=True),
        Page("a flag's companies, in its row", f"{flag}/overrides/?place=row", 10, fragment=True),
        Page("candidates for an override", f"{flag}/override/?suggest=1&q=linden", 10, fragment=True),
        Page("impact of a switch", f"{flag}/default/?enabled=false", 1000, fragment=True),
        Page("drawer of an override", f"{flag}/overrides/{company.slug}/", fragment=True),
        Page("drawer of a company's override", f"{one}/features/{busiest}/", fragment=True),
        Page("drawer of a grant", f"{one}/grants/{granted}/", fragment=True),
        Page("drawer of a release", f"{console}/feature-flags/{quiet.key}/release/start/", 1000, fragment=True),
        Page("drawer of a kill", f"{flag}/kill/", 1000, fragment=True),
        Page("a change of many flags", f"{console}/bulk/flags/?q="),
        Page("a change of many companies", f"{console}/bulk/companies/?q="),
        Page("companies", f"{console}/companies/"),
        Page("companies, deep", f"{console}/companies/?after=DEEP"),
        Page("companies, search", f"{console}/companies/?q=linden+cabs", fragment=True),
        Page("companies, search, no hit", f"{console}/companies/?q=zzzzzz", fragment=True),
        Page("companies, of a channel", f"{console}/companies/?channel=internal", fragment=True),
        Page("a company", f"{one}/", 25),
        Page("a company's features", f"{one}/features/", 25),
        Page("a company's features, overridden", f"{one}/features/?state=overridden", 25, fragment=True),
        Page("a company's people", f"{one}/members/", 25),
        Page("a company's history", f"{one}/changes/", 25),
        Page("history", f"{console}/changes/"),
        Page("history of a flag", f"{console}/changes/?flag={busiest}"),
        Page("tokens", f"{console}/tokens/"),
        Page("inspector", f"{console}/inspector/"),
        Page("inspector, an answer", f"{console}/inspector/?company={company.slug}&flag={busiest}"),
        Page("isolation", f"{console}/inspector/isolation/"),
        Page("releases", f"{console}/releases/"),
        Page("API: flags", f"{admin}/feature-flags"),
        Page("API: flags, search", f"{admin}/feature-flags?q=freight"),
        Page("API: a flag", f"{admin}/feature-flags/{busiest}"),
        Page("API: a flag's overrides", f"{admin}/feature-flags/{busiest}/overrides", 10),
        Page("API: releases", f"{admin}/releases"),
        Page("API: companies", tenant),
        Page("API: companies, search", f"{tenant}?q=linden"),
        Page("API: a company", f"{tenant}/{company.slug}"),
        Page("API: a company's features", f"{tenant}/{company.slug}/features", 100),
        Page("API: a company's members", f"{tenant}/{company.slug}/members"),
        Page("API: history", f"{admin}/changes"),
        Page("API: own features", "/api/features"),
        # Last, because what is slow afterwards is slow for the memory that they leave behind.
        Page("a flag's history as a file", f"{console}/changes.csv?flag={busiest}", None),
        Page("all overrides as a file", f"{admin}/overrides.csv", None),
    ]


def deep_cursor(path: str) -> str:
    """Return a cursor from far into a list, made as the list itself makes them."""
    with acting_as_system("find a place far into a list"):
        if "/companies/" in path:
            return cursor(Company.objects.order_by("name", "id")[60_000], ("name", "id"))
        rows = Override.objects.filter(flag=path.split("/")[3]).select_related("company")
        ordered = rows.order_by("company__name", "company_id")
        return cursor(ordered[rows.count() // 2].company, ("name", "id"))


def statements(queries: CaptureQueriesContext) -> int:
    """Return how many statements a page ran, not counting where transactions begin and end."""
    return sum(not query["sql"].startswith(TRANSACTION) for query in queries)


def measure(client: Client, page: Page, times: int) -> tuple[Row, int]:
    """Return one page's row, and how many statements it takes."""
    path = page.path.replace("DEEP", deep_cursor(page.path)) if "DEEP" in page.path else page.path
    headers = {"HX-Request": "true"} if page.fragment else {}
    for _ in range(2 if page.bar else 0):
        client.get(path, headers=headers)
    # A file is made while it is read.
    took = each(lambda: client.get(path, headers=headers).getvalue(), times)
    with CaptureQueriesContext(connection) as queries:
        response = client.get(path, headers=headers)
        content = response.getvalue()
    count = statements(queries) if page.bar else 0
    note = f"median; best {took.best * 1000:.1f} ms, {count} queries, {len(content) / 1000:.0f} kB"
    if not page.bar:
        note = f"{len(content.splitlines()):,} lines, {statements(queries)} queries, {len(content) / 1000:.0f} kB"
    if response.status_code != 200:
        note += f", answers {response.status_code}"
    return Row(page.name, took.median * 1000, "ms", most=page.bar, note=note), count


def rows(run: Run) -> Iterator[Row]:
    """Yield a row for each page, and the most queries that any of them takes."""
    stage.need_postgres()
    stage.database(1_000, 100_000, 1_000_000, people=100_000, history=1_000_000)
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.API_RATE_LIMIT = "1000000/s"
    counts: dict[str, int] = {}
    with signed_in() as client:
        for page in pages():
            row, counts[page.name] = measure(client, page, run.about(15, 7) if page.bar else 1)
            yield row
    most = max(counts, key=counts.__getitem__)
    over = ", ".join(f"{name}: {count}" for name, count in counts.items() if count > MOST_QUERIES)
    yield Row("the most queries of any page", counts[most], "queries", most=MOST_QUERIES, note=over or most)
