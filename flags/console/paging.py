"""Lists in pages, and addresses that differ from the present one in a few parameters."""

from collections.abc import Iterable, Sized
from dataclasses import dataclass

from django.http import HttpResponse, QueryDict
from django_htmx.http import push_url

from flags.requests import HttpRequest


def address(request: HttpRequest, path: str = "", **changed: object) -> str:
    """Return the present address, or the same question to `path`, with these parameters; None or "" leaves one out."""
    query = request.GET.copy()
    for name, value in changed.items():
        query.pop(name, None)
        if value not in (None, ""):
            query[name] = str(value)
    path = path or request.path
    return f"{path}?{query.urlencode()}" if query else path


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list that can be counted. `first` and `last` cut it out; `text` says where one is."""

    number: int
    total: int
    size: int
    previous: str | None
    next: str | None

    @classmethod
    def of(cls, request: HttpRequest, total: int, size: int) -> "Page":
        """Return the page the address names; past either end, the nearest there is."""
        pages = max(1, -(-total // size))
        asked = request.GET.get("page", "1")
        number = min(max(int(asked), 1), pages) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 1
        return cls(
            number,
            total,
            size,
            address(request, page=number - 1 if number > 2 else None) if number > 1 else None,
            address(request, page=number + 1) if number < pages else None,
        )

    @property
    def first(self) -> int:
        return (self.number - 1) * self.size

    @property
    def last(self) -> int:
        return min(self.number * self.size, self.total)

    @property
    def text(self) -> str:
        return f"{self.first + 1}\u2013{self.last} of {self.total}" if self.total else "0"


def counted(rows: Sized, one: str, several: str) -> str:
    """Return how many rows are shown, in words, to be read out after a search."""
    return f"{len(rows)} {one if len(rows) == 1 else several}"


def on_its_page(request: HttpRequest, response: HttpResponse, page: str, names: Iterable[str]) -> HttpResponse:
    """Let the address of `page` follow what htmx has just asked for a part of it, to be linked to and gone back from.

    `names` are the parameters of that part; what the address says of other parts stays. Nothing happens elsewhere.
    """
    path, _, text = (request.htmx.current_url_abs_path or "").partition("?")
    if path != page:
        return response
    query = QueryDict(text.partition("#")[0], mutable=True)
    for name in names:
        query.pop(name, None)
        if value := request.GET.get(name):
            query[name] = value
    return push_url(response, f"{page}?{query.urlencode()}" if query else page)
