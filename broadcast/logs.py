"""Logging for people or for machines: one line an event, to standard error.

What is logged is a template, `action=attempt destination=%s status=%s`, and its values; a machine gets each
under its name. An exception is told by its kind and place, and by its words only where these are ours: the
words of others may repeat what they choked on, and that may be a prompt or a secret.
"""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from types import TracebackType
from typing import Any, Final

from broadcast.errors import BroadcastError

_QUIET: Final = ("apscheduler", "asyncio", "aiohttp", "urllib3", "alembic", "werkzeug", "_granian", "granian")
_FIELD: Final = re.compile(r"([a-z_]+)=(\S+)")
_VALUE: Final = re.compile(r"%[-0-9.]*[a-z]")
_KEPT: Final = (bool, int, float, type(None))
RESERVED: Final = ("time", "level", "logger", "message", "trace", "request_id")
"""Names that a line has anyway; no template has a field of one of these names."""

RequestId = Callable[[], str | None]


class _JsonLines(logging.Formatter):
    """One JSON object a line, so that no text from outside can start a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": f"{_second_utc(int(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            **fields(record),
            "logger": record.name,
        }
        if (request_id := getattr(record, "request_id", None)) is not None:
            entry["request_id"] = request_id
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        return "\n".join(_told(ei[1]))


class _TextLines(_JsonLines):
    """A line a person can read; control characters of outside texts are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        second = _second_here(int(record.created))
        line = f"{second} {record.levelname:<7} {record.name} {record.getMessage()}"
        if not line.isprintable():
            line = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in line)
        if (request_id := getattr(record, "request_id", None)) is not None:
            line = f"{line} request_id={request_id}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


# Lines come by the thousand a second, and all of a second say the same of it.
@lru_cache(maxsize=2)
def _second_utc(at_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_s))


@lru_cache(maxsize=2)
def _second_here(at_s: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at_s))


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a line says, by name; what a library says has no names and is one message."""
    template = record.msg if isinstance(record.msg, str) else ""
    values = record.args if isinstance(record.args, tuple) else ()
    names = _names(template)
    if names is None or sum(count for _, _, count in names) != len(values):
        return {"action": "library", "message": record.getMessage()}
    found: dict[str, Any] = {}
    left = iter(values)
    for name, form, count in names:
        mine = tuple(next(left) for _ in range(count))
        found[name] = _value(form, mine)
    return found


@cache
def _names(template: str) -> tuple[tuple[str, str, int], ...] | None:
    """Return name, form and number of values of each field; None for a template that is not ours."""
    tokens = template.split(" ")
    matched = [_FIELD.fullmatch(token) for token in tokens]
    if not template.startswith("action=") or None in matched:
        return None
    return tuple((one[1], one[2], len(_VALUE.findall(one[2]))) for one in matched if one)


def _value(form: str, values: tuple[Any, ...]) -> Any:
    """Return a value as a machine wants it: numbers stay numbers."""
    if form == "%s" and isinstance(values[0], _KEPT):
        return values[0]
    text = form % values
    return float(text) if len(values) == 1 and form.endswith("f") else text


# -- exceptions --------------------------------------------------------------------------------------


def _told(error: BaseException | None, seen: frozenset[int] = frozenset()) -> Iterator[str]:
    if error is None or id(error) in seen:
        return
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    yield from _told(cause, seen | {id(error)})
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):"
        yield from _places(error.__traceback__)
    yield _named(error)


def _places(trace: TracebackType) -> Iterator[str]:
    for frame in traceback.extract_tb(trace):
        yield f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}'


def _named(error: BaseException) -> str:
    """Return the kind of an exception, with words that cannot hold what somebody sent."""
    kind = type(error).__name__
    if isinstance(error, BroadcastError):
        return f"{kind}: {error}"
    # What the operating system and the databases call it: a name out of a list.
    code = getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None)
    if code is None and isinstance(error, OSError):
        code = error.strerror
    return f"{kind}: {code}" if isinstance(code, str) else kind


def configure(level: str, form: str, request_id: RequestId = lambda: None) -> None:
    """Send every log record to standard error in the asked form; libraries speak only from warning up.

    `request_id` names the request that is being answered, None between requests.
    """

    def name(record: logging.LogRecord) -> bool:
        record.request_id = request_id()
        return True

    # What no line says need not be found out for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if form == "json" else _TextLines())
    handler.addFilter(name)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for quiet in _QUIET:
        logging.getLogger(quiet).setLevel(logging.WARNING)
