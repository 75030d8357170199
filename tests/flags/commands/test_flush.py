"""`manage.py flush` empties a database whose history is append-only, and leaves it guarded."""

from io import StringIO

import pytest
from django.core.management import call_command, get_commands, load_command_class
from django.core.management.base import CommandError
from django.db import Error, connection

from flags import triggers
from flags.catalogue import FEATURES
from flags.management.commands import flush
from flags.models import Change, Flag, RetiredKey
from tenants import rls
from tests.factories import ChangeFactory, CompanyFactory, FlagFactory

# Emptying a database cannot be undone by a rollback.
pytestmark = pytest.mark.django_db(transaction=True)


def run(**options) -> str:
    out = StringIO()
    with rls.acting_as_nobody():  # It takes the owner of the tables.
        call_command("flush", **{"interactive": False, "verbosity": 0, "allow_cascade": True, "stdout": out, **options})
    return out.getvalue()


def guarded() -> bool:
    return triggers.missing(connection) == []


def test_history_and_deleted_keys_are_gone_and_the_catalogue_is_back():
    ChangeFactory()
    CompanyFactory()
    FlagFactory(key="homemade").delete()
    assert RetiredKey.objects.filter(key="homemade").exists()
    run()
    assert not Change.objects.exists()
    assert not RetiredKey.objects.exists()
    assert set(Flag.objects.values_list("key", flat=True)) == {feature.key for feature in FEATURES}
    assert guarded()


def test_history_is_guarded_afterwards_also_without_the_signal_that_guards_it():
    ChangeFactory()
    run(inhibit_post_migrate=True)
    assert guarded()
    assert not Flag.objects.exists()
    ChangeFactory()
    with pytest.raises(Error, match=r"History is append-only|permission denied"):
        Change.objects.update(reason="another")


def test_history_is_guarded_afterwards_also_when_flushing_failed(monkeypatch):
    ChangeFactory()

    def fails(sql_list):
        raise Error("no room")

    monkeypatch.setattr(connection.ops, "execute_sql_flush", fails)
    with pytest.raises(CommandError):
        run()
    assert guarded()
    assert Change.objects.exists()


@pytest.mark.parametrize(
    ("answer", "erased"), [("yes", True), (" yes ", True), ("no", False), ("y", False), ("", False)]
)
def test_it_asks_first_while_history_is_still_guarded(monkeypatch, answer, erased):
    ChangeFactory()
    questions = []

    def asked(question: str) -> str:
        questions.append(question)
        assert guarded()
        return answer

    monkeypatch.setattr("builtins.input", asked)
    said = run(interactive=True)
    assert Change.objects.exists() is not erased
    assert ("Nothing was erased." in said) is not erased
    assert len(questions) == 1
    assert "history" in questions[0]
    assert guarded()


def test_it_is_the_command_that_django_finds():
    assert isinstance(load_command_class(get_commands()["flush"], "flush"), flush.Command)
