"""OTLP trace exports, JSON and protobuf, as plain spans: in bounded memory, a bad span never stops another.

https://opentelemetry.io/docs/specs/otlp/ (1.11). Read as generously as the meaning is certain: 64-bit
integers as text or number, `null` for a default, enums by number or name, ids in any case.
"""

import base64
import math
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from google.protobuf.message import DecodeError
from msgspec import Raw
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from broadcast import json_text
from broadcast.errors import ReceiptError
from broadcast.sources import otlp_bounds
from broadcast.span import Attributes, Event, Span

_MOST_DEPTH: Final = 16
_MOST_ATTRIBUTES: Final = 16_384
_KINDS: Final = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_CODES: Final = ("UNSET", "OK", "ERROR")
_WHOLE: Final = re.compile(r"-?\d{1,19}", re.ASCII)
_TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID: Final = re.compile(r"(?!0{16})[0-9a-f]{16}")
_Number = int | float | str | None


class SourceSpan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A span as it came, with what was said around it."""

    span: Span
    resource: Attributes
    scope: str


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """What one request holds: its spans, and why others of it cannot be read."""

    spans: list[SourceSpan] = []
    unreadable: list[str] = []


def read(body: bytes, *, is_json: bool) -> Export:
    """Return the spans of an export request; raise `ReceiptError` when the body cannot be decoded."""
    return _read_json(body) if is_json else _read_protobuf(body)


def _too_many() -> ReceiptError:
    return ReceiptError(
        f"The body holds more than {otlp_bounds.MOST_OBJECTS} objects, or is nested too deeply: "
        "send fewer spans at once."
    )


def _checked(span: Span) -> Span:
    """Return the span when it can be told apart from others; raise `ReceiptError` with the reason."""
    if not _TRACE_ID.fullmatch(span.trace_id):
        raise ReceiptError("traceId must be 32 hex digits and not all zero")
    if not _SPAN_ID.fullmatch(span.span_id):
        raise ReceiptError("spanId must be 16 hex digits and not all zero")
    if len(span.attributes) > _MOST_ATTRIBUTES:
        raise ReceiptError(f"a span has more than {_MOST_ATTRIBUTES} attributes")
    return span


def _parent(text: str) -> str:
    """Return the parent's id; one that cannot be an id is none, as in a trace that begins here."""
    return text if _SPAN_ID.fullmatch(text) else ""


# -- JSON --------------------------------------------------------------------------------------------


