"""Every answer for one company, kept under the versions it was read at.

Three layers: this process (bounded, immutable objects), Django's cache (signed JSON that names its scope), the
database. What is kept is never wrong, only superseded: a change makes new versions, and with them new names to look
under. A slow reader can only file old answers under old names. What a transaction has changed and not yet committed
has no version, and is kept nowhere.
"""

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from flags import sharedcache, versions
from flags.answers import Answers, Rules, compile_company, compile_rules, with_kills
from flags.evaluation import CompanyFacts
from flags.loading import Loaded, Malformed, load, parse_company, parse_rules

logger = logging.getLogger(__name__)

COMPANIES_IN_PROCESS = 2000
RULES_IN_PROCESS = 3
COMPANIES_TO_WARM = 20
SECONDS_TO_WAIT_FOR_ANOTHER = 2.0

Facts = tuple[int, CompanyFacts | None]


@dataclass(frozen=True, slots=True)
class Known:
    """What this process last read of one company. `answers` is None where there was no such company, or none active."""

    rules: Rules
    version: int
    answers: Answers | None


_lock = threading.Lock()
_flights: dict[UUID | None, threading.Lock] = {}
_rules: OrderedDict[int, Rules] = OrderedDict()
_latest_rules: Rules | None = None
_known: OrderedDict[UUID, Known] = OrderedDict()
_listed: tuple[UUID, ...] | None = None
_touched: WeakKeyDictionary[BaseDatabaseWrapper, set[UUID | None]] = WeakKeyDictionary()


def clear() -> None:
    """Forget all that this process knows. For tests, and for memory."""
    global _latest_rules, _listed
    with _lock:
        _rules.clear()
        _known.clear()
        _listed = None
        _flights.clear()
        _latest_rules = None


# Changes on their way


class Uncommitted(versions.Unsettled):
    """A change that is not committed; once it is, what this process had read of it is brought up to date."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection

    @property
    def stands(self) -> bool:
        """Whether the transaction still goes on and has not taken the change back."""
        return any(entry[1] is self for entry in self._connection.run_on_commit)

    def __call__(self) -> None:
        scopes = _touched.pop(self._connection, None)
        try:
            warm(scopes or set())
        except Exception as error:  # The change is made; whoever asks next will read it.
            logger.warning("reading ahead failed error=%s", type(error).__name__)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """How much this process knows: the version and number of its newest rules, and of how many companies."""

    version: int
    flags: int
    companies: int


def known() -> Knowledge:
    """Return how much this process knows. Reads memory only."""
    rules = _latest_rules
    return Knowledge(rules.version if rules else 0, len(rules.flags) if rules else 0, len(_known))


def uncommitted(using: str = DEFAULT_DB_ALIAS) -> tuple[Uncommitted, ...]:
    """Return a mark for each uncommitted change of this connection to what answers rest on."""
    waiting = connections[using].run_on_commit
    return tuple(entry[1] for entry in waiting if isinstance(entry[1], Uncommitted)) if waiting else ()


def mark_changed(*scopes: UUID | None, using: str = DEFAULT_DB_ALIAS) -> None:
    """Read past every cache until this transaction is committed; then drop and warm what changed.

    A scope is a company's id, or None for the rules of all.
    """
    connection = connections[using]
    _touched.setdefault(connection, set()).update(scopes)
    transaction.on_commit(Uncommitted(connection), using=using, robust=True)


def companies() -> tuple[UUID, ...]:
    """Return the companies this process has read; the same tuple for as long as they are the same."""
    global _listed
    listed = _listed
    if listed is None:
        with _lock:
            listed = _listed = tuple(_known)
    return listed


def version_held(scope: UUID | None) -> int | None:
    """Return the version at which this process last read a company, or the rules (None). None where it never has."""
    if scope is None:
        return _latest_rules.version if _latest_rules is not None else None
    known = _known.get(scope)
    return known.version if known is not None else None


def warm(scopes: Set[UUID | None]) -> None:
    """Bring up to date what this process had read of these scopes. What it had not, waits until somebody asks."""
    at = timezone.now()
    if None in scopes and _latest_rules is not None:
        resolve_rules(at)
    for company_id in [scope for scope in scopes if scope is not None and scope in _known][:COMPANIES_TO_WARM]:
        resolve(company_id, at)


def _read_uncommitted(company_id: UUID | None, using: str = DEFAULT_DB_ALIAS) -> tuple[Rules, Facts]:
    """Read what this transaction sees, and keep nothing of it: it may yet be rolled back."""
    if connections[using].in_atomic_block and not uncommitted(using):
        mark_changed(using=using)
    loaded = load(company_id, rules=True, using=using)
    rules = compile_rules(0, parse_rules(loaded.rules))
    return rules, (loaded.company_version, parse_company(company_id, loaded.company) if company_id else None)


# Answers


def resolve(company_id: UUID, at: datetime) -> Answers | None:
    """Return one company's answers as of `at`: at least as new as every change committed before this call.

    None means that there is no such company, or no active one. One query when nothing has changed; one more for a
    company or rules not seen yet. Raises django.db.Error, or Malformed where nothing whole was ever seen.
    """
    seen = versions.current(company_id)
    if seen is None:
        return _compile(*_read_uncommitted(company_id), at)
    known = _known.get(company_id)
    if known is not None and _is_present(company_id, known, seen, at):
        _stay(company_id)
        return known.answers
    with _single_flight(company_id):
        known = _known.get(company_id)
        if known is None or not _is_present(company_id, known, seen, at):
            known = _find(company_id, known, seen, at)
            _keep(company_id, known)
        return known.answers


def resolve_rules(at: datetime) -> Rules:
    """Return every flag's rules, for an asker without a company. Same promise and costs as `resolve`."""
    seen = versions.current(None)
    if seen is None:
        return _read_uncommitted(None)[0]
    return _rules_at_least(seen[0])


