"""Bodies, read with suspicion: one JSON object or one CSV file, of a bounded size, that says each thing once."""

import json
import unicodedata
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError, UnsupportedMediaType, ValidationError
from rest_framework.parsers import BaseParser

from flags.api.errors import TooLarge

JSON_BYTES = 1_000_000
CSV_BYTES = 10_000_000
DEPTH = 20


class StrictJsonParser(BaseParser):
    """One JSON object (RFC 8259): UTF-8, no key twice, at most 20 deep and a megabyte, no NUL, no NaN.

    What JSON leaves open, databases and other languages read differently; so it is refused here, once.
    """

    media_type = "application/json"
    most_bytes = JSON_BYTES
    deepest = DEPTH

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping | None = None) -> dict:
        text = read_text(stream, self.most_bytes)
        check_depth(text, self.deepest)
        try:
            body = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite)
        except (ValueError, RecursionError) as error:
            raise ParseError(f"The body is no JSON: {error}.") from error
        if not isinstance(body, dict):
            raise ValidationError("Send one JSON object.")
        check_strings(body)
        return body


class NoFormParser(BaseParser):
    """A form without a field, as clients send one that have nothing to say. Any other form is not read (415)."""

    media_type = "multipart/form-data"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping | None = None) -> dict:
        boundary = (media_type or "").partition("boundary=")[2].strip('" ').encode()
        if stream.read(300).strip() not in (b"", b"--" + boundary + b"--"):
            raise UnsupportedMediaType(self.media_type)
        return {}


class CsvParser(BaseParser):
    """A CSV file as text (RFC 4180), with or without a byte order mark."""

    media_type = "text/csv"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping | None = None) -> Any:
        return read_text(stream, CSV_BYTES).removeprefix("\ufeff")


def read_text(stream: IO[bytes], most: int) -> str:
    """Return a body as text. Raises TooLarge, or ParseError where it is not UTF-8."""
    content = stream.read(most + 1)
    if len(content) > most:
        raise TooLarge(f"The body is larger than {most:,} bytes. Send less at once.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ParseError("The body is not UTF-8.") from error


def check_depth(text: str, deepest: int = DEPTH) -> None:
    """Refuse deep nesting before anything recurses into it. Brackets inside strings do not count."""
    depth, in_string, escaped = 0, False, False
    for char in text:
        if in_string:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                in_string = False
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            if depth > deepest:
                raise ParseError(f"The body is nested more than {deepest} deep.")
        elif char in "]}":
            depth -= 1


def check_strings(value: Any, path: str = "") -> None:
    """Refuse NUL and lone surrogates, keys included: no database keeps them."""
    if isinstance(value, str):
        if "\x00" in value or any(unicodedata.category(char) == "Cs" for char in value if char >= "\ud800"):
            raise ValidationError({path or "body": ["Leave out NUL characters and lone surrogates."]})
    elif isinstance(value, dict):
        for key, inner in value.items():
            check_strings(key, path)
            check_strings(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            check_strings(inner, f"{path}[{index}]")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it says {twice[:80]!r} twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is too large")
    return number
