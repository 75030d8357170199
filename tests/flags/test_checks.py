"""Each check speaks when it should, and only then."""

import sys
from io import StringIO

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import Error, Warning, run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from django.http import HttpResponse

from flags import checks, registry
from flags.catalogue import FEATURES, Feature
from flags.decorators import FeatureRequiredMixin, feature_required
from flags.guardedcache import GuardedRedisCache
from flags.permissions import FeatureEnabled
from tenants import rls

pytestmark = pytest.mark.usefixtures("noted_apart")


def messages(check, **kwargs) -> list[str]:
    return [f"{message.id}: {message.msg}" for message in check(None, **kwargs)]


@pytest.fixture
def listed(monkeypatch):
    """Return a function that makes the catalogues hold these entries besides ours."""

    def listing(*features: Feature, module: str = "invoices.features") -> None:
        ours = tuple(registry.Listing(feature, "flags.catalogue") for feature in FEATURES)
        entries = ours + tuple(registry.Listing(feature, module) for feature in features)
        monkeypatch.setattr(registry, "listings", lambda: entries)
        registry.catalogue.cache_clear()

    yield listing
    monkeypatch.undo()
    registry.reload()


def test_the_project_as_it_is_gives_nothing_to_say_about_flags():
    assert [message for message in run_checks() if (message.id or "").startswith("flags.")] == []


# flags.E001


def test_a_typo_in_a_decorator_is_found_with_a_guess():
    @feature_required("biling_enabled")
    def index(request):
        return HttpResponse()

    index.__module__, index.__qualname__ = "invoices.views", "index"
    feature_required("biling_enabled")(index)
    assert (
        "flags.E001: invoices.views.index asks for the feature 'biling_enabled', which is in no catalogue. "
        "Did you mean 'billing_enabled'?"
    ) in messages(checks.check_used_keys)


def test_a_typo_in_a_mixin_a_permission_and_a_declaration_is_found():
    class Invoices(FeatureRequiredMixin):
        feature = "in_mixin"

    FeatureEnabled("in_permission")
    registry.check_keys("in_declaration")
    found = {message.msg.split("'")[1] for message in checks.check_used_keys()}
    assert found == {"in_mixin", "in_permission", "in_declaration"}


def test_without_a_near_key_there_is_no_guess():
    registry.check_keys("zzz")
    (message,) = messages(checks.check_used_keys)
    assert message.endswith("asks for the feature 'zzz', which is in no catalogue.")


def test_a_typo_in_a_template_and_in_code_is_found(another_app):
    folder = another_app(jobs="from flags.features import is_enabled\n\nis_enabled('in_code')\n")
    (folder / "templates").mkdir()
    (folder / "templates" / "page.html").write_text("{% if features.in_template %}{% endif %}")
    found = messages(checks.check_used_keys)
    assert "flags.E001: invoices.jobs, line 3, asks for the feature 'in_code', which is in no catalogue." in found
    assert "flags.E001: the template page.html asks for the feature 'in_template', which is in no catalogue." in found


def test_views_are_found_through_the_map_of_the_site_though_nothing_imported_them(another_app, settings):
    another_app(
        views="from flags.decorators import feature_required\n@feature_required('in_view')\ndef index(request): ...\n",
        urls="from django.urls import path\nfrom invoices import views\nurlpatterns = [path('', views.index)]\n",
    )
    settings.ROOT_URLCONF = "invoices.urls"
    assert any(
        "invoices.views.index asks for the feature 'in_view'" in text for text in messages(checks.check_used_keys)
    )


def test_a_known_key_is_no_matter(another_app):
    another_app(features="from flags.catalogue import Feature\nFEATURES = [Feature('invoice_export', 'Export', '')]\n")
    registry.check_keys("invoice_export", "api_access")
    assert messages(checks.check_used_keys) == []


def test_a_typo_stops_the_command_that_checks():
    registry.check_keys("biling_enabled")
    with pytest.raises(SystemCheckError, match="Did you mean 'billing_enabled'"):
        call_command("check", stdout=StringIO(), stderr=StringIO())


# flags.E002, E003, E005


def test_a_key_that_is_listed_twice_is_named_with_both_places(listed):
    listed(Feature("api_access", "API", ""))
    assert messages(checks.check_catalogues) == [
        "flags.E002: The feature 'api_access' is listed by flags.catalogue and by invoices.features."
    ]


@pytest.mark.parametrize(
    ("feature", "verdict"),
    [
        (Feature("Invoices", "Invoices", ""), "lists 'Invoices', which is no key."),
        (Feature("invoice-export", "Invoices", ""), "which is no key."),
        (Feature("x", "Invoices", ""), "which is no key."),
        (Feature("a" * 64, "Invoices", ""), "which is no key."),
        (Feature("invoices\n", "Invoices", ""), "which is no key."),
        (Feature("update", "Invoices", ""), "which is a word that every mapping has."),
        (Feature("invoices", " ", ""), "whose name is empty or too long."),
        (Feature("invoices", "n" * 121, ""), "whose name is empty or too long."),
        (Feature("invoices", "Invoices", "", "Billing Things"), "in the category 'Billing Things'."),
        (Feature("invoices", "Invoices", "", ""), "in the category ''."),
        (
            Feature("invoices", "Invoices", "", requires=("invoices",)),
            "which requires 'invoices' and so, in the end, itself.",
        ),
        (
            Feature("invoices", "Invoices", "", channels=(("pilot", True), ("pilot", False))),
            "which answers twice for a channel.",
        ),
        (
            Feature("invoices", "Invoices", "", requires=("biling_enabled",)),
            "which requires 'biling_enabled', which is in no catalogue. Did you mean 'billing_enabled'?",
        ),
        (Feature("invoices", "Invoices", "", requires=("zzz",)), "which requires 'zzz', which is in no catalogue."),
    ],
)
def test_an_entry_that_cannot_become_a_flag_is_refused(listed, feature, verdict):
    listed(feature)
    (message,) = messages(checks.check_catalogues)
    assert message.startswith("flags.E003: invoices.features lists ")
    assert message.endswith(verdict)


