"""What changed for a company, as its admins and coordinators are told: on /features/, and all of it by day."""

import re
from types import SimpleNamespace

import pytest

from flags import changes, companies
from tests.factories import FlagFactory

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
