"""Whole answers, rendered once: polling is cheap because nothing is evaluated or written out twice.

What answers rest on is immutable and exchanged as a whole when anything changes, a moment passing included; so an
answer stands as long as the very object it was made from.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flags.api.preconditions import content_tag
from flags.features import Features, forced

MOST = 500


@dataclass(frozen=True, slots=True)
class Rendered:
    """A body and its entity tag."""

    content: bytes
    tag: str


_lock = threading.Lock()
_kept: "OrderedDict[tuple[int, str, str], tuple[Mapping[str, bool], Rendered]]" = OrderedDict()


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
        return found[1]
    made = _render(build, company)
    with _lock:
        _kept[name] = (resolution.answers, made)
        _kept.move_to_end(name)
        while len(_kept) > MOST:
            _kept.popitem(last=False)
    return made


def _render(build: Callable[[], bytes], company: str) -> Rendered:
    content = build()
    return Rendered(content, content_tag(content, company))
