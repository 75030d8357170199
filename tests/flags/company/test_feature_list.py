"""/features/: what a company has, in words; for its admins and coordinators, and for nobody else."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from flags import changes
from flags.models import Flag
from tenants.models import Company, User
from tenants.principal import VIEWING_AS
from tests.factories import (
    ChannelDefaultFactory,
    CompanyFactory,
    FlagFactory,
    MembershipFactory,
    OptInFactory,
    OverrideFactory,
    RequirementFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

URL = "/features/"


@pytest.fixture
def page(sign_in):
    """Return a function that loads the page as somebody, and returns its text."""

    def loaded(user: User) -> str:
        response = sign_in(user).get(URL)
        assert response.status_code == 200
        return response.content.decode()

    return loaded


def card(html: str, name: str) -> str:
    """Return the words on the card of one feature, without since when."""
    return re.sub(r" Since \d+ \w+ \d{4}$", "", whole_card(html, name))


def whole_card(html: str, name: str) -> str:
    """Return all the words on the card of one feature."""
    (found,) = [part for part in re.findall(r"<article.*?</article>", html, re.DOTALL) if f"<h3>{name}</h3>" in part]
    return " ".join(re.sub(r"<[^>]+>", " ", found).split()).removeprefix(name).strip()


@pytest.fixture
def chat():
    return FlagFactory(key="night_chat", name="Night Chat", category="operations")


# The words


def on(flag: Flag, company: Company) -> None:
    Flag.objects.filter(pk=flag.pk).update(default_enabled=True)


def killed(flag: Flag, company: Company) -> None:
    Flag.objects.filter(pk=flag.pk).update(default_enabled=True, killed_at=timezone.now())


def too_dear(flag: Flag, company: Company) -> None:
    Flag.objects.filter(pk=flag.pk).update(default_enabled=True, minimum_plan="enterprise")


def on_for_a_while(flag: Flag, company: Company) -> None:
    OverrideFactory(flag=flag, company=company, expires_at=timezone.now() + timedelta(days=3))


def off_for_a_while(flag: Flag, company: Company) -> None:
    OverrideFactory(flag=flag, company=company, enabled=False, expires_at=timezone.now() + timedelta(days=3))


def once_on_for_a_while(flag: Flag, company: Company) -> None:
    OverrideFactory(flag=flag, company=company, expires_at=timezone.now() - timedelta(days=3))


def on_for_its_channel_and_not_the_next(flag: Flag, company: Company) -> None:
    Company.objects.filter(pk=company.pk).update(channel="pilot")
    ChannelDefaultFactory(flag=flag, channel="pilot")


def on_for_all_channels(flag: Flag, company: Company) -> None:
    for channel in ("internal", "pilot", "general"):
        ChannelDefaultFactory(flag=flag, channel=channel)


def on_for_its_channel_and_by_default(flag: Flag, company: Company) -> None:
    on(flag, company)
    on_for_its_channel_and_not_the_next(flag, company)


def on_for_its_channel_and_off_for_the_next(flag: Flag, company: Company) -> None:
    on_for_its_channel_and_by_default(flag, company)
    ChannelDefaultFactory(flag=flag, channel="general", enabled=False)


def off_for_its_channel_and_on_by_default(flag: Flag, company: Company) -> None:
    on(flag, company)
    ChannelDefaultFactory(flag=flag, channel="general", enabled=False)


def on_for_an_earlier_channel(flag: Flag, company: Company) -> None:
    ChannelDefaultFactory(flag=flag, channel="pilot")


def off_for_every_channel(flag: Flag, company: Company) -> None:
    for channel in ("pilot", "general"):
        ChannelDefaultFactory(flag=flag, channel=channel, enabled=False)


def rolled_out_to_others_of_its_channel(flag: Flag, company: Company) -> None:
    ChannelDefaultFactory(flag=flag, channel="general", percentage=0)


def without_what_it_needs(flag: Flag, company: Company) -> None:
    on(flag, company)
    RequirementFactory(flag=flag, requires=FlagFactory(name="Secret Base", is_internal=True))


def chosen(flag: Flag, company: Company) -> None:
    Flag.objects.filter(pk=flag.pk).update(is_self_service=True)
    OptInFactory(flag=flag, company=company)


def given_to_single_people(flag: Flag, company: Company) -> None:
    Flag.objects.filter(pk=flag.pk).update(default_enabled=True, needs_grant=True)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda flag, company: None, r"Off"),
        (on, r"On"),
        (killed, r"Temporarily unavailable Switched off while we repair something; it comes back by itself"),
        (too_dear, r"Not in your plan Part of the Enterprise plan"),
        (on_for_a_while, r"On until \d+ \w+ \d{4} Until \d+ \w+ \d{4}, \d\d:\d\d UTC"),
        (off_for_a_while, r"Off Off until \d+ \w+ \d{4}, \d\d:\d\d UTC"),
        (once_on_for_a_while, r"Off"),
        (on_for_its_channel_and_not_the_next, r"Pilot On: you have this before others do"),
        (on_for_its_channel_and_by_default, r"On"),
        (on_for_its_channel_and_off_for_the_next, r"Pilot On: you have this before others do"),
        (off_for_its_channel_and_on_by_default, r"Coming soon It is being tried out, and comes to you next"),
        (on_for_all_channels, r"On"),
        (on_for_an_earlier_channel, r"Coming soon It is being tried out, and comes to you next"),
        (off_for_every_channel, r"Off"),
        (rolled_out_to_others_of_its_channel, r"Coming soon It is being tried out, and comes to you next"),
        (without_what_it_needs, r"Off It builds on another feature that is off"),
        (chosen, r"On Switched on by your company"),
        (given_to_single_people, r"On For the people it was given to"),
    ],
)
def test_each_state_is_said_in_words(page, acme, bob, chat, given, words):
    given(chat, acme)
    assert re.fullmatch(words, card(page(bob), "Night Chat"))


# Since when

LONG_AGO = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda flag, company, alice: None, "Off"),
        (lambda flag, company, alice: changes.set_default(flag.key, True, actor=alice), "On Since 1 Mar 2026"),
        (
            lambda flag, company, alice: changes.set_channel(flag.key, "general", True, actor=alice),
            "On Since 1 Mar 2026",
        ),
        (
            lambda flag, company, alice: changes.set_override(company, flag.key, True, actor=alice),
            "On Since 1 Mar 2026",
        ),
        (
            lambda flag, company, alice: changes.kill(flag.key, actor=alice, reason="It breaks"),
            "Temporarily unavailable Switched off while we repair something; it comes back by itself Since 1 Mar 2026",
        ),
    ],
    ids=["never touched", "by default", "by its channel", "by its own answer", "killed"],
)
def test_a_card_says_since_when_it_stands_so(page, alice, acme, bob, chat, act, words):
    with time_machine.travel(LONG_AGO, tick=False):
        act(chat, acme, alice)
    # What concerns somebody else, or does not decide, moves nothing.
    changes.set_override(CompanyFactory(), chat.key, True, actor=alice)
    changes.edit_flag(chat.key, actor=alice, owner="Night team")
    assert whole_card(page(bob), "Night Chat") == words


def test_an_answer_that_ran_out_stands_since_its_end(page, alice, acme, bob, chat):
    with time_machine.travel(LONG_AGO, tick=False):
        changes.set_default(chat.key, False, actor=alice)
        changes.set_default(chat.key, True, actor=alice)
        changes.set_override(acme, chat.key, False, actor=alice, expires_at=LONG_AGO + timedelta(days=2))
    assert whole_card(page(bob), "Night Chat") == "On Since 3 Mar 2026"


# What is never there


def test_an_internal_flag_and_a_key_are_never_there(page, acme, bob, chat):
    FlagFactory(key="secret_tool", name="Secret Tool", category="hidden_category", is_internal=True)
    html = page(bob)
    for hidden in ("Secret Tool", "secret_tool", "idden_category", "night_chat", "inspector", "Inspector"):
        assert hidden not in html


def test_nothing_of_another_company_is_there(page, acme, globex, bob, chat):
    OverrideFactory(flag=chat, company=globex, enabled=True, reason="Globex pays for it")
    html = page(bob)
    assert "Globex" not in html
    assert card(html, "Night Chat") == "Off"


def test_a_reason_that_a_super_admin_noted_stays_with_them(page, acme, bob, chat):
    OverrideFactory(flag=chat, company=acme, reason="they threatened to leave")
    html = page(bob)
    assert card(html, "Night Chat") == "On"
    assert "threatened" not in html


def test_there_is_nothing_to_press(sign_in, bob):
    client = sign_in(bob)
    main = re.search(r"<main.*</main>", client.get(URL).content.decode(), re.DOTALL)[0]
    assert "<form" not in main
    assert "<button" not in main
    for method in ("post", "put", "patch", "delete"):
        assert getattr(client, method)(URL).status_code == 405


# How it is laid out


def test_features_stand_by_category_in_the_order_of_lists(page, bob):
    FlagFactory(name="Odd One", category="zebra")
    FlagFactory(name="Paper Bills", category="billing")
    main = page(bob).partition("<main")[2].partition("</main>")[0]
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", main)
    assert headings[:3] == ["Billing", "Core", "Operations"]
    assert headings[-1] == "Zebra"


def test_without_any_feature_it_says_what_will_be_there(page, bob):
    Flag.objects.all().delete()
    html = page(bob)
    assert "No features yet" in html
    assert "<article" not in html


def test_many_features_stand_on_several_pages_and_internal_ones_are_not_even_counted(sign_in, bob):
    Flag.objects.all().delete()
    FlagFactory.create_batch(70)
    FlagFactory.create_batch(5, is_internal=True)
    client = sign_in(bob)
    first, second = (client.get(URL, {"page": page}).content.decode() for page in (1, 2))
    assert (first.count("<article"), second.count("<article")) == (60, 10)
    assert "1\u201360 of 70" in first
    assert 'rel="next" href="?page=2"' in first
    assert 'rel="prev" href="?page=1"' in second
    assert client.get(URL, {"page": "nonsense"}).content.decode().count("<article") == 60


@pytest.mark.parametrize("number", [1, 40])
def test_it_costs_the_same_for_few_flags_and_for_many(sign_in, bob, number, django_assert_max_num_queries):
    client = sign_in(bob)
    client.get(URL)
    FlagFactory.create_batch(number)
    with django_assert_max_num_queries(20):
        client.get(URL)


# Who may look


def test_a_coordinator_may_look_too(page, cora):
    assert "Your features" in page(cora)


def test_a_member_is_told_whom_to_ask(sign_in, acme, bob, dan):
    response = sign_in(dan).get(URL)
    html = response.content.decode()
    assert response.status_code == 403
    assert "This page is for admins and coordinators" in html
    assert f'<a href="mailto:{bob.email}">Bob</a>' in html
    assert "<article" not in html


def test_an_admin_who_left_is_nobody_to_ask(sign_in, acme, bob, dan):
    User.objects.filter(pk=bob.pk).update(is_active=False)
    html = sign_in(dan).get(URL).content.decode()
    assert bob.email not in html
    assert "Acme has no admin at present" in html


def test_a_super_admin_is_shown_the_way_to_view_as_a_company(sign_in, alice):
    response = sign_in(alice).get(URL)
    assert response.status_code == 403
    assert "You are looking as yourself" in response.content.decode()


def test_a_super_admin_who_views_as_a_company_sees_what_it_sees(sign_in, alice, acme, chat):
    OverrideFactory(flag=chat, company=acme)
    client = sign_in(alice)
    session = client.session
    session[VIEWING_AS] = str(acme.pk)
    session.save()
    html = client.get(URL).content.decode()
    assert card(html, "Night Chat") == "On"
    assert "You see what <strong>Acme</strong> sees." in html
    assert "Inspector" not in html


def test_somebody_of_no_company_is_told_so(sign_in):
    response = sign_in(UserFactory(email="lost@example.com")).get(URL)
    assert response.status_code == 403
    assert "You belong to no company yet" in response.content.decode()


def test_people_of_an_inactive_company_have_none(sign_in, acme, bob):
    Company.objects.filter(pk=acme.pk).update(is_active=False)
    assert sign_in(bob).get(URL).status_code == 403


def test_a_stranger_signs_in_first(client, db):
    response = client.get(URL)
    assert response.status_code == 302
    assert response.url == "/login/?next=%2Ffeatures%2F"


def test_somebody_of_two_companies_sees_the_one_that_is_home(page, acme, globex, bob, chat):
    MembershipFactory(company=globex, user=bob, role="admin", is_home=False)
    OverrideFactory(flag=chat, company=globex)
    assert card(page(bob), "Night Chat") == "Off"
