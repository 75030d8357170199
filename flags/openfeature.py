"""Headgate as a provider of the OpenFeature SDK, in process: the same answers as everywhere. Needs `openfeature-sdk`.

    openfeature.api.set_provider_and_wait(HeadgateProvider())
    openfeature.api.get_client().get_boolean_value("billing_enabled", False)

Nothing of Headgate imports this module. docs/openfeature.md says how to use it.
"""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, NoReturn
from uuid import UUID

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.db import Error as DatabaseProblem
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import FlagNotFoundError, GeneralError, InvalidContextError, TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.hook import Hook
from openfeature.provider import AbstractProvider, Metadata
from openfeature.transaction_context import set_transaction_context

from flags import snapshots
from flags.announcements import changed
from flags.answers import Rules
from flags.details import details
from flags.features import Asker, Features, current, forced
from tenants import rls
from tenants.models import Company

if find_spec("opentelemetry"):  # The extra `otel`.
    from flags.spans import SpanHook

COMPANY_PREFIX = "company:"
LONGEST_NAME = 200
SLUGS_REMEMBERED = 1000

_slugs: dict[str, UUID] = {}


class HeadgateProvider(AbstractProvider):
    """Answers OpenFeature's evaluations in this process, without a connection or thread of its own.

    The context says for whom: `targetingKey` is a person's id or `company:<id>`, `companyId` a company's UUID or slug.
    What it leaves out is taken from the request or scope one is in. Channel, plan and role are never read from it.

    `strict` refuses a context that names somebody else than the request does (INVALID_CONTEXT). `context_id` says how
    to write targeting keys on spans (flags.spans); without it they are left out.

    Raises OpenFeature's errors, for which the SDK answers the caller's default: FLAG_NOT_FOUND, TYPE_MISMATCH,
    INVALID_CONTEXT, and GENERAL where the database is away and nothing is known yet.
    """

    def __init__(self, *, strict: bool = False, context_id: Callable[[str], str] | None = None) -> None:
        super().__init__()
        self._strict = strict
        self._hooks: list[Hook] = [SpanHook(context_id)] if find_spec("opentelemetry") else []
        self._is_stale = False

    def get_metadata(self) -> Metadata:
        return Metadata(name="Headgate")

    def get_provider_hooks(self) -> list[Hook]:
        return list(self._hooks)

    # Its life: it only listens, so that it may begin before there is a database, and in any thread.

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        changed.connect(self._tell_changed, dispatch_uid=id(self))

    def shutdown(self) -> None:
        changed.disconnect(dispatch_uid=id(self))

    def _tell_changed(self, keys: frozenset[str], **_kwargs: Any) -> None:
        rules = snapshots.last_known(None, timezone.now())
        dependents = rules.dependents if isinstance(rules, Rules) else {}
        touched = keys.union(*(dependents.get(key, ()) for key in keys))
        self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=sorted(touched) or None))

    def _tell_state(self, is_stale: bool) -> None:
        if is_stale != self._is_stale:
            self._is_stale = is_stale
            tell = self.emit_provider_stale if is_stale else self.emit_provider_ready
            tell(ProviderEventDetails(message="Answers are the last known." if is_stale else "Answers are exact."))

    # Evaluating

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Return one answer with variant, reason and metadata. Raises OpenFeatureError."""
        here = current()
        if flag_key in forced:
            return _as_resolution(flag_key, here)
        features = self._features(here, evaluation_context or EvaluationContext())
        resolution = features.resolution
        self._tell_state(resolution.stale)
        if resolution.rules is None:
            raise GeneralError("The database is away, and nothing is known yet.")
        try:
            return _as_resolution(flag_key, features)
        finally:
            if features is not here:
                features.count_usage()

    async def resolve_boolean_details_async(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Return the same, off the event loop, where the database may be asked."""
        return await sync_to_async(self.resolve_boolean_details)(flag_key, default_value, evaluation_context)

    def _refuse_type(
        self, flag_key: str, default_value: Any, evaluation_context: EvaluationContext | None = None
    ) -> NoReturn:
        """Raise TypeMismatchError: flags are boolean. To the SDK a boolean would pass as an integer."""
        self.resolve_boolean_details(flag_key, False, evaluation_context)
        raise TypeMismatchError("This flag is a boolean. Ask for it as one.")

    async def _refuse_type_async(
        self, flag_key: str, default_value: Any, evaluation_context: EvaluationContext | None = None
    ) -> NoReturn:
        await sync_to_async(self._refuse_type)(flag_key, default_value, evaluation_context)
        raise AssertionError("unreachable")

    resolve_string_details = resolve_integer_details = _refuse_type
    resolve_float_details = resolve_object_details = _refuse_type
    resolve_string_details_async = resolve_integer_details_async = _refuse_type_async
    resolve_float_details_async = resolve_object_details_async = _refuse_type_async

    # For whom

    def _features(self, here: Features, context: EvaluationContext) -> Features:
        """Return the answers for whom a context names: those of the request itself where it names the same."""
        target = _text(context.targeting_key, "targetingKey")
        named = _named_company(target, _text(context.attributes.get("companyId"), "companyId"))
        user_id = _text(context.attributes.get("userId"), "userId") or target
        if not (named or user_id):
            return here
        own = here.asker
        company_id = _company_id(named) if named else own.company_id
        person = _uuid(user_id)
        is_own = not user_id and company_id == own.company_id
        asker = own if is_own else Asker(company_id, str(person) if person else None)
        if asker in (own, replace(own, is_super_admin=False)):
            return here
        if self._strict and own != Asker():
            raise InvalidContextError("The context names somebody else than the request.")
        features = Features(lambda: asker)
        if named and features.resolution.company is None and not features.resolution.stale:
            _existing(pk=company_id)
        return features


