"""What OpenFeature's remote evaluation costs: a 304, a full answer and one flag, against an empty Django view.

Requests go through the WSGI application as a server would hand them over, network aside: with a client key, on a
database of 100 flags and 1,000 companies. What is kept is warm. "Empty" is a view that answers nothing, once without
any middleware, and once behind Headgate's for the same caller.
"""

import json
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from config.urls import urlpatterns as ours
from flags.models import Override
from flags.testing import override_features
from tenants import tokens
from tenants.models import Company
from tenants.rls import acting_as_system
from tests.benchmarks import stage
from tests.benchmarks.measuring import Row, Run, again

BULK = "/ofrep/v1/evaluate/flags"
EMPTY = "/benchmark-empty"
TRANSACTION = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK")


@csrf_exempt
def empty(_request: HttpRequest) -> HttpResponse:
    """Answer nothing."""
    return HttpResponse()


urlpatterns = [path(EMPTY[1:], empty), *ours]


class Caller:
    """Hands one request to an application, again and again."""

    def __init__(self, application: Any, address: str, *, key: str = "", held: str = "") -> None:
        headers = {"authorization": f"Bearer {key}", **({"if-none-match": held} if held else {})}
        self.body = json.dumps({"context": {}}).encode()
        request = RequestFactory().generic("POST", address, self.body, "application/json", headers=headers)
        self.environ, self.application = request.environ, application

    def __call__(self) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body."""
        said: list[Any] = []
        environ = {**self.environ, "wsgi.input": BytesIO(self.body)}
        response = self.application(environ, lambda status, headers: said.extend((int(status[:3]), dict(headers))))
        content = b"".join(response)
        response.close()
        return said[0], said[1], content


def callers(key: str, flag: str) -> dict[str, Caller]:
    """Return who calls what. Fails if any does not get the answer that is meant."""
    application = WSGIHandler()
    with override_settings(MIDDLEWARE=[]):
        bare = WSGIHandler()
    tag = Caller(application, BULK, key=key)()[1]["ETag"]
    found = {
        "an empty view, no middleware": Caller(bare, EMPTY),
        "an empty view, the same caller": Caller(application, EMPTY, key=key),
        "bulk, 304": Caller(application, BULK, key=key, held=tag),
        "bulk, full answer": Caller(application, BULK, key=key),
        "one flag": Caller(application, f"{BULK}/{flag}", key=key),
    }
    statuses = [call()[0] for call in found.values()]
    assert statuses == [200, 200, 304, 200, 200], statuses
    return found


def statements(call: Callable[[], object]) -> int:
    """Return how many statements a call runs, not counting where transactions begin and end."""
    with CaptureQueriesContext(connection) as queries:
        call()
    return sum(not query["sql"].startswith(TRANSACTION) for query in queries)


def rows(run: Run) -> Iterator[Row]:
    """Yield a row for each call, and how a poll compares with a full answer and with an empty view."""
    stage.database()
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.API_RATE_LIMIT = "1000000/s"
    settings.ROOT_URLCONF = __name__
    # Benchmarks run with the settings of a developer's machine, where files are looked for with each request.
    settings.WHITENOISE_AUTOREFRESH = settings.WHITENOISE_USE_FINDERS = False
    with acting_as_system("make a key for a benchmark"):
        override = Override.objects.filter(company__is_active=True, flag__is_internal=False).first()
        assert override is not None
        company = Company.objects.get(pk=override.company_id)
        token, plain = tokens.mint(name="Benchmark", kind="client", scopes=["evaluate"], company=company)
    try:
        yield from _measured(run, callers(plain, override.flag_id))
    finally:
        with acting_as_system("take the key of a benchmark away"):
            token.delete()


def _measured(run: Run, calls: dict[str, Caller]) -> Iterator[Row]:
    decided = override_features(driver_management=True)  # Nothing that a test has decided is kept.

    def anew() -> None:
        with decided:
            calls["bulk, full answer"]()

    works = {name: (again(call), 40) for name, call in calls.items()}
    times = run.in_turns({**works, "bulk, full answer made anew": (again(anew), 40)})
    for name, call in calls.items():
        note = f"{statements(call)} queries, {len(call()[2]) / 1000:.1f} kB"
        yield Row(name, times[name].best * 1e6, "µs", note=note)
    bare, same, poll, full, _, made = (found.best for found in times.values())
    yield Row("bulk, full answer made anew", made * 1e6, "µs", note="as after a change")
    yield Row("a full answer costs so many 304", full / poll, "times")
    yield Row("a full answer made anew costs so many 304", made / poll, "times")
    yield Row("304 for each empty view, no middleware", bare / poll, "calls")
    yield Row(
        "304 for each empty view, the same caller", same / poll, "calls", note="what evaluating adds to being known"
    )
