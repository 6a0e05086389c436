"""Spans to OTLP/JSON: hex ids, 64-bit integers as text, numbers for enums.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding (OTLP 1.11). NaN and infinities are left out.

The trees of a service have the same few shapes over and over: the same spans, the same names and kinds of
attributes. What is the same in all of a shape is written once, as a template; a tree only fills in its
values, and nothing is copied until all is joined.
"""

from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from operator import itemgetter
from typing import Any, Final, Self

import msgspec
from msgspec import Raw, structs

from broadcast.remembered import Remembered
from broadcast.span import Attributes, Event, Repeated, ResourceSpans, Span

_MAX_TEMPLATE_BYTES: Final = 16_384
_AROUND: Final[dict[type, tuple[bytes, bytes]]] = {
    str: (b'{"stringValue":', b"}"),
    bool: (b'{"boolValue":', b"}"),
    int: (b'{"intValue":"', b'"}'),
    float: (b'{"doubleValue":', b"}"),
    tuple: (b'{"arrayValue":{"values":[', b"]}}"),
}
"""What stands around a value, by its exact type: `bool` is an `int` to `isinstance`."""

_ENCODER: Final = msgspec.json.Encoder()
_encode: Final = _ENCODER.encode


class Place(msgspec.Struct, frozen=True, gc=False):
    """Stands for a value that is not known yet: which one it will be, and of what type."""

    index: int
    type: type


class Template(msgspec.Struct, frozen=True, gc=False):
    """A shape as pieces of JSON, of so many bytes; every second piece is a value to fill in."""

    pieces: list[Any]
    size: int
    fractions: Callable[[Sequence[Any]], Iterable[float]]
    arrays: tuple[int, ...]

    @classmethod
    def of(cls, pieces: Sequence[bytes], kinds: Sequence[type]) -> Self:
        """Return the template of some pieces and of what kinds their values are."""
        size = sum(map(len, pieces))
        return cls(
            [Raw(piece) for piece in pieces], size, _picked(_indexes(kinds, float)), _indexes(kinds, tuple)
        )

    @property
    def is_short(self) -> bool:
        """Whether it is worth a place in a cache: there may be any number of shapes, of any length."""
        return self.size <= _MAX_TEMPLATE_BYTES

    def filled(self, values: Sequence[Any]) -> bytes | None:
        """Return the JSON with these values, None where one of them is a number that OTLP/JSON lacks."""
        if not all(map(isfinite, self.fractions(values))):
            return None
        pieces = self.pieces.copy()
        pieces[1::2] = values
        for index in self.arrays:
            pieces[2 * index + 1] = Raw(_elements(values[index]))
        # All in one call: JSON holds a line feed nowhere but between the lines.
        return _ENCODER.encode_lines(pieces).replace(b"\n", b"")


def _indexes(kinds: Sequence[type], wanted: type) -> tuple[int, ...]:
    return tuple(index for index, kind in enumerate(kinds) if kind is wanted)


def _picked(indexes: tuple[int, ...]) -> Callable[[Sequence[Any]], Iterable[Any]]:
    """Return what picks the values of some places; of one alone `itemgetter` would give the value itself."""
    return itemgetter(*indexes) if len(indexes) > 1 else lambda values: [values[index] for index in indexes]


_templates: Final[Remembered[tuple[object, ...], Template]] = Remembered()


def encode(spans: ResourceSpans) -> bytes:
    """Return one `resourceSpans` element; `destination.envelope` joins several into a request."""
    values, shape = _gathered(spans)
    key = (*shape, *map(type, values))
    template = _templates.get(key) or _template(spans, values, key)
    written = None if template is None else template.filled(values)
    return encode(_sendable(spans)) if written is None else written


def cast(spans: ResourceSpans) -> tuple[Template, tuple[int, ...]] | None:
    """Return a tree's text but for its places, and what goes there; None with a value that OTLP lacks."""
    values, _ = _gathered(spans)
    written = _pieces(spans, map(_type_of, values))
    if written is None:
        return None
    pieces = written[:1]
    wanted: list[Place] = []
    for value, after in zip(values, written[2::2], strict=True):
        if type(value) is Place:
            wanted.append(value)
            pieces += (b"", after)
        else:
            pieces[-1] += _value(value) + after
    template = Template.of(pieces, [place.type for place in wanted])
    return template, tuple(place.index for place in wanted)


# -- what a tree fills in, in the order in which `_Writer` leaves places ---------------------------------


def _gathered(spans: ResourceSpans) -> tuple[list[Any], list[object]]:
    values: list[Any] = [*spans.resource.values(), spans.scope]
    shape: list[object] = [*spans.resource]
    for span in spans.spans:
        _gather(values, shape, span)
    return values, shape


