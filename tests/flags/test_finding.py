"""What a query finds among flags and companies, and that every word of the language finds what it says."""

from datetime import timedelta

import pytest
from django.utils import timezone

from flags import changes, finding, overview, staleness
from flags.models import Flag
from flags.querytext import COMPANIES, FLAGS
from flags.releasemodels import DailyUsage, Release
from tenants.models import Company
from tests.factories import OverrideFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def stage(alice, acme, globex):
    """Four flags of our own, each with something to be found by; all others are out of the way."""
    Flag.objects.exclude(key="api_access").update(archived_at=timezone.now())
    for key in ("red", "green", "blue"):
        changes.create_flag(key, actor=alice, category="colours", owner="Paint shop")
    changes.edit_flag("red", actor=alice, owner="Alice", needs_grant=True, is_killswitch=True)
    changes.set_default("red", True, actor=alice)
    changes.kill("blue", actor=alice, reason="wet")
    changes.edit_flag("green", actor=alice, minimum_plan="pro", requires=["red"], is_internal=True)
    changes.set_channel("green", "pilot", True, percentage=10, actor=alice)
    changes.set_override(globex, "green", True, actor=alice, expires_at=timezone.now() + timedelta(days=3))
    changes.set_override(acme, "api_access", True, actor=alice)
    DailyUsage.objects.create(flag_id="red", day=timezone.now().date(), last_at=timezone.now())


def keys(text, viewer):
    found = finding.find_flags(text, viewer)
    assert found.problems == ()
    return set(found.rows.values_list("key", flat=True))


ALL = {"red", "green", "blue", "api_access"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ALL),
        ("colours", set()),  # a category is no text
        ("RED", {"red"}),
        ("is:on", {"red"}),
        ("is:off", {"green", "blue", "api_access"}),
        ("is:killed", {"blue"}),
        ("-is:killed", {"red", "green", "api_access"}),
        ("is:killed,on", {"red", "blue"}),
        ("is:killed is:on", set()),
        ("is:overridden", {"green", "api_access"}),
        ("is:expiring", {"green"}),
        ("is:internal", {"green"}),
        ("is:kill-switch", {"red"}),
        ("is:self-service", set()),
        ("is:never-evaluated", {"green", "blue", "api_access"}),
        ("never-evaluated -is:killed", {"green", "api_access"}),
        ("category:Colours", {"red", "green", "blue"}),
        ("owner:paint", {"green", "blue"}),
        ("owner:me", {"red"}),
        ("owner:none", {"api_access"}),
        ("on:pilot", {"red", "green"}),
        ("on:general", {"red"}),
        ("off:pilot", {"blue", "api_access"}),
        ("overridden:globex", {"green"}),
        ("overridden:GLO", {"green"}),
        ("overridden:Globex,acme", {"green", "api_access"}),
        ("-overridden:globex", {"red", "blue", "api_access"}),
        ("needs:grant", {"red"}),
        ("plan:pro", {"green"}),
        ("requires:red", {"green"}),
        ('is:archived "trip management"', {"trip_management"}),
        ("%", set()),
    ],
)
def test_flags(stage, alice, text, found):
    assert keys(text, alice) == found


def test_every_word_is_either_on_or_off_for_a_channel(stage, alice):
    for channel in ("internal", "pilot", "general"):
        assert keys(f"on:{channel}", alice) | keys(f"off:{channel}", alice) == ALL
        assert keys(f"-on:{channel}", alice) == keys(f"off:{channel}", alice)


def test_releasing(stage, alice):
    now = timezone.now()
    Release.objects.create(flag_id="red", channel_id="pilot", entered_at=now, started_at=now)
    assert keys("is:releasing", alice) == {"red"}


def test_others_than_super_admins_find_nothing_internal(stage, bob):
    assert "green" not in keys("", bob)


@pytest.mark.parametrize("value", FLAGS.qualifiers["is"].values)
def test_every_state_of_flags_is_translated(value, alice):
    finding.find_flags(f"is:{value} -is:{value}", alice).rows.count()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {"acme", "globex"}),
        ("GLO", {"globex"}),
        ("bex glo channel:pilot", {"globex"}),
        ('"bex glo"', set()),
        ("-lobex", {"acme"}),
        ("e -glo -%", {"acme"}),
        ("channel:pilot", {"globex"}),
        ("-channel:pilot", {"acme"}),
        ("plan:pro,starter", {"acme", "globex"}),
        ("is:inactive", {"acme"}),
        ("is:active", {"globex"}),
        ("is:overridden", {"acme", "globex"}),
        ("is:expiring", {"globex"}),
        ("overridden:api_access", {"acme"}),
    ],
)
def test_companies(stage, alice, text, found):
    Company.objects.filter(slug="acme").update(is_active=False)
    search = finding.find_companies(text, alice)
    assert search.problems == ()
    assert set(search.rows.values_list("slug", flat=True)) == found
    assert set(COMPANIES.qualifiers["is"].values) == {"active", "inactive", "overridden", "expiring"}


