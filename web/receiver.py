"""The demo's own OTLP receiver: takes spans like a vendor would, and remembers the newest for its page."""

import gzip
import hmac
import json
import threading
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

from flask import Blueprint, Response, request
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from broadcast.demo import receiver_token
from broadcast.errors import NotFound
from broadcast.span import Attributes, Span, Value
from web import security

blueprint: Final = Blueprint("receiver_endpoint", __name__)
MAX_SPANS: Final = 500
_MAX_WORKSPACES: Final = 100
_MAX_BODY: Final = 8 * 2**20


@dataclass(frozen=True, kw_only=True)
class Received:
    """One span as it arrived, with its resource and how it came."""

    span: Span
    resource: Attributes
    arrived_us: int
    encoding: str


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The spans of one trace, in the order of their arrival."""

    id: str
    spans: tuple[Received, ...] = field(repr=False)

    @property
    def arrived_us(self) -> int:
        """When the first of them came."""
        return self.spans[0].arrived_us

    @property
    def root(self) -> Span:
        """The span above the others."""
        own = {found.span.span_id for found in self.spans}
        tops = [found.span for found in self.spans if found.span.parent_span_id not in own]
        return min(tops or [found.span for found in self.spans], key=lambda span: span.start_ns)


class Inbox:
    """The newest spans of each workspace, in memory; a span sent again takes the place of the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: OrderedDict[str, OrderedDict[tuple[str, str], Received]] = OrderedDict()

    def add(self, workspace_uid: str, received: list[Received]) -> None:
        """Keep what arrived, and let go of the oldest beyond 500 spans."""
        with self._lock:
            box = self._spans.setdefault(workspace_uid, OrderedDict())
            self._spans.move_to_end(workspace_uid)
            for found in received:
                box[found.span.trace_id, found.span.span_id] = found
            while len(box) > MAX_SPANS:
                box.popitem(last=False)
            while len(self._spans) > _MAX_WORKSPACES:
                self._spans.popitem(last=False)

    def traces(self, workspace_uid: str) -> list[Trace]:
        """Return the traces, newest first."""
        with self._lock:
            received = list(self._spans.get(workspace_uid, {}).values())
        grouped: dict[str, list[Received]] = {}
        for found in received:
            grouped.setdefault(found.span.trace_id, []).append(found)
        traces = [Trace(id=id_, spans=tuple(spans)) for id_, spans in grouped.items()]
        return sorted(traces, key=lambda trace: trace.arrived_us, reverse=True)

    def clear(self, workspace_uid: str) -> None:
        """Forget a workspace's spans."""
        with self._lock:
            self._spans.pop(workspace_uid, None)


inbox: Final = Inbox()


@blueprint.post("/receiver/<uuid:workspace_uid>/v1/traces")
def receive(workspace_uid: Any) -> Response:
    """Take an export request, JSON or protobuf, compressed or not, as OTLP says."""
    services = security.services()
    if not services.config.demo:
        raise NotFound("There is no receiver here.")
    expected = f"Bearer {receiver_token(services.config, str(workspace_uid))}"
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), expected.encode()):
        return Response(
            '{"code":16,"message":"The bearer token is wrong."}', 401, content_type="application/json"
        )
    request.max_content_length = _MAX_BODY
    try:
        received = read(request.get_data(), request.headers, services.clock())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        words = json.dumps({"code": 3, "message": f"This is not an OTLP request: {type(error).__name__}."})
        return Response(words, 400, content_type="application/json")
    inbox.add(str(workspace_uid), received)
    if _is_protobuf(request.headers):
        return Response(b"", 200, content_type="application/x-protobuf")
    return Response("{}", 200, content_type="application/json")


def read(body: bytes, headers: Any, now_us: int) -> list[Received]:
    """Return the spans of an export request; raise `ValueError` for what is none."""
    if headers.get("Content-Encoding", "").lower() == "gzip":
        body = _gunzip(body)
    if _is_protobuf(headers):
        return _read_protobuf(body, now_us)
    return _read_json(json.loads(body), now_us)


def _is_protobuf(headers: Any) -> bool:
    return "protobuf" in headers.get("Content-Type", "")


def _gunzip(body: bytes) -> bytes:
    """Return the body, never more than the limit."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(body, _MAX_BODY)
    except (zlib.error, gzip.BadGzipFile) as error:
        raise ValueError("not gzip") from error
    if unpacker.unconsumed_tail:
        raise ValueError("too large")
    return plain


# -- JSON ------------------------------------------------------------------------------------------


def _read_json(document: dict[str, Any], now_us: int) -> list[Received]:
    return [
        Received(
            span=_json_span(span),
            resource=_json_attributes(entry.get("resource", {}).get("attributes", [])),
            arrived_us=now_us,
            encoding="JSON",
        )
        for entry in document["resourceSpans"]
        for scope in entry.get("scopeSpans", [])
        for span in scope.get("spans", [])
    ]


def _json_span(span: dict[str, Any]) -> Span:
    status = span.get("status", {})
    return Span(
        trace_id=str(span["traceId"]),
        span_id=str(span["spanId"]),
        parent_span_id=str(span.get("parentSpanId", "")),
        name=str(span["name"]),
        kind=int(span.get("kind", 0)),
        start_ns=int(span["startTimeUnixNano"]),
        end_ns=int(span["endTimeUnixNano"]),
        attributes=_json_attributes(span.get("attributes", [])),
        status_code=int(status.get("code", 0)),
        status_message=str(status.get("message", "")),
    )


def _json_attributes(pairs: list[dict[str, Any]]) -> Attributes:
    return {str(pair["key"]): _json_value(pair["value"]) for pair in pairs}


def _json_value(value: dict[str, Any]) -> Value:
    [(kind, held)] = value.items()
    if kind == "intValue":
        return int(held)
    if kind == "doubleValue":
        return float(held)
    if kind == "boolValue":
        return bool(held)
    if kind == "arrayValue":
        return tuple(_json_value(item) for item in held.get("values", []))  # type: ignore[return-value]
    return held if isinstance(held, str) else json.dumps(held)


# -- protobuf --------------------------------------------------------------------------------------


def _read_protobuf(body: bytes, now_us: int) -> list[Received]:
    try:
        message = ExportTraceServiceRequest.FromString(body)
    except Exception as error:
        raise ValueError("not protobuf") from error
    return [
        Received(
            span=_protobuf_span(span),
            resource=_protobuf_attributes(entry.resource.attributes),
            arrived_us=now_us,
            encoding="protobuf",
        )
        for entry in message.resource_spans
        for scope in entry.scope_spans
        for span in scope.spans
    ]


def _protobuf_span(span: Any) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        name=span.name,
        kind=span.kind,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_protobuf_attributes(span.attributes),
        status_code=span.status.code,
        status_message=span.status.message,
    )


def _protobuf_attributes(pairs: Any) -> Attributes:
    return {pair.key: _protobuf_value(pair.value) for pair in pairs}


def _protobuf_value(value: Any) -> Value:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_protobuf_value(item) for item in value.array_value.values)  # type: ignore[return-value]
    return str(value.kvlist_value) if kind == "kvlist_value" else getattr(value, kind or "string_value")


def type_word(value: Value) -> str:
    """Return OTLP's word for the type of an attribute."""
    if isinstance(value, tuple):
        return f"{type_word(value[0])}[]" if value else "array"
    if isinstance(value, bool):
        return "bool"
    return {str: "string", int: "int", float: "double"}.get(type(value), "bytes")
