"""Spans as plain records: what `genai` makes and the encoders write."""

from typing import Any, Final, TypeAlias

import msgspec

Value: TypeAlias = (
    "str | bool | int | float | tuple[str, ...] | tuple[int, ...] | tuple[float, ...] | tuple[bool, ...]"
)
Attributes: TypeAlias = dict[str, Any]
"""Attribute name to `Value`; `Any` because msgspec records resolve their annotations at run time."""

INTERNAL: Final = 1
CLIENT: Final = 3
OK: Final = 1
FAILED: Final = 2


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that happened inside a span, at `time_ns` since 1970."""

    name: str
    time_ns: int
    attributes: Attributes = {}


class Repeated(msgspec.Struct, kw_only=True, gc=False):
    """Attributes that come with the same values in span after span, and what an encoder made of them."""

    attributes: Attributes
    json: bytes = b""


class Span(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One span; ids are lower-case hex of 32 and 16 digits, times are nanoseconds since 1970.

    Where `repeated` is set, `attributes` begins with exactly those: an encoder may write them from there.
    """

    trace_id: str
    span_id: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    parent_span_id: str = ""
    attributes: Attributes = {}
    events: tuple[Event, ...] = ()
    status_code: int = 0
    status_message: str = ""
    repeated: Repeated | None = None


class ResourceSpans(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The spans of one receipt under one resource; the scope's name is the resource's `service.name`."""

    resource: Attributes
    scope: str
    spans: tuple[Span, ...]
