"""Spans to OTLP/JSON: hex ids, 64-bit integers as text, numbers for enums.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding (OTLP 1.11). NaN and infinities are left out.

The spans of a service have the same few sets of attributes over and over. What is the same in all of a set
is written once, as a template; a span only fills in its values, and nothing is copied until all is joined.
"""

from math import isfinite
from typing import Any, Final

import msgspec

from broadcast.span import Attributes, Event, ResourceSpans, Span

_MAX_TEMPLATES: Final = 1024
_MAX_TEMPLATE_BYTES: Final = 8192
_AROUND: Final[dict[type, tuple[bytes, bytes]]] = {
    str: (b'{"stringValue":', b"}"),
    bool: (b'{"boolValue":', b"}"),
    int: (b'{"intValue":"', b'"}'),
    float: (b'{"doubleValue":', b"}"),
    tuple: (b'{"arrayValue":{"values":[', b"]}}"),
}
"""What stands around a value, by its exact type: `bool` is an `int` to `isinstance`."""

_encode: Final = msgspec.json.Encoder().encode


class _Template(msgspec.Struct, frozen=True, gc=False):
    """A set of attribute names and kinds as pieces of JSON; every second piece is a value to fill in."""

    pieces: list[bytes]
    floats: tuple[int, ...]
    arrays: tuple[int, ...]


_templates: Final[dict[tuple[Any, ...], _Template]] = {}


def encode(spans: ResourceSpans) -> bytes:
    """Return one `resourceSpans` element; `destination.envelope` joins several into a request."""
    pieces = [b'{"resource":{"attributes":[', *_attributes(spans.resource)]
    pieces += (b']},"scopeSpans":[{"scope":{"name":', _encode(spans.scope), b'},"spans":[')
    between = b""
    for span in spans.spans:
        pieces.append(between)
        _add_span(pieces, span)
        between = b","
    pieces.append(b"]}]}")
    return b"".join(pieces)


def _add_span(pieces: list[bytes], span: Span) -> None:
    parent = f'"parentSpanId":"{span.parent_span_id}",' if span.parent_span_id else ""
    pieces += (
        f'{{"traceId":"{span.trace_id}","spanId":"{span.span_id}",{parent}"kind":{span.kind},'
        f'"startTimeUnixNano":"{span.start_ns}","endTimeUnixNano":"{span.end_ns}","name":'.encode(),
        _encode(span.name),
        b',"attributes":[',
    )
    pieces += _attributes(span.attributes)
    if span.events:
        pieces += (b'],"events":[', b",".join(map(_event, span.events)))
    pieces.append(b'],"status":{"code":%d' % span.status_code)
    if span.status_message:
        pieces += (b',"message":', _encode(span.status_message))
    pieces.append(b"}}")


def _event(event: Event) -> bytes:
    attributes = b"".join(_attributes(event.attributes))
    return b'{"timeUnixNano":"%d","name":%b,"attributes":[%b]}' % (
        event.time_ns,
        _encode(event.name),
        attributes,
    )


def _attributes(attributes: Attributes) -> list[bytes]:
    """Return the list's content in pieces."""
    values = list(attributes.values())
    shape = (*attributes, *map(type, values))
    template = _templates.get(shape) or _template(attributes, shape)
    if template is None:
        return _attributes(_sendable(attributes))
    pieces = template.pieces.copy()
    pieces[1::2] = map(_encode, values)
    for index in template.floats:
        if pieces[2 * index + 1] == b"null":
            return _attributes(_sendable(attributes))
    for index in template.arrays:
        pieces[2 * index + 1] = b",".join(map(_element, values[index]))
    return pieces


def _template(attributes: Attributes, shape: tuple[Any, ...]) -> _Template | None:
    """Return the template of a shape, None when it has a kind that OTLP lacks; keep it unless it is long."""
    kinds = [type(value) for value in attributes.values()]
    if not _AROUND.keys() >= set(kinds):
        return None
    pieces: list[bytes] = [b""]
    for key, kind in zip(attributes, kinds, strict=True):
        before, after = _AROUND[kind]
        comma = b"," if len(pieces) > 1 else b""
        pieces[-1] += b'%b{"key":%b,"value":%b' % (comma, _encode(key), before)
        pieces += (b"", after + b"}")
    template = _Template(pieces, _places(kinds, float), _places(kinds, tuple))
    # Callers name some attributes themselves, so there may be any number of shapes, of any length.
    if sum(map(len, pieces)) <= _MAX_TEMPLATE_BYTES:
        if len(_templates) >= _MAX_TEMPLATES:
            _templates.clear()
        _templates[shape] = template
    return template


def _places(kinds: list[type], wanted: type) -> tuple[int, ...]:
    return tuple(index for index, kind in enumerate(kinds) if kind is wanted)


def _sendable(attributes: Attributes) -> Attributes:
    return {
        key: value
        for key, value in attributes.items()
        if type(value) in _AROUND and (type(value) is not float or isfinite(value))
    }


def _element(value: str | bool | float) -> bytes:
    before, after = _AROUND[type(value)]
    return before + _encode(value) + after
