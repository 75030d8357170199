"""The overview: its numbers are those of the lists they lead to, and it costs the same however much there is."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from flags import changes, overrides, releases
from flags.models import Change, Flag
from flags.releasemodels import GateTemplate
from tests.factories import CompanyFactory, OverrideFactory
from tests.flags.console.browsing import said_by, text_of

pytestmark = pytest.mark.django_db
OVERVIEW = "/super-admin/"
RELEASES = OVERVIEW + "overview/releases/"
ENDING = OVERVIEW + "overview/ending/"
CHANGES = OVERVIEW + "overview/changes/"
PARTS = ((RELEASES, "Driver Chat in Internal"), (ENDING, "White Label for Globex"), (CHANGES, "killed API Access"))


@pytest.fixture
def busy(alice, acme, globex):
    """Something of everything."""
    changes.kill("api_access", actor=alice, reason="leak")
    changes.set_default("trip_management", True, actor=alice)
    overrides.set_override(
        globex, "white_label", True, actor=alice, reason="contract 881", expires_at=timezone.now() + timedelta(days=3)
    )
    overrides.set_override(acme, "white_label", True, actor=alice, expires_at=timezone.now() + timedelta(days=40))
    releases.start("driver_chat", actor=alice)
    Flag.objects.filter(key="driver_chat").update(owner="Chat team")
    Flag.objects.filter(key="billing_enabled").update(created_at=timezone.now() - timedelta(days=90))


def test_it_says_what_there_is_to_look_at(alices, busy):
    page = said_by(alices.get(OVERVIEW, {"show": "all"}))
    assert "1 release under way" in page
    assert "overrides of 1 flag end within two weeks" in page
    assert "1 override for 1 company ends within two weeks" in page
    assert "White Label for Globex" in page
    assert "contract 881" in page
    assert "by Alice: leak" in page
    assert "Driver Chat in Internal" in page


def test_every_number_is_that_of_the_list_it_leads_to(alices, busy):
    page = alices.get(OVERVIEW, {"show": "all"}).content.decode()
    links = re.findall(r'<a[^>]* href="(/super-admin/(?:feature-flags|companies)/\?q=[^"]+)">(\d+)', page)
    assert len(links) >= 11
    for url, number in links:
        listed = alices.get(unescape(url), headers={"HX-Request": "true"})
        assert re.search(rf'"text": "{number} (flag|compan)', listed["HX-Trigger"]), url
        assert "not known" not in text_of(listed)


def test_states_share_all_flags_among_them(alices, busy):
    page = alices.get(OVERVIEW).content.decode()
    total = Flag.objects.live().count()
    words = ("On by default", "Off by default", "Killed")
    numbers = [int(re.search(rf">{each}</dt><dd><a [^>]*>(\d+)", page)[1]) for each in words]
    assert sum(numbers) == total
    assert numbers[2] == 1
    widths = [float(each) for each in re.findall(r'<rect class="share-[^>]* width="([\d.]+)" height="4"', page)]
    assert sum(widths) == pytest.approx(100, abs=0.1)


def test_without_anything_it_says_so(alices):
    Flag.objects.all().delete()
    page = text_of(alices.get(OVERVIEW))
    for words in ("Nothing here yet", "No release is under way.", "None ends within two weeks.", "No flag is killed."):
        assert words in page


def test_all_releases_that_are_ready_are_counted_and_come_first(alices, alice):
    GateTemplate.objects.all().delete()
    for n in range(30):
        changes.create_flag(f"going_{n}", actor=alice)
        releases.start(f"going_{n}", actor=alice)
    assert "30 releases under way" in text_of(alices.get(OVERVIEW))
    assert "30 of them are ready to go on" in text_of(alices.get(RELEASES, headers={"HX-Request": "true"}))


@pytest.mark.parametrize(("url", "says"), PARTS)
def test_parts_follow_by_themselves(alices, busy, url, says):
    page = alices.get(OVERVIEW)
    assert f'hx-get="{url}" hx-trigger="load"' in page.content.decode()
    assert says not in said_by(page)
    assert says in said_by(alices.get(url, headers={"HX-Request": "true"}))


@pytest.mark.parametrize(("url", "says"), PARTS)
def test_without_scripts_they_come_with_the_page(alices, busy, url, says):
    name = url.split("/")[-2]
    assert alices.get(url)["Location"] == f"{OVERVIEW}?show=all#{name}"
    page = alices.get(OVERVIEW, {"show": "all"})
    assert says in said_by(page)
    markup = page.content.decode()
    assert f'id="{name}"' in markup
    assert 'hx-trigger="load"' not in markup


def test_super_admins_begin_here(alices):
    assert alices.get("/")["Location"] == OVERVIEW


@pytest.mark.parametrize("number", [2, 40])
def test_the_queries_do_not_grow(alices, alice, django_assert_max_num_queries, number):
    made = Flag.objects.bulk_create(
        Flag(key=f"flag_{n}", name=f"Flag {n}", killed_at=timezone.now(), killed_by=alice) for n in range(number)
    )
    company = CompanyFactory()
    for flag in made:
        OverrideFactory(company=company, flag=flag, expires_at=timezone.now() + timedelta(days=2))
    for n in range(min(number, 8)):
        changes.create_flag(f"going_{n}", actor=alice)
        releases.start(f"going_{n}", actor=alice)
    assert Change.objects.exists()
    with django_assert_max_num_queries(7):
        alices.get(OVERVIEW)
    for part, queries in ((RELEASES, 11), (ENDING, 7), (CHANGES, 7)):
        with django_assert_max_num_queries(queries):
            alices.get(part, headers={"HX-Request": "true"})