def test_entries_that_require_each_other_in_a_circle_are_refused(listed):
    listed(Feature("aa", "A", "", requires=("bb",)), Feature("bb", "B", "", requires=("aa",)))
    assert messages(checks.check_catalogues) == [
        "flags.E003: invoices.features lists 'aa', which requires 'bb' and so, in the end, itself.",
        "flags.E003: invoices.features lists 'bb', which requires 'aa' and so, in the end, itself.",
    ]


def test_a_good_entry_is_no_matter(listed):
    listed(Feature("invoices", "Invoices", "All of them", "back-office", requires=("billing_enabled",)))
    assert messages(checks.check_catalogues) == []


def test_a_variable_that_is_neither_true_nor_false_is_refused_by_name(settings):
    settings.FLAGS_ENVIRONMENT = {"MULTI_WORKSPACE_ENABLED": "maybe", "API_ACCESS": "on"}
    (message,) = messages(checks.check_catalogues)
    assert message.startswith(
        "flags.E005: The environment variable MULTI_WORKSPACE_ENABLED is 'maybe'. Set it to one of"
    )


# flags.E004


@pytest.fixture
def lost_trigger(db):
    """A trigger that keeps history as it is has been dropped, by whoever owns the tables."""
    with rls.acting_as_nobody(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("drop trigger flags_append_only on flags_change")
        else:
            cursor.execute("drop trigger flags_append_only_update")
    return "flags_change.flags_append_only"


def test_a_missing_trigger_is_named_with_the_remedy(lost_trigger):
    (message,) = checks.check_triggers(databases=["default"])
    assert message.id == "flags.E004"
    assert lost_trigger in message.msg
    assert "manage.py migrate" in message.hint


def test_the_remedy_is_not_refused_for_what_it_cures(lost_trigger, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["manage.py", "migrate"])
    assert checks.check_triggers(databases=["default"]) == []


@pytest.mark.django_db
def test_triggers_in_their_places_are_no_matter():
    assert checks.check_triggers(databases=["default"]) == []


@pytest.mark.django_db
def test_a_database_that_was_never_migrated_is_not_asked_for_triggers(monkeypatch):
    monkeypatch.setattr(connection.introspection, "table_names", lambda *args, **kwargs: [])
    assert checks.check_triggers(databases=["default"]) == []


def test_no_database_is_asked_unless_named(django_db_blocker):
    assert checks.check_triggers(databases=None) == []


# flags.E006, W001, E009


class SomebodyElsesCache(LocMemCache):
    """It may do anything with what it reads."""


class UnguardedRedisCache(GuardedRedisCache):
    """What is made from ours is not ours."""


MIDDLEWARE = ["tenants.middleware.TenantMiddleware", "flags.middleware.FeaturesMiddleware"]


@pytest.mark.parametrize(
    ("order", "count"), [(MIDDLEWARE, 0), (MIDDLEWARE[::-1], 1), (MIDDLEWARE[:1], 1), (MIDDLEWARE[1:], 1), ([], 1)]
)
def test_the_middleware_has_its_place(settings, order, count):
    settings.MIDDLEWARE = order
    found = checks.check_middleware()
    assert [type(message) for message in found] == [Error] * count


@pytest.mark.parametrize(
    ("backend", "location", "count"),
    [
        ("django.core.cache.backends.locmem.LocMemCache", "", 0),
        ("django.core.cache.backends.dummy.DummyCache", "", 0),
        ("flags.guardedcache.GuardedRedisCache", "redis://127.0.0.1:1/0", 0),
        ("django.core.cache.backends.redis.RedisCache", "redis://127.0.0.1:1/0", 1),
        ("django.core.cache.backends.filebased.FileBasedCache", "", 1),
        ("django.core.cache.backends.db.DatabaseCache", "a_table", 1),
        ("tests.flags.test_checks.SomebodyElsesCache", "", 1),
        ("tests.flags.test_checks.UnguardedRedisCache", "redis://127.0.0.1:1/0", 1),
    ],
)
def test_a_cache_that_may_unpickle_what_others_wrote_is_reported(settings, tmp_path, backend, location, count):
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": location or str(tmp_path)}}
    for debug, kind, name in ((False, Error, "flags.E009"), (True, Warning, "flags.W001")):
        settings.DEBUG = debug
        found = checks.check_caches()
        assert [type(message) for message in found] == [kind] * count
        assert all("Cache)" in message.msg and "locmemcache://" in message.hint for message in found)
        assert all(message.id == name for message in found)


def test_a_cache_that_cannot_be_made_is_left_to_django(settings):
    settings.CACHES = {"default": {"BACKEND": "nowhere.Cache"}}
    assert checks.check_caches() == []
