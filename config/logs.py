"""Log lines that machines can read: one JSON object each, under the id of its request, without secrets."""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from tenants import provenance

MAX_MESSAGE = 4_000
MAX_TRACEBACK = 16_000
REDACTED = "[redacted]"
SECRET_NAME = re.compile(r"authorization|cookie|passw(?:or)?d|secret|token|api[-_]?key|credential|session_?key", re.I)
SECRET_TEXT = re.compile(
    r"(?P<name>\b(?:authorization|passw(?:or)?d|secret|token|api[-_]?key)\b[\"']?\s*[:=]\s*)"
    r"(?P<value>(?:bearer|basic|token)\s+[^\s,;\"'&]+|\"[^\"]*\"|'[^']*'|[^\s,;\"'&]+)"
    r"|(?P<scheme>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
    r"|(?P<ours>\bhg_[sc]_[0-9A-Za-z]+_)[\w-]+"  # The public part of an API token says whose it is.
    r"|(?P<url>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+(?=@)",
    re.I,
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request_id"}


class JsonFormatter(logging.Formatter):
    """Render a record as one line of JSON: time, level, logger, message, request_id, then the extras of the call.

    Values whose name or surroundings say that they are secret are replaced, long texts are cut, and line
    breaks cannot forge a second line because JSON escapes them.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": cut(redact(record.getMessage()), MAX_MESSAGE),
        }
        if request_id := request_id_of(record):
            line["request_id"] = request_id
        for name, value in vars(record).items():
            if name not in _STANDARD and not name.startswith("_"):
                line.setdefault(name, _clean(name, value))
        if record.exc_info:
            line["exception"] = cut(redact(self.formatException(record.exc_info)), MAX_TRACEBACK)
        return json.dumps(line, ensure_ascii=True, default=str)


class RequestIdFilter(logging.Filter):
    """Put `request_id` on each record, for plain formats that name it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id_of(record) or "-"
        return True


def request_id_of(record: logging.LogRecord) -> str:
    """Return the id of the request a record is about, empty if about none.

    Django logs refusals (404, 403) when all middleware is done and the context gone; its record names the request.
    """
    return provenance.request_id.get() or getattr(getattr(record, "request", None), "request_id", "")


def redact(text: str) -> str:
    """Return `text` with passwords, tokens and credentials in URLs replaced by `[redacted]`."""
    return SECRET_TEXT.sub(_without_value, text)


def cut(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text`, and say how many are missing."""
    return text if len(text) <= limit else f"{text[:limit]}… [{len(text) - limit} more characters]"


def _without_value(match: re.Match[str]) -> str:
    return f"{match['name'] or match['scheme'] or match['ours'] or match['url'] or ''}{REDACTED}"


def _clean(name: str, value: Any) -> Any:
    if SECRET_NAME.search(name):
        return REDACTED
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, dict):
        return {str(key): _clean(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean("", item) for item in value]
    return cut(redact(str(value)), MAX_MESSAGE)
