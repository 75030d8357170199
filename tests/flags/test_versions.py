"""The one small query that a warm request pays, and what it says of changes on their way."""

import uuid

import pytest
from django.db import connection, transaction

from flags import versions
from flags.models import Flag, Override, Version
from flags.versions import NIL
from tenants import rls
from tests.factories import CompanyFactory, FlagFactory, OverrideFactory


@pytest.fixture
def committed(transactional_db):
    """A company and a flag that are committed, as everything in a test with transactions of its own is."""
    company = CompanyFactory()
    return company, OverrideFactory(company=company, flag=FlagFactory(key="api_calls")).flag


def stored() -> dict[uuid.UUID, int]:
    return dict(Version.objects.values_list("scope", "n"))


def test_both_versions_are_read_as_they_stand_in_one_query(committed, django_assert_num_queries):
    company, _ = committed
    with django_assert_num_queries(1):
        found = versions.current(company.pk)
    assert found == (stored()[NIL], stored()[company.pk])


def test_for_nobody_there_is_the_version_of_the_rules(committed):
    assert versions.current(None) == (stored()[NIL], 0)


def test_a_company_that_nobody_made_is_at_version_0(committed):
    assert versions.current(uuid.uuid4()) == (stored()[NIL], 0)


def test_where_nothing_was_ever_changed_all_is_at_version_0(committed):
    with rls.acting_as_nobody():
        Version.objects.all().delete()
    assert versions.current(committed[0].pk) == (0, 0)


@pytest.mark.parametrize("change", ["save", "update", "sql"])
def test_a_transaction_that_has_changed_rules_has_no_version(committed, change):
    company, flag = committed
    before = versions.current(company.pk)
    with transaction.atomic():
        if change == "save":
            flag.default_enabled = True
            flag.save()
        elif change == "update":
            Override.objects.update(enabled=False)
        else:
            with connection.cursor() as cursor:
                cursor.execute("update flags_flag set default_enabled = %s", [True])
        assert versions.current(company.pk) is None
    assert versions.current(company.pk) > before


def test_a_change_that_is_taken_back_leaves_the_versions_as_they_were(committed):
    company, _ = committed
    before = versions.current(company.pk)
    with transaction.atomic():
        Flag.objects.update(default_enabled=True)
        transaction.set_rollback(True)
    assert versions.current(company.pk) == before


@pytest.mark.postgres
def test_a_transaction_knows_its_versions_again_once_its_change_is_taken_back(committed):
    company, _ = committed
    before = versions.current(company.pk)
    with transaction.atomic():
        with transaction.atomic():
            Flag.objects.update(default_enabled=True)
            assert versions.current(company.pk) is None
            transaction.set_rollback(True)
        assert versions.current(company.pk) == before


@pytest.mark.postgres
def test_a_transaction_that_only_reads_pays_one_query_like_any_other(committed, django_assert_num_queries):
    company, _ = committed
    before = versions.current(company.pk)
    with transaction.atomic(), django_assert_num_queries(1):
        assert versions.current(company.pk) == before
