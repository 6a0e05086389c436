"""What a person adds to a destination: attributes of the resource, and patterns of what must not leave."""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from broadcast.genai_names import SERVICE_NAME, SERVICE_VERSION
from broadcast.json_text import INT64_MAX, INT64_MIN
from broadcast.patterns import problem_of
from broadcast.redaction import MAX_PATTERNS

MAX_ATTRIBUTES: Final = 32
MAX_VALUE: Final = 1024
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\-/]{0,127}")
_OURS: Final = {SERVICE_NAME, SERVICE_VERSION}
_TRACE_ID: Final = ".trace.id"
"""How the name of the resource's id ends, whatever the namespace is."""


def read_attributes(value: Any) -> dict[str, Any] | None:
    """Return attributes for the resource, None for none; raise `ValueError` with the name and the fix."""
    if value is None or value == {}:
        return None
    if not isinstance(value, Mapping) or len(value) > MAX_ATTRIBUTES:
        raise ValueError(f"Enter an object of at most {MAX_ATTRIBUTES} names with their values, or null.")
    for name, item in value.items():
        _check_attribute(name, item)
    return dict(value)


def _check_attribute(name: Any, value: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"{str(name)[:40]!r} is not a name: begin with a letter, then letters, digits, dots, _, - and /."
        )
    if name in _OURS or name.endswith(_TRACE_ID):
        raise ValueError(f"{name} is set by the router and stays as it is: choose another name.")
    if isinstance(value, str) and 0 < len(value) <= MAX_VALUE and value.isprintable():
        return
    if isinstance(value, bool) or (isinstance(value, int) and INT64_MIN <= value <= INT64_MAX):
        return
    if isinstance(value, float) and math.isfinite(value):
        return
    raise ValueError(f"{name} is a text of 1 to {MAX_VALUE} characters on one line, a number, true or false.")


def read_patterns(value: Any) -> tuple[str, ...] | None:
    """Return patterns of what must not leave, None for none; raise `ValueError` with the fix."""
    if value is None or value == []:
        return None
    if not isinstance(value, list | tuple) or len(value) > MAX_PATTERNS:
        raise ValueError(f"Enter a list of at most {MAX_PATTERNS} regular expressions, or null.")
    for number, pattern in enumerate(value, start=1):
        if not isinstance(pattern, str) or not pattern:
            raise ValueError(f"Pattern {number} is empty. Enter a regular expression, or leave it out.")
        if problem := _written_badly(pattern) or problem_of(pattern):
            raise ValueError(f"Pattern {number}: {problem}")
    return tuple(dict.fromkeys(value))


def _written_badly(pattern: str) -> str:
    """Return why a pattern could not be shown and entered again as it is: one stands on a line of its own."""
    if pattern.splitlines() != [pattern]:
        return r"This has a line break: write \n."
    if pattern != pattern.strip():
        return r"This begins or ends with a blank: write \s."
    return ""
