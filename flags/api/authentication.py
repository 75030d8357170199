"""Who calls the API: whoever TenantMiddleware found out, trusted as far as REST goes."""

from typing import Any

from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from flags.exceptions import NotAllowed
from tenants.principal import Principal

REALM = 'Bearer realm="headgate"'


class BadToken(AuthenticationFailed):
    """A bearer credential was sent and proves nothing. 401, never a silent fall back to the session beside it."""

    def __init__(self, detail: str, code: str) -> None:
        super().__init__(detail, code)
        self.code = code


class PrincipalAuthentication(BaseAuthentication):
    """Take `request.principal`. A session must also show its CSRF token, as its cookie proves nobody's intention.

    Nobody at all is None here; views then say 401 with `WWW-Authenticate: Bearer` (RFC 6750, section 3).
    """

    def authenticate(self, request: Request) -> tuple[Any, Principal] | None:
        plain: Any = request._request
        error = plain.credential_error
        if error is not None:
            raise BadToken(str(error), error.code)
        principal: Principal = plain.principal
        if principal.is_anonymous:
            return None
        if principal.credential == "session":
            self._check_csrf(request)
        return plain.user, principal

    def authenticate_header(self, request: Request) -> str:
        if getattr(request._request, "credential_error", None) is not None:
            return f'{REALM}, error="invalid_token"'
        return REALM

    @staticmethod
    def _check_csrf(request: Request) -> None:
        check: Any = CSRFCheck(lambda _: None)  # type: ignore[arg-type]
        check.process_request(request._request)
        why = check.process_view(request._request, None, (), {})
        if why:
            raise NotAllowed(
                "A session must send its CSRF token in X-CSRFToken. Send it, or use a bearer token.", code="CSRF_FAILED"
            )
