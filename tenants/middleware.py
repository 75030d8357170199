"""Who is asking, and what the database may show them for the length of one request."""

import logging
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import replace

from django.contrib.auth import SESSION_KEY
from django.core.exceptions import PermissionDenied
from django.db import Error as DatabaseProblem
from django.db import OperationalError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from tenants import (
    credentials,
    guard,
    known,
    patience,
    principal,
    provenance,
    recall,
    refusals,
    rls,
    tokens,
    workspaces,
)
from tenants.credentials import BadCredential
from tenants.principal import ANONYMOUS, Principal
from tenants.rls import Binding
from tenants.workspaces import WorkspaceRefused

logger = logging.getLogger(__name__)

# Asked by machines, all the time: no session, no database.
UNTOUCHED = ("/healthz", "/readyz", "/metrics", "/static/")
# Here people become somebody else. What is written (a failure counted, a chain of tokens ended) must outlive a refusal,
# so no transaction spans the request.
DOORSTEP = ("/login/", "/logout/", "/invitation/", "/api/auth/")
# Addresses where nothing is written: what they answer stands, whatever becomes of the transaction behind it.
ASKING = ("/ofrep/", "/api/features")
# Of these, the ones that answer everything at once, from memory: where the caller is known, too, they need no database
# but for the versions of what is known.
FROM_MEMORY = ("/api/features", "/ofrep/v1/evaluate/flags")
DOORS = (("/api/", "api"), ("/ofrep/", "api"), ("/super-admin/", "console"))


class TenantMiddleware:
    """Resolve who asks, once, and bind the database to them until the response is rendered.

    Sets `request.principal` (never None) and `request.credential_error` (a BadCredential, or None) and
    `request.workspace_error` (a WorkspaceRefused, or None; pages refuse by themselves). A bearer
    credential decides alone: the session is ignored beside it, and a bad one makes the request anonymous, which the
    API must answer with 401. On PostgreSQL a request of somebody known is one transaction, rendering included; it is
    undone when the view or the rendering raised, or the answer is a refusal. Strangers are bound to nothing; and while
    nothing is bound, touching a table with companies' rows raises tenants.guard.UnboundAccess.

    While the database is away, programs known within the hour still are (`request.is_recalled`), so that checks go on;
    and no statement keeps a request waiting for longer than tenants.patience allows. Where the answer to a request's
    COMMIT got lost, `request.is_answer_lost` tells whoever answers instead.

    Stands after authentication, and before whatever asks for `request.principal` (tenants.E001).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.principal = ANONYMOUS  # type: ignore[attr-defined]
        request.credential_error = None  # type: ignore[attr-defined]
        request.workspace_error = None  # type: ignore[attr-defined]
        request.is_recalled = False  # type: ignore[attr-defined]
        request.is_answer_lost = False  # type: ignore[attr-defined]
        request.since = timezone.now()  # type: ignore[attr-defined]
        if request.path_info.startswith(UNTOUCHED):
            return self.get_response(request)
        via = provenance.via.set(door_of(request.path_info))
        try:
            with guard.serving(), patience.at_most(patience.SERVING_SECONDS):
                response = self._serve(request)
        finally:
            provenance.via.reset(via)
        if not request.principal.is_anonymous:  # type: ignore[attr-defined]
            # Neither a shared cache nor the next person at this browser sees what was made for somebody.
            response.headers.setdefault("Cache-Control", "private, no-store")
        if not request.path_info.startswith(DOORSTEP):
            refusals.note(request, response)
        is_known = request.principal.token is not None and not request.is_recalled  # type: ignore[attr-defined]
        if is_known and response.status_code < 500:
            # After the request: within it, the row would stay locked and all users of one token would queue.
            with patience.at_most(patience.QUICK_SECONDS):
                tokens.note_use(request.principal.token)  # type: ignore[attr-defined]
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Remember that the view or its rendering raised; whoever turns that into a response hides it from us."""
        request.has_raised = True  # type: ignore[attr-defined]

    def _serve(self, request: HttpRequest) -> HttpResponseBase:
        credential = credentials.presented(request)
        response = version = None
        if credential is not None and credential.startswith(tokens.PREFIX):
            response, version = self._serve_known(request, credential)
            if response is not None:
                return response
        try:
            with patience.at_most(patience.QUICK_SECONDS):
                if credential is not None or SESSION_KEY in request.session:
                    with rls.acting_as_system("find out who is asking"):
                        request.principal = who = _resolve(request, credential, version)  # type: ignore[attr-defined]
                        if not who.is_anonymous and not request.path_info.startswith(DOORSTEP):
                            rls.become(who.binding())
                            if not request.path_info.startswith(ASKING):
                                patience.extend(patience.SERVING_SECONDS)
                            response = self._answer(request, who)
        except (DatabaseProblem, ValueError) as problem:  # What a garbled answer of the server becomes, is no text.
            if response is not None and _only_asked(request):
                return response  # There was nothing to commit.
            # Where there is a response, it is somebody's work that broke, and not finding out who they are. It may be
            # in force all the same: only the answer to COMMIT is missing.
            request.is_answer_lost = response is not None  # type: ignore[attr-defined]
            if response is not None:
                raise
            if not _recall(request, credential):
                raise OperationalError("The database did not say who is asking.") from problem
        if response is not None:
            return response
        return self._answer_unbound(request)

    def _serve_known(self, request: HttpRequest, credential: str) -> tuple[HttpResponseBase | None, int | None]:
        """Answer for a token of which this process knows whose it is, or that it is nobody's. Else (None, version).

        The version of all tokens is read, where it can be, before the database is asked for the token itself.
        """
        if known.is_bad(credential):
            return self._answer_unbound(_as_stranger(request)), None
        found = known.find(credential)
        if found is not None and request.path_info not in FROM_MEMORY:
            return None, None
        try:
            with patience.at_most(patience.QUICK_SECONDS):
                versions = known.versions_now(found)
        except (DatabaseProblem, ValueError):
            return None, None
        with versions:
            version = versions.tokens
            if found is None or not known.holds(found, version):
                is_bad = found is None and known.is_unknown(credential, versions)
                return (self._answer_unbound(_as_stranger(request)) if is_bad else None), version
            if found.principal.is_anonymous:
                return self._answer_unbound(_as_stranger(request)), version
            recall.remember(credential, found.principal)
            request.principal = found.principal  # type: ignore[attr-defined]
            request.user = principal.as_request_user(found.principal)
            return self._answer_unbound(request), version

    def _answer_unbound(self, request: HttpRequest) -> HttpResponseBase:
        refusal = guard.DatabaseWasAway if request.is_recalled else guard.UnboundAccess  # type: ignore[attr-defined]
        with rls.acting_as_nobody(), guard.serving(refusal):
            response = self.get_response(request)
            _bind_stream(response, rls.NOBODY)
            return response

    def _answer(self, request: HttpRequest, who: Principal) -> HttpResponseBase:
        viewing = provenance.viewing_as.set("" if who.viewing_as is None else who.viewing_as.name)
        try:
            response = self.get_response(request)
        finally:
            provenance.viewing_as.reset(viewing)
        # `exception` is how REST framework marks a response it made from an exception, whatever its status.
        if (
            getattr(request, "has_raised", False)
            or response.status_code >= 500
            or getattr(response, "exception", False)
        ):
            rls.abandon()
        _bind_stream(response, who.binding())
        return response


