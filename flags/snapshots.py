"""Every answer for one company, kept under the versions it was read at.

Three layers: this process (bounded, immutable objects), Django's cache (signed JSON that names its scope), the
database. What is kept is never wrong, only superseded: a change makes new versions, and with them new names to look
under. A slow reader can only file old answers under old names.
"""

import json
import logging
import random
import threading
from collections import OrderedDict
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.core.cache import cache
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from flags import versions
from flags.answers import Answers, Rules, compile_company, compile_rules
from flags.evaluation import CompanyFacts
from flags.loading import Loaded, Malformed, load, parse_company, parse_rules

logger = logging.getLogger(__name__)

# Raise this when the meaning of a filed snapshot changes: a rolling upgrade has old and new code on one cache.
FORMAT = 1
COMPANIES_IN_PROCESS = 2000
RULES_IN_PROCESS = 3

Facts = tuple[int, CompanyFacts | None]

_lock = threading.Lock()
_flights: dict[UUID | None, threading.Lock] = {}
_rules: OrderedDict[int, Rules] = OrderedDict()
_facts: OrderedDict[UUID, Facts] = OrderedDict()
_answers: OrderedDict[UUID, Answers] = OrderedDict()
_latest_rules: Rules | None = None
_signer = signing.Signer(salt="flags.snapshots")


def clear() -> None:
    """Forget all that this process knows. For tests, and for memory."""
    global _latest_rules
    with _lock:
        for kept in (_rules, _facts, _answers):
            kept.clear()
        _flights.clear()
        _latest_rules = None


def drop(company_id: UUID | None) -> None:
    """Free what is kept of one company, or of all rules. Truth does not need it; memory does."""
    with _lock:
        if company_id is None:
            _rules.clear()
            _answers.clear()
        else:
            _facts.pop(company_id, None)
            _answers.pop(company_id, None)


def changed_in_this_transaction(using: str = DEFAULT_DB_ALIAS) -> bool:
    """Say whether this connection has uncommitted changes to what answers rest on."""
    return any(getattr(entry[1], "marks_change", False) for entry in connections[using].run_on_commit)


def mark_changed(then, using: str = DEFAULT_DB_ALIAS) -> None:
    """Run `then` once the change is committed, and read past every cache until it is."""

    def after_commit() -> None:
        then()

    after_commit.marks_change = True  # type: ignore[attr-defined]
    transaction.on_commit(after_commit, using=using, robust=True)


def _keep(kept: OrderedDict, name, value, limit: int) -> None:
    with _lock:
        kept[name] = value
        kept.move_to_end(name)
        while len(kept) > limit:
            kept.popitem(last=False)


def resolve(company_id: UUID, at: datetime) -> Answers | None:
    """Return one company's answers as of `at`: at least as new as every change committed before this call.

    None means that there is no such company, or no active one. One query when nothing has changed; one more for a
    company or rules not seen yet. Raises django.db.Error, or Malformed where nothing whole was ever seen.
    """
    if changed_in_this_transaction():
        return _compile(*_parse(company_id, load(company_id, rules=True), at), at)
    seen = versions.current(company_id)
    answers = _answers.get(company_id)
    if answers is not None and (answers.rules.version, answers.version) == seen and answers.holds(at):
        return answers
    with _single_flight(company_id):
        rules, facts = _find(company_id, seen, at)
        return _compile(rules, facts, at)


def resolve_rules(at: datetime) -> Rules:
    """Return every flag's rules, for an asker without a company. Same promise and costs as `resolve`."""
    if changed_in_this_transaction():
        return compile_rules(0, parse_rules(load(None, rules=True).rules), at)
    seen, _ = versions.current(None)
    return _rules_at_least(seen, at)


def last_known(company_id: UUID | None, at: datetime) -> Answers | Rules | None:
    """Return the last good answers of a company, or the last good rules, however old. For when the database is away."""
    if company_id is None:
        return _latest_rules
    answers = _answers.get(company_id)
    if answers is None or answers.holds(at):
        return answers
    return compile_company(answers.rules, answers.version, answers.facts, at)


def _compile(rules: Rules, facts: Facts, at: datetime) -> Answers | None:
    version, company = facts
    if company is None:
        return None
    answers = compile_company(rules, version, company, at)
    if rules.version:
        _keep(_answers, UUID(company.id), answers, COMPANIES_IN_PROCESS)
    return answers


