"""`flag`: what it prints, what it changes and in whose name, and how it refuses."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from flags.api.flags import FlagOutput
from flags.api.overrides import OverrideOutput
from flags.api.tenants import FeatureOutput
from flags.features import features_for
from flags.models import Change, Flag, Override
from tests.factories import ChannelDefaultFactory, FlagFactory, GrantFactory, OverrideFactory, RequirementFactory

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.django_db


@pytest.fixture
def no_flags(db):
    """The catalogue's flags out of the way."""
    Flag.objects.all().delete()


@pytest.fixture
def chat():
    return FlagFactory(key="night_chat", name="Night Chat", category="operations")


# Reading


def test_list_shows_what_decides_about_each_flag(run, no_flags, acme, globex, chat):
    ChannelDefaultFactory(flag=chat, channel="pilot", percentage=25)
    OverrideFactory(flag=chat, company=acme)
    OverrideFactory(flag=chat, company=globex, enabled=False)
    FlagFactory(key="secret_tool", is_internal=True, default_enabled=True, minimum_plan="pro")
    headings, first, second = (re.split(r"  +", line) for line in run("flag", "list").out.splitlines())
    assert headings == ["KEY", "NAME", "CATEGORY", "DEFAULT", "INTERNAL", "PILOT", "GENERAL", "OVERRIDES", "NOTES"]
    assert first == ["night_chat", "Night Chat", "operations", "off", "-", "25 %", "-", "1 on, 1 off", "-"]
    assert second == ["secret_tool", "Secret tool", "general", "on", "-", "-", "-", "-", "internal, from pro"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--q", "NIGHT"], ["night_chat"]),
        (["--category", "billing"], ["invoices"]),
        (["--state", "killed"], ["invoices"]),
        (["--q", "nothing"], []),
    ],
)
def test_list_narrows_what_it_lists(run, no_flags, chat, arguments, expected):
    FlagFactory(key="invoices", category="billing", is_killswitch=True)
    assert [flag["key"] for flag in run("flag", "list", "--json", *arguments).json] == expected


def test_an_empty_list_says_so(run, no_flags):
    assert run("flag", "list").out == "No flag matches.\n"


def test_listing_costs_the_same_for_few_flags_and_for_many(run, django_assert_max_num_queries):
    FlagFactory.create_batch(50)
    with django_assert_max_num_queries(5 + 4):  # The four are what binding and savepoints cost on PostgreSQL.
        run("flag", "list")


def test_show_tells_everything_about_one_flag(run, acme, chat):
    RequirementFactory(flag=chat, requires=FlagFactory(key="driver_app"))
    OverrideFactory(flag=chat, company=acme, reason="contract 881")
    out = run("flag", "show", "night_chat").out
    assert "requires          driver_app\n" in out
    assert "default           off (operator)\n" in out
    assert out.splitlines()[-1].split() == ["acme", "on", "-", "contract", "881"]


def test_json_speaks_of_a_flag_in_the_shape_of_the_api(run, acme, chat):
    OverrideFactory(flag=chat, company=acme)
    ChannelDefaultFactory(flag=chat, channel="pilot", percentage=25)
    shown = run("flag", "show", "night_chat", "--json").json
    assert shown["overrides"] == {"on": 1, "off": 0}
    assert shown["channels"] == {"pilot": {"enabled": True, "percentage": 25}}
    assert (shown["default_enabled"], shown["default_source"], shown["killed"]) == (False, "operator", False)
    assert set(shown) <= set(FlagOutput().fields)
    assert {"description", "owner", "metadata", "needs_grant", "minimum_plan", "requires", "version"} <= set(shown)


def test_json_speaks_of_a_company_s_feature_in_the_shape_of_the_api(run, acme, chat):
    feature = run("flag", "override", "night_chat", "acme", "on", "--reason", "trial", "--json").json["feature"]
    assert set(feature) - {"company"} <= set(FeatureOutput().fields)
    assert set(feature["override"]) <= set(OverrideOutput().fields)
    assert (feature["company"], feature["override"]["reason"], feature["reason"]) == ("acme", "trial", "override")


def test_explain_names_the_rule_that_decides(run, acme, chat):
    OverrideFactory(flag=chat, company=acme)
    out = run("flag", "explain", "night_chat", "--company", "acme").out
    assert out.startswith("night_chat is on for Acme: override.\n")
    assert [line.split() for line in out.splitlines() if line.startswith("6 ")] == [["6", "override", "on", "decided"]]


