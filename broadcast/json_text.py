"""JSON as strangers send it: split without recursion, mended where the meaning is clear, else refused."""

import json
import re
from typing import Any, Final, NoReturn

from broadcast.errors import ReceiptError, TooManyReceipts

MAX_DEPTH: Final = 64
INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_UNWANTED: Final = re.compile("[\x00\ud800-\udfff]")
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
"""A text that nobody ends reaches to the end: looking on from each of its quotes would take the square."""
_OPENING: Final = (b"{", b"[")
_CLOSING: Final = (b"}", b"]")


def members(value: Any) -> dict[str, Any]:
    """Return an object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """Return a list, or an empty one for anything else."""
    return value if isinstance(value, list) else []


def text(value: str) -> str:
    """Return the text with NUL and lone surrogates, which no database or encoder takes, replaced."""
    return _UNWANTED.sub(_REPLACEMENT, value)


def clean(value: Any) -> Any:
    """Return a JSON value with every text and key mended; the depth must have been checked before."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {text(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value


def mend(item: bytes) -> bytes:
    """Return the item read by Python's reader and written again, with lone surrogates and NUL replaced."""
    try:
        value = json.loads(item, parse_constant=_refuse_constant, parse_float=_finite)
        return json.dumps(clean(value), ensure_ascii=False).encode()
    except RecursionError:
        raise too_deep() from None
    except ValueError as error:
        raise ReceiptError(_why(error)) from None


def holds_wide_integer(value: Any) -> bool:
    """Return whether an integer beyond 64 bits is inside; refuse a value nested deeper than `MAX_DEPTH`."""
    if type(value) is dict:
        # Most facts are a few texts and small numbers.
        for item in value.values():
            kind = type(item)
            if kind is str or kind is float:
                continue
            if kind is dict or kind is list or (kind is int and not INT64_MIN <= item <= INT64_MAX):
                break
        else:
            return False
    return _holds_wide_below(value)


def _holds_wide_below(value: Any) -> bool:
    found = False
    level = [value]
    for _ in range(MAX_DEPTH):
        level, wide = _descend(level)
        found = found or wide
        if not level:
            return found
    below, wide = _descend(level)
    if below or any(isinstance(item, dict | list) for item in level):
        raise too_deep()
    return found or wide


def _descend(level: list[Any]) -> tuple[list[Any], bool]:
    below: list[Any] = []
    wide = False
    for item in level:
        kind = type(item)
        if kind is str:
            continue
        if kind is dict:
            below.extend(item.values())
        elif kind is list:
            below.extend(item)
        elif kind is int and not INT64_MIN <= item <= INT64_MAX:
            wide = True
    return below, wide


def narrowed(value: Any) -> Any:
    """Return the value with integers beyond 64 bits as text; refuse one nested deeper than `MAX_DEPTH`."""
    return _narrow(value) if holds_wide_integer(value) else value


def _narrow(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _narrow(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_narrow(item) for item in value]
    if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
        return str(value)
    return value


def too_deep() -> ReceiptError:
    """Return the refusal of an item nested too deeply."""
    return ReceiptError(f"It is nested too deeply: send at most {MAX_DEPTH} levels.")


def split_values(body: bytes, *, most: int) -> list[bytes] | None:
    """Return the top-level values that stand one after another, or None when brackets do not match."""
    return _split(body, inside=0, most=most)


def split_array(body: bytes, *, most: int) -> list[bytes] | None:
    """Return the elements of one array, each still to be judged, or None when brackets do not match."""
    whole = body.strip()
    if not (whole.startswith(b"[") and whole.endswith(b"]")):
        return None
    return _split(whole, inside=1, most=most)


def _split(body: bytes, *, inside: int, most: int) -> list[bytes] | None:
    """Cut at commas of depth `inside`, or after each closing bracket when it is 0; stop at too many."""
    pieces: list[bytes] = []
    depth = 0
    start = inside
    for token in _TOKEN.finditer(body):
        mark = token.group()
        if mark in _OPENING:
            depth += 1
        elif mark in _CLOSING:
            depth -= 1
            if depth < 0:
                return None
            if depth == 0:
                pieces.append(body[start : token.end() - inside].strip())
                start = token.end()
        elif mark == b"," and depth == inside == 1:
            pieces.append(body[start : token.start()].strip())
            start = token.end()
        if len(pieces) > most:
            raise TooManyReceipts(most)
    if depth or body[start:].strip():
        return None
    return [] if pieces == [b""] else pieces


def _finite(number: str) -> float:
    value = float(number)
    if value in {float("inf"), float("-inf")}:
        raise ValueError("A number is too large.")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON: leave the field out or send null.")


def _why(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"It is not valid JSON, at character {error.pos}."
    if isinstance(error, UnicodeDecodeError):
        return "It is not valid UTF-8."
    message = str(error)
    return message if message.endswith(".") else "A number has too many digits."
