"""Random requests by people of three companies, interleaved on two connections, with errors thrown in at any statement.

Every company has a word of its own in all that is its: name, people, reasons, tokens, settings. No answer may hold
another company's word or id, nor the name of an internal flag; and an answer without an error equals the one the same
asker got while nobody else was asking, so no number in it depends on others either.

ISOLATION_REQUESTS=10000 makes it long; the seed is printed with a failure.
"""

import json
import os
import random
import re
import threading
from dataclasses import dataclass, field

import pytest
from django.db import OperationalError, connection, connections
from django.test import Client

from flags import changes
from flags.models import Override
from tenants import jwt, rls
from tenants.models import Company
from tests.factories import (
    ApiTokenFactory,
    ChangeFactory,
    CompanyFactory,
    FlagFactory,
    GrantFactory,
    MembershipFactory,
    OptInFactory,
    OverrideFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db(transaction=True)

REQUESTS = int(os.environ.get("ISOLATION_REQUESTS", "300"))
SEED = int(os.environ.get("ISOLATION_SEED", "20261121"))
CONNECTIONS = 2
ONE_IN = 8  # So many requests meet an error of the database, at one of its first statements.
STATEMENTS = 12 if connection.vendor == "postgresql" else 5  # On SQLite nothing binds.
WORDS = ("quokka", "numbat", "wombat")
INTERNAL_WORD = "platypus"
# What differs from one answer to the next, whoever asks.
CHANGING = re.compile(
    r'nonce="[^"]*"|csrf[\w-]*"?[:=]? ?(?:value=)?"[^"]*"|"request_id": ?"[^"]*"|For support: <code>[^<]*',
    re.IGNORECASE,
)


@dataclass
class Asker:
    """Somebody of a company with a way to ask. `foreign` is what none of their answers may hold."""

    name: str
    company: Company
    client: dict
    is_bound_key: bool = False
    foreign: list[str] = field(default_factory=list)
    others: list[Company] = field(default_factory=list)


@dataclass(frozen=True)
class Ask:
    """One request. `is_steady`: its answer stays the same as long as nothing is changed."""

    method: str
    path: str
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    is_steady: bool = True


def found(number: int, word: str) -> tuple[Company, list[Asker]]:
    """Make a company that says its word everywhere, with askers of every kind."""
    company = CompanyFactory(slug=f"{word}-{number}", name=f"{word.title()} Ltd", plan="enterprise")
    company.settings.default_currency = ("EUR", "USD", "GBP")[number]
    company.settings.save()
    askers = []
    for role in ("admin", "coordinator", "member"):
        for _ in range(number + 1):  # Not the same number in any two companies.
            person = UserFactory(email=f"{role}-{_}@{word}.example", name=f"{role} {word}")
            MembershipFactory(company=company, user=person, role=role)
        client = Client()
        client.force_login(person)
        session = {name: morsel.value for name, morsel in client.cookies.items()}
        askers.append(Asker(f"{role} by session", company, {"cookies": session}))
        access = jwt.issue(person, company)["access"]
        askers.append(Asker(f"{role} by JWT", company, {"authorization": f"Bearer {access}"}))
        GrantFactory(company=company, user=person, flag=FlagFactory(), reason=f"reason {word}")
    for kind, scopes in (
        ("client", ["evaluate"]),
        ("server", ["evaluate", "flags:read", "flags:write", "tenants:write"]),
    ):
        token = ApiTokenFactory(name=f"token {word}", company=company, kind=kind, scopes=scopes)
        bearer = {"authorization": f"Bearer {token.plain}"}
        askers.append(Asker(f"{kind} key", company, bearer, is_bound_key=kind == "server"))
    for flag in ("api_access", "billing_enabled", "white_label")[: number + 1]:
        OverrideFactory(company=company, flag_id=flag, flag=None, reason=f"reason {word}", enabled=number != 1)
    OptInFactory(company=company, flag_id="ai_enabled", flag=None, enabled=number == 1)
    ChangeFactory(company_id=company.pk, company_slug=company.slug, company_name=company.name, reason=f"reason {word}")
    return company, askers


def asks_of(asker: Asker, others: list[Company]) -> list[Ask]:
    """All that an asker may ask: for their own company, and for another's, which is refused or not found."""
    own, other = str(asker.company.pk), str(others[0].pk)
    asks = [
        Ask("get", "/features/"),
        Ask("get", "/integrations/"),
        Ask("get", "/integrations/accounting/"),
        Ask("get", "/"),
        Ask("get", "/api/features"),
        Ask("get", "/api/features/api_access"),
        Ask("get", f"/api/features/{INTERNAL_WORD}_chat"),
        Ask("post", "/api/features/check", json.dumps({"keys": ["api_access", "billing_enabled", "ai_enabled"]})),
        Ask("get", "/api/org-settings"),
        Ask("get", "/api/integrations"),
        Ask("get", "/api/workspaces"),
        Ask("get", "/api/admin/feature-flags"),
        Ask("get", "/api/admin/tenants"),
        Ask("get", "/api/admin/changes"),
        Ask("get", "/api/admin/tokens"),
        Ask("get", "/super-admin/feature-flags/"),
        Ask("get", "/super-admin/inspector/?company=" + others[0].slug),
        Ask("post", "/ofrep/v1/evaluate/flags", json.dumps({"context": {}})),
        Ask("post", "/ofrep/v1/evaluate/flags", json.dumps({"context": {"companyId": other}})),
        Ask("get", "/api/features", headers=(("X-Workspace-Id", other),)),
        Ask("get", f"/api/features?workspace={other}"),
        Ask("post", "/api/admin/tenant-isolation-audit", "{}"),
    ]
    for company in (own, other):
        asks += [
            Ask("get", f"/api/admin/tenants/{company}"),
            Ask("get", f"/api/admin/tenants/{company}/features"),
            Ask("get", f"/api/admin/tenants/{company}/overrides"),
            Ask("get", f"/api/admin/tenants/{company}/members"),
        ]
    asks += [
        Ask("delete", f"/api/admin/tenants/{other}/overrides/api_access", is_steady=False),
        Ask("put", f"/api/admin/tenants/{other}/overrides/api_access", json.dumps({"enabled": True}), is_steady=False),
    ]
    if asker.is_bound_key:
        # What only this company is told, written again and again, and undone where an error is thrown in.
        body = json.dumps({"enabled": True, "reason": f"again {asker.company.slug}"})
        asks += [Ask("put", f"/api/admin/tenants/{own}/overrides/driver_chat", body, is_steady=False)] * 3
    return asks


class Thrower:
    """Lets one of the next statements of a connection fail, when armed."""

    def __init__(self) -> None:
        self.left = 0
        self.thrown = 0

    def __call__(self, execute, sql, params, many, context):
        if self.left:
            self.left -= 1
            if not self.left:
                self.thrown += 1
                raise OperationalError("thrown in by a test")
        return execute(sql, params, many, context)


def send(asker: Asker, ask: Ask):
    client = Client(raise_request_exception=False, headers=dict(ask.headers))
    if "cookies" in asker.client:
        for name, value in asker.client["cookies"].items():
            client.cookies[name] = value
    headers = {name: value for name, value in asker.client.items() if name != "cookies"}
    how = {"data": ask.body, "content_type": "application/json"} if ask.body else {}
    return getattr(client, ask.method)(ask.path, headers={**dict(ask.headers), **headers}, **how)


def said(response, ask: Ask) -> str:
    """An answer with its headers, without what the request itself had said."""
    text = response.content.decode() + "\n" + "\n".join(f"{name}: {value}" for name, value in response.items())
    for echo in (ask.path, *re.findall(r"[\w-]{8,}", ask.path + ask.body + str(ask.headers))):
        text = text.replace(echo, "")
    return text


def steady(response) -> tuple[int, str]:
    """An answer without what differs each time."""
    return response.status_code, CHANGING.sub("", response.content.decode())


@pytest.fixture
def askers(settings, alice) -> list[Asker]:
    settings.API_RATE_LIMIT = "1000000/min"
    for n in range(3):
        FlagFactory(key=f"{INTERNAL_WORD}_{n}", name=f"{INTERNAL_WORD} {n}", is_internal=True, default_enabled=True)
    FlagFactory(key=f"{INTERNAL_WORD}_chat", name=INTERNAL_WORD, is_internal=True)
    found_by = [found(number, word) for number, word in enumerate(WORDS)]
    everybody = []
    for number, (company, people) in enumerate(found_by):
        others = [other for other, _ in found_by if other != company]
        words = [word for word in WORDS if word != WORDS[number]]
        changes.set_override(company, f"{INTERNAL_WORD}_0", True, actor=alice, reason=f"secret {WORDS[number]}")
        for asker in people:
            asker.foreign = [*words, INTERNAL_WORD, *(str(other.pk) for other in others)]
            asker.others = others
        everybody += people
    return everybody


def test_no_answer_holds_or_counts_what_is_anothers(askers):
    asks = {asker.name + asker.company.slug: asks_of(asker, asker.others) for asker in askers}
    alone = {}
    statuses = set()
    with rls.acting_as_nobody():
        for asker in askers:
            for ask in asks[asker.name + asker.company.slug]:
                if not ask.is_steady:
                    send(asker, ask)  # What it writes is there from now on.
    for asker in askers:
        for ask in asks[asker.name + asker.company.slug]:
            if ask.is_steady:
                response = send(asker, ask)
                alone[asker.name, asker.company.slug, ask] = steady(response)
                assert not [word for word in asker.foreign if word.lower() in said(response, ask).lower()], ask
                statuses.add(alone[asker.name, asker.company.slug, ask][0])
    assert {200, 403, 404} <= statuses  # They are let in, and they are kept out.
    assert any(WORDS[0] in text for (_, slug, _), (_, text) in alone.items() if slug.startswith(WORDS[0]))
    faults: list[str] = []
    thrown: list[int] = []
    start = threading.Barrier(CONNECTIONS)

    def go(number: int) -> None:
        dice, thrower = random.Random(SEED + number), Thrower()
        try:
            connection.ensure_connection()
            connection.execute_wrappers.append(thrower)
            start.wait(30)
            for _ in range(REQUESTS // CONNECTIONS):
                asker = dice.choice(askers)
                ask = dice.choice(asks[asker.name + asker.company.slug])
                thrower.left = dice.randint(1, STATEMENTS) if dice.random() < 1 / ONE_IN else 0
                before = thrower.thrown
                response = send(asker, ask)
                is_disturbed = thrower.thrown > before or thrower.left
                thrower.left = 0
                text = said(response, ask)
                where = f"{asker.name} of {asker.company.slug}: {ask.method} {ask.path} -> {response.status_code}"
                faults.extend(f"{where} holds {word}" for word in asker.foreign if word.lower() in text.lower())
                if not is_disturbed and ask.is_steady:
                    before_alone = alone[asker.name, asker.company.slug, ask]
                    if steady(response) != before_alone:
                        faults.append(f"{where} differs from what it was alone ({before_alone[0]})")
                if rls.current() != rls.NOBODY or connection.in_atomic_block:
                    faults.append(f"{where} left somebody bound")
                elif connection.vendor == "postgresql" and _who_is_bound() != ("", "", ""):
                    faults.append(f"{where} left a setting: {_who_is_bound()}")
        except Exception as error:
            faults.append(f"thread {number} broke: {error!r}")
            start.abort()
        finally:
            thrown.append(thrower.thrown)
            connections.close_all()

    threads = [threading.Thread(target=go, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, f"seed {SEED}, {len(faults)} faults:\n" + "\n".join(sorted(set(faults))[:30])
    assert sum(thrown) > REQUESTS / ONE_IN / 8
    print(f"\n{REQUESTS} requests on {CONNECTIONS} connections, {sum(thrown)} errors thrown in, 0 faults")
    assert Override.objects.filter(reason__startswith="again").count() == len(WORDS)


def _who_is_bound() -> tuple[str, str, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select case when current_user = session_user then '' else current_user::text end, "
            "coalesce(current_setting('app.company_id', true), ''), coalesce(current_setting('app.user_id', true), '')"
        )
        return cursor.fetchone()