def test_explain_asks_for_a_person_at_home(run, acme, dan):
    flag = FlagFactory(key="planner", needs_grant=True, default_enabled=True)
    assert run("flag", "explain", "planner", "--user", dan.email, "--json").json["reason"] == "grant_missing"
    GrantFactory(company=acme, user=dan, flag=flag)
    explained = run("flag", "explain", "planner", "--user", dan.email, "--json").json
    assert (explained["enabled"], explained["company"], explained["user"]) == (True, "acme", dan.email)
    assert [step["number"] for step in explained["ladder"]] == list(range(1, 13))


def test_explain_answers_for_nobody_too(run, chat):
    assert run("flag", "explain", "night_chat").out.startswith(
        "night_chat is off for somebody without a company: no_company."
    )


# Changing


def test_a_default_is_turned_on_and_the_next_check_sees_it(run, acme, chat):
    ran = run("flag", "default", "night_chat", "on", "--reason", "spring release")
    assert ran.out == ("night_chat is on by default (operator).\nTurns night_chat on for 1 of 1 companies (Acme).\n")
    assert features_for(None, acme)["night_chat"]
    change = Change.objects.get(flag="night_chat")
    assert (change.verb, change.actor, change.via, change.reason) == (
        "set_default",
        "Headgate",
        "command",
        "spring release",
    )


def test_a_change_that_changes_nothing_says_so_and_leaves_no_history(run, chat):
    ran = run("flag", "default", "night_chat", "off")
    assert ran.out == "Nothing changed. night_chat is off by default (operator).\n"
    assert run("flag", "default", "night_chat", "off", "--json").json["changed"] is False
    assert not Change.objects.exists()


def test_a_default_can_inherit_again(run):
    run("flag", "default", "billing_enabled", "on")
    assert (
        run("flag", "default", "billing_enabled", "inherit").out.splitlines()[0]
        == "billing_enabled is off by default (catalogue)."
    )


def test_an_override_names_its_company_its_end_and_what_comes_of_it(run, acme, chat):
    ran = run("flag", "override", "night_chat", "acme", "on", "--until", "2099-03-03", "--reason", "trial")
    assert ran.out == (
        "The override of night_chat for Acme says on until 2099-03-03 00:00 UTC. It gets on (override).\n"
    )
    override = Override.objects.get(company=acme, flag=chat)
    assert (override.enabled, override.reason, f"{override.expires_at:%Y-%m-%d}") == (True, "trial", "2099-03-03")


def test_an_override_of_a_killed_flag_says_that_it_does_not_help(run, acme, chat):
    run("flag", "kill", "night_chat", "--reason", "leak")
    assert run("flag", "override", "night_chat", str(acme.pk), "on").out.endswith("It gets off (killed).\n")


def test_a_reset_takes_the_override_away(run, acme, chat):
    OverrideFactory(flag=chat, company=acme)
    assert (
        run("flag", "reset", "night_chat", "acme").out == "Acme has no override of night_chat. It gets off (default).\n"
    )
    assert not Override.objects.exists()
    assert run("flag", "reset", "night_chat", "acme", "--json").json["changed"] is False


def test_kill_and_revive_give_back_the_state_before(run, acme, chat):
    OverrideFactory(flag=chat, company=acme)
    killed = run("flag", "kill", "night_chat", "--reason", "leak").out
    assert killed.startswith("night_chat is killed")
    assert killed.endswith("Turns night_chat off for 1 of 1 companies (Acme).\n")
    assert not features_for(None, acme)["night_chat"]
    revived = run("flag", "revive", "night_chat", "--reason", "fixed").out
    assert revived.endswith("Turns night_chat on for 1 of 1 companies (Acme).\n")
    assert features_for(None, acme)["night_chat"]
    assert list(Change.objects.order_by("at").values_list("verb", "reason")) == [("kill", "leak"), ("revive", "fixed")]


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        (["kill", "night_chat"], "Would turn night_chat off for 1 of 2 companies (Acme)."),
        (["revive", "night_chat"], "night_chat: would change nothing for any company; 1 stays on by override."),
        (
            ["default", "night_chat", "on"],
            "Would turn night_chat on for 1 of 2 companies (Globex); 1 stays on by override.",
        ),
        (["archive", "night_chat"], "Would turn night_chat off for 1 of 2 companies (Acme)."),
        (["override", "night_chat", "globex", "on"], "Would turn night_chat on for 1 of 1 companies (Globex)."),
        (["reset", "night_chat", "acme"], "Would turn night_chat off for 1 of 1 companies (Acme)."),
    ],
)
def test_a_dry_run_says_for_whom_and_does_nothing(run, acme, globex, chat, verb, words):
    OverrideFactory(flag=chat, company=acme)
    assert run("flag", *verb, "--dry-run").out == f"{words}\n"
    foretold = run("flag", *verb, "--dry-run", "--json").json
    assert (foretold["dry_run"], bool(foretold["impact"])) == (True, words.startswith("Would"))
    assert features_for(None, acme)["night_chat"]
    assert not features_for(None, globex)["night_chat"]
    assert not Change.objects.exists()


