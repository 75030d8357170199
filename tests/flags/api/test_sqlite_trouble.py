"""A file that takes nothing more: changes are refused with 503 and in words, and what is asked goes on."""

import pytest
from django.db import connection
from django.test import Client

from flags.models import Change, Flag

pytestmark = pytest.mark.django_db

FLAG = "/api/admin/feature-flags/api_access"


@pytest.fixture
def browser(sign_in, alice) -> Client:
    if connection.vendor != "sqlite":
        pytest.skip("This is about SQLite.")
    return sign_in(alice, raise_request_exception=False)


@pytest.fixture
def read_only(admin, browser):
    """The file as on a disk that is mounted read-only."""
    with connection.cursor() as cursor:
        cursor.execute("pragma query_only = 1")
        yield
        cursor.execute("pragma query_only = 0")


@pytest.fixture
def full(admin, browser):
    """The file as on a disk without room for one more page."""
    with connection.cursor() as cursor:
        (most,) = cursor.execute("pragma max_page_count").fetchone()
        (pages,) = cursor.execute("pragma page_count").fetchone()
        cursor.execute(f"pragma max_page_count = {pages}")
        yield
        cursor.execute(f"pragma max_page_count = {most}")


def assert_refused(answer):
    assert (answer.status_code, answer.json()["code"], answer.json()["saved"]) == (503, "UNAVAILABLE", False)
    assert answer["Retry-After"]


@pytest.mark.usefixtures("read_only")
def test_on_a_read_only_disk(admin, browser):
    assert_refused(admin.patch(FLAG, {"description": "new"}, content_type="application/json"))
    page = browser.post("/super-admin/feature-flags/api_access/kill/", {"reason": "it leaks"})
    assert page.status_code == 503
    assert "Changes cannot be saved right now" in page.content.decode()
    assert admin.get("/api/features").status_code == 200
    assert not Change.objects.exists()


@pytest.mark.usefixtures("full")
def test_on_a_full_disk(admin):
    for number in range(200):
        before = Change.objects.count()
        answer = admin.patch(FLAG, {"metadata": {"note": f"{number} " * 300}}, content_type="application/json")
        if answer.status_code != 200:
            break
    assert_refused(answer)
    assert Change.objects.count() == before
    assert Flag.objects.get(key="api_access").metadata == ({"note": f"{number - 1} " * 300} if number else {})
    assert admin.get("/api/features").status_code == 200
