"""What changed for a company, as its admins and coordinators are told: on /features/, and all of it by day."""

import re
from types import SimpleNamespace

import pytest

from flags import changes, companies, releases
from tests.factories import FlagFactory, MembershipFactory

pytestmark = pytest.mark.django_db

URL = "/features/changes/"


@pytest.fixture
def cast(alice, acme, globex, bob, cora, dan):
    """Everybody, by name."""
    return SimpleNamespace(alice=alice, acme=acme, globex=globex, bob=bob, cora=cora, dan=dan)


@pytest.fixture
def chat():
    return FlagFactory(key="night_chat", name="Night Chat", is_self_service=True)


def lines(html: str) -> list[str]:
    """Return the sentences of a page, with who did it and without when, as they stand in it."""
    articles = re.findall(r"<article class=\"history-item\">.*?</article>", html, re.DOTALL)
    found = [re.sub(r"<time.*?</time>", "", article) for article in articles]
    return [" ".join(re.sub(r"<[^>]+>", " ", article).split()) for article in found]


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda to: changes.set_override(to.acme, "night_chat", True, actor=to.alice), "Night Chat was turned on"),
        (lambda to: changes.set_override(to.acme, "night_chat", False, actor=to.alice), "Night Chat was turned off"),
        (
            lambda to: changes.set_override(to.acme, "night_chat", True, actor=to.alice, paused=True),
            "Your own setting of Night Chat does not count for now",
        ),
        (lambda to: changes.set_opt_in(to.acme, "night_chat", True, actor=to.bob), "Night Chat was switched on by Bob"),
        (
            lambda to: changes.grant(to.acme, to.dan, "night_chat", actor=to.alice),
            "Dan may use Night Chat",
        ),
        (
            lambda to: changes.grant(to.acme, to.dan, "night_chat", enabled=False, actor=to.alice),
            "Dan may not use Night Chat",
        ),
        (lambda to: companies.edit_company(to.acme, actor=to.alice, plan="enterprise"), "Your plan is now enterprise"),
        (
            lambda to: companies.edit_company(to.acme, actor=to.alice, channel="pilot"),
            "Your release channel is now pilot",
        ),
    ],
)
def test_each_change_is_told_in_the_companys_words(sign_in, cast, chat, act, words):
    act(cast)
    assert lines(sign_in(cast.bob).get(URL).content.decode())[0] == words
    assert lines(sign_in(cast.bob).get("/features/").content.decode())[0] == words


def test_taking_back_is_told_as_well(sign_in, cast, chat):
    changes.set_override(cast.acme, "night_chat", True, actor=cast.alice)
    changes.remove_override(cast.acme, "night_chat", actor=cast.alice)
    changes.set_opt_in(cast.acme, "night_chat", True, actor=cast.bob)
    changes.remove_opt_in(cast.acme, "night_chat", actor=cast.bob)
    changes.grant(cast.acme, cast.dan, "night_chat", actor=cast.alice)
    changes.revoke(cast.acme, cast.dan, "night_chat", actor=cast.alice)
    told = lines(sign_in(cast.bob).get(URL).content.decode())
    assert told[0] == "What Dan may do with Night Chat is as for everybody again"
    assert told[2] == "Your own choice of Night Chat was taken back by Bob"
    assert told[4] == "Night Chat is as for everybody again"


def test_what_was_changed_for_all_is_told_where_it_moved_something(sign_in, cast, chat):
    def told(person) -> list[str]:
        return lines(sign_in(person).get(URL).content.decode())

    changes.set_channel("night_chat", "pilot", True, actor=cast.alice)
    assert told(cast.bob) == []  # Acme is general.
    changes.set_channel("night_chat", "general", True, actor=cast.alice, reason="they waited long")
    changes.set_channel("night_chat", "general", True, percentage=0, actor=cast.alice)
    changes.set_default("night_chat", True, actor=cast.alice)  # The channel speaks before it.
    changes.kill("night_chat", actor=cast.alice, reason="leak")
    changes.revive("night_chat", actor=cast.alice, reason="mended")
    assert told(cast.bob) == [
        "The trouble with Night Chat is over",
        "Night Chat is temporarily unavailable",
        "Night Chat is no longer available to you",
        "Night Chat is now available to you",
    ]
    assert lines(sign_in(cast.bob).get("/features/").content.decode())[0] == "The trouble with Night Chat is over"


def test_a_release_is_told_when_it_comes_and_when_it_goes(sign_in, cast, chat):
    companies.edit_company(cast.acme, actor=cast.alice, channel="pilot")
    releases.start("night_chat", actor=cast.alice)
    releases.promote("night_chat", actor=cast.alice, force=True, reason="deadline")
    releases.roll_back("night_chat", "internal", actor=cast.alice, reason="tickets")
    assert lines(sign_in(cast.bob).get(URL).content.decode())[:2] == [
        "Night Chat is no longer available to you",
        "Night Chat is now available to you",
    ]