def last_known(company_id: UUID | None, at: datetime) -> Answers | Rules | None:
    """Return the last good answers of a company, or just rules where it has none, however old. None if never read.

    For when the database is away. What is known to be killed since is off in them.
    """
    latest = _latest_rules
    if company_id is None or latest is None:
        return latest
    known = _known.get(company_id)
    if known is None:
        return None
    rules = with_kills(known.rules, latest)
    if known.answers is None:
        return rules
    if rules is known.rules and known.answers.holds(at):
        return known.answers
    return compile_company(rules, known.version, known.answers.facts, at)


def _is_present(company_id: UUID, known: Known, seen: tuple[int, int], at: datetime) -> bool:
    # No version is none to rely on: this login may not be shown the row.
    if not known.version or not (known.answers is None or known.answers.holds(at)):
        return False
    rules, own = seen
    if known.rules.version == rules and known.version == own:
        return True
    # Who is told of versions may hear of one later than somebody here has read it. Where the database itself names an
    # older one, a backup was restored, and what is known is nobody's truth.
    return known.rules.version >= rules and known.version >= own and versions.may_lag(company_id)


def _compile(rules: Rules, facts: Facts, at: datetime) -> Answers | None:
    version, company = facts
    return None if company is None else compile_company(rules, version, company, at)


def _find(company_id: UUID, known: Known | None, seen: tuple[int, int], at: datetime) -> Known:
    """Put together rules and facts that belong together: both as of one instant, not before `seen` was read."""
    rules = _rules_at_least(seen[0])
    facts: Facts | None
    if known is not None and known.version == seen[1] > 0:
        facts = (known.version, known.answers.facts if known.answers else None)
    elif known is not None and _is_older(seen, known):
        facts = None  # Either it was read before what is known, or time has gone back. The database tells which.
    else:
        facts = _cached_facts(company_id, seen[1])
    if facts is None or rules.version != seen[0]:
        loaded = load(company_id, rules=False)
        went_back = known is not None and _is_older((loaded.global_version, loaded.company_version), known)
        if went_back:
            clear()  # A backup was restored. What was read since is nobody's truth.
        if went_back or loaded.global_version != rules.version:
            # Rules changed between two statements. Read both in one, rather than mix old rules with new facts.
            loaded = load(company_id, rules=True)
            rules = _file_rules(loaded)
        facts = _file_facts(company_id, loaded)
    return Known(rules, facts[0], _compile(rules, facts, at))