def _as_resolution(key: str, features: Features) -> FlagResolutionDetails[bool]:
    found = details(key, features)
    if found is None:
        raise FlagNotFoundError("No flag has this key.")
    metadata: dict[str, bool | int | float | str] = {**found.metadata}
    rules = None if key in forced else features.resolution.rules
    if rules is not None and rules.version:
        metadata["version"] = str(rules.version)
    return FlagResolutionDetails(found.value, reason=found.reason, variant=found.variant, flag_metadata=metadata)


def _text(value: object, name: str) -> str:
    """Return a fact that is text, empty where it is missing. Raises InvalidContextError."""
    if value is None:
        return ""
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, str) or len(value) > LONGEST_NAME:
        raise InvalidContextError(f"`{name}` is text of at most {LONGEST_NAME} characters.")
    return value


def _named_company(target: str, named: str) -> str:
    if not target.startswith(COMPANY_PREFIX):
        return named
    target = target.removeprefix(COMPANY_PREFIX)
    if not target or (named and named != target):
        raise InvalidContextError("`targetingKey` and `companyId` name different companies.")
    return target


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _company_id(named: str) -> UUID:
    """Return the id of the company that a UUID or a slug names. A UUID is not looked up. Raises InvalidContextError.

    While the database is away, a slug stands for whom it stood for last.
    """
    if (pk := _uuid(named)) is not None:
        return pk
    try:
        pk = _slugs[named] = _existing(slug=named)
    except DatabaseProblem as error:
        if (pk := _slugs.get(named)) is None:
            raise GeneralError("The database is away, and the company is not known yet.") from error
    if len(_slugs) > SLUGS_REMEMBERED:
        _slugs.clear()
    return pk


def _existing(**wanted: object) -> UUID:
    with rls.acting_as_system("find the company that an evaluation names"):
        pk = Company.objects.filter(**wanted).values_list("pk", flat=True).first()
    if pk is None:
        raise InvalidContextError("`companyId` names no company.")
    return pk


class ContextMiddleware:
    """Tell OpenFeature who asks, for the length of each request. For hooks, tracking and other providers.

    HeadgateProvider knows without it. Stands after FeaturesMiddleware. Needs a propagator of transaction contexts
    (openfeature.transaction_context); a thread keeps what it was told, so each request begins and ends with nothing.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response):
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest):
        if self.is_async:
            return self._in_context(request)
        set_transaction_context(context_of(request))
        try:
            return self.get_response(request)
        finally:
            set_transaction_context(EvaluationContext())

    async def _in_context(self, request: HttpRequest) -> HttpResponse:
        set_transaction_context(context_of(request))
        try:
            return await self.get_response(request)
        finally:
            set_transaction_context(EvaluationContext())


def context_of(request: HttpRequest) -> EvaluationContext:
    """Return who asks as an evaluation context: the person, or the company where there is none. Empty for nobody."""
    principal = request.principal  # type: ignore[attr-defined]
    company_id = None if principal.company is None else str(principal.company.pk)
    attributes = {} if company_id is None else {"companyId": company_id}
    if principal.user is not None:
        return EvaluationContext(str(principal.user.pk), attributes)
    return EvaluationContext(None if company_id is None else f"{COMPANY_PREFIX}{company_id}", attributes)