def _only_asked(request: HttpRequest) -> bool:
    return request.method in ("GET", "HEAD", "OPTIONS") or request.path_info.startswith(ASKING)


def door_of(path: str) -> str:
    """Return the door a path belongs to, as history names it."""
    return next((door for prefix, door in DOORS if path.startswith(prefix)), "company")


def _bind_stream(response: HttpResponseBase, binding: Binding) -> None:
    if response.streaming and not getattr(response, "is_async", False):
        response.streaming_content = bound_chunks(binding, response.streaming_content)  # type: ignore[attr-defined]


def bound_chunks(binding: Binding, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Return the chunks of a streaming response, made under the binding of its request, which has ended by then.

    All of it runs in a context of its own, a copy of the present one, so that between two chunks whoever consumes
    them is not bound.
    """
    context = copy_context()

    def produce() -> Iterator[bytes]:
        with rls.acting_as_nobody() if binding == rls.NOBODY else rls.bound(binding):
            yield from chunks

    def consume() -> Iterator[bytes]:
        producer = produce()
        try:
            while (chunk := context.run(next, producer, None)) is not None:
                yield chunk
        finally:
            context.run(producer.close)  # type: ignore[attr-defined]

    return consume()


def _as_stranger(request: HttpRequest) -> HttpRequest:
    """Return the request of somebody whose token is nobody's."""
    request.credential_error = BadCredential()  # type: ignore[attr-defined]
    request.user = principal.as_request_user(ANONYMOUS)
    return request


def _resolve(request: HttpRequest, credential: str | None, version: int | None) -> Principal:
    if credential is None:
        who = _in_workspace(request, principal.of_session(request))
        _keep_in_mind(request, _session_name(request), who)
        return who
    who = ANONYMOUS
    try:
        who = principal.of_credential(credential)
    except BadCredential as error:
        recall.forget(credential)
        request.credential_error = error  # type: ignore[attr-defined]
    if version is not None:
        known.remember(credential, who, version)
        known.learn_ids(version)
    request.user = principal.as_request_user(who)
    there = _in_workspace(request, who)
    _keep_in_mind(request, credential, there)
    return there


def _session_name(request: HttpRequest) -> str:
    return f"session {request.session.session_key}"


def _keep_in_mind(request: HttpRequest, name: str, who: Principal) -> None:
    if who.is_anonymous:
        recall.forget(name)
    elif not workspaces.is_named(request, who):
        recall.remember(name, who)


def _recall(request: HttpRequest, credential: str | None) -> bool:
    """Go on, while the database is away, with whom we knew: unbound, since there is nothing to bind.

    Not in a workspace that is named now: whether somebody may be there is for the database to say. People in a browser
    only to ask: what they want changed needs the database at once.
    """
    if credential is None and not _only_asked(request):
        return False
    who = recall.recall(_session_name(request) if credential is None else credential)
    if who is None or workspaces.is_named(request, who):
        return False
    logger.warning("caller recalled without database kind=%s", who.kind)
    request.principal, request.is_recalled = who, True  # type: ignore[attr-defined]
    request.user = principal.as_request_user(who)
    return True


def _in_workspace(request: HttpRequest, who: Principal) -> Principal:
    """Return the principal in its workspace. Where it may not be, it is nowhere, and a page refuses at once."""
    try:
        return workspaces.enter(request, who)
    except WorkspaceRefused as refused:
        request.workspace_error = refused  # type: ignore[attr-defined]
        if door_of(request.path_info) != "api":
            raise PermissionDenied(refused.detail) from refused
        return replace(who, company=None, role="", home=who.company)