def test_a_super_admin_may_be_named_as_the_actor(run, alice, chat):
    run("flag", "default", "night_chat", "on", "--as", "Alice@Example.com")
    assert Change.objects.get().actor == alice.email


# Refusing


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["show", "nihgt_chat"], "There is no flag 'nihgt_chat'. Did you mean 'night_chat'?"),
        (["show", "zzz"], "There is no flag 'zzz'."),
        (["explain", "night_chat", "--company", "acmee"], "There is no company 'acmee'. Did you mean 'acme'?"),
        (["explain", "night_chat", "--user", "no@one.example"], "Nobody signs in as 'no@one.example'."),
        (["kill", "night_chat"], "A reason is required. Say why."),
        (["override", "night_chat", "acme", "on", "--until", "2001-01-01"], "The expiry lies in the past."),
        (["default", "night_chat", "inherit"], "Neither the environment nor the catalogue knows 'night_chat', "),
    ],
)
def test_a_refusal_is_one_clear_sentence_and_exit_code_1(run, acme, chat, words, sentence):
    ran = run("flag", *words)
    assert ran.code == 1
    assert ran.refusal.startswith(sentence)
    assert "\n" not in ran.refusal
    assert not ran.out
    assert not Change.objects.exists()


def test_nobody_but_a_super_admin_can_be_the_actor(run, bob, chat):
    ran = run("flag", "default", "night_chat", "on", "--as", bob.email)
    assert (ran.code, ran.refusal) == (1, "Only a super admin may do this. Ask one of yours.")
    chat.refresh_from_db()
    assert not chat.default_enabled


def manage(*words: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a command as a process of its own, on a database of its own."""
    known = {name: value for name, value in os.environ.items() if name not in ("PYTEST_VERSION", "DATABASE_URL")}
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=known | {"DJANGO_DEBUG": "true"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "verb"),
        (["expalin", "x"], "invalid choice"),
        (["override", "night_chat", "acme", "maybe"], "say on or off, not 'maybe'"),
        (["override", "night_chat", "acme", "on", "--until", "soon"], "'soon' is no moment"),
    ],
)
def test_a_command_line_without_sense_is_usage(words, complaint):
    with pytest.raises(CommandError, match=complaint):
        call_command("flag", *words)


def test_from_a_shell_exit_codes_tell_done_refused_and_usage_apart_and_kill_needs_no_cache(tmp_path):
    # Nothing listens on port 1: the cache is down.
    somewhere = {"DATABASE_URL": f"sqlite:///{tmp_path}/own.sqlite3", "CACHE_URL": "redis://127.0.0.1:1/0"}
    assert manage("migrate", "--verbosity=0", **somewhere).returncode == 0
    killed = manage("flag", "kill", "billing_enabled", "--reason", "leak", **somewhere)
    assert (killed.returncode, killed.stdout) == (
        0,
        "billing_enabled is killed: off for everybody, with all its settings kept.\n"
        "billing_enabled: changes nothing for any company.\n",
    )
    refused = manage("flag", "kill", "biling_enabled", "--reason", "leak", **somewhere)
    assert refused.returncode == 1
    assert "There is no flag 'biling_enabled'. Did you mean 'billing_enabled'?" in refused.stderr
    assert manage("flag", "kill", **somewhere).returncode == 2


def test_a_database_that_was_never_migrated_is_named(tmp_path):
    ran = manage("flag", "list", DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3")
    assert ran.returncode == 1
    assert "Has `migrate` been run?" in ran.stderr
    assert "Traceback" not in ran.stderr
