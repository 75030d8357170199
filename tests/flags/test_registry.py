"""Known keys are those of every catalogue; code that asks for a key leaves its name."""

import pytest

from flags import registry
from flags.catalogue import FEATURES, Feature

LISTING = """
from flags.catalogue import Feature

FEATURES = [Feature("invoice_export", "Invoice Export", "Invoices as files", "billing")]
"""


def test_the_catalogue_of_this_project_is_known():
    assert [registry.catalogue()[feature.key] for feature in FEATURES] == FEATURES
    assert registry.feature("api_access").name == "API Access"


def test_an_application_lists_its_own_features(another_app):
    another_app(features=LISTING)
    assert registry.feature("invoice_export") == Feature(
        "invoice_export", "Invoice Export", "Invoices as files", "billing"
    )
    assert registry.Listing(registry.feature("invoice_export"), "invoices.features") in registry.listings()


def test_an_application_without_features_or_with_an_unrelated_module_is_fine(another_app):
    another_app(features="def area(polygon): return 0\n")
    assert list(registry.catalogue()) == [feature.key for feature in FEATURES]


def test_a_broken_features_module_is_not_passed_over(another_app):
    another_app(features="import nowhere_to_be_found\n")
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        registry.catalogue()


def test_an_entry_that_is_no_feature_is_refused_by_place(another_app):
    another_app(features='FEATURES = ["invoice_export"]\n')
    with pytest.raises(TypeError, match=r"invoices\.features\.FEATURES holds 'invoice_export'"):
        registry.catalogue()


def test_a_key_listed_twice_is_named_with_both_places(another_app):
    another_app(features=LISTING.replace("invoice_export", "api_access"))
    assert registry.duplicates() == {"api_access": ["flags.catalogue", "invoices.features"]}
    assert registry.feature("api_access").name == "API Access", "the first entry stands"


def test_our_module_of_answers_is_no_catalogue():
    assert "flags.features" not in {listing.module for listing in registry.listings()}


def test_an_unknown_key_is_refused_with_a_guess():
    with pytest.raises(KeyError, match=r"'biling_enabled' is in no catalogue\. Did you mean 'billing_enabled'\?"):
        registry.feature("biling_enabled")


def test_there_is_no_guess_where_nothing_is_near():
    assert registry.unknown("zzz") == "'zzz' is in no catalogue."


def test_declared_keys_are_noted_with_the_place_that_declares_them(noted_apart):
    registry.check_keys("api_access", "white_label")
    place = f"{__name__}.test_declared_keys_are_noted_with_the_place_that_declares_them"
    assert {registry.Use("api_access", place), registry.Use("white_label", place)} <= set(registry.uses())


def test_a_declared_key_can_be_kept_under_a_name(noted_apart):
    assert registry.key("driver_chat") == "driver_chat"
    assert "driver_chat" in {use.key for use in registry.uses() if use.place.startswith(__name__)}


def test_a_module_that_declares_keys_at_its_top_is_noted_by_its_name(noted_apart, another_app):
    another_app(features="", views="from flags.registry import check_keys\ncheck_keys('typo')\n")
    __import__("invoices.views")
    assert registry.Use("typo", "invoices.views") in registry.uses()


def test_a_key_that_is_no_text_is_refused_at_once(noted_apart):
    with pytest.raises(TypeError, match=r"names the feature \['api_access'\]"):
        registry.check_keys(["api_access"])


def test_what_a_test_notes_is_forgotten():
    with registry.noting_apart():
        registry.check_keys("forgotten")
    assert "forgotten" not in {use.key for use in registry.uses()}
