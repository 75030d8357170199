"""Whatever is shared out between the two databases is tried on one of them."""

from dataclasses import dataclass

import pytest

from tests import sampling
from tests.sampling import MANY, for_the_other_database


@dataclass(frozen=True)
class Case:
    nodeid: str
    marks: tuple[str, ...] = ()
    fixturenames: tuple[str, ...] = ("db",)

    def get_closest_marker(self, name: str) -> str | None:
        return name if name in self.marks else None


def cases(of: str, number: int, **given: tuple[str, ...]) -> list[Case]:
    return [Case(f"{of}[{n}]", **given) for n in range(number)]


@pytest.fixture(autouse=True)
def _shared(monkeypatch):
    monkeypatch.setattr(sampling, "SHARED", True)


def tried(items: list[Case]) -> tuple[set[Case], set[Case]]:
    """Return what is tried on SQLite, and what on PostgreSQL."""
    return tuple(set(items) - for_the_other_database(items, is_sqlite) for is_sqlite in (True, False))


def test_each_case_of_many_is_tried_on_exactly_one():
    items = [*cases("test_one", 40), *cases("test_two", 40)]
    sqlite, postgresql = tried(items)
    assert sqlite | postgresql == set(items)
    assert not sqlite & postgresql
    assert 10 <= len(sqlite) <= 30


def test_runs_that_collect_other_tests_besides_agree():
    one, two = cases("test_one", 40), cases("test_two", 40)
    assert for_the_other_database(two, True) == for_the_other_database([*one, *two], True) & set(two)


@pytest.mark.parametrize(
    "items",
    [
        cases("test_few", MANY - 1),
        cases("test_without_a_database", 40, fixturenames=("tmp_path",)),
        cases("test_of_one_place", 40, marks=("django_db", "postgres")),
    ],
    ids=lambda items: items[0].nodeid,
)
def test_what_is_left_to_nobody(items):
    assert tried(items) == (set(items), set(items))


def test_isolation_is_tried_whole_on_postgresql():
    items = cases("test_apart", 40, marks=("isolation",))
    sqlite, postgresql = tried(items)
    assert postgresql == set(items)
    assert 5 <= len(sqlite) <= 15


def test_who_has_one_database_tries_all_of_them(monkeypatch):
    monkeypatch.setattr(sampling, "SHARED", False)
    items = cases("test_one", 40)
    assert tried(items) == (set(items), set(items))
