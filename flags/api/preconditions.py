"""`ETag`, `If-Match` and `version`: nobody overwrites what they have not seen (RFC 9110, section 13)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

from rest_framework.request import Request

from flags.exceptions import Conflict

TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
NEVER = -1


def version_tag(version: int) -> str:
    """Return the entity tag of a thing that counts its versions."""
    return f'"{version}"'


def content_tag(content: bytes, company: str) -> str:
    """Return the entity tag of an answer about a company, by its id: it changes exactly when the answer does.

    No two companies have a tag in common, however alike their answers are; two processes have the same.
    """
    return f'"{sha256(company.encode() + b" " + content).hexdigest()[:32]}"'


def is_unchanged(request: Request, tag: str) -> bool:
    """Say whether the caller already holds this answer. Weak comparison, as If-None-Match asks for."""
    header = request.headers.get("If-None-Match", "")
    return header.strip() == "*" or tag.strip('"') in TAG.findall(header)


def expected_version(request: Request, stored: int, version: int | None) -> int | None:
    """Return the version a change must meet: by If-Match, by `version`, or None for any.

    `stored` is the version as it is now, 0 for what does not exist. Where both are given, both must hold.
    """
    header = request.headers.get("If-Match")
    if header is None:
        return version
    strong = [tag for weak, tag in re.findall(r'(W/)?"([^"]*)"', header) if not weak]
    holds = stored > 0 if header.strip() == "*" else str(stored) in strong
    if not holds:
        return next((int(tag) for tag in strong if tag.isdecimal() and len(tag) < 10), NEVER)
    return stored if version is None else version


@contextmanager
def lost_races(request: Request, stored: int) -> Iterator[None]:
    """Say 412 where it was If-Match that failed, and 409 where it was `version`.

    `stored` was read before the lock: whoever lost the race after that is refused for a version that came later.
    """
    try:
        yield
    except Conflict as refusal:
        now = refusal.extra.get("version", stored)
        if "If-Match" in request.headers and expected_version(request, now, None) != now:
            refusal.status, refusal.code = 412, "PRECONDITION_FAILED"
        raise
