"""Times on pages are those of the person who reads them; the API speaks UTC."""

from datetime import UTC, datetime

import pytest
from django.template import Context, Template
from django.utils import timezone

from config import zones
from flags.gates import moment_in_words
from flags.models import Override
from tests.factories import ChangeFactory, FlagFactory, OverrideFactory

LATE = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)


@pytest.fixture
def tokyo(alice, sign_in):
    """A browser in Tokyo, nine hours ahead."""
    client = sign_in(alice)
    client.cookies[zones.COOKIE] = "Asia/Tokyo"
    return client


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "Europe", "a" * 65, "\0", "/etc/localtime"])
def test_what_names_no_zone_is_none(name):
    assert zones.named(name) is None


def test_nonsense_in_the_cookie_is_utc(alice, sign_in):
    client = sign_in(alice)
    client.cookies[zones.COOKIE] = "Mars/Olympus"
    page = client.get("/super-admin/changes/")
    assert page.status_code == 200
    assert 'data-zone="UTC"' in page.content.decode()


def test_the_day_of_a_change_is_the_readers(tokyo, alice, sign_in, time_machine_at):
    with time_machine_at(LATE):
        ChangeFactory()
    assert "3 March 2026" in tokyo.get("/super-admin/changes/").content.decode()
    assert "2 March 2026" in sign_in(alice).get("/super-admin/changes/").content.decode()
    assert timezone.get_current_timezone_name() == "UTC"  # And it is nobody else's.


def test_days_that_history_is_filtered_by_are_the_readers(tokyo, alice, sign_in, time_machine_at):
    with time_machine_at(LATE):
        line = ChangeFactory(reason="late in the evening")
    of_the_day = "/super-admin/changes/?since=2026-03-03"
    assert line.reason in tokyo.get(of_the_day).content.decode()
    assert line.reason not in sign_in(alice).get(of_the_day).content.decode()


def test_a_moment_says_which_zone_it_is_in():
    assert moment_in_words(LATE) == "Mon 2 Mar 23:30 UTC"
    with timezone.override(zones.named("Asia/Tokyo")):
        assert moment_in_words(LATE) == "Tue 3 Mar 08:30 JST"


def test_a_component_is_drawn_for_each_zone():
    shown = Template('{% load components %}{% draw "components/_time.html" value=value %}')
    assert "2 Mar 2026, 23:30 UTC" in shown.render(Context({"value": LATE}))
    with timezone.override(zones.named("Asia/Tokyo")):
        assert "3 Mar 2026, 08:30" in shown.render(Context({"value": LATE}))


def test_what_is_typed_is_taken_for_the_readers_time(tokyo, acme):
    flag = FlagFactory(key="typed_in_tokyo")
    page = f"/super-admin/feature-flags/{flag.key}/overrides/acme/"
    form = tokyo.get(page)
    assert "(optional, Asia/Tokyo)" in form.content.decode()
    sent = {"enabled": "true", "expires_at": "2999-03-03T08:30", "version": form.context["version"]}
    assert tokyo.post(page, sent).status_code == 302
    assert Override.objects.get(flag=flag, company=acme).expires_at == LATE.replace(year=2999)
    assert 'value="2999-03-03T08:30"' in tokyo.get(page).content.decode()


def test_the_api_speaks_utc_whatever_the_browser_says(tokyo, acme):
    override = OverrideFactory(flag=FlagFactory(key="api_access_2"), company=acme, expires_at=LATE.replace(year=2999))
    found = tokyo.get(f"/api/admin/tenants/acme/overrides/{override.flag_id}").json()
    assert found["expires_at"] == "2999-03-02T23:30:00Z"
