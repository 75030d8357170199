"""Whole answers, rendered once: polling is cheap because nothing is evaluated or written out twice.

What answers rest on is immutable and exchanged as a whole when anything changes, a moment passing included; so an
answer stands as long as the very object it was made from.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flags.api.preconditions import content_tag
from flags.features import COMPANIES_IN_PROCESS, Features, forced
from tenants import forking

MOST = 2 * COMPANIES_IN_PROCESS
"""So many whole answers are kept: of each company that the process knows one for programs, and one more."""
MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rendered:
    """A body and its entity tag."""

    content: bytes
    tag: str


Name = tuple[int, str, str]

_lock = forking.Lock()
_kept: "OrderedDict[Name, tuple[Mapping[str, bool], Rendered]]" = OrderedDict()
_bytes = 0


def rendered(features: Features, kind: str, build: Callable[[], bytes]) -> Rendered:
    """Return what `build` renders from all these answers. `kind` tells one rendering of them from another."""
    resolution = features.resolution
    company = str(resolution.asker.company_id or "")
    if forced or resolution.stale or resolution.pending:
        return _render(build, company)
    name = (id(resolution.answers), kind, company)
    found = _kept.get(name)
    # An id is that of one object only while it lives; what is kept here, lives.
    if found is not None and found[0] is resolution.answers:
        _stay(name)
        return found[1]
    made = _render(build, company)
    _keep(name, resolution.answers, made)
    return made


def _stay(name: Name) -> None:
    """Let what was just asked for be the last to go. Without the lock: every poll comes by here."""
    try:
        _kept.move_to_end(name)
    except KeyError:  # It went in this very instant, and will be made again.
        return


def _keep(name: Name, answers: Mapping[str, bool], made: Rendered) -> None:
    global _bytes
    with _lock:
        replaced = _kept.pop(name, None)
        _kept[name] = (answers, made)
        _bytes += len(made.content) - (len(replaced[1].content) if replaced else 0)
        while len(_kept) > MOST or _bytes > MOST_BYTES:
            _, (_, gone) = _kept.popitem(last=False)
            _bytes -= len(gone.content)


def _render(build: Callable[[], bytes], company: str) -> Rendered:
    content = build()
    return Rendered(content, content_tag(content, company))
