"""JSON as clients and providers write it, as values that a receipt can hold."""

import json
import math
from collections.abc import Callable
from typing import Any, Final, NoReturn

import msgspec

from broadcast.json_text import clean

_FAULTS: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)

Raw = msgspec.Raw


def plain(raw: Raw | bytes | None) -> Any:
    """Return a value a receipt can hold: valid UTF-8, no NUL; None when absent or not decodable."""
    if raw is None:
        return None
    data = bytes(raw)
    if b"\\u0000" in data:
        return _mended(data)
    try:
        return msgspec.json.decode(data)
    except _FAULTS:
        return _mended(data)


def fields_of(body: bytes) -> dict[str, Raw]:
    """Return an object's members, each as it was written; raise `ValueError` with a sentence."""
    try:
        body.decode()
        return msgspec.json.decode(body, type=dict[str, Raw])
    except _FAULTS:
        # Lone surrogates are the one thing that JSON allows and msgspec does not.
        document = _mended(body, constant=_refuse)
    if document is None:
        raise ValueError("The body is not valid JSON, or it is nested too deeply.")
    if not isinstance(document, dict):
        raise ValueError("The body must be a JSON object.")  # noqa: TRY004 - it is the client's value, not ours
    return {name: Raw(msgspec.json.encode(value)) for name, value in document.items()}


def is_filled_list(raw: Raw | None) -> bool:
    """Look at the brackets alone: messages may be long, and are read when the client has its answer."""
    try:
        return raw is not None and bool(msgspec.json.decode(raw, type=list[Raw]))
    except _FAULTS:
        return False


def is_filled(raw: Raw | None) -> bool:
    """Look whether it is a text or a list with something in it, without reading it."""
    if raw is None:
        return False
    written = bytes(raw).strip()
    return is_filled_list(raw) if written.startswith(b"[") else written.startswith(b'"') and written != b'""'


def _mended(data: bytes, constant: Callable[[str], Any] = str) -> Any:
    """Decode as Python does, which takes lone surrogates and numbers out of range, and replace them."""
    try:
        return clean(json.loads(data, parse_constant=constant, parse_float=_finite))
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are not JSON


def _finite(digits: str) -> float | str:
    value = float(digits)
    return value if math.isfinite(value) else str(value)