def _single_flight(name: UUID | None) -> threading.Lock:
    """Return the lock of one thing to load, so that a crowd of askers loads it once."""
    with _lock:
        if len(_flights) > 2 * COMPANIES_IN_PROCESS:
            _flights.clear()
        return _flights.setdefault(name, threading.Lock())


def _find(company_id: UUID, seen: tuple[int, int], at: datetime) -> tuple[Rules, Facts]:
    """Return rules and facts that belong together: both as of one instant not before `seen` was read."""
    rules = _rules_at_least(seen[0], at)
    facts = _facts.get(company_id)
    if facts is None or facts[0] != seen[1]:
        facts = _cached_facts(company_id, seen[1])
    if facts is not None and rules.version == seen[0]:
        return rules, facts
    loaded = load(company_id, rules=False)
    if loaded.global_version != rules.version:
        # Rules changed between two statements. Read both in one, rather than mix old rules with new facts.
        loaded = load(company_id, rules=True)
        rules = _file_rules(loaded, at)
    return rules, _file_facts(company_id, loaded)


def _rules_at_least(seen: int, at: datetime) -> Rules:
    """Return the rules of version `seen`, or newer ones where these are already gone."""
    rules = _rules.get(seen)
    if rules is None:
        with _single_flight(None):
            rules = _rules.get(seen) or _cached_rules(seen, at) or _file_rules(load(None, rules=True), at)
    return rules


def _parse(company_id: UUID, loaded: Loaded, at: datetime) -> tuple[Rules, Facts]:
    """Read without keeping anything: this state may yet be rolled back. Version 0 marks rules nobody files."""
    rules = compile_rules(0, parse_rules(loaded.rules), at)
    return rules, (loaded.company_version, parse_company(company_id, loaded.company))


def _file_rules(loaded: Loaded, at: datetime) -> Rules:
    global _latest_rules
    try:
        rules = compile_rules(loaded.global_version, parse_rules(loaded.rules), at)
    except Malformed as error:
        logger.error("rules refused version=%s problem=%s", loaded.global_version, error)
        raise
    _keep(_rules, rules.version, rules, RULES_IN_PROCESS)
    _latest_rules = rules
    _to_cache("rules", "", loaded.global_version, loaded.rules)
    return rules


def _file_facts(company_id: UUID, loaded: Loaded) -> Facts:
    try:
        facts = (loaded.company_version, parse_company(company_id, loaded.company))
    except Malformed as error:
        logger.error("company refused company=%s problem=%s", company_id, error)
        raise
    _keep(_facts, company_id, facts, COMPANIES_IN_PROCESS)
    _to_cache("company", str(company_id), loaded.company_version, loaded.company)
    return facts


def _cached_rules(version: int, at: datetime) -> Rules | None:
    global _latest_rules
    text = _from_cache("rules", "", version)
    if text is None:
        return None
    try:
        rules = compile_rules(version, parse_rules(text), at)
    except Malformed:
        return None
    _keep(_rules, version, rules, RULES_IN_PROCESS)
    _latest_rules = rules
    return rules


def _cached_facts(company_id: UUID, version: int) -> Facts | None:
    text = _from_cache("company", str(company_id), version)
    if text is None:
        return None
    try:
        facts = (version, parse_company(company_id, text))
    except Malformed:
        return None
    _keep(_facts, company_id, facts, COMPANIES_IN_PROCESS)
    return facts


def _name(kind: str, scope: str, version: int) -> str:
    return f"flags:{FORMAT}:{kind}:{scope}:{version}"


def _to_cache(kind: str, scope: str, version: int, text: str | None) -> None:
    if text is None or not version:
        return
    # The value says whose it is, and is signed: another program on the same server may copy or forge entries.
    value = _signer.sign(json.dumps([kind, scope, version, text]))
    # Spread over a tenth of the time, so that what was filed together does not expire together.
    timeout = settings.FLAGS_CACHE_SECONDS * (1 - random.random() / 10)  # noqa: S311
    cache.set(_name(kind, scope, version), value, timeout)


def _from_cache(kind: str, scope: str, version: int) -> str | None:
    if not version:
        return None
    value = cache.get(_name(kind, scope, version))
    if not isinstance(value, str):
        return None
    try:
        found_kind, found_scope, found_version, text = json.loads(_signer.unsign(value))
    except (signing.BadSignature, ValueError, TypeError):
        logger.warning("cache entry refused kind=%s scope=%s", kind, scope)
        return None
    return text if [found_kind, found_scope, found_version] == [kind, scope, version] else None
