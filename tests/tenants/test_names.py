"""Companies by words of their names: what is found, by whom, whoever changed a name and however."""

import json

import pytest
from django.db import connection, transaction

from tenants import rls, trigrams
from tenants.models import Company, NameTrigram
from tenants.names import begins, holds, named
from tests.factories import CompanyFactory

pytestmark = pytest.mark.django_db

NAMES = {
    "globex": "Globex",
    "default-tenant": "Default Tenant",
    "acme-2": "ACME Freight & Haulage",
    "emile": "Émile Söhne",
    "percent": "100% Cab_Co",
    "backslash": r"Left\Right 'quoted'",
    "tokyo": "東京交通株式会社",
    "ab": "AB",
    "blanks": "Wide  Open\tSpaces",
}


@pytest.fixture
def companies() -> list[Company]:
    return [CompanyFactory(slug=slug, name=name) for slug, name in NAMES.items()]


def found(*words: str) -> set[str]:
    return set(named(Company.objects.all(), *words).values_list("slug", flat=True))


@pytest.mark.parametrize(
    ("words", "slugs"),
    [
        ([], set(NAMES)),
        ([""], set(NAMES)),
        (["globex"], {"globex"}),
        (["OBE"], {"globex"}),
        (["ult-ten"], {"default-tenant"}),
        (["t-t"], {"default-tenant"}),
        (["tenant", "default"], {"default-tenant"}),
        (["default tenant"], {"default-tenant"}),
        (["tenant default"], set()),
        (["freight", "haul"], {"acme-2"}),
        (["freight", "globex"], set()),
        (["FREIGHT", "2"], {"acme-2"}),
        (["&"], {"acme-2"}),
        (["émile"], {"emile"}),
        (["ÉMILE"], {"emile"}),
        (["É"], {"emile"}),
        (["söh"], {"emile"}),
        (["SÖHNE"], {"emile"}),
        (["%"], {"percent"}),
        (["00%"], {"percent"}),
        (["1%0"], set()),
        (["cab_co"], {"percent"}),
        (["c_b"], set()),
        (["glob%"], set()),
        (["\\"], {"backslash"}),
        (["left\\right"], {"backslash"}),
        (["'quoted'"], {"backslash"}),
        (["'; drop table tenants_company; --"], set()),
        (["交通株"], {"tokyo"}),
        (["京交"], {"tokyo"}),
        (["ab"], {"ab", "percent"}),
        (["a", "b"], {"ab", "percent", "backslash", "blanks"}),
        (["---"], set()),
        (["-"], {"default-tenant", "acme-2"}),
        (["  "], {"blanks"}),
        (["open\tspaces"], {"blanks"}),
        (["x" * 10_000], set()),
        (["globex"] * 50, {"globex"}),
    ],
)
def test_what_words_find(companies, words, slugs):
    assert found(*words) == slugs


def test_any_part_of_a_name_finds_it(companies):
    missed = [
        (slug, name[start:end])
        for slug, name in NAMES.items()
        for start in range(len(name))
        for end in (start + 1, start + 3, start + 5)
        if slug not in found(name[start:end].swapcase())
    ]
    assert missed == []


def test_a_condition_finds_the_same(companies):
    for word in ("obex", "ÉMILE", "%", "a"):
        assert set(Company.objects.filter(holds(word)).values_list("slug", flat=True)) == found(word)
        others = set(Company.objects.exclude(holds(word)).values_list("slug", flat=True))
        assert others == set(NAMES) - found(word)


@pytest.mark.parametrize("begun", ["", "g", "gl", "ba", "b", "acme-", "z", "~", "\x7f", "é", "%", "_"])
def test_slugs_that_begin_with_a_text(companies, begun):
    slugs = set(Company.objects.filter(begins(begun)).values_list("slug", flat=True))
    assert slugs == {slug for slug in NAMES if slug.startswith(begun)}


def test_a_search_is_a_query_like_others(companies):
    search = named(Company.objects.select_related("channel"), "e")
    assert search.count() == len(search) == len(search.values_list("pk"))
    search = named(Company.objects.filter(is_active=True), "ten")
    assert [company.slug for company in search.order_by("-slug")] == ["default-tenant"]
    assert [company.slug for company in named(search, "default")] == ["default-tenant"]
    assert search.filter(name__lt="D").count() == 0


# Kept by triggers


