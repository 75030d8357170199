"""REST framework, where it is in use. Whoever hands us a request or a view of its kind has imported it already.

So nothing here imports it: it takes four times as long to import as all of Headgate, and many projects do without.
"""

import sys
from typing import Any


def is_request(thing: Any) -> bool:
    """Say whether this is one of its requests, which wraps Django's."""
    return "rest_framework.request" in sys.modules and isinstance(thing, _of("request").Request)


def is_view(cls: type) -> bool:
    """Say whether this is a class of its views."""
    return "rest_framework.views" in sys.modules and issubclass(cls, _of("views").APIView)


def not_authenticated() -> Exception:
    """Return what its views raise for strangers."""
    return _of("exceptions").NotAuthenticated()


def _of(module: str) -> Any:
    return sys.modules[f"rest_framework.{module}"]
