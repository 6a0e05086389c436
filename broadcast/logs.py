"""Logging for people or for machines: one line an event, to standard error."""

import json
import logging
import sys
from typing import Final

_QUIET: Final = ("apscheduler", "asyncio", "aiohttp", "urllib3", "alembic", "werkzeug", "_granian", "granian")


class _JsonLines(logging.Formatter):
    """One JSON object a line, so that no text from outside can start a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.dumps(entry)


class _TextLines(logging.Formatter):
    """A line a person can read; control characters of outside texts are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        event = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None})
        line = "".join(
            char if char.isprintable() else f"\\x{ord(char):02x}" for char in super().format(event)
        )
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(level: str, form: str) -> None:
    """Send every log record to standard error in the asked form; libraries speak only from warning up."""
    text = _TextLines("%(asctime)s %(levelname)-7s %(name)s %(message)s", "%H:%M:%S")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if form == "json" else text)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
