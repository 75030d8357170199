"""`Idempotency-Key`: a POST that is repeated under the same key is answered as the first time, and done once."""

import json
import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from flags.idempotency import Answer, answer_once

HEADER = "Idempotency-Key"
KEY = re.compile(r"[\x21-\x7e]{1,255}")
KEPT_HEADERS = ("Location", "ETag")


def once(handler: Callable[..., Response], request: Request, *args: Any, **kwargs: Any) -> Response:
    """Return what `handler` answers, or what it answered when the same caller used this key for the same call.

    Raises ValidationError for a key that is none, and ChangeRefused where the key was another call's.
    """
    key = request.headers[HEADER]
    if not KEY.fullmatch(key):
        raise ValidationError({HEADER: ["1 to 255 visible ASCII characters, such as a UUID."]})
    principal = request._request.principal  # type: ignore[attr-defined]
    caller = f"token:{principal.token.pk}" if principal.token is not None else f"user:{principal.user.pk}"

    def act() -> Answer:
        response = handler(request, *args, **kwargs)
        body = json.loads(JSONRenderer().render(response.data)) if response.data is not None else None
        return Answer(response.status_code, dict(response.headers), body)

    done = answer_once(caller, key, _fingerprint(request), act, forget=_without_secret)
    response = Response(done.body, status=done.status, headers=done.headers)
    if done.replayed:
        response["Idempotency-Replayed"] = "true"
    return response


def _fingerprint(request: Request) -> str:
    """Return a digest of what the call asks for: the same whatever its spaces and order of names."""
    asked = [request.get_full_path(), request.data]
    return sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _without_secret(answer: Answer) -> Answer:
    """Return what may be kept of an answer. A token's secret is shown once, and stored nowhere."""
    body = {**answer.body, "secret": None} if isinstance(answer.body, dict) and "secret" in answer.body else answer.body
    headers = {name: value for name, value in answer.headers.items() if name in KEPT_HEADERS}
    return Answer(answer.status, headers, body)
