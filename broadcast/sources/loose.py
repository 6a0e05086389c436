"""Values of strangers' JSON, read as what they should be: anything else counts as absent."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from broadcast import json_text
from broadcast.errors import ReceiptError

_MOST_TOKENS: Final = 2**53
_WHOLE: Final = re.compile(r"\d{1,16}")


def document(item: bytes) -> Any:
    """Return one item of a body; what Python writes for a number that is none is read as null."""
    try:
        if b"\\u0000" not in item:
            return msgspec.json.decode(item)
    except UnicodeDecodeError:
        raise ReceiptError("It is not valid UTF-8.") from None
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return json_text.clean(json.loads(item, parse_constant=lambda _: None, parse_float=_finite))
    except UnicodeDecodeError:
        raise ReceiptError("It is not valid UTF-8.") from None
    except RecursionError:
        raise json_text.too_deep() from None
    except ValueError:
        raise ReceiptError("It is not valid JSON.") from None


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def text(value: Any) -> str | None:
    """Return a text that says something; numbers count as text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def first_text(*values: Any) -> str | None:
    """Return the first of the values that is a text."""
    return next((found for value in values if (found := text(value))), None)


def count(value: Any) -> int | None:
    """Return a count of tokens, also where it came as text or as 12.0."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and 0 <= value <= _MOST_TOKENS else None


def first_count(source: Mapping[str, Any], *names: str) -> int | None:
    """Return the count under the first of the names that holds one."""
    return next((found for name in names if (found := count(source.get(name))) is not None), None)


def number(value: Any) -> float | None:
    """Return a finite number, also where it came as text."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def told(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs that say something: nothing is null, empty or missing."""
    return {name: value for name, value in pairs if value is not None and value not in ("", {}, [])}


def tame(field: str, value: Any) -> Any:
    """Return a value fit for a receipt: no integer beyond 64 bits; refuse one that is nested too deeply."""
    try:
        return json_text.narrowed(value)
    except ReceiptError:
        raise ReceiptError(
            f"{field} is nested too deeply: send at most {json_text.MAX_DEPTH} levels.", field=field
        ) from None
