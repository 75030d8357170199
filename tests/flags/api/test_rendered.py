"""Whole answers are written out once for each that differs, and those that are asked for stay."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from flags.answers import compile_company, compile_rules
from flags.api import rendered as keeping
from flags.api.rendered import rendered
from flags.evaluation import CompanyFacts, FlagRules, GrantFact

AT = datetime(2026, 1, 1, tzinfo=UTC)
RULES = compile_rules(1, [FlagRules("api_access", default_enabled=True, needs_grant=True)])


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch):
    monkeypatch.setattr(keeping, "_kept", type(keeping._kept)())
    monkeypatch.setattr(keeping, "_bytes", 0)


class Asking:
    """One company, and how often its answers had to be written out."""

    def __init__(self, size: int = 10) -> None:
        granted = {"dan": {"api_access": GrantFact(enabled=True)}}
        self.answers = compile_company(RULES, 1, CompanyFacts("acme", "general", 1, grants=granted), AT)
        self.size, self.built = size, 0

    def ask(self, user: str | None) -> bytes:
        answers, asker = self.answers.for_user(user, AT), SimpleNamespace(company_id="acme")
        resolution = SimpleNamespace(answers=answers, asker=asker, stale=False, pending=())
        return rendered(SimpleNamespace(resolution=resolution), "json", self._build).content

    def _build(self) -> bytes:
        self.built += 1
        return b"x" * self.size


@pytest.mark.parametrize("user", [None, "dan", "stranger"])
def test_where_a_feature_needs_a_grant_who_asks_twice_is_answered_from_what_is_kept(user):
    company = Asking()
    assert company.ask(user) == company.ask(user)
    assert company.built == 1


def test_what_is_asked_for_stays_and_what_is_not_goes(monkeypatch):
    monkeypatch.setattr(keeping, "MOST", 2)
    polled, once, another = Asking(), Asking(), Asking()
    for company in (polled, once, polled, another, polled):
        company.ask(None)
    assert (polled.built, len(keeping._kept)) == (1, 2)
    once.ask(None)
    assert once.built == 2


def test_no_more_bytes_are_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(keeping, "MOST_BYTES", 100)
    companies = [Asking(size=30) for _ in range(10)]
    for company in companies:
        company.ask(None)
    assert len(keeping._kept) == 3
    assert keeping._bytes == 90