class _Json(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Unknown fields are passed over, as OTLP says."""


class _JsonAny(_Json, frozen=True, kw_only=True):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: _Number = None
    double_value: _Number = None
    array_value: "_JsonArray | None" = None
    kvlist_value: "_JsonPairs | None" = None
    bytes_value: str | None = None


class _JsonArray(_Json, frozen=True, kw_only=True):
    values: list[_JsonAny] | None = None


class _JsonPair(_Json, frozen=True, kw_only=True):
    key: str = ""
    value: _JsonAny | None = None


class _JsonPairs(_Json, frozen=True, kw_only=True):
    values: list[_JsonPair] | None = None


class _JsonEvent(_Json, frozen=True, kw_only=True):
    name: str | None = None
    time_unix_nano: _Number = None
    attributes: list[_JsonPair] | None = None


class _JsonStatus(_Json, frozen=True, kw_only=True):
    code: int | str | None = None
    message: str | None = None


class _JsonSpan(_Json, frozen=True, kw_only=True):
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    kind: int | str | None = None
    start_time_unix_nano: _Number = None
    end_time_unix_nano: _Number = None
    attributes: list[_JsonPair] | None = None
    events: list[_JsonEvent] | None = None
    status: _JsonStatus | None = None


class _JsonNamed(_Json, frozen=True, kw_only=True):
    name: str | None = None
    attributes: list[_JsonPair] | None = None


class _JsonScopeSpans(_Json, frozen=True, kw_only=True):
    scope: _JsonNamed | None = None
    spans: list[Raw] | None = None


class _JsonResourceSpans(_Json, frozen=True, kw_only=True):
    resource: _JsonNamed | None = None
    scope_spans: list[_JsonScopeSpans] | None = None


class _JsonRequest(_Json, frozen=True, kw_only=True):
    resource_spans: list[_JsonResourceSpans] | None = None


_REQUEST: Final = msgspec.json.Decoder(_JsonRequest)
_SPAN: Final = msgspec.json.Decoder(_JsonSpan)
_KEYS: Final = msgspec.json.Decoder(dict[str, Raw])


def _read_json(body: bytes) -> Export:
    if not otlp_bounds.fits_json(body):
        raise _too_many()
    request = _request(body)
    if request.resource_spans is None:
        _check_kind(body)
    export = Export(spans=[], unreadable=[])
    for entry in request.resource_spans or ():
        resource = _json_attributes(entry.resource.attributes if entry.resource else None)
        for part in entry.scope_spans or ():
            scope = (part.scope.name if part.scope else None) or ""
            for raw in part.spans or ():
                try:
                    span = _checked(_json_span(bytes(raw)))
                except ReceiptError as error:
                    export.unreadable.append(error.message)
                else:
                    export.spans.append(SourceSpan(span=span, resource=resource, scope=scope))
    return export


def _request(body: bytes) -> _JsonRequest:
    """Read the frame; the spans inside are read one by one. Half a character anywhere fails it whole."""
    try:
        return _REQUEST.decode(body)
    except msgspec.ValidationError as error:
        raise _no_request(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return _REQUEST.decode(json_text.mend(body))
    except msgspec.ValidationError as error:
        raise _no_request(error) from None
    except (ReceiptError, msgspec.DecodeError, RecursionError):
        raise ReceiptError("The body is not JSON: send an ExportTraceServiceRequest.") from None


def _no_request(error: msgspec.ValidationError) -> ReceiptError:
    return ReceiptError(f"The body is not an OTLP trace request: {_where(error)}.")


def _where(error: msgspec.ValidationError) -> str:
    """Return which field is wrong; what stands there is never repeated."""
    path = str(error).partition(" - at `$")[2].rstrip("`").removeprefix(".")
    return f"{path or 'it'} has a value of the wrong kind"


def _check_kind(body: bytes) -> None:
    """Nothing at all is an empty export; something else must not be taken for one in silence."""
    try:
        others = bool(_KEYS.decode(body).keys() - {"resourceSpans"})
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The frame was read, mended: what cannot be read as it came stands in some other member.
        others = True
    if others:
        raise ReceiptError("The body has no resourceSpans: send traces, with field names in lowerCamelCase.")


def _json_span(raw: bytes) -> Span:
    if b"\\u0000" in raw:
        raw = _mended(raw)
    try:
        return _of_json(_SPAN.decode(raw))
    except msgspec.ValidationError as error:
        raise ReceiptError(f"a span cannot be read: {_where(error)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return _of_json(_SPAN.decode(_mended(raw)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ReceiptError("a span cannot be read") from None


def _mended(raw: bytes) -> bytes:
    try:
        return json_text.mend(raw)
    except ReceiptError as error:
        raise ReceiptError(f"a span cannot be read: {error.message.rstrip('.')}") from None


def _of_json(span: _JsonSpan) -> Span:
    status = span.status or _JsonStatus()
    return Span(
        trace_id=(span.trace_id or "").lower(),
        span_id=(span.span_id or "").lower(),
        parent_span_id=_parent((span.parent_span_id or "").lower()),
        name=span.name or "",
        kind=_enum(span.kind, "SPAN_KIND_", _KINDS),
        start_ns=_nanos(span.start_time_unix_nano),
        end_ns=_nanos(span.end_time_unix_nano),
        attributes=_json_attributes(span.attributes),
        events=tuple(
            Event(
                name=event.name or "",
                time_ns=_nanos(event.time_unix_nano),
                attributes=_json_attributes(event.attributes),
            )
            for event in span.events or ()
        ),
        status_code=_enum(status.code, "STATUS_CODE_", _CODES),
        status_message=status.message or "",
    )


def _json_attributes(pairs: list[_JsonPair] | None) -> Attributes:
    found = {pair.key: _json_value(pair.value, 0) for pair in pairs or () if pair.value is not None}
    return {key: value for key, value in found.items() if value is not None}


def _json_value(held: _JsonAny, depth: int) -> Any:
    scalar = held.string_value if held.string_value is not None else held.bool_value
    if scalar is not None:
        return scalar
    if held.int_value is not None:
        return _whole(held.int_value)
    if held.double_value is not None:
        return _fraction(held.double_value)
    if held.array_value is not None and depth < _MOST_DEPTH:
        return [_json_value(item, depth + 1) for item in held.array_value.values or ()]
    if held.kvlist_value is not None and depth < _MOST_DEPTH:
        return {
            pair.key: _json_value(pair.value, depth + 1)
            for pair in held.kvlist_value.values or ()
            if pair.value is not None
        }
    return held.bytes_value


def _whole(value: float | str) -> int | float | str:
    """Return a 64-bit integer, or what was said in its place."""
    if isinstance(value, str):
        value = int(value) if _WHOLE.fullmatch(value) else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not json_text.INT64_MIN <= value <= json_text.INT64_MAX:
        return str(value)
    return value


def _fraction(value: float | str) -> float | str | None:
    """Return a finite number; OTLP writes the others as text, and no reader of ours knows what they mean."""
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _nanos(value: _Number) -> int:
    """Return an instant; 0, which OTLP calls unknown, for what is none."""
    whole = 0 if value is None else _whole(value)
    return whole if isinstance(whole, int) and whole > 0 else 0


def _enum(value: int | str | None, prefix: str, names: tuple[str, ...]) -> int:
    if isinstance(value, str):
        name = value.removeprefix(prefix)
        if name in names:
            return names.index(name)
        value = int(value) if _WHOLE.fullmatch(value) else 0
    return value if value is not None and 0 <= value < len(names) else 0


# -- protobuf ----------------------------------------------------------------------------------------


def _read_protobuf(body: bytes) -> Export:
    if not otlp_bounds.fits_protobuf(body):
        raise _too_many()
    try:
        message = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        raise ReceiptError("The body is not protobuf: send an ExportTraceServiceRequest.") from None
    export = Export(spans=[], unreadable=[])
    for entry in message.resource_spans:
        resource = _proto_attributes(entry.resource.attributes)
        for part in entry.scope_spans:
            for span in part.spans:
                try:
                    checked = _checked(_of_proto(span))
                except ReceiptError as error:
                    export.unreadable.append(error.message)
                else:
                    scope = _clean(part.scope.name)
                    export.spans.append(SourceSpan(span=checked, resource=resource, scope=scope))
    return export


def _of_proto(span: trace_pb2.Span) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=_parent(span.parent_span_id.hex()),
        name=_clean(span.name),
        kind=span.kind,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_proto_attributes(span.attributes),
        events=tuple(
            Event(
                name=_clean(event.name),
                time_ns=event.time_unix_nano,
                attributes=_proto_attributes(event.attributes),
            )
            for event in span.events
        ),
        status_code=span.status.code,
        status_message=_clean(span.status.message),
    )


def _proto_attributes(pairs: Iterable[KeyValue]) -> Attributes:
    found = {_clean(pair.key): _proto_value(pair.value, 0) for pair in pairs}
    return {key: value for key, value in found.items() if value is not None}


def _proto_value(held: AnyValue, depth: int) -> Any:
    kind = held.WhichOneof("value")
    if kind in {"array_value", "kvlist_value"}:
        return _proto_list(held, depth + 1) if depth < _MOST_DEPTH else None
    value = getattr(held, kind) if kind else None
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _proto_list(held: AnyValue, depth: int) -> Any:
    if held.HasField("array_value"):
        return [_proto_value(item, depth) for item in held.array_value.values]
    return {_clean(pair.key): _proto_value(pair.value, depth) for pair in held.kvlist_value.values}


def _clean(text: str) -> str:
    return json_text.text(text) if "\x00" in text else text
