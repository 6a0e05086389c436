"""Spans as plain records: what `genai` makes and the encoders write."""

from dataclasses import dataclass, field
from typing import TypeAlias

Value: TypeAlias = (
    "str | bool | int | float | tuple[str, ...] | tuple[int, ...] | tuple[float, ...] | tuple[bool, ...]"
)
Attributes: TypeAlias = dict[str, Value]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened inside a span, at `time_ns` since 1970."""

    name: str
    time_ns: int
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One span; ids are lower-case hex of 32 and 16 digits, times are nanoseconds since 1970."""

    trace_id: str
    span_id: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    parent_span_id: str = ""
    attributes: Attributes = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    status_code: int = 0
    status_message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceSpans:
    """The spans of one receipt under one resource; the scope's name is the resource's `service.name`."""

    resource: Attributes
    scope: str
    spans: tuple[Span, ...]
