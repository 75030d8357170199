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
MOST_NAMES = 1000
LONGEST_NAME = 200


class StrictJsonParser(BaseParser):
    """One JSON object (RFC 8259): UTF-8, no key twice, at most 20 deep and a megabyte, no NUL, no NaN.

    No object in it has more than 1,000 names, and no name more than 200 characters.

    What JSON leaves open, databases and other languages read differently; so it is refused here, once.
    """

    media_type = "application/json"
    most_bytes = JSON_BYTES
    deepest = DEPTH

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping | None = None) -> dict:
        refuse_compressed(parser_context)
        refuse_large(parser_context, self.most_bytes)
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
        refuse_compressed(parser_context)
        refuse_large(parser_context, CSV_BYTES)
        return read_text(stream, CSV_BYTES).removeprefix("\ufeff")


class Compressed(UnsupportedMediaType):
    """A body that is packed. What it would unpack to, nobody knows before it is too late."""

    code = "UNSUPPORTED_MEDIA_TYPE"

    def __init__(self) -> None:
        super().__init__("", detail="Send the body as it is, without Content-Encoding.")
        self.own_headers = {"Accept-Encoding": "identity"}


def refuse_compressed(context: Mapping | None) -> None:
    """Raise Compressed for a body under a Content-Encoding (RFC 9110, 15.5.16)."""
    if (context or {})["request"].headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise Compressed


def refuse_large(context: Mapping | None, most: int) -> None:
    """Raise TooLarge for a body that is announced as such, before any of it is waited for."""
    announced = (context or {})["request"].META.get("CONTENT_LENGTH") or "0"
    if announced.isdecimal() and int(announced) > most:
        raise _too_large(most)


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"The body is larger than {most:,} bytes. Send less at once.")


def read_text(stream: IO[bytes], most: int) -> str:
    """Return a body as text. Raises TooLarge, or ParseError where it is not UTF-8."""
    content = stream.read(most + 1)
    if len(content) > most:
        raise _too_large(most)
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
    """Refuse NUL and lone surrogates, names included: no database keeps them. Refuse names without end."""
    if isinstance(value, str):
        if "\x00" in value or any(unicodedata.category(char) == "Cs" for char in value if char >= "\ud800"):
            raise ValidationError({path or "body": ["Leave out NUL characters and lone surrogates."]})
    elif isinstance(value, dict):
        if len(value) > MOST_NAMES:
            raise ValidationError({path or "body": [f"It says {len(value):,} names. At most {MOST_NAMES:,} are read."]})
        for key, inner in value.items():
            if len(key) > LONGEST_NAME:
                raise ValidationError({path or "body": [f"Names have at most {LONGEST_NAME} characters."]})
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
