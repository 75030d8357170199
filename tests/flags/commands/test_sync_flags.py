"""`manage.py sync_flags` says what it did, to people and to programs."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError

from flags.catalogue import FEATURES, Feature
from flags.management.commands import sync_flags as command
from flags.models import Change, Flag

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("sync_flags", *arguments, stdout=out)
    return out.getvalue()


def test_it_says_what_it_created_updated_and_left(lists, settings):
    run()
    lists(Feature("night_mode", "Night Mode", ""))
    settings.FLAGS_ENVIRONMENT = {"MULTI_WORKSPACE_ENABLED": "true"}
    said = run()
    assert "Created: night_mode" in said
    assert "Default follows the environment or the catalogue: multi_workspace_enabled" in said
    assert f"Unchanged: {len(FEATURES) - 1}" in said


def test_run_again_it_says_that_nothing_changed():
    run()
    assert run() == f"Unchanged: {Flag.objects.count()}\n"


def test_programs_get_json(lists):
    lists(Feature("night_mode", "Night Mode", ""))
    report = json.loads(run("--json"))
    assert report["created"] == ["night_mode"]
    assert report.keys() == {"created", "updated_default", "unchanged", "retired", "postponed"}


def test_what_it_changes_came_in_by_the_command(settings):
    settings.FLAGS_ENVIRONMENT = {"MULTI_WORKSPACE_ENABLED": "true"}
    run()
    assert Change.objects.get().via == "command"


def test_a_deleted_flag_is_mentioned():
    Flag.objects.get(key="driver_chat").delete()
    assert "Deleted once, and stays deleted: driver_chat" in run()


def test_flags_that_have_to_wait_are_named_and_the_exit_code_is_2(lists):
    lists(Feature("night_mode", "Night Mode", "", minimum_plan="platinum"))
    out = StringIO()
    with pytest.raises(CommandError) as refusal:
        call_command("sync_flags", stdout=out)
    assert refusal.value.returncode == 2
    assert "Waits for the plan platinum: night_mode" in out.getvalue()


def test_a_variable_that_is_neither_true_nor_false_is_refused_and_the_exit_code_is_1(settings):
    settings.FLAGS_ENVIRONMENT = {"MULTI_WORKSPACE_ENABLED": "maybe"}
    with pytest.raises(CommandError, match="MULTI_WORKSPACE_ENABLED is 'maybe'") as refusal:
        run()
    assert refusal.value.returncode == 1


def test_a_database_that_refuses_is_no_traceback(monkeypatch):
    def away(using):
        raise OperationalError("no such table: flags_flag")

    monkeypatch.setattr(command, "sync_flags", away)
    with pytest.raises(CommandError, match=r"no such table: flags_flag\. Has `migrate` been run\?") as refusal:
        run()
    assert refusal.value.returncode == 1
