"""Puts `request.features` on every request, and its scope around it. Costs nothing until a check is made."""

from functools import lru_cache, partial

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse

from flags.features import Asker, Features, scope

# Writing out a UUID takes longer than everything else a request pays to find out who asks.
_written_out = lru_cache(maxsize=10_000)(str)


def _ask(request: HttpRequest) -> Asker:
    principal = getattr(request, "principal", None)
    if principal is None:
        return Asker()
    user_id = _written_out(principal.user.pk) if principal.user is not None else None
    company_id = principal.company.pk if principal.company is not None else None
    return Asker(company_id, user_id, principal.is_super_admin)


class FeaturesMiddleware:
    """Answer checks for whoever the request comes from (`request.principal`), sync and async.

    A response whose answers came from a time before the database went away says so: `X-Flags-Stale: true`.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response):
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest):
        request.features = features = Features(partial(_ask, request))  # type: ignore[attr-defined]
        if self.is_async:
            return self._in_scope(request, features)
        with scope(features):
            return self._marked(request, self.get_response(request), features)

    async def _in_scope(self, request: HttpRequest, features: Features) -> HttpResponse:
        with scope(features):
            return self._marked(request, await self.get_response(request), features)

    @staticmethod
    def _marked(request: HttpRequest, response: HttpResponse, features: Features) -> HttpResponse:
        if features.stale:
            response["X-Flags-Stale"] = "true"
        # A super admin who looks through a company's eyes is not the company using anything.
        principal = getattr(request, "principal", None)
        if principal is None or principal.viewing_as is None:
            features.count_usage(failed=response.status_code >= 500)
        return response
