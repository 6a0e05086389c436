"""Spans to OTLP/JSON: hex ids, 64-bit integers as text, numbers for enums.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding (OTLP 1.11). NaN and infinities are left out.
"""

from typing import Any, Final

import msgspec

from broadcast.span import Attributes, Event, ResourceSpans, Span

_INFINITY: Final = float("inf")


class _Text(msgspec.Struct, gc=False):
    stringValue: str  # noqa: N815 - the wire's name


class _Flag(msgspec.Struct, gc=False):
    boolValue: bool  # noqa: N815 - the wire's name


class _Whole(msgspec.Struct, gc=False):
    intValue: str  # noqa: N815 - the wire's name


class _Number(msgspec.Struct, gc=False):
    doubleValue: float  # noqa: N815 - the wire's name


class _Values(msgspec.Struct, gc=False):
    values: list[Any]


class _Array(msgspec.Struct, gc=False):
    arrayValue: _Values  # noqa: N815 - the wire's name


class _Attribute(msgspec.Struct, gc=False):
    key: str
    value: Any


class _Status(msgspec.Struct, omit_defaults=True, gc=False):
    message: str = ""
    code: int = 0


class _Event(msgspec.Struct, gc=False):
    timeUnixNano: str  # noqa: N815 - the wire's name
    name: str
    attributes: list[_Attribute]


class _Span(msgspec.Struct, omit_defaults=True, gc=False):
    traceId: str  # noqa: N815 - the wire's name
    spanId: str  # noqa: N815 - the wire's name
    name: str
    kind: int
    startTimeUnixNano: str  # noqa: N815 - the wire's name
    endTimeUnixNano: str  # noqa: N815 - the wire's name
    attributes: list[_Attribute]
    status: _Status
    parentSpanId: str = ""  # noqa: N815 - the wire's name
    events: list[_Event] = []


class _Scope(msgspec.Struct, gc=False):
    name: str


class _ScopeSpans(msgspec.Struct, gc=False):
    scope: _Scope
    spans: list[_Span]


class _Resource(msgspec.Struct, gc=False):
    attributes: list[_Attribute]


class _ResourceSpans(msgspec.Struct, gc=False):
    resource: _Resource
    scopeSpans: list[_ScopeSpans]  # noqa: N815 - the wire's name


_encode: Final = msgspec.json.Encoder().encode


def encode(spans: ResourceSpans) -> bytes:
    """Return one `resourceSpans` element; `destination.envelope` joins several into a request."""
    return _encode(
        _ResourceSpans(
            _Resource(_attributes(spans.resource)),
            [_ScopeSpans(_Scope(spans.scope), [_span(span) for span in spans.spans])],
        )
    )


def _span(span: Span) -> _Span:
    return _Span(
        span.trace_id,
        span.span_id,
        span.name,
        span.kind,
        str(span.start_ns),
        str(span.end_ns),
        _attributes(span.attributes),
        _Status(span.status_message, span.status_code),
        span.parent_span_id,
        [_event(event) for event in span.events] if span.events else [],
    )


def _event(event: Event) -> _Event:
    return _Event(str(event.time_ns), event.name, _attributes(event.attributes))


def _attributes(attributes: Attributes) -> list[_Attribute]:
    """Tell kinds apart by exact type: `bool` is an `int` to `isinstance`, and this is the hot loop."""
    found: list[_Attribute] = []
    add = found.append
    for key, value in attributes.items():
        kind = type(value)
        if kind is str:
            add(_Attribute(key, _Text(value)))
        elif kind is int:
            add(_Attribute(key, _Whole(str(value))))
        elif kind is float:
            if -_INFINITY < value < _INFINITY:
                add(_Attribute(key, _Number(value)))
        elif kind is bool:
            add(_Attribute(key, _Flag(value)))
        elif kind is tuple:
            add(_Attribute(key, _Array(_Values([_scalar(item) for item in value]))))
    return found


def _scalar(value: str | bool | float) -> Any:
    if isinstance(value, str):
        return _Text(value)
    if isinstance(value, bool):
        return _Flag(value)
    if isinstance(value, int):
        return _Whole(str(value))
    return _Number(value)