@pytest.mark.parametrize(
    "beforehand",
    [
        lambda to: changes.set_override(to.acme, "night_chat", False, actor=to.alice),
        lambda to: changes.set_opt_in(to.acme, "night_chat", False, actor=to.bob),
        lambda to: changes.edit_flag("night_chat", actor=to.alice, minimum_plan="enterprise"),
        lambda to: changes.edit_flag("night_chat", actor=to.alice, requires=["api_access"]),
        lambda to: changes.edit_flag("night_chat", actor=to.alice, is_internal=True),
    ],
    ids=["its override decides", "its choice decides", "not in its plan", "needs another", "internal"],
)
def test_what_did_not_come_to_the_company_is_not_told(sign_in, cast, chat, beforehand):
    beforehand(cast)
    changes.set_default("night_chat", True, actor=cast.alice)
    assert "available to you" not in sign_in(cast.bob).get(URL).content.decode()


def test_who_left_and_our_staff_are_somebody(sign_in, cast, chat, alice):
    MembershipFactory(company=cast.acme, user=alice)
    for person in (alice, cast.dan):
        changes.grant(cast.acme, person, "night_chat", actor=alice)
    companies.remove_member(cast.acme, cast.dan, actor=alice)
    html = sign_in(cast.bob).get(URL).content.decode()
    assert lines(html)[0] == "Somebody left"
    assert lines(html).count("Somebody may use Night Chat") == 2
    for hidden in ("Alice", alice.email, "Dan", cast.dan.email):
        assert hidden not in html


def test_pages_of_its_own_and_of_all_follow_each_other(sign_in, cast, chat, monkeypatch):
    monkeypatch.setattr("flags.company.news.LINES_SHOWN", 3)
    for number in range(3):
        changes.set_default("night_chat", number % 2 == 0, actor=cast.alice)
        changes.grant(cast.acme, cast.dan, "night_chat", enabled=number % 2 == 0, actor=cast.alice)
    client = sign_in(cast.bob)
    first = client.get(URL).content.decode()
    older = client.get(URL + re.search(r'rel="next" href="([^"]+)"', first)[1]).content.decode()
    newer = client.get(URL + re.search(r'rel="prev" href="([^"]+)"', older)[1]).content.decode()
    assert lines(first) == [
        "Dan may use Night Chat",
        "Night Chat is now available to you",
        "Dan may not use Night Chat",
    ]
    assert lines(older) == [
        "Night Chat is no longer available to you",
        "Dan may use Night Chat",
        "Night Chat is now available to you",
    ]
    assert (lines(newer), 'rel="next"' in older, 'rel="prev"' in newer) == (lines(first), False, False)


def test_neither_staff_nor_reasons_nor_keys_nor_others_are_named(sign_in, cast, chat):
    FlagFactory(key="secret_tool", name="Secret Tool", is_internal=True)
    changes.set_override(cast.acme, "night_chat", True, actor=cast.alice, reason="they threatened to leave")
    changes.set_override(cast.acme, "secret_tool", True, actor=cast.alice)
    changes.set_override(cast.globex, "night_chat", False, actor=cast.alice, reason="Globex pays")
    for url in (URL, "/features/"):
        html = sign_in(cast.bob).get(url).content.decode()
        assert "Night Chat" in html
        for hidden in ("Alice", "threatened", "night_chat", "Secret Tool", "secret_tool", "Globex"):
            assert hidden not in html


def test_without_any_it_says_what_will_be_told(sign_in, cast):
    assert "Nothing has changed yet" in sign_in(cast.cora).get(URL).content.decode()
    assert "What changed lately" not in sign_in(cast.cora).get("/features/").content.decode()


def test_a_long_history_stands_on_pages_that_cost_the_same(sign_in, cast, chat, django_assert_max_num_queries):
    for number in range(60):
        changes.set_override(cast.acme, "night_chat", number % 2 == 0, actor=cast.alice)
    client = sign_in(cast.bob)
    with django_assert_max_num_queries(12):
        first = client.get(URL).content.decode()
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert (len(lines(first)), older is not None) == (50, True)
    assert len(lines(client.get(URL + older[1]).content.decode())) == 10


def test_members_are_told_whom_to_ask_and_nobody_writes(sign_in, cast):
    assert sign_in(cast.dan).get(URL).status_code == 403
    assert sign_in(cast.bob).post(URL).status_code == 405
