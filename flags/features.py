"""What one asker may use. The public door to every answer: `request.features`, `is_enabled`, `features_for`.

A `Features` resolves its company once, with its first check, and from then on is a dictionary. It holds just the keys
that were asked, so that it also knows which those were. No exception ever leaves a check: without a database the last
good answer goes on, marked stale, and where there is none the answer is the safe default with reason `unavailable`.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.utils import timezone

from flags import registry, snapshots, usage
from flags.evaluation import CompanyFacts, Decision, Reason, Step, evaluate, explain
from flags.exceptions import FeatureDisabled
from flags.resolution import Asker as Asker  # Part of this door, too.
from flags.resolution import Resolution, complain, resolve
from flags.snapshots import COMPANIES_IN_PROCESS as COMPANIES_IN_PROCESS  # For who keeps what is made of answers.
from tenants.models import Company, User

logger = logging.getLogger(__name__)

forced: dict[str, bool] = {}
"""Answers that a test has decided (flags.testing). Process-wide, and empty outside tests."""

_scope: ContextVar["Features"] = ContextVar("features")
_in_force = _scope.get
_unknown_keys_logged: set[str] = set()


class Features(dict[str, bool]):
    """One asker's answers by key: a mapping that fills as it is asked.

    An unknown key answers False. Iterating, `len` and `in` speak of every flag there is, not only of those asked.
    Each key is an attribute, too: `request.features.billing_enabled`. There a typo is an AttributeError, and `check`
    names it before anything runs (seed 004).
    """

    __slots__ = ("_ask", "_resolution", "_unsettled")

    def __init__(self, ask: Callable[[], Asker]) -> None:
        self._ask = ask
        self._resolution: Resolution | None = None
        self._unsettled: dict[str, bool] = {}

    def __missing__(self, key: str) -> bool:
        if forced and key in forced:
            return forced[key]
        resolution = self._resolution
        if resolution is None or resolution.pending:
            resolution = self.resolution
        enabled = resolution.answers.get(key)
        if enabled is None:
            self._note_unknown(key, resolution)
            return False
        # What rests on a change that may yet be rolled back is looked up each time.
        answered = self._unsettled if resolution.pending else self
        answered[key] = enabled
        return enabled

    def __getattr__(self, key: str) -> bool:
        if not key.startswith("_"):
            if key in forced or key in registry.catalogue():
                return self[key]
            rules = self.resolution.rules
            if rules is None or key in rules.flags:  # Where nothing could be read, nobody can say what is a typo.
                return self[key]
        raise AttributeError(registry.unknown(key), name=key, obj=self)

    @property
    def resolution(self) -> Resolution:
        """Resolve the asker, once. One query when nothing has changed since this process last looked."""
        resolution = self._resolution
        if resolution is None or (resolution.pending and not all(change.stands for change in resolution.pending)):
            resolution = self._resolution = resolve(self._ask)
        return resolution

    @property
    def asker(self) -> Asker:
        """Who asks. Reads nothing for it."""
        return self._ask()

    @property
    def stale(self) -> bool:
        """Whether any answer given so far comes from a time before the database went away."""
        return self._resolution is not None and self._resolution.stale

    @property
    def evaluated(self) -> dict[str, bool]:
        """The keys asked for so far, with their answers."""
        answered = dict(dict.items(self))  # `copy` would ask for every flag there is.
        return answered | self._unsettled if self._unsettled else answered

    def decide(self, key: str, default: bool = False) -> Decision:
        """Answer with the reason. `default` answers for a key that no flag has."""
        if forced and key in forced:
            return Decision(key, forced[key], Reason.OVERRIDE)
        resolution = self.resolution
        if resolution.rules is None:
            return Decision(key, default, Reason.UNAVAILABLE)
        if key not in resolution.rules.flags:
            self._note_unknown(key, resolution)
            return Decision(key, default, Reason.UNKNOWN_FLAG)
        enabled = self[key]
        try:
            return self.peek(key, default)
        except Exception as error:  # The answer stands; only its reason is lost.
            complain(error)
            return Decision(key, enabled, Reason.UNAVAILABLE)

    def peek(self, key: str, default: bool = False) -> Decision:
        """Answer with the reason, without counting as asking. For lists of everything."""
        if forced and key in forced:
            return Decision(key, forced[key], Reason.OVERRIDE)
        resolution = self.resolution
        if resolution.rules is None:
            return Decision(key, default, Reason.UNAVAILABLE)
        return evaluate(resolution.rules.flags, key, resolution.subject, resolution.at, default)

    def explain(self, key: str) -> tuple[Decision, list[Step]]:
        """Answer with the ladder of all twelve rules. Does not count as asking."""
        resolution = self.resolution
        if resolution.rules is None:
            return Decision(key, False, Reason.UNAVAILABLE), []
        return explain(resolution.rules.flags, key, resolution.subject, resolution.at)

    def require(self, key: str) -> None:
        """Raise FeatureDisabled unless the feature is on."""
        decision = self.decide(key)
        if not decision:
            raise FeatureDisabled(key, decision.reason, is_internal=self.is_internal(key))

    def is_internal(self, key: str) -> bool:
        """Whether only super admins may see that this flag exists. An unknown key is nothing anybody may see."""
        if forced and key in forced:
            listed = registry.catalogue().get(key)  # Such a test may have no database to ask.
            return listed is None or listed.is_internal
        rules = self.resolution.rules
        flag = rules.flags.get(key) if rules is not None else None
        return flag is None or flag.is_internal

    def listing(self, *, internal: bool) -> dict[str, bool]:
        """Return every answer this asker may be shown, by key in order; internal flags only if `internal`."""
        resolution = self.resolution
        if resolution.rules is None:
            return {}
        shown = {
            key: resolution.answers[key]
            for key, flag in sorted(resolution.rules.flags.items())
            if (internal or not flag.is_internal) and not flag.archived
        }
        return {key: forced.get(key, enabled) for key, enabled in shown.items()} if forced else shown

    def count_usage(self, *, failed: bool = False) -> None:
        """Hand over what was asked to the count of usage. `failed`: the work ended in a server error."""
        company = None if self._resolution is None else self._resolution.company
        if company is not None:
            # As it is, not a copy: that would cost a request more than all the rest of counting.
            answered = self.evaluated.items() if self._unsettled else dict.items(self)
            usage.count(company.id, answered, failed=failed)

    def forget(self) -> None:
        """Resolve again at the next check: what this rests on was changed here and now."""
        self._resolution = None
        self._unsettled = {}
        self.clear()

    async def aload(self) -> "Features":
        """Resolve off the event loop, so that checks in an async view are look-ups. Returns itself."""
        if self._resolution is None:
            await sync_to_async(lambda: self.resolution)()
        return self

    @staticmethod
    def _note_unknown(key: str, resolution: Resolution) -> None:
        if resolution.rules is not None and key not in _unknown_keys_logged and len(_unknown_keys_logged) < 1000:
            _unknown_keys_logged.add(key)
            logger.warning("unknown flag key=%s", key)

    # The mapping as others see it: every flag.

    def __contains__(self, key: object) -> bool:
        return key in self.resolution.answers

    def __iter__(self) -> Iterator[str]:
        return iter(self.resolution.answers)

    def __len__(self) -> int:
        return len(self.resolution.answers)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    __hash__ = object.__hash__  # type: ignore[assignment]

    def get(self, key: str, default: Any = False) -> Any:
        """Return the answer, or `default` for a key that no flag has."""
        if forced and key in forced:
            return forced[key]
        return self[key] if key in self.resolution.answers else default

    def keys(self):
        return self.resolution.answers.keys()

    def values(self):
        return [self[key] for key in self.resolution.answers]

    def items(self):
        return [(key, self[key]) for key in self.resolution.answers]

    def __repr__(self) -> str:
        return f"<Features evaluated={self.evaluated}>"


def asker_for(user: User | None, company: Company | UUID | None) -> Asker:
    """Say who asks: a person, in a company. An inactive or anonymous person is nobody."""
    company_id = company.pk if isinstance(company, Company) else company
    if user is None or not user.is_active or not user.pk:
        return Asker(company_id)
    return Asker(company_id, str(user.pk), user.is_superuser)


def features_for(user: User | None, company: Company | UUID | None = None) -> Features:
    """Return what a person may use in a company; `None` for either is nobody, or no company.

    A super admin may use everything that is not killed, whatever the company (rule 3).
    """
    asker = asker_for(user, company)
    return Features(lambda: asker)


def current() -> Features:
    """Return the features of the request or scope we are in; outside any, those of nobody."""
    return _scope.get(None) or features_for(None)


class scope:
    """Make `features` the ones that `is_enabled` and `require_feature` ask. A context manager."""

    __slots__ = ("_features", "_token")

    def __init__(self, features: Features) -> None:
        self._features = features

    def __enter__(self) -> Features:
        self._token = _scope.set(self._features)
        return self._features

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _scope.reset(self._token)


@contextmanager
def evaluation_scope(user: User | None = None, company: Company | UUID | None = None) -> Iterator[Features]:
    """Answer many checks of a job as of one moment, for one company. `forget()` what it yields to look again."""
    with scope(features_for(user, company)) as features:
        failed = True
        try:
            yield features
            failed = False
        finally:
            features.count_usage(failed=failed)


def forget_here() -> None:
    """Let the current scope, if any, look again: its own work has changed a rule."""
    features = _scope.get(None)
    if features is not None:
        features.forget()


def is_enabled(
    key: str, default: bool = False, user: User | None = None, company: Company | UUID | None = None
) -> bool:
    """Say whether a feature is on for the request or scope we are in, or for the person and company named.

    `default` answers for a key that no flag has. Never raises.
    """
    # No keyword-only parameters: calls of functions that have any cost the interpreter a third more.
    if not (default or user or company):
        try:
            return _in_force()[key]
        except LookupError:
            return features_for(None)[key]
    if user is None and company is None:
        return current().decide(key, default).enabled
    features = features_for(user, company)
    enabled = features.decide(key, default).enabled
    features.count_usage()
    return enabled


async def ais_enabled(
    key: str, default: bool = False, *, user: User | None = None, company: Company | UUID | None = None
) -> bool:
    """`is_enabled` for async code: the same answer, without blocking the event loop."""
    features = current() if user is None and company is None else features_for(user, company)
    if key not in forced:
        await features.aload()
    return features.decide(key, default).enabled


def require_feature(key: str) -> None:
    """Raise FeatureDisabled, which every door answers with 403, unless the feature is on here (seed 004)."""
    current().require(key)


def check_features(keys: list[str], features: Features) -> dict[str, bool]:
    """Answer several keys at once; a key that no flag has is False (seed 002, getEnabledFlags)."""
    return {key: features[key] for key in keys}


def company_facts(company_id: UUID) -> CompanyFacts | None:
    """Return what sets one company apart, as answers see it; None for an inactive or unknown company."""
    answers = snapshots.resolve(company_id, timezone.now())
    return None if answers is None else answers.facts
