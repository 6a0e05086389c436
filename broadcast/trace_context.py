"""Trace ids, span ids and W3C `traceparent`, all derived from the receipt, so that a repeat is the same span.

https://www.w3.org/TR/trace-context-2/ : lower case only, all-zero ids and version ff are invalid.
"""

import re
from hashlib import sha256
from typing import Any, Final

from broadcast.receipt import Receipt

_HEX_32: Final = re.compile(r"[0-9a-fA-F]{32}")
_HEX_16: Final = re.compile(r"[0-9a-fA-F]{16}")
_TRACEPARENT: Final = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16
_EMPTY: Final = sha256()

OUR_KEYS: Final = frozenset({"trace_id", "trace_name", "span_name", "generation_name", "parent_span_id"})
"""The keys of a caller's `trace` that say where the spans belong and what they are called."""


def ids_of(receipt: Receipt) -> tuple[str, str, str]:
    """Return the trace id, the span id of the caller's own span, and that of the generation."""
    digest, trace = _digest(receipt.id), receipt.trace
    if receipt.traceparent is None and (trace is None or OUR_KEYS.isdisjoint(trace)):
        return digest[:32], "", digest[:16]
    return trace_id_of(receipt), parent_span_id_of(receipt), digest[:16]


def says(trace: dict[str, Any] | None) -> bool:
    """Return whether the caller's `trace` has any key of ours; most have none, and then nothing is asked."""
    return not (trace is None or OUR_KEYS.isdisjoint(trace))


def trace_id_of(receipt: Receipt) -> str:
    """Return the trace id: the caller's, else that of `traceparent`, else one made from the receipt's id."""
    given = caller_text(receipt.trace, "trace_id")
    if given:
        return given.lower() if is_trace_id(given) else _digest(given)[:32]
    inherited = parse_traceparent(receipt.traceparent)
    return inherited[0] if inherited else _digest(receipt.id)[:32]


def parent_span_id_of(receipt: Receipt) -> str:
    """Return the span id of the caller's own span, or an empty text when the trace begins here."""
    given = caller_text(receipt.trace, "parent_span_id")
    if given:
        return given.lower() if is_span_id(given) else _digest(given)[:16]
    inherited = parse_traceparent(receipt.traceparent)
    return inherited[1] if inherited else ""


def span_id(receipt_id: str, part: str = "") -> str:
    """Return the id of one span of a receipt; no part is the generation."""
    return _digest(f"{receipt_id}:{part}" if part else receipt_id)[:16]


def is_trace_id(value: Any) -> bool:
    """Return whether a caller's value is a trace id as W3C writes it, in any case."""
    return isinstance(value, str) and _HEX_32.fullmatch(value) is not None and value != _NO_TRACE


def is_span_id(value: Any) -> bool:
    """Return whether a caller's value is a span id as W3C writes it, in any case."""
    return isinstance(value, str) and _HEX_16.fullmatch(value) is not None and value != _NO_SPAN


def parse_traceparent(header: str | None) -> tuple[str, str] | None:
    """Return trace id and parent id of a valid `traceparent`, else None."""
    match = _valid(header)
    return (match["trace"], match["parent"]) if match else None


def parent_sampled(header: str | None) -> bool | None:
    """Return whether the caller's own trace is recorded, None without a valid `traceparent`."""
    match = _valid(header)
    return bool(int(match["flags"], 16) & 1) if match else None


def _valid(header: str | None) -> re.Match[str] | None:
    match = _TRACEPARENT.fullmatch(header) if header else None
    if match is None or match["version"] == "ff" or (match["version"] == "00" and match["more"]):
        return None
    return None if match["trace"] == _NO_TRACE or match["parent"] == _NO_SPAN else match


def caller_text(trace: dict[str, Any] | None, key: str) -> str:
    """Return what the caller's `trace` says under a key of ours; numbers count as text."""
    value = trace.get(key) if trace else None
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _digest(text: str) -> str:
    # To copy a hash that is there costs half of looking up its algorithm again (OpenSSL 3).
    made = _EMPTY.copy()
    made.update(text.encode("utf-8", "replace"))
    return made.hexdigest()