@pytest.mark.parametrize(
    ("text", "words", "better"),
    [
        ("category:biling", "The categories are", "category:billing"),
        ("on:pilto", "The channels are internal, pilot and general.", "on:pilot"),
        ("overridden:globx", "Write the slug of a company.", "overridden:globex"),
        ("requires:api_acess", "Write the key of a flag.", "requires:api_access"),
        ("plan:por", "The plans are", "plan:pro"),
        ("trip -plan:gold", "“gold” in “-plan:gold” is not known.", ""),
    ],
)
def test_what_the_data_do_not_know_is_told_and_left_out(alice, globex, text, words, better):
    found = finding.find_flags(text, alice)
    (problem,) = found.problems
    assert words in problem.message
    assert problem.better == better
    assert found.rows.exists()


# Stale


@pytest.fixture
def old(alice):
    """A flag old enough to be stale, asked for today."""
    changes.create_flag("old", actor=alice)
    DailyUsage.objects.create(flag_id="old", day=timezone.now().date(), last_at=timezone.now())
    Flag.objects.filter(key="old").update(created_at=timezone.now() - timedelta(days=31))
    return Flag.objects.get(key="old")


def stale(alice):
    """Return why the flag is stale, by both ways in which that can be asked."""
    reasons = staleness.reasons(staleness.with_facts(Flag.objects.filter(key="old")))
    assert keys("stale", alice) == set(reasons)
    assert overview.flag_rows(overview.cut(Flag.objects.filter(key="old"), 0, 1))[0].stale == reasons.get("old", "")
    return reasons.get("old", "")


def test_off_for_everybody(old, alice, acme):
    assert stale(alice) == "off for everybody"
    override = OverrideFactory(company=acme, flag=old, enabled=True)
    assert stale(alice) == ""
    override.expires_at = timezone.now() - timedelta(hours=1)
    override.save()
    assert stale(alice) == "off for everybody"


def test_on_for_everybody(old, alice, acme):
    changes.set_default("old", True, actor=alice)
    assert stale(alice) == "on for everybody"
    changes.set_channel("old", "pilot", True, percentage=99, actor=alice)
    assert stale(alice) == ""
    changes.set_channel("old", "pilot", True, actor=alice)
    assert stale(alice) == "on for everybody"
    OverrideFactory(company=acme, flag=old, enabled=False, paused=True)
    assert stale(alice) == "on for everybody"


def test_not_asked_for_long_or_never(old, alice):
    changes.set_channel("old", "pilot", True, actor=alice)
    assert stale(alice) == ""
    DailyUsage.objects.update(last_at=timezone.now() - timedelta(days=45))
    assert stale(alice) == "not evaluated for 45 days"
    DailyUsage.objects.all().delete()
    assert stale(alice) == "never evaluated"


@pytest.mark.parametrize("fields", [{"needs_grant": True}, {"is_self_service": True}, {"minimum_plan": "pro"}])
def test_what_differs_by_design_is_not_done_with(old, alice, fields):
    changes.edit_flag("old", actor=alice, **fields)
    assert stale(alice) == ""


def test_young_killed_and_travelling_flags_are_not_stale(old, alice):
    now = timezone.now()
    release = Release.objects.create(flag=old, channel_id="pilot", entered_at=now, started_at=now)
    assert stale(alice) == ""
    release.delete()
    changes.kill("old", actor=alice, reason="leak")
    assert stale(alice) == ""
    changes.revive("old", actor=alice, reason="mended")
    assert stale(alice) == "off for everybody"
    Flag.objects.filter(key="old").update(created_at=now - timedelta(days=29))
    assert stale(alice) == ""


# What completes a word


@pytest.mark.parametrize(
    ("language", "name", "begun", "offered"),
    [
        (FLAGS, "category", "bil", ["billing"]),
        (FLAGS, "on", "p", ["pilot"]),
        (FLAGS, "plan", "", ["starter", "pro", "enterprise"]),
        (FLAGS, "owner", "", ["me", "none", "Alice", "Paint shop"]),
        (FLAGS, "owner", "pa", ["Paint shop"]),
        (FLAGS, "overridden", "Glob", ["globex"]),
        (FLAGS, "requires", "gre", ["green"]),
        (COMPANIES, "overridden", "api", ["api_access"]),
        (COMPANIES, "channel", "g", ["general"]),
    ],
)
def test_values_come_from_the_data(stage, language, name, begun, offered):
    assert [value for value, _ in finding.values_for(language, name, begun)] == offered
