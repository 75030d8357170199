"""The language of the search fields: what is understood, what is not and why, and how a word may go on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.querytext import COMPANIES, FLAGS, LONGEST, completions, parse


def said(text, language=FLAGS):
    return [(term.negated, term.name, term.values) for term in parse(text, language).terms]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("trip", [(False, "", ("trip",))]),
        ("trip management", [(False, "", ("trip",)), (False, "", ("management",))]),
        ('"trip management"', [(False, "", ("trip management",))]),
        ('-"old name"', [(True, "", ("old name",))]),
        ("is:killed", [(False, "is", ("killed",))]),
        ("IS:Killed", [(False, "is", ("Killed",))]),
        ("-category:billing", [(True, "category", ("billing",))]),
        ("on:pilot,general", [(False, "on", ("pilot", "general"))]),
        ('owner:"Platform team",me', [(False, "owner", ("Platform team", "me"))]),
        ("stale", [(False, "is", ("stale",))]),
        ("-never-evaluated", [(True, "is", ("never-evaluated",))]),
        ('"stale"', [(False, "", ("stale",))]),  # in quotes it is text
        ('"is:killed"', [(False, "", ("is:killed",))]),
        ("10:30", [(False, "", ("10:30",))]),  # no letter begins it: a time, not a qualifier
        ('owner:"Platform', [(False, "owner", ("Platform",))]),  # the last quote may be missing
        ("-", [(False, "", ("-",))]),
        ('""', []),
        ("%", [(False, "", ("%",))]),
    ],
)
def test_what_is_understood(text, terms):
    assert said(text) == terms
    assert parse(text, FLAGS).problems == ()


@pytest.mark.parametrize(
    ("text", "words", "better"),
    [
        ("is:kiled", "“kiled” in “is:kiled” is not known. is: takes on, off, killed,", "is:killed"),
        ("catgory:billing", "“catgory:” means nothing here.", "category:billing"),
        ("trip  is:stael on:pilot", "“stael”", "trip is:stale on:pilot"),
        ("-is:internl", "“internl” in “-is:internl”", "-is:internal"),
        ("https://example.com", "put it in quotes", ""),
        ("category:", "“category:” needs to know what a flag is filed under, as in category:billing.", ""),
        ("needs:money", "needs: takes grant.", ""),
        ("channel:pilot", "“channel:” means nothing here.", ""),  # companies are on channels, flags are not
    ],
)
def test_what_is_not_is_told_with_a_guess(text, words, better):
    query = parse(text, FLAGS)
    (problem,) = query.problems
    assert words in problem.message
    assert problem.better == better
    assert all(term.name != "is" for term in query.terms)


def test_companies_speak_another_language():
    assert said("channel:pilot is:inactive", COMPANIES) == [
        (False, "channel", ("pilot",)),
        (False, "is", ("inactive",)),
    ]
    assert said("stale", COMPANIES) == [(False, "", ("stale",))]


def test_a_word_is_taken_away_and_added():
    query = parse('trip is:killed "by hand"', FLAGS)
    assert query.without(query.terms[1]) == 'trip "by hand"'
    assert query.with_word("on:pilot") == 'trip is:killed "by hand" on:pilot'
    assert query.with_word("IS:killed") == query.text


@given(st.text(max_size=LONGEST + 20))
def test_nothing_that_is_typed_is_too_strange(text):
    query = parse(text, FLAGS)
    assert len(query.text) <= LONGEST
    for term in query.terms:
        assert query.text[term.start : term.end] == term.typed
        assert parse(query.without(term), FLAGS).problems == query.problems or query.problems
    for caret in (0, len(text) // 2, len(text)):
        for each in completions(text, caret, FLAGS, lambda name, begun: [("two words", "a value")]):
            assert each.word


WORDS = st.sampled_from(["is:on", "-is:killed", "trip", '"two words"', "owner:me", "stale", "needs:grant", "-x"])


@given(st.lists(WORDS, max_size=6))
def test_good_words_have_no_problem_and_each_can_be_taken_away(words):
    query = parse(" ".join(words), FLAGS)
    assert query.problems == ()
    assert len(query.terms) == len(words)
    for number, term in enumerate(query.terms):
        assert query.without(term).split(" ") == " ".join(words[:number] + words[number + 1 :]).split(" ")


def owners(name, begun):
    return [("Platform team", "owner")] if "platform team".startswith(begun.lower()) else []


@pytest.mark.parametrize(
    ("text", "caret", "offered"),
    [
        ("ca", 2, [("category:", "category:")]),
        ("is:k", 4, [("is:killed", "is:killed "), ("is:kill-switch", "is:kill-switch ")]),
        ("trip is:sta", 11, [("is:stale", "trip is:stale ")]),
        ("is:sta trip", 6, [("is:stale", "is:stale trip")]),
        ("-is:st", 6, [("-is:stale", "-is:stale ")]),
        ("kil", 3, [("is:killed", "is:killed "), ("is:kill-switch", "is:kill-switch ")]),
        ("owner:pl", 8, [('owner:"Platform team"', 'owner:"Platform team" ')]),
        ("owner:me,pl", 11, [('owner:me,"Platform team"', 'owner:me,"Platform team" ')]),
        ('"is:k', 5, []),
        ("nothing", 7, []),
    ],
)
def test_how_a_word_may_go_on(text, caret, offered):
    assert [(each.word, each.text) for each in completions(text, caret, FLAGS, owners)] == offered


def test_an_empty_field_offers_every_qualifier():
    offered = [each.word for each in completions("", 0, FLAGS, owners, most=20)]
    assert offered == [f"{name}:" for name in FLAGS.qualifiers]
