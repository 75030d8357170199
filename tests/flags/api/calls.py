"""Every call of the API, found in the map of its addresses: a new one is here on arrival."""

import json
from dataclasses import dataclass
from typing import Any

from django.urls import get_resolver, reverse

from flags.api.base import ApiView
from flags.api.examples import REQUESTS

METHODS = ("get", "post", "put", "patch", "delete")
PUBLIC = ("schema", "docs")
"""Read by anybody, and about nobody."""

CSV = "company,flag,enabled,reason,expires_at\r\nacme,api_access,true,contract 881,\r\n"


@dataclass(frozen=True)
class Call:
    """One method of one address. `name` is the operation's id in the published description."""

    name: str
    method: str
    route: str
    view: type[ApiView]
    parameters: tuple[str, ...]

    def path(self, **values: Any) -> str:
        """Return the address about these; what the address does not name is left aside."""
        return reverse(self.route, kwargs={name: values[name] for name in self.parameters})

    @property
    def takes_body(self) -> bool:
        """Whether it reads a body."""
        return self.method in ("post", "put", "patch") and self.method.upper() in self.view.inputs

    @property
    def fields(self) -> set[str]:
        """The names that its body may say."""
        return set(self.view.inputs[self.method.upper()]().fields) if self.takes_body else set()

    @property
    def takes_csv(self) -> bool:
        """Whether that body is a file."""
        return self.name == "post_overrides_file"

    @property
    def example(self) -> dict[str, Any]:
        """A body that it takes."""
        return dict(REQUESTS.get(self.name, {}))

    def send(self, client, path: str, body: Any = None, **headers: str):
        """Send it by a test client. `body` is text, or JSON to be; the example where there is none."""
        if body is None and self.takes_csv:
            body = CSV
        if body is None and self.takes_body:
            body = self.example
        text = body if isinstance(body, str | bytes) else "" if body is None else json.dumps(body)
        kind = "text/csv" if self.takes_csv else "application/json"
        return client.generic(self.method.upper(), path, text, content_type=kind, headers=headers)


def _calls() -> list[Call]:
    found = []
    for app, urls in (("api", "flags.api.urls"), ("ofrep", "flags.api.ofrepurls")):
        for pattern in get_resolver(urls).url_patterns:
            view = getattr(pattern.callback, "view_class", None)
            if pattern.name in PUBLIC or view is None:
                continue
            for method in METHODS:
                if hasattr(view, method):
                    parameters = tuple(pattern.pattern.converters)
                    found.append(Call(f"{method}_{pattern.name}", method, f"{app}:{pattern.name}", view, parameters))
    return found


CALLS = _calls()
WITH_BODY = [call for call in CALLS if call.takes_body]
