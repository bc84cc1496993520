"""Logging to stderr: a JSON object per line for machines, a readable line for people.

Fields travel in `extra={"fields": {...}}`. Callers keep secrets out of them.
"""

import json
import logging
import math
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

_RESERVED: Final = ("time", "level", "logger", "message", "exception", "stack")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_COLOURS: Final = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_PLAIN: Final = "\x1b[0m"


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of ASCII JSON, its traceback included."""

    def __init__(self, always: Mapping[str, object] | None = None) -> None:
        """Write the fields of `always` in every line."""
        super().__init__()
        self._always = dict(always or {})

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        entry: dict[str, object] = {
            "time": _time(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {
            f"{name}_" if name in _RESERVED else name: _plain(value) for name, value in (self._always | _fields(record)).items()
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            entry["stack"] = record.stack_info
        return json.dumps(entry)


class TerminalFormatter(logging.Formatter):
    """Writes a record as a line for people. Only a traceback takes more lines, below it."""

    def __init__(self, always: Mapping[str, object] | None = None) -> None:
        """Write the fields of `always` in every line."""
        super().__init__()
        self._always = dict(always or {})

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback if there is one."""
        level = record.levelname.lower()
        colour = _COLOURS.get(level)
        fields = "".join(f" {name}={value}" for name, value in (self._always | _fields(record)).items())
        text = visible(f"{record.name}: {record.getMessage()}{fields}")
        line = f"{_time(record):%H:%M:%S} {f'{colour}{level}{_PLAIN}' if colour else level} {text}"
        below = [self.formatException(record.exc_info)] if record.exc_info else []
        below += [record.stack_info] if record.stack_info else []
        return "\n".join([line, *below])


def configure(level: str, *, json_lines: bool | None = None, always: Mapping[str, object] | None = None) -> None:
    """Send all logging from the level on to stderr; as JSON lines unless stderr is a terminal or the caller says.

    The fields of `always` are in every line: which of several processes writes it.
    """
    if json_lines is None:
        json_lines = not sys.stderr.isatty()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter((JsonFormatter if json_lines else TerminalFormatter)(always))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Tells at length, at every start, which of its plugins it has.
    logging.getLogger("alembic").setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(capture=True)


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields = getattr(record, "fields", None)
    return {str(name): value for name, value in fields.items()} if isinstance(fields, Mapping) else {}


def _plain(value: object) -> object:
    """Return the value as something that JSON has."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case list() | tuple():
            return [_plain(item) for item in value]
        case dict():
            return {str(name): _plain(item) for name, item in value.items()}
    return str(value)


def visible(text: str) -> str:
    """Escape what would start a new line or command the terminal: a log line may quote strangers."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