def sql(statement: str, *params: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def kept() -> dict[str, set[str]]:
    """What the triggers have kept, by slug."""
    rows: dict[str, set[str]] = {}
    for row in NameTrigram.objects.select_related("company"):
        assert (row.name, row.text) == (row.company.name, f"{row.company.name.lower()}\n{row.company.slug}")
        rows.setdefault(row.company.slug, set()).add(row.trigram)
    return rows


def truth() -> dict[str, set[str]]:
    """What they should have kept."""
    rows = {}
    for company in Company.objects.all():
        text = f"{company.name.lower()}\n{company.slug}"
        letters = {text[place : place + 3] for place in range(len(text) - 2)}
        rows[company.slug] = {three for three in letters if not set(three) & set(" -\n")}
    return {slug: letters for slug, letters in rows.items() if letters}


def save_under_another_name(company: Company) -> None:
    company.name, company.slug = "New Name", "new-slug"
    company.save()


RENAMING = {
    "a save": save_under_another_name,
    "an update": lambda company: Company.objects.filter(pk=company.pk).update(name="Better Name"),
    "another slug": lambda company: Company.objects.filter(pk=company.pk).update(slug="better-slug"),
    "an update of all": lambda company: Company.objects.update(name="One For All"),
    "an upsert": lambda company: Company.objects.bulk_create(
        [Company(slug=company.slug, name="Upserted")],
        update_conflicts=True,
        unique_fields=["slug"],
        update_fields=["name"],
    ),
    "several": lambda company: Company.objects.bulk_create(
        [Company(slug=f"many-{n}", name=f"Many {n}") for n in range(3)]
    ),
    "a deletion": lambda company: Company.objects.filter(slug="ab").delete(),
    "SQL": lambda company: sql("update tenants_company set name = upper(name) || ' GmbH'"),
    "a move": lambda company: Company.objects.update(channel="internal", is_active=False),
}


@pytest.mark.postgres
@pytest.mark.parametrize("how", RENAMING)
def test_whoever_changes_a_name_changes_what_finds_it(companies, how):
    RENAMING[how](companies[0])
    assert kept() == truth()


@pytest.mark.postgres
def test_what_is_rolled_back_is_found_as_before(companies):
    before = kept()
    with transaction.atomic():
        Company.objects.update(name="One For All")
        assert kept() != before
        transaction.set_rollback(True)
    assert kept() == before


@pytest.mark.postgres
def test_a_change_of_anything_else_writes_nothing(companies):
    def places() -> list[tuple]:
        with connection.cursor() as cursor:
            cursor.execute("select ctid::text, xmin::text from tenants_nametrigram order by 1")
            return cursor.fetchall()

    before = places()
    Company.objects.update(channel="pilot")
    for company in companies:
        company.save()
    assert places() == before


@pytest.mark.postgres
def test_names_from_before_the_triggers_are_filled_in(companies, monkeypatch):
    monkeypatch.setattr(trigrams, "PIECE", 4)
    with rls.acting_as_nobody():
        trigrams.uninstall(connection)
        assert trigrams.missing(connection) == [f"tenants_company.{name}" for name in sorted(trigrams.TRIGGERS)]
    Company.objects.filter(slug="globex").update(name="Initech")
    CompanyFactory(slug="unseen")
    assert found("initech") == found("unseen") == set()
    with rls.acting_as_nobody():
        trigrams.after_migrate("default")
        assert trigrams.missing(connection) == []
    assert kept() == truth()
    assert found("initech") == {"globex"}


@pytest.mark.postgres
def test_filling_in_goes_on_where_it_was_interrupted(companies):
    Company.objects.filter(slug="ab").delete()  # Too short to be kept.
    before = kept()
    some = [company.pk for company in companies[:3]]
    NameTrigram.objects.filter(company__in=some).delete()
    with rls.acting_as_nobody():
        assert trigrams.fill(connection) == 3
    assert kept() == before


# Behind their walls


@pytest.mark.postgres
@pytest.mark.parametrize("role", ["member", "coordinator", "admin"])
def test_company_people_find_their_own_company_and_no_trace_of_others(acme, globex, bob, role):
    with rls.acting_as_company(acme.pk, bob.pk, role):
        assert found("acme") == found() == {"acme"}
        assert found("globex") == found("obe") == found("o") == set()
        assert set(NameTrigram.objects.values_list("company_id", flat=True)) == {acme.pk}
    with rls.acting_as_nobody():
        assert found("acme") == set()
        assert not NameTrigram.objects.exists()


def nodes(plan: dict) -> list[dict]:
    return [plan, *(node for inner in plan.get("Plans", []) for node in nodes(inner))]


@pytest.mark.postgres
@pytest.mark.parametrize("words", [["linden"], ["linden", "cabs"], ["zzz"]])
def test_a_search_among_many_reads_a_few_entries_and_not_every_name(alice, words):
    Company.objects.bulk_create(Company(slug=f"company-{n}", name=f"Linden Cabs {n}") for n in range(1000))
    Company.objects.bulk_create(Company(slug=f"other-{n}", name=f"Kite Transit {n}") for n in range(1000))
    with rls.acting_as_nobody(), connection.cursor() as cursor:
        cursor.execute("analyze tenants_nametrigram")
        cursor.execute("analyze tenants_company")
    search = named(Company.objects.all(), *words).order_by("name", "id")[:51]
    with rls.acting_as_super_admin(alice.pk):
        plan = json.loads(search.explain(format="json"))[0]["Plan"]
    used = nodes(plan)
    assert "companies_by_trigram" in {node.get("Index Name") for node in used}
    assert "Seq Scan" not in {node["Node Type"] for node in used}, plan
