"""The caller's `trace` object as attributes: data, never structure, and never a name of ours."""

import json
import math
from typing import Any, Final

from broadcast.genai_names import TRACE_METADATA
from broadcast.json_text import INT64_MAX, INT64_MIN
from broadcast.remembered import Remembered
from broadcast.span import Attributes
from broadcast.trace_context import OUR_KEYS

PREFIX: Final = TRACE_METADATA + "."
_MAX_DEPTH: Final = 3
_MAX_KEYS: Final = 128
_MAX_KNOWN_CHARS: Final = 128


class _Names(Remembered[str, str]):
    """The attribute's name for a caller's key, empty for a key of ours; most keys come again and again."""

    def __missing__(self, key: str) -> str:
        name = "" if key in OUR_KEYS else PREFIX + key
        if len(key) <= _MAX_KNOWN_CHARS:
            self.keep(key, name)
        return name


_names: Final = _Names()


def attributes(trace: dict[str, Any]) -> Attributes:
    """Return an attribute for every key that is not ours; beyond 128 the rest is one JSON text."""
    found: Attributes = {}
    for key, value in trace.items():
        name = _names[key]
        if not name:
            continue
        if type(value) is str:
            found[name] = value
        else:
            _flatten(found, name, value, 1)
    if len(found) <= _MAX_KEYS:
        return found
    names = list(found)
    kept: Attributes = {name: found[name] for name in names[: _MAX_KEYS - 1]}
    kept[TRACE_METADATA] = as_json(
        {name.removeprefix(PREFIX): found[name] for name in names[_MAX_KEYS - 1 :]}
    )
    return kept


def _flatten(found: Attributes, name: str, value: Any, depth: int) -> None:
    kind = type(value)
    if kind is str or kind is bool:
        found[name] = value
    elif kind is int:
        found[name] = value if INT64_MIN <= value <= INT64_MAX else str(value)
    elif kind is float:
        if math.isfinite(value):
            found[name] = value
    elif kind is dict and value and depth < _MAX_DEPTH:
        for key, item in value.items():
            _flatten(found, f"{name}.{key}", item, depth + 1)
    elif kind is list or kind is tuple:
        found[name] = _array(value)
    elif value is not None:
        found[name] = as_json(value)


def _array(items: list[Any] | tuple[Any, ...]) -> Any:
    """Return an array of one scalar type as a tuple; whole numbers among fractions become fractions."""
    kinds = {type(item) for item in items}
    if kinds <= {str} or kinds == {bool}:
        return tuple(items)
    if kinds == {int} and all(INT64_MIN <= item <= INT64_MAX for item in items):
        return tuple(items)
    if kinds in ({float}, {int, float}):
        numbers = tuple(float(item) for item in items)
        if all(map(math.isfinite, numbers)):
            return numbers
    return as_json(items)


def as_json(value: Any) -> str:
    """Return compact JSON text of any value."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