def _gather(values: list[Any], shape: list[object], span: Span) -> None:
    """Add a span's values, and all that its text depends on besides them and their kinds."""
    parent, repeated, events, message = (
        span.parent_span_id,
        span.repeated,
        span.events,
        span.status_message,
    )
    shape += (span.kind, span.status_code, bool(parent), bool(message), len(events), len(span.attributes))
    if parent:
        values += (span.trace_id, span.span_id, parent, span.start_ns, span.end_ns, span.name)
    else:
        values += (span.trace_id, span.span_id, span.start_ns, span.end_ns, span.name)
    if repeated is None:
        shape += span.attributes
        values += span.attributes.values()
    else:
        count = len(repeated.attributes)
        shape += list(span.attributes)[count:]
        values.append(Raw(repeated.json or _written(repeated)))
        values += list(span.attributes.values())[count:]
    for event in events:
        shape += (len(event.attributes), *event.attributes)
        values += (event.time_ns, event.name, *event.attributes.values())
    if message:
        values.append(message)


def _written(repeated: Repeated) -> bytes:
    writer = _Writer()
    writer.attributes(repeated.attributes)
    for index, value in enumerate(repeated.attributes.values()):
        writer.pieces[2 * index + 1] = _value(value)
    repeated.json = b"".join(writer.pieces)
    return repeated.json


def _value(value: Any) -> bytes:
    return _elements(value) if type(value) is tuple else _encode(value)


def _elements(values: tuple[Any, ...]) -> bytes:
    return b",".join(map(_element, values))


def _element(value: str | bool | float) -> bytes:
    before, after = _AROUND[type(value)]
    return before + _encode(value) + after


def _sendable(spans: ResourceSpans) -> ResourceSpans:
    """Return the tree without the values that OTLP/JSON lacks."""
    kept = tuple(
        structs.replace(
            span,
            attributes=_sendable_alone(span.attributes),
            events=tuple(
                structs.replace(event, attributes=_sendable_alone(event.attributes)) for event in span.events
            ),
            repeated=None,
        )
        for span in spans.spans
    )
    return structs.replace(spans, resource=_sendable_alone(spans.resource), spans=kept)


def _sendable_alone(attributes: Attributes) -> Attributes:
    return {
        key: value
        for key, value in attributes.items()
        if type(value) in _AROUND and (type(value) is not float or isfinite(value))
    }


# -- templates -------------------------------------------------------------------------------------------


def _template(spans: ResourceSpans, values: list[Any], key: tuple[object, ...]) -> Template | None:
    """Return the template of a shape, None when it has a kind that OTLP lacks; keep it unless it is long."""
    kinds = list(map(type, values))
    pieces = _pieces(spans, kinds)
    if pieces is None:
        return None
    template = Template.of(pieces, kinds)
    # Callers name some attributes themselves, so there may be any number of shapes, of any length.
    if template.is_short:
        _templates.keep(key, template)
    return template


def _pieces(spans: ResourceSpans, kinds: Iterable[type]) -> list[bytes] | None:
    if not {*_AROUND, Raw} >= set(kinds):
        return None
    writer = _Writer()
    writer.tree(spans)
    return writer.pieces


def _type_of(value: object) -> type:
    return value.type if type(value) is Place else type(value)


class _Writer:
    """Writes what all trees of a shape have in common, with a place for every value."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = [b""]

    def tree(self, spans: ResourceSpans) -> None:
        """Write a whole tree."""
        self._text(b'{"resource":{"attributes":[')
        self.attributes(spans.resource)
        self._place(b']},"scopeSpans":[{"scope":{"name":', b'},"spans":[')
        between = b""
        for span in spans.spans:
            self._text(between)
            self._span(span)
            between = b","
        self._text(b"]}]}")

    def attributes(self, attributes: Attributes, skip: int = 0) -> None:
        """Write a list of attributes without its brackets, after `skip` that are written already."""
        comma = b"," if skip else b""
        for key, value in list(attributes.items())[skip:]:
            before, after = _AROUND[_type_of(value)]
            self._place(b'%b{"key":%b,"value":%b' % (comma, _encode(key), before), after + b"}")
            comma = b","

    def _text(self, text: bytes) -> None:
        self.pieces[-1] += text

    def _place(self, before: bytes, after: bytes = b"") -> None:
        self._text(before)
        self.pieces += (b"", after)

    def _span(self, span: Span) -> None:
        self._place(b'{"traceId":')
        self._place(b',"spanId":')
        if span.parent_span_id:
            self._place(b',"parentSpanId":')
        self._place(b',"kind":%d,"startTimeUnixNano":"' % span.kind, b'"')
        self._place(b',"endTimeUnixNano":"', b'"')
        self._place(b',"name":', b',"attributes":[')
        if span.repeated is not None:
            self._place(b"")
        self.attributes(span.attributes, skip=len(span.repeated.attributes) if span.repeated else 0)
        if span.events:
            self._text(b'],"events":[')
            self._events(span.events)
        self._text(b'],"status":{"code":%d' % span.status_code)
        if span.status_message:
            self._place(b',"message":')
        self._text(b"}}")

    def _events(self, events: tuple[Event, ...]) -> None:
        between = b""
        for event in events:
            self._place(between + b'{"timeUnixNano":"', b'"')
            self._place(b',"name":', b',"attributes":[')
            self.attributes(event.attributes)
            self._text(b"]}")
            between = b","
