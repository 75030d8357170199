"""override_features decides for a while, without a database, and puts everything back."""

import unittest
from threading import Thread

import pytest
from asgiref.sync import async_to_sync
from django.test import SimpleTestCase, TestCase

from flags import features
from flags.exceptions import FeatureDisabled
from flags.features import evaluation_scope, features_for, is_enabled, require_feature
from flags.testing import override_features
from tests.factories import OverrideFactory

# No test here is marked for the database, except where it says so: pytest-django would refuse one.


@pytest.fixture(scope="module", autouse=True)
def _nothing_left_behind():
    yield
    assert features.forced == {}


def test_a_block_decides_and_gives_back():
    with override_features(api_access=True, driver_management=False):
        assert is_enabled("api_access")
        assert not is_enabled("driver_management")
        assert features_for(None)["api_access"]
    assert "api_access" not in features.forced


def test_keys_may_come_in_a_dict():
    with override_features({"api_access": True}, white_label=True):
        assert is_enabled("api_access")
        assert is_enabled("white_label")


def test_the_inner_block_wins_and_the_outer_one_comes_back():
    with override_features(api_access=True):
        with override_features(api_access=False):
            assert not is_enabled("api_access")
        assert is_enabled("api_access")


def test_it_gives_back_after_an_exception():
    with pytest.raises(ZeroDivisionError), override_features(api_access=True):
        raise ZeroDivisionError
    assert features.forced == {}


def test_one_override_may_be_entered_again_while_it_is_in_force():
    again = override_features(api_access=True)
    with again:
        with again:
            pass
        assert is_enabled("api_access")


def test_a_feature_that_is_off_is_required_in_vain():
    with override_features(api_access=False), pytest.raises(FeatureDisabled) as refusal:
        require_feature("api_access")
    assert (refusal.value.code, refusal.value.is_internal) == ("API_ACCESS_DISABLED", False)


def test_an_internal_feature_stays_internal_when_a_test_turns_it_off():
    with override_features(inspector=False), pytest.raises(FeatureDisabled) as refusal:
        require_feature("inspector")
    assert refusal.value.is_internal


def test_no_check_of_an_overridden_feature_logs_a_missing_database(caplog):
    with override_features(api_access=True, inspector=False):
        is_enabled("api_access")
        async_to_sync(features.ais_enabled)("api_access")
        features_for(None).decide("inspector")
        with pytest.raises(FeatureDisabled):
            require_feature("inspector")
    assert caplog.records == []


@override_features(api_access=True)
def test_it_decorates_a_function():
    assert is_enabled("api_access")


def test_it_decorates_a_coroutine():
    @override_features(api_access=True)
    async def enabled():
        return await features.ais_enabled("api_access")

    @override_features(api_access=True)
    async def enabled_without_waiting():
        return is_enabled("api_access")

    assert async_to_sync(enabled)()
    assert async_to_sync(enabled_without_waiting)()
    assert features.forced == {}


@override_features(api_access=True)
class TestPlainClass:
    def test_a_plain_class_is_decorated(self):
        assert is_enabled("api_access")

    @override_features(api_access=False)
    def test_a_method_may_say_otherwise(self):
        assert not is_enabled("api_access")

    def helper(self):
        raise AssertionError("only tests are decorated")


class TestHeir(TestPlainClass):
    def test_an_inherited_class_keeps_its_own_tests_apart(self):
        assert "api_access" not in features.forced


@override_features(api_access=True)
class ATestCase(SimpleTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seen_in_set_up = is_enabled("api_access")

    def test_it_holds_in_setup_and_tests(self):
        assert self.seen_in_set_up
        assert is_enabled("api_access")

    @override_features(api_access=False)
    def test_a_method_may_say_otherwise(self):
        assert not is_enabled("api_access")


@override_features(api_access=False, white_label=True)
class ASubclass(ATestCase):
    def test_it_holds_in_setup_and_tests(self):
        assert not self.seen_in_set_up
        assert not is_enabled("api_access")
        assert is_enabled("white_label")


@override_features(api_access=True)
class WithData(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.seen = is_enabled("api_access")

    def test_it_holds_while_test_data_is_made(self):
        assert self.seen


@pytest.mark.parametrize("case", [ATestCase, ASubclass])
def test_a_test_case_gives_back_after_its_last_test(case):
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert (result.testsRun, result.errors, result.failures) == (2, [], [])
    assert features.forced == {}


def test_a_class_whose_setup_fails_gives_back():
    @override_features(api_access=True)
    class Broken(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            raise ZeroDivisionError

        def test_nothing(self):
            pass

    unittest.TestSuite([Broken("test_nothing")]).run(unittest.TestResult())
    assert features.forced == {}


def test_an_unknown_key_is_refused_with_a_guess():
    with pytest.raises(KeyError, match="Did you mean 'api_access'"):
        override_features(api_acces=True)


@pytest.mark.parametrize("enabled", [1, "true", None])
def test_only_true_and_false_are_answers(enabled):
    with pytest.raises(TypeError, match="A feature is True or False"):
        override_features(api_access=enabled)


def test_other_threads_hear_it_too():
    heard = []
    with override_features(api_access=True):
        thread = Thread(target=lambda: heard.append(is_enabled("api_access")))
        thread.start()
        thread.join()
    assert heard == [True]


@pytest.mark.django_db
def test_what_was_asked_before_is_asked_again_in_and_after(acme):
    OverrideFactory(company=acme, flag_id="api_access", flag=None, enabled=True)
    with evaluation_scope(company=acme):
        assert is_enabled("api_access")
        with override_features(api_access=False):
            assert not is_enabled("api_access")
        assert is_enabled("api_access")


@pytest.mark.django_db(transaction=True)  # Within a transaction, a scope may keep nothing.
def test_an_answer_that_a_scope_has_kept_is_forgotten_on_the_way_in():
    with evaluation_scope() as kept:
        assert not is_enabled("api_access")
        assert kept.evaluated == {"api_access": False}
        with override_features(api_access=True):
            assert is_enabled("api_access")
        assert not is_enabled("api_access")


@pytest.mark.django_db
def test_other_features_answer_as_ever(acme):
    with evaluation_scope(company=acme), override_features(api_access=True):
        assert is_enabled("driver_management")
        assert not is_enabled("white_label")


@pytest.mark.django_db
def test_no_query_is_made_for_an_overridden_feature(django_assert_num_queries):
    with override_features(api_access=True), django_assert_num_queries(0):
        assert is_enabled("api_access")
        assert features_for(None)["api_access"]
