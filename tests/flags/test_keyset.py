"""Pages that begin where another ended: nothing twice, nothing left out, either way, whatever comes as a cursor."""

import pytest

from flags.keyset import stretch
from tenants.models import Company
from tests.factories import CompanyFactory

pytestmark = pytest.mark.django_db
FIELDS = ("name", "id")


@pytest.fixture
def companies():
    # Several share a name, so that only the id tells them apart.
    made = [CompanyFactory(name=name) for name in ("Ada", "Bo", "Bo", "Bo", "Cy", "Di", "Di")]
    return sorted(made, key=lambda company: (company.name, company.pk.int))


def walk(direction: str, *, descending: bool = False, size: int = 2) -> list[Company]:
    found, cursor = [], ""
    page = stretch(Company.objects.all(), FIELDS, size, descending=descending)
    if direction == "before":
        while page.next:
            page = stretch(Company.objects.all(), FIELDS, size, after=page.next, descending=descending)
        found = page.rows
        while page.previous:
            page = stretch(Company.objects.all(), FIELDS, size, before=page.previous, descending=descending)
            found = page.rows + found
        return found
    while True:
        found += page.rows
        cursor = page.next
        if not cursor:
            return found
        page = stretch(Company.objects.all(), FIELDS, size, after=cursor, descending=descending)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("direction", ["after", "before"])
def test_walking_meets_every_row_once_in_order(companies, size, descending, direction):
    expected = companies[::-1] if descending else companies
    assert walk(direction, descending=descending, size=size) == expected


def test_both_ends_are_known(companies):
    first = stretch(Company.objects.all(), FIELDS, 4)
    assert (first.previous, bool(first.next)) == ("", True)
    last = stretch(Company.objects.all(), FIELDS, 4, after=first.next)
    assert (bool(last.previous), last.next) == (True, "")
    again = stretch(Company.objects.all(), FIELDS, 4, before=last.previous)
    assert (again.rows, again.previous, bool(again.next)) == (first.rows, "", True)


def test_rows_that_came_or_went_meanwhile_do_no_harm(companies):
    first = stretch(Company.objects.all(), FIELDS, 3)
    first.rows[-1].delete()
    CompanyFactory(name="Aa")
    second = stretch(Company.objects.all(), FIELDS, 3, after=first.next)
    assert second.rows == companies[3:6]


@pytest.mark.parametrize("cursor", ["x", "é", "bm90IGpzb24", "W10", "WyJhIiwgMV0", "WyJhIiwgIm5vdCBhbiBpZCJd", "==="])
def test_a_cursor_nobody_gave_out_begins_at_the_beginning(companies, cursor):
    assert stretch(Company.objects.all(), FIELDS, 2, after=cursor).rows == companies[:2]


def test_an_empty_list_has_no_pages():
    page = stretch(Company.objects.none(), FIELDS, 2)
    assert (page.rows, page.previous, page.next) == ([], "", "")