def _is_older(seen: tuple[int, int], known: Known) -> bool:
    return 0 < seen[0] < known.rules.version or 0 < seen[1] < known.version


def _rules_at_least(seen: int) -> Rules:
    """Return the rules of version `seen`, or newer ones where these are already gone."""
    rules = _rules.get(seen)
    if rules is None:
        with _single_flight(None):
            rules = _rules.get(seen) or _cached_rules(seen) or _file_rules(load(None, rules=True))
    return rules


@contextmanager
def _single_flight(name: UUID | None) -> Iterator[None]:
    """Let one of a crowd of askers load a thing, while the others wait for it. Not for ever: then each goes alone."""
    with _lock:
        if len(_flights) > 2 * COMPANIES_IN_PROCESS:
            _flights.clear()
        flight = _flights.setdefault(name, threading.Lock())
    is_mine = flight.acquire(timeout=SECONDS_TO_WAIT_FOR_ANOTHER)
    try:
        yield
    finally:
        if is_mine:
            flight.release()


# Filing


def _keep(company_id: UUID, known: Known) -> None:
    """Keep what was read of a company, unless a faster reader has kept something newer; let the oldest go."""
    global _listed
    with _lock:
        other = _known.get(company_id)
        if other is None:
            _listed = None
        if other is None or (other.rules.version, other.version) <= (known.rules.version, known.version):
            _known[company_id] = known
        _known.move_to_end(company_id)
        while len(_known) > COMPANIES_IN_PROCESS:
            _known.popitem(last=False)


def _stay(company_id: UUID) -> None:
    """Let a company that was just asked for be the last to go. Without the lock: every request comes by here."""
    try:
        _known.move_to_end(company_id)
    except KeyError:  # It went in this very instant, and will be read again.
        return


def _keep_rules(rules: Rules) -> Rules:
    global _latest_rules
    with _lock:
        _rules[rules.version] = rules
        while len(_rules) > RULES_IN_PROCESS:
            _rules.popitem(last=False)
        if _latest_rules is None or _latest_rules.version <= rules.version:
            _latest_rules = rules
    return rules


def _file_rules(loaded: Loaded) -> Rules:
    try:
        rules = compile_rules(loaded.global_version, parse_rules(loaded.rules))
    except Malformed as error:
        logger.error("rules refused version=%s problem=%s", loaded.global_version, error)
        raise
    sharedcache.put("rules", "", loaded.global_version, loaded.rules)
    return _keep_rules(rules)


def _file_facts(company_id: UUID, loaded: Loaded) -> Facts:
    try:
        facts = (loaded.company_version, parse_company(company_id, loaded.company))
    except Malformed as error:
        logger.error("company refused company=%s problem=%s", company_id, error)
        raise
    sharedcache.put("company", str(company_id), loaded.company_version, loaded.company)
    return facts


def _cached_rules(version: int) -> Rules | None:
    text = sharedcache.get("rules", "", version)
    try:
        return None if text is None else _keep_rules(compile_rules(version, parse_rules(text)))
    except Malformed:
        return None


def _cached_facts(company_id: UUID, version: int) -> Facts | None:
    text = sharedcache.get("company", str(company_id), version)
    try:
        return None if text is None else (version, parse_company(company_id, text))
    except Malformed:
        return None


def _after_fork() -> None:
    """Let no lock stay shut in a child because another thread of its parent held it. What is known stays true."""
    global _lock
    _lock = threading.Lock()
    _flights.clear()


os.register_at_fork(after_in_child=_after_fork)
