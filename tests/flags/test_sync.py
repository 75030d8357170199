"""Catalogues come into the database once; after that only what is inherited is kept up to date."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test.utils import CaptureQueriesContext

from flags import snapshots, sync
from flags.catalogue import FEATURES, Feature
from flags.features import evaluation_scope, is_enabled
from flags.models import Change, ChannelDefault, Flag, Requirement, RetiredKey
from flags.sync import environment_default, sync_flags
from tenants import rls
from tests.factories import FlagFactory

pytestmark = pytest.mark.django_db

KEY = "multi_workspace_enabled"


@pytest.fixture
def environment(settings):
    """Return a function that sets what the environment says; everything else in it is gone."""

    def says(**variables: str) -> None:
        settings.FLAGS_ENVIRONMENT = variables

    says()
    return says


def writes(queries: CaptureQueriesContext) -> list[str]:
    return [q["sql"] for q in queries if q["sql"].lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))]


def test_migrating_brings_every_feature_of_the_catalogue_as_it_is_described_there():
    for feature in FEATURES:
        flag = Flag.objects.get(key=feature.key)
        described = (flag.name, flag.description, flag.category, flag.is_internal, flag.is_self_service)
        assert described == (
            feature.name,
            feature.description,
            feature.category,
            feature.is_internal,
            feature.is_self_service,
        )
        assert flag.minimum_plan_id == feature.minimum_plan
        assert flag.default_source in ("catalogue", "environment")
    answers = ChannelDefault.objects.filter(flag="inspector").values_list("channel", "enabled", "percentage")
    assert set(answers) == {("internal", True, 100), ("pilot", False, 100), ("general", False, 100)}


def test_creating_from_the_catalogue_leaves_no_history(lists):
    lists(Feature("night_mode", "Night Mode", "Dark pages"))
    assert sync_flags().created == ["night_mode"]
    assert not Change.objects.exists()


def test_running_again_writes_nothing_and_asks_little():
    sync_flags()
    with CaptureQueriesContext(connection) as queries:
        report = sync_flags()
    assert not writes(queries)
    reads = [q for q in queries if '"flags_' in q["sql"] or '"tenants_' in q["sql"]]
    assert len(reads) == 1
    assert sorted(report.unchanged) == sorted(Flag.objects.values_list("key", flat=True))
    assert (report.created, report.updated_default, report.retired, report.postponed) == ([], [], [], {})


def test_thirty_new_features_take_as_many_queries_as_one(lists):
    def queries_for(*features):
        lists(*features)
        with CaptureQueriesContext(connection) as queries:
            sync_flags()
        return len(queries)

    one = queries_for(Feature("single", "Single", "", channels=(("pilot", True),), requires=("api_access",)))
    many = [
        Feature(f"many_{n}", f"Many {n}", "", channels=(("pilot", True),), requires=("api_access",)) for n in range(30)
    ]
    assert queries_for(*many) == one


def test_a_new_feature_comes_with_its_channels_requirements_and_plan(lists):
    lists(
        Feature(
            "night_mode",
            "Night Mode",
            "Dark pages",
            "core",
            True,
            is_internal=True,
            is_killswitch=True,
            needs_grant=True,
            minimum_plan="pro",
            requires=("api_access",),
            channels=(("internal", True), ("general", False)),
        )
    )
    sync_flags()
    flag = Flag.objects.get(key="night_mode")
    assert (flag.default_enabled, flag.is_killswitch, flag.needs_grant, flag.minimum_plan_id) == (
        True,
        True,
        True,
        "pro",
    )
    assert list(Requirement.objects.filter(flag=flag).values_list("requires", flat=True)) == ["api_access"]
    assert set(flag.channel_defaults.values_list("channel", "enabled")) == {("internal", True), ("general", False)}


def test_what_an_operator_changed_is_not_undone(lists):
    Flag.objects.filter(key="api_access").update(name="Our API", category="ours", owner="Ana", is_internal=True)
    sync_flags()
    flag = Flag.objects.get(key="api_access")
    assert (flag.name, flag.category, flag.owner, flag.is_internal) == ("Our API", "ours", "Ana", True)


@pytest.mark.parametrize("on", ["true", "1", "yes", "on", "TRUE", " On "])
def test_the_environment_turns_a_default_on(environment, on):
    environment(MULTI_WORKSPACE_ENABLED=on)
    assert sync_flags().updated_default == [KEY]
    flag = Flag.objects.get(key=KEY)
    assert (flag.default_enabled, flag.default_source) == (True, "environment")


@pytest.mark.parametrize("off", ["false", "0", "no", "off", "False"])
def test_the_environment_turns_a_default_off(environment, off):
    environment(DRIVER_MANAGEMENT=off)
    assert sync_flags().updated_default == ["driver_management"]
    flag = Flag.objects.get(key="driver_management")
    assert (flag.default_enabled, flag.default_source) == (False, "environment")


def test_without_the_variable_the_catalogue_speaks_again(environment):
    environment(MULTI_WORKSPACE_ENABLED="true")
    sync_flags()
    environment()
    assert sync_flags().updated_default == [KEY]
    flag = Flag.objects.get(key=KEY)
    assert (flag.default_enabled, flag.default_source) == (False, "catalogue")


def test_whoever_read_the_flag_before_its_default_changed_has_read_an_old_version(environment):
    before = Flag.objects.get(key=KEY)
    environment(MULTI_WORKSPACE_ENABLED="true")
    sync_flags()
    after = Flag.objects.get(key=KEY)
    assert after.version == before.version + 1
    assert after.updated_at > before.updated_at


def test_answers_that_rest_on_a_sync_are_kept_from_others_until_it_is_committed(environment):
    sync_flags()
    assert not snapshots.uncommitted()
    environment(MULTI_WORKSPACE_ENABLED="true")
    sync_flags()
    assert snapshots.uncommitted()


@pytest.mark.parametrize("value", ["maybe", "", "2", "enabled", "tru"])
def test_any_other_value_is_refused_by_name_and_nothing_is_written(environment, value):
    environment(MULTI_WORKSPACE_ENABLED=value, DRIVER_MANAGEMENT="off")
    with pytest.raises(ImproperlyConfigured) as refusal:
        sync_flags()
    for part in ("MULTI_WORKSPACE_ENABLED", repr(value), "true, 1, yes, on, false, 0, no, off"):
        assert part in str(refusal.value)
    assert Flag.objects.get(key="driver_management").default_enabled is True


def test_a_default_that_follows_the_environment_is_a_line_of_history(environment):
    environment(MULTI_WORKSPACE_ENABLED="true")
    sync_flags()
    change = Change.objects.get()
    assert (change.verb, change.flag, change.actor, change.actor_id) == ("sync_default", KEY, "Headgate", None)
    assert change.before == {"default_enabled": False, "default_source": "catalogue"}
    assert change.after == {"default_enabled": True, "default_source": "environment"}


def test_a_source_that_changes_without_the_default_is_no_line_of_history(environment):
    environment(MULTI_WORKSPACE_ENABLED="false")
    assert sync_flags().updated_default == []
    assert Flag.objects.get(key=KEY).default_source == "environment"
    assert not Change.objects.exists()


def test_a_default_an_operator_set_stays_but_what_it_could_inherit_is_kept_up_to_date(environment):
    Flag.objects.filter(key=KEY).update(default_enabled=False, is_default_set=True)
    environment(MULTI_WORKSPACE_ENABLED="true")
    assert sync_flags().updated_default == []
    flag = Flag.objects.get(key=KEY)
    assert (flag.default_enabled, flag.default_source) == (False, "operator")
    assert (flag.inherited_enabled, flag.inherited_from) == (True, "environment")


def test_a_default_changed_by_raw_sql_was_set_by_an_operator(environment):
    with connection.cursor() as cursor:
        cursor.execute("update flags_flag set default_enabled = true where key = %s", [KEY])
    sync_flags()
    assert Flag.objects.get(key=KEY).is_default_set is True
    # What it could inherit now agrees with it, and later does not: it stays what the operator said.
    environment(MULTI_WORKSPACE_ENABLED="true")
    sync_flags()
    environment()
    sync_flags()
    flag = Flag.objects.get(key=KEY)
    assert (flag.default_enabled, flag.default_source) == (True, "operator")
    assert not Change.objects.exists()


def test_a_flag_that_is_ours_alone_keeps_what_its_operator_said():
    FlagFactory(key="homemade", default_enabled=True)
    before = Flag.objects.values().get(key="homemade")
    sync_flags()
    assert Flag.objects.values().get(key="homemade") == before


def test_a_variable_that_means_something_else_is_no_default_for_an_operators_flag(environment):
    FlagFactory(key="path", default_enabled=True)
    environment(PATH="/usr/bin:/bin")
    sync_flags()
    flag = Flag.objects.get(key="path")
    assert (flag.default_enabled, flag.inherited_from) == (True, "")


def test_an_operators_flag_may_go_back_to_what_the_environment_says(environment):
    FlagFactory(key="homemade", default_enabled=False)
    environment(HOMEMADE="yes")
    sync_flags()
    flag = Flag.objects.get(key="homemade")
    assert (flag.default_enabled, flag.inherited_enabled, flag.inherited_from) == (False, True, "environment")


def test_a_flag_whose_variable_and_listing_are_both_gone_keeps_its_default(environment):
    flag = FlagFactory(
        key="homemade", default_enabled=True, inherited_enabled=True, inherited_from="environment", is_default_set=False
    )
    sync_flags()
    flag.refresh_from_db()
    assert (flag.default_enabled, flag.default_source, flag.inherited_from) == (True, "operator", "")


def test_a_flag_no_longer_listed_keeps_what_the_catalogue_said_last(lists, monkeypatch):
    lists(Feature("short_lived", "Short-Lived", "", default_enabled=True))
    sync_flags()
    monkeypatch.undo()
    sync_flags()
    flag = Flag.objects.get(key="short_lived")
    assert (flag.default_enabled, flag.default_source) == (True, "catalogue")


def test_a_deleted_key_is_never_made_again():
    Flag.objects.get(key="driver_chat").delete()
    report = sync_flags()
    assert report.retired == ["driver_chat"]
    assert report.created == []
    assert not Flag.objects.filter(key="driver_chat").exists()
    assert RetiredKey.objects.filter(key="driver_chat").exists()


def test_a_flag_that_requires_what_is_not_there_waits_and_so_does_what_requires_it(lists):
    lists(
        Feature("last", "Last", "", requires=("middle",)),
        Feature("middle", "Middle", "", requires=("first",)),
        Feature("first", "First", "", minimum_plan="platinum"),
        Feature("elsewhere", "Elsewhere", "", channels=(("canary", True),)),
    )
    report = sync_flags()
    assert report.postponed == {
        "first": "plan platinum",
        "elsewhere": "channel canary",
        "middle": "flag first",
        "last": "flag middle",
    }
    assert report.created == []


def test_flags_that_require_each_other_in_turn_are_made_together(lists):
    lists(Feature("upper", "Upper", "", requires=("lower",)), Feature("lower", "Lower", ""))
    assert sorted(sync_flags().created) == ["lower", "upper"]
    assert Requirement.objects.filter(flag="upper", requires="lower").exists()


def test_a_check_in_the_same_scope_sees_what_was_synced(environment, acme):
    with evaluation_scope(company=acme):
        assert not is_enabled(KEY)
        environment(MULTI_WORKSPACE_ENABLED="true")
        sync_flags()
        assert is_enabled(KEY)


def test_nothing_is_synced_while_migrations_are_missing(lists, monkeypatch):
    lists(Feature("night_mode", "Night Mode", "Dark pages"))
    monkeypatch.setattr(sync, "_is_ready", lambda connection: False)
    sync.after_migrate(using="default")
    assert not Flag.objects.filter(key="night_mode").exists()


def test_a_database_without_our_newest_migration_is_not_ready():
    with rls.acting_as_nobody():
        assert sync._is_ready(connection)
        newest = MigrationRecorder.Migration.objects.filter(app="flags").latest("id")
        newest.delete()
        assert not sync._is_ready(connection)


@pytest.mark.postgres
def test_nothing_is_synced_while_the_login_may_not_take_the_roles(monkeypatch):
    with rls.acting_as_nobody():
        assert sync._is_ready(connection)
        monkeypatch.setattr(sync.roles, "usable", lambda connection: {rls.TENANT_ROLE})
        assert not sync._is_ready(connection)


def test_the_environment_is_silent_about_keys_it_does_not_name(environment):
    environment(OTHER="true")
    assert environment_default(KEY) is None
