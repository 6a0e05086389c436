"""How many objects a body would unpack into, counted before it is: a byte on the wire may cost 80 in memory.

The longest bodies alone need the count; a short one can do no harm.
"""

import re
from typing import Final

MOST_OBJECTS: Final = 750_000
"""More than any real export of 16 MiB holds: an attribute is two objects and hardly under 50 bytes."""

_SHORT_BYTES: Final = 1024 * 1024
_MOST_DEPTH: Final = 64
# Whatever a quotation mark opens is matched to its end, or to the end of the body: linear for any input.
_TEXTS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)

_ANY: Final[dict[int, object]] = {}
_PAIR: Final[dict[int, object]] = {2: _ANY}
_ANY.update({5: {1: _ANY}, 6: {1: _PAIR}})
_SPAN: Final = {9: _PAIR, 11: {3: _PAIR}, 13: {4: _PAIR}, 15: {}}
_REQUEST: Final = {1: {1: {1: _PAIR, 3: {}}, 2: {1: {3: _PAIR}, 2: _SPAN}}}
"""Which fields of which message are messages (opentelemetry/proto/trace/v1/trace.proto)."""

_FIXED: Final = {1: 8, 5: 4}
_LENGTH: Final = 2


def fits_json(body: bytes) -> bool:
    """Return whether JSON holds few enough objects to be unpacked."""
    return len(body) <= _SHORT_BYTES or _few(body) or _few(_TEXTS.sub(b"", body))


def _few(body: bytes) -> bool:
    """Elements of a list that are no objects count by their commas."""
    return body.count(b"{") <= MOST_OBJECTS and body.count(b",") <= 2 * MOST_OBJECTS


def fits_protobuf(body: bytes) -> bool:
    """Return whether an export request holds few enough messages, none nested too deeply.

    What is no protobuf at all fits: its reader says so better.
    """
    if len(body) <= _SHORT_BYTES:
        return True
    try:
        return _walk(body)
    except IndexError:
        return True


def _walk(body: bytes) -> bool:
    """Pass over the fields once; a message inside a message is entered and never copied."""
    at, count, fields, end = 0, 0, _REQUEST, len(body)
    around: list[tuple[dict[int, object], int]] = []
    while True:
        while at >= end:
            if not around:
                return True
            fields, end = around.pop()  # type: ignore[assignment]  # the tables hold tables
        tag, at = _varint(body, at)
        kind = tag & 7
        if kind == _LENGTH:
            size, at = _varint(body, at)
            inner = fields.get(tag >> 3)
            if inner is None:
                at += size
                continue
            count += 1
            if count > MOST_OBJECTS or len(around) >= _MOST_DEPTH:
                return False
            around.append((fields, end))  # type: ignore[arg-type]  # likewise
            fields, end = inner, at + size  # type: ignore[assignment]  # likewise
        elif kind == 0:
            _, at = _varint(body, at)
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:
            return True


def _varint(body: bytes, at: int) -> tuple[int, int]:
    byte = body[at]
    if byte < 128:
        return byte, at + 1
    value, shift = byte & 127, 7
    while byte >= 128 and shift < 70:
        at += 1
        byte = body[at]
        value |= (byte & 127) << shift
        shift += 7
    return value, at + 1
