"""The security log: who was refused what, and from where, for whoever watches over an installation.

One line each under the logger `headgate.security`, with the request's id, and without names, secrets or queries. What
fails at the doorstep (tenants.signin) is told there. A feature that is off refuses nobody in particular.
"""

import logging
from collections import Counter

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.encoding import escape_uri_path

from tenants.addresses import client_address
from tenants.principal import Principal

logger = logging.getLogger("headgate.security")

REFUSALS = {401: "not known", 403: "not allowed", 429: "too often"}
FEATURE_IS_OFF = "_DISABLED"
"""How the codes of features that are off end, and no others."""

LONGEST_PATH = 200

counted: Counter[int] = Counter()
"""How many were refused by this process, by status."""


def note(request: HttpRequest, response: HttpResponseBase) -> None:
    """Write down that a request was refused, where it was. `request.problem_code` says why, where a door knows."""
    code = getattr(request, "problem_code", "")
    if response.status_code not in REFUSALS or code.endswith(FEATURE_IS_OFF):
        return
    counted[response.status_code] += 1
    who: Principal = request.principal  # type: ignore[attr-defined]
    logger.warning(
        "refused: %s status=%s code=%s who=%s id=%s company=%s method=%s path=%s address=%s",
        REFUSALS[response.status_code],
        response.status_code,
        code or "-",
        who.kind,
        who.token.public_id if who.token is not None else who.user.pk if who.user is not None else "-",
        who.company.pk if who.company is not None else "-",
        request.method,
        escape_uri_path(request.path)[:LONGEST_PATH],
        client_address(request) or "-",
    )
