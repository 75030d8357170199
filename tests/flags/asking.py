"""Asks for answers and watches what that costs, in this thread and in others."""

import threading
from collections.abc import Callable
from contextlib import contextmanager
from uuid import UUID

from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from flags import snapshots
from flags.loading import Loaded, load
from tenants.models import Company


def ask(company: Company) -> dict[str, bool] | None:
    answers = snapshots.resolve(company.pk, timezone.now())
    return None if answers is None else dict(answers.company)


def forget_process() -> None:
    """As if this process had just begun. What processes share stays."""
    snapshots.clear()


def forget_everything() -> None:
    snapshots.clear()
    cache.clear()


@contextmanager
def counted_loads(monkeypatch, before: Callable[[bool], object] = lambda rules: None):
    """Count what is read from the database, as (company or None, with rules); call `before` each time."""
    loads: list[tuple[UUID | None, bool]] = []

    def counting(company_id, *, rules, **kwargs) -> Loaded:
        loads.append((company_id, rules))
        before(rules)
        return load(company_id, rules=rules, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "load", counting)
        yield loads


def in_thread(work: Callable[[], object]) -> Callable[[], object]:
    """Start `work` on a connection of its own; return a function that waits for what it returns or raises."""
    outcome: list = []

    def run() -> None:
        try:
            outcome.append((work(), None))
        except BaseException as error:
            outcome.append((None, error))
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()

    def result() -> object:
        thread.join(20)
        assert outcome, "the thread did not come back"
        value, error = outcome[0]
        if error is not None:
            raise error
        return value

    return result
