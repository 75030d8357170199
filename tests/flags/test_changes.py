"""Every verb: does it, records it, refuses strangers, is silent on no-ops."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flags import changes
from flags.exceptions import ChangeRefused, Conflict, Invalid, Missing, NotAllowed
from flags.features import features_for
from flags.models import Change, Flag, Grant, OptIn, Override
from flags.recording import writing
from tenants import provenance
from tenants.models import ApiToken
from tests.factories import FlagFactory

pytestmark = pytest.mark.django_db


def history() -> list[tuple[str, str, str]]:
    return list(Change.objects.order_by("at", "id").values_list("verb", "flag", "company_slug"))


@pytest.fixture
def token(acme):
    return ApiToken(name="deploy", kind="server", scopes=["flags:write"])


def test_a_default_is_set_and_recorded_with_who_what_and_why(alice):
    flag = changes.set_default("api_access", True, actor=alice, reason="contract 881")
    change = Change.objects.get()
    assert flag.default_enabled
    assert flag.default_source == "operator"
    assert (change.actor, change.verb, change.flag, change.reason) == (
        alice.email,
        "set_default",
        "api_access",
        "contract 881",
    )
    assert change.before == {"default_enabled": False, "default_source": "catalogue"}
    assert change.after == {"default_enabled": True, "default_source": "operator"}


def test_history_names_the_door_and_the_request(alice):
    door = provenance.via.set("api")
    request = provenance.request_id.set("request-1")
    try:
        changes.set_default("api_access", True, actor=alice)
    finally:
        provenance.via.reset(door)
        provenance.request_id.reset(request)
    assert Change.objects.values_list("via", "request_id").get() == ("api", "request-1")


def test_what_changes_nothing_is_silent(alice, acme):
    changes.set_default("api_access", True, actor=alice)
    changes.set_channel("api_access", "pilot", True, actor=alice)
    changes.set_override(acme, "api_access", True, actor=alice, reason="why")
    changes.kill("api_access", actor=alice, reason="why")
    before = history()
    flag = Flag.objects.get(key="api_access")
    changes.set_default("api_access", True, actor=alice)
    changes.set_channel("api_access", "pilot", True, actor=alice)
    changes.set_override(acme, "api_access", True, actor=alice, reason="why")
    changes.kill("api_access", actor=alice, reason="why")
    changes.edit_flag("api_access", actor=alice, name=flag.name)
    assert history() == before
    assert Flag.objects.get(key="api_access").version == flag.version


VERBS = {
    "set_default": lambda actor, acme, dan: changes.set_default("api_access", True, actor=actor),
    "inherit_default": lambda actor, acme, dan: changes.inherit_default("api_access", actor=actor),
    "create_flag": lambda actor, acme, dan: changes.create_flag("new_flag", actor=actor),
    "edit_flag": lambda actor, acme, dan: changes.edit_flag("api_access", actor=actor, name="New"),
    "delete_flag": lambda actor, acme, dan: changes.delete_flag("api_access", actor=actor),
    "set_channel": lambda actor, acme, dan: changes.set_channel("api_access", "pilot", True, actor=actor),
    "remove_channel": lambda actor, acme, dan: changes.remove_channel("api_access", "pilot", actor=actor),
    "kill": lambda actor, acme, dan: changes.kill("api_access", actor=actor, reason="why"),
    "revive": lambda actor, acme, dan: changes.revive("api_access", actor=actor, reason="why"),
    "set_override": lambda actor, acme, dan: changes.set_override(acme, "api_access", True, actor=actor),
    "remove_override": lambda actor, acme, dan: changes.remove_override(acme, "api_access", actor=actor),
    "grant": lambda actor, acme, dan: changes.grant(acme, dan, "api_access", actor=actor),
    "revoke": lambda actor, acme, dan: changes.revoke(acme, dan, "api_access", actor=actor),
}


@pytest.mark.parametrize("verb", VERBS)
def test_nobody_but_a_super_admin_may_change_rules(verb, bob, dan, acme):
    for stranger in (bob, dan):
        with pytest.raises(NotAllowed):
            VERBS[verb](stranger, acme, dan)
    assert not Change.objects.exists()


def test_a_super_admin_who_was_deactivated_may_change_nothing(alice):
    alice.is_active = False
    with pytest.raises(NotAllowed):
        changes.set_default("api_access", True, actor=alice)


def test_a_token_needs_the_scope(token, acme):
    changes.set_default("api_access", True, actor=token)
    token.scopes = ["evaluate"]
    with pytest.raises(NotAllowed) as refusal:
        changes.set_default("api_access", False, actor=token)
    assert refusal.value.code == "SCOPE_MISSING"


def test_a_bound_token_reaches_no_further_than_its_company(token, acme, globex):
    token.company = acme
    changes.set_override(acme, "api_access", True, actor=token)
    for change in (
        lambda: changes.set_override(globex, "api_access", True, actor=token),
        lambda: changes.set_default("api_access", True, actor=token),
    ):
        with pytest.raises(NotAllowed) as refusal:
            change()
        assert refusal.value.code == "TOKEN_COMPANY_MISMATCH"
    assert history() == [("set_override", "api_access", acme.slug)]


def test_going_back_to_inherited_restores_what_the_catalogue_says(alice):
    changes.set_default("driver_management", False, actor=alice)
    flag = changes.inherit_default("driver_management", actor=alice)
    assert (flag.default_enabled, flag.default_source) == (True, "catalogue")


def test_a_flag_that_nothing_describes_has_nothing_to_inherit(alice):
    changes.create_flag("made_by_hand", actor=alice)
    with pytest.raises(ChangeRefused) as refusal:
        changes.inherit_default("made_by_hand", actor=alice)
    assert refusal.value.code == "NOTHING_TO_INHERIT"


def test_a_new_flag_is_off_and_named_after_its_key(alice):
    flag = changes.create_flag("trip_map", actor=alice)
    assert (flag.name, flag.default_enabled, flag.category) == ("Trip map", False, "general")


@pytest.mark.parametrize(
    "key",
    ["Billing", "billing ", "ﬁ", "b\u0456lling", "a", "a" * 64, "__class__", "", "9lives", "with-dash", "new\nline"],
)
def test_a_bad_key_is_refused_and_nothing_is_made(alice, key):
    count = Flag.objects.count()
    with pytest.raises(Invalid) as refusal:
        changes.create_flag(key, actor=alice)
    assert "key" in refusal.value.errors
    assert Flag.objects.count() == count
    assert not Change.objects.exists()


def test_a_taken_key_is_refused(alice):
    with pytest.raises(ChangeRefused, match="already is a flag"):
        changes.create_flag("api_access", actor=alice)


def test_a_deleted_key_can_never_be_made_again(alice, acme, dan):
    changes.create_flag("short_lived", actor=alice)
    changes.grant(acme, dan, "short_lived", actor=alice)
    changes.delete_flag("short_lived", actor=alice)
    with pytest.raises(ChangeRefused) as refusal:
        changes.create_flag("short_lived", actor=alice)
    assert refusal.value.code == "KEY_RETIRED"
    assert not Grant.objects.filter(flag_id="short_lived").exists()


def test_a_required_flag_is_not_deleted_and_its_dependents_are_named(alice):
    changes.edit_flag("billing_self_service", actor=alice, requires=["billing_enabled"])
    with pytest.raises(ChangeRefused, match="billing_self_service"):
        changes.delete_flag("billing_enabled", actor=alice)


def test_a_circle_of_requirements_is_refused_and_its_path_named(alice):
    changes.edit_flag("billing_self_service", actor=alice, requires=["billing_enabled"])
    changes.edit_flag("billing_enforcement", actor=alice, requires=["billing_self_service"])
    with pytest.raises(Invalid, match="billing_enabled → billing_enforcement → billing_self_service → billing_enabled"):
        changes.edit_flag("billing_enabled", actor=alice, requires=["billing_enforcement"])
    assert not Flag.objects.get(key="billing_enabled").requires.exists()


def test_editing_records_only_what_changed(alice):
    changes.edit_flag("api_access", actor=alice, owner="platform", needs_grant=True, minimum_plan="pro")
    change = Change.objects.get()
    assert change.before == {"owner": "", "needs_grant": False, "minimum_plan": None}
    assert change.after == {"owner": "platform", "needs_grant": True, "minimum_plan": "pro"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 121),
        ("name", "nul\x00"),
        ("category", " "),
        ("metadata", []),
        ("metadata", {"a": "x" * 20_001}),
        ("minimum_plan", "gold"),
        ("requires", ["no_such_flag"]),
        ("is_internal", "yes"),
        ("version_of", "other"),
        ("default_enabled", True),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_written(alice, field, value):
    with pytest.raises(Invalid) as refusal:
        changes.edit_flag("api_access", actor=alice, **{"owner": "somebody", field: value})
    assert field in refusal.value.errors
    assert Flag.objects.get(key="api_access").owner == ""
    assert not Change.objects.exists()


def test_who_was_slower_is_told_both_values_and_nothing_is_lost(alice):
    seen = Flag.objects.get(key="api_access").version
    changes.edit_flag("api_access", actor=alice, owner="first", version=seen)
    with pytest.raises(Conflict) as refusal:
        changes.edit_flag("api_access", actor=alice, owner="second", version=seen)
    assert refusal.value.extra["current"]["owner"] == "first"
    assert refusal.value.extra["yours"] == {"owner": "second"}
    assert Flag.objects.get(key="api_access").owner == "first"


def test_killing_needs_a_reason_keeps_everything_and_beats_everybody(alice, bob, acme):
    changes.set_override(acme, "api_access", True, actor=alice)
    for nothing in ("", "   "):
        with pytest.raises(Invalid) as refusal:
            changes.kill("api_access", actor=alice, reason=nothing)
        assert refusal.value.code == "REASON_REQUIRED"
    before = features_for(bob, acme).decide("api_access")
    changes.kill("api_access", actor=alice, reason="leaks data")
    assert not features_for(bob, acme)["api_access"]
    assert features_for(alice, None).decide("api_access").reason == "killed"
    assert Override.objects.get().enabled
    changes.revive("api_access", actor=alice, reason="fixed")
    assert features_for(bob, acme).decide("api_access") == before
    assert [verb for verb, _, _ in history()] == ["set_override", "kill", "revive"]


def test_a_kill_switch_that_rests_on_off_cannot_be_revived(alice):
    changes.edit_flag("api_access", actor=alice, is_killswitch=True)
    with pytest.raises(ChangeRefused, match="Turn the default on"):
        changes.revive("api_access", actor=alice, reason="please")


@pytest.mark.parametrize("percentage", [-1, 101, 12.5, "50", True])
def test_a_percentage_is_a_whole_number_up_to_a_hundred(alice, percentage):
    with pytest.raises(Invalid):
        changes.set_channel("api_access", "pilot", True, percentage=percentage, actor=alice)


def test_an_unknown_flag_or_channel_is_missing(alice, acme):
    with pytest.raises(Missing, match="no_such_flag"):
        changes.set_default("no_such_flag", True, actor=alice)
    with pytest.raises(Missing, match="beta"):
        changes.set_channel("api_access", "beta", True, actor=alice)


def test_an_override_has_a_reason_an_author_and_an_end(alice, bob, acme):
    until = timezone.now() + timedelta(days=30)
    override = changes.set_override(acme, "api_access", True, actor=alice, reason="contract 881", expires_at=until)
    assert (override.created_by, override.reason, override.expires_at) == (alice, "contract 881", until)
    assert features_for(bob, acme)["api_access"]


@pytest.mark.parametrize("moment", [datetime(2020, 1, 1, tzinfo=UTC), datetime(2999, 1, 1)])  # noqa: DTZ001
def test_an_end_lies_ahead_and_names_its_zone(alice, acme, moment):
    with pytest.raises(Invalid) as refusal:
        changes.set_override(acme, "api_access", True, actor=alice, expires_at=moment)
    assert "expires_at" in refusal.value.errors
    assert not Override.objects.exists()


def test_two_who_override_from_the_same_state_do_not_overwrite_each_other(alice, acme):
    changes.set_override(acme, "api_access", True, actor=alice, version=0, reason="first")
    with pytest.raises(Conflict) as refusal:
        changes.set_override(acme, "api_access", False, actor=alice, version=0, reason="second")
    assert refusal.value.extra["current"]["reason"] == "first"
    assert refusal.value.extra["yours"]["reason"] == "second"


def test_removing_an_override_says_whether_there_was_one(alice, acme):
    changes.set_override(acme, "api_access", True, actor=alice)
    assert changes.remove_override(acme, "api_access", actor=alice)
    assert not changes.remove_override(acme, "api_access", actor=alice)
    assert [verb for verb, _, _ in history()] == ["set_override", "remove_override"]


def test_a_batch_is_one_batch_in_history(alice, acme, globex):
    changes.set_override(acme, "api_access", True, actor=alice, reason="pilot")
    wishes = [changes.Wish(company, "api_access", True, "pilot") for company in (acme, globex)]
    outcome = changes.set_overrides(wishes, actor=alice)
    assert (outcome.changed, outcome.unchanged) == (1, 1)
    assert Change.objects.get(company_slug=globex.slug).batch == outcome.batch


def test_a_batch_with_a_bad_row_changes_nothing_and_names_the_row(alice, acme, globex):
    wishes = [changes.Wish(acme, "api_access", True), changes.Wish(globex, "no_such_flag", True)]
    with pytest.raises(Missing, match="Row 1") as refusal:
        changes.set_overrides(wishes, actor=alice)
    assert refusal.value.extra["index"] == 1
    assert not Override.objects.exists()
    assert not Change.objects.exists()


def test_a_company_chooses_a_self_service_flag_by_its_admin(bob, dan, carol, acme):
    changes.set_opt_in(acme, "accounting_enabled", True, actor=bob)
    assert features_for(bob, acme).decide("accounting_enabled").reason == "opt_in"
    for stranger in (dan, carol):
        with pytest.raises(NotAllowed):
            changes.set_opt_in(acme, "accounting_enabled", False, actor=stranger)
    assert OptIn.objects.get().enabled


def test_a_flag_that_is_not_self_service_is_not_a_companys_to_choose(bob, acme):
    with pytest.raises(NotAllowed) as refusal:
        changes.set_opt_in(acme, "billing_enabled", True, actor=bob)
    assert refusal.value.code == "NOT_SELF_SERVICE"


def test_a_grant_is_for_somebody_of_the_company(alice, dan, carol, acme):
    changes.edit_flag("driver_management", actor=alice, needs_grant=True)
    assert not features_for(dan, acme)["driver_management"]
    changes.grant(acme, dan, "driver_management", actor=alice, reason="trained")
    assert features_for(dan, acme)["driver_management"]
    with pytest.raises(Invalid, match="does not belong"):
        changes.grant(acme, carol, "driver_management", actor=alice)
    assert changes.revoke(acme, dan, "driver_management", actor=alice)
    assert features_for(dan, acme).decide("driver_management").reason == "grant_missing"


def test_every_change_needs_a_reason_where_the_house_says_so(alice, acme, settings):
    settings.FLAGS_REQUIRE_REASON = True
    with pytest.raises(Invalid) as refusal:
        changes.set_override(acme, "api_access", True, actor=alice)
    assert refusal.value.code == "REASON_REQUIRED"
    changes.set_override(acme, "api_access", True, actor=alice, reason="because")


def test_the_system_is_named_headgate(acme):
    changes.set_override(acme, "api_access", True, actor=None)
    assert Change.objects.values_list("actor", "actor_id").get() == ("Headgate", None)


def test_an_override_is_locked_without_its_company(alice, acme):
    changes.set_override(acme, "api_access", True, actor=alice)
    for change in (
        lambda: changes.set_override(acme, "api_access", False, actor=alice),
        lambda: changes.remove_override(acme, "api_access", actor=alice),
    ):
        with CaptureQueriesContext(connection) as asked:
            change()
        assert not [query["sql"] for query in asked if "tenants_company" in query["sql"]]


@pytest.mark.postgres
def test_a_change_takes_its_role_and_the_writers_lock_in_one_round_trip():
    with CaptureQueriesContext(connection) as asked, writing("test how a change begins"):
        pass
    begins, binds, ends, _ = [query["sql"] for query in asked]
    assert (begins.split()[0], ends.split()[0]) == ("SAVEPOINT", "RELEASE")
    assert "'headgate_console'" in binds
    assert "pg_advisory_xact_lock" in binds


def failing_write(key: str, problem: Exception | None) -> None:
    with writing("test an inner write"):
        Flag.objects.filter(pk=key).update(description="inner")
        if problem is not None:
            raise problem
        with connection.cursor() as cursor:
            cursor.execute("select x from nowhere")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("problem", [Missing("no such thing"), None])
def test_a_write_that_fails_inside_another_takes_back_its_own_alone(problem):
    key = FlagFactory(description="as it was").pk
    with writing("test an outer write"):
        Flag.objects.filter(pk=key).update(name="Outer")
        with pytest.raises((Missing, DatabaseError)):
            failing_write(key, problem)
        Flag.objects.filter(pk=key).update(owner="outer")
    flag = Flag.objects.get(pk=key)
    assert (flag.name, flag.description, flag.owner) == ("Outer", "as it was", "outer")
