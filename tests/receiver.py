"""A real HTTP(S) server on loopback, scripted by path, that decodes OTLP with the official types.

    with Receiver() as receiver:
        send_to(receiver.url("/ok"))
        receiver.requests[0].headers["content-type"]; receiver.spans()[0].attributes

Any path it does not know answers as a good OTLP receiver does. Scripted ones, to be appended to any prefix
(so `/status/401/v1/traces` answers 401):

    /ok               200 with an empty answer in the encoding of the request
    /status/401       that status; /status/429/7 also says Retry-After: 7
    /partial/3        200 that rejects 3 spans        /warning   200 with a message and nothing rejected
    /html             200 with a web page             /redirect  302 to /ok on this receiver
    /slow/5           waits 5 s (30 unless said)      /drip      a byte every 50 ms, for ever
    /drip-headers     the same inside the headers     /reset     a TCP reset in place of an answer
    /drop             closes without an answer        /drop-reused  the same, on a reused connection only
    /bomb             a gzip bomb                     /big       8 MiB of text
    /garbage          bytes that are not HTTP         /cookie    200 that sets a cookie
    /bad-headers      200 with odd header bytes       /echo      400 that repeats our Authorization
    /many-headers     100,000 header lines            /long-header  one header line of 1 MB
    /endless          chunks without an end           /liar      announces 10 GB and sends a little
    /continue         100 Continue, 1,000 times       /odd-status   HTTP/1.1 999
    /two-waits        429 with two Retry-After        /latin     200 with bytes that are no UTF-8

`receiver.answer("/path", status=..., body=..., headers=..., times=1)` scripts one more.
"""

import base64
import contextlib
import gzip
import json
import socket
import ssl
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import trustme
from google.protobuf import json_format  # type: ignore[import-untyped, unused-ignore]
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_JSON = {"content-type": "application/json"}
_IDS = {"traceId", "spanId", "parentSpanId"}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request as it came: `body` is decompressed, `raw` is not."""

    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes
    body: bytes

    def otlp(self) -> ExportTraceServiceRequest:
        return decode(self.body, self.headers.get("content-type", ""))

    def metrics(self) -> ExportMetricsServiceRequest:
        parsed = ExportMetricsServiceRequest()
        if "json" in self.headers.get("content-type", ""):
            json_format.Parse(self.body, parsed)
        else:
            parsed.ParseFromString(self.body)
        return parsed

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class SeenEvent:
    name: str
    time_ns: int
    attributes: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class SeenSpan:
    """One span as a destination would store it; ids are lower-case hex."""

    resource: dict[str, Any]
    scope: str
    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    status_code: int
    status_message: str
    attributes: dict[str, Any]
    events: tuple[SeenEvent, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SeenPoint:
    """One point of a metric: `value` of a sum; `count`, `total` and `buckets` of a histogram."""

    resource: dict[str, Any]
    scope: str
    metric: str
    unit: str
    temporality: int
    monotonic: bool
    labels: dict[str, Any]
    start_ns: int
    time_ns: int
    value: float = 0
    count: int = 0
    total: float = 0
    buckets: tuple[int, ...] = ()
    bounds: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)


def decode(body: bytes, content_type: str) -> ExportTraceServiceRequest:
    """Parse strictly: an unknown field or an id of the wrong form is an error."""
    parsed = ExportTraceServiceRequest()
    if "json" in content_type:
        json_format.ParseDict(_ids_to_base64(json.loads(body)), parsed)
    else:
        parsed.ParseFromString(body)
    return parsed


def spans_of(request: ExportTraceServiceRequest) -> list[SeenSpan]:
    return [
        SeenSpan(
            resource=attributes_of(resource_spans.resource.attributes),
            scope=scope_spans.scope.name,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_span_id=span.parent_span_id.hex(),
            name=span.name,
            kind=int(span.kind),
            start_ns=span.start_time_unix_nano,
            end_ns=span.end_time_unix_nano,
            status_code=int(span.status.code),
            status_message=span.status.message,
            attributes=attributes_of(span.attributes),
            events=tuple(
                SeenEvent(
                    name=event.name, time_ns=event.time_unix_nano, attributes=attributes_of(event.attributes)
                )
                for event in span.events
            ),
        )
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def points_of(request: ExportMetricsServiceRequest) -> list[SeenPoint]:
    return [
        SeenPoint(
            resource=attributes_of(resource_metrics.resource.attributes),
            scope=scope_metrics.scope.name,
            metric=metric.name,
            unit=metric.unit,
            temporality=int(getattr(metric, kind).aggregation_temporality),
            monotonic=kind == "sum" and metric.sum.is_monotonic,
            labels=attributes_of(point.attributes),
            start_ns=point.start_time_unix_nano,
            time_ns=point.time_unix_nano,
            **_measured(kind, point),
        )
        for resource_metrics in request.resource_metrics
        for scope_metrics in resource_metrics.scope_metrics
        for metric in scope_metrics.metrics
        for kind in (metric.WhichOneof("data") or "",)
        for point in getattr(metric, kind).data_points
    ]


def _measured(kind: str, point: Any) -> dict[str, Any]:
    if kind == "sum":
        return {"value": point.as_int if point.WhichOneof("value") == "as_int" else point.as_double}
    return {
        "count": point.count,
        "total": point.sum,
        "buckets": tuple(point.bucket_counts),
        "bounds": tuple(point.explicit_bounds),
    }


def attributes_of(pairs: Any) -> dict[str, Any]:
    """Return attributes as a dict; a key given twice is an error."""
    found: dict[str, Any] = {}
    pair: KeyValue
    for pair in pairs:
        assert pair.key not in found, f"{pair.key} is given twice"
        found[pair.key] = _value(pair.value)
    return found


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return attributes_of(value.kvlist_value.values)
    return getattr(value, kind)


def _ids_to_base64(node: Any) -> Any:
    """OTLP/JSON writes ids as hex where protobuf's own JSON mapping wants base64."""
    if isinstance(node, list):
        return [_ids_to_base64(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: base64.b64encode(bytes.fromhex(value)).decode()
        if key in _IDS and isinstance(value, str)
        else _ids_to_base64(value)
        for key, value in node.items()
    }


class Receiver:
    """The server; `requests` holds what came, `connections` counts every TCP connection accepted."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool = False,
        names: tuple[str, ...] = ("localhost", "127.0.0.1", "receiver.test"),
        require: tuple[str, str] | None = None,
    ) -> None:
        self.requests: list[Seen] = []
        self.connections = 0
        self.require = require
        self.stopping = threading.Event()
        self.ca = trustme.CA() if tls else None
        self.server_context: ssl.SSLContext | None = None
        if self.ca:
            self.server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.ca.issue_cert(*names).configure_cert(self.server_context)
        self._scripts: dict[str, deque[tuple[Answer, int | None]]] = {}
        self._refused: list[tuple[str, bytes, int]] = []
        self._most: dict[str, int] = {}
        self._lock = threading.Lock()
        self._server = _Server((host, port), self)
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join(5)

    def url(self, path: str = "/ok", *, host: str | None = None) -> str:
        return f"{'https' if self.ca else 'http'}://{host or self.host}:{self.port}{path}"

    def client_context(self) -> ssl.SSLContext:
        """A client context that trusts this receiver's certificate and no other."""
        assert self.ca is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ca.configure_trust(context)
        return context

    def answer(
        self,
        path: str,
        *,
        status: int = 200,
        body: bytes | str | dict[str, Any] = b"{}",
        headers: Mapping[str, str] | None = None,
        times: int | None = None,
    ) -> None:
        """Script a path; several scripts of one path are used up in order, the last may have no `times`."""
        made = json.dumps(body) if isinstance(body, dict) else body
        content = made.encode() if isinstance(made, str) else made
        answer = Answer(status=status, body=content, headers=headers or {"content-type": "application/json"})
        with self._lock:
            self._scripts.setdefault(path, deque()).append((answer, times))

    def refuse_when(self, path: str, holds: bytes, *, status: int) -> None:
        """Script a path to refuse, from now on, each body that holds these bytes."""
        with self._lock:
            self._refused.append((path, holds, status))

    def refuse_larger(self, path: str, most: int) -> None:
        """Script a path to answer 413, from now on, to each body of more bytes than `most`."""
        with self._lock:
            self._most[path] = most

    def scripted(self, path: str, body: bytes = b"") -> Answer | None:
        with self._lock:
            if len(body) > self._most.get(path, len(body)):
                return Answer(status=413, body=b'{"message":"too large"}', headers=_JSON)
            for refused_path, holds, status in self._refused:
                if refused_path == path and holds in body:
                    return Answer(status=status, body=b'{"message":"bad span"}', headers=_JSON)
            scripts = self._scripts.get(path)
            if not scripts:
                return None
            answer, times = scripts.popleft()
            if times is None or times > 1:
                scripts.appendleft((answer, None if times is None else times - 1))
            return answer

    def record(self, seen: Seen) -> None:
        with self._lock:
            self.requests.append(seen)

    def spans(self) -> list[SeenSpan]:
        """Every span that came, in order of arrival, whatever it was answered with."""
        return [
            span
            for seen in list(self.requests)
            if seen.method in {"POST", "PUT"} and not seen.path.endswith("/metrics")
            for span in spans_of(seen.otlp())
        ]

    def exports(self) -> list[list[SeenPoint]]:
        """The points of every export of metrics that came, in order of arrival."""
        return [points_of(seen.metrics()) for seen in list(self.requests) if seen.path.endswith("/metrics")]

    def wait_for_spans(self, count: int, timeout_s: float = 5.0) -> list[SeenSpan]:
        deadline = time.monotonic() + timeout_s
        while len(found := self.spans()) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(found) >= count, f"{len(found)} of {count} spans came in {timeout_s} s"
        return found

    def clear(self) -> None:
        with self._lock:
            self.requests.clear()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], receiver: Receiver) -> None:
        self.receiver = receiver
        self.open: set[socket.socket] = set()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """As inherited, without the reverse look-up of our own name."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "receiver.test", int(self.server_address[1])

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.receiver.connections += 1
        self.open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of most tests here."""

    def hang_up(self) -> None:
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    count = 0

    def setup(self) -> None:
        self.raw_socket = self.request
        context = self.server.receiver.server_context
        if context:
            self.request.settimeout(10)
            self.request = context.wrap_socket(self.request, server_side=True)
            self.request.settimeout(None)
        super().setup()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()
        if self.request is not self.raw_socket:
            self.request.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is inherited
        """Stay silent."""

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def _handle(self) -> None:
        self.count += 1
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = gzip.decompress(raw) if headers.get("content-encoding") == "gzip" else raw
        seen = Seen(method=self.command, path=self.path, headers=headers, raw=raw, body=body)
        self.server.receiver.record(seen)
        required = self.server.receiver.require
        if required and headers.get(required[0].lower()) != required[1]:
            self.respond(401, b'{"message":"unknown key"}')
            return
        scripted = self.server.receiver.scripted(self.path.split("?")[0], body)
        if scripted:
            self.respond(scripted.status, scripted.body, scripted.headers)
            return
        parts = [part for part in self.path.split("?")[0].split("/") if part]
        for index, part in enumerate(parts):
            behaviour = _BEHAVIOURS.get(part)
            if behaviour:
                behaviour(self, seen, [item for item in parts[index + 1 :] if item.isdigit()])
                return
        _ok(self, seen, [])

    def respond(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {"content-type": "application/json"}).items():
            self.send_header(name, value)
        if status in {204, 304}:  # these never have a body
            self.end_headers()
            return
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def write_raw(self, data: bytes) -> None:
        self.close_connection = True
        self.wfile.write(data)
        self.wfile.flush()

    def wait(self, seconds: float) -> bool:
        """Wait, and say whether the receiver is still up."""
        return not self.server.receiver.stopping.wait(seconds)


def _ok(handler: _Handler, seen: Seen, numbers: list[str], rejected: int = 0, message: str = "") -> None:
    response = ExportTraceServiceResponse()
    if rejected or message:
        response.partial_success.rejected_spans = rejected
        response.partial_success.error_message = message
    if "protobuf" in seen.headers.get("content-type", ""):
        handler.respond(200, response.SerializeToString(), {"content-type": "application/x-protobuf"})
    else:
        handler.respond(200, json_format.MessageToJson(response).encode())


def _status(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    headers = {"content-type": "application/json"}
    if len(numbers) > 1:
        headers["retry-after"] = numbers[1]
    handler.respond(int(numbers[0]), b'{"code":3,"message":"scripted"}', headers)


def _partial(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    _ok(handler, seen, [], rejected=int(numbers[0]) if numbers else 1, message="too old")


def _warning(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    _ok(handler, seen, [], message="only a warning")


def _html(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    page = b"<!doctype html><title>Log in</title>"
    handler.respond(200, page, {"content-type": "text/html; charset=utf-8"})


def _redirect(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    handler.respond(302, b"", {"location": handler.server.receiver.url("/ok")})


def _slow(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    if handler.wait(float(numbers[0]) if numbers else 30.0):
        _ok(handler, seen, [])


def _drip(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    handler.write_raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n")
    while handler.wait(0.05):
        handler.write_raw(b" ")


def _drip_headers(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    handler.write_raw(b"HTTP/1.1 200 OK\r\nx-long: ")
    while handler.wait(0.05):
        handler.write_raw(b"a")


def _reset(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    handler.close_connection = True
    handler.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.server.open.discard(handler.raw_socket)
    handler.request.close()
    handler.raw_socket.close()


def _drop(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    handler.close_connection = True


def _drop_reused(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    if handler.count > 1:
        handler.close_connection = True
    else:
        _ok(handler, seen, [])


def _bomb(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    chunk = bytes(1 << 20)
    bomb = b"".join(packer.compress(chunk) for _ in range(100)) + packer.flush()
    handler.respond(200, bomb, {"content-type": "application/json", "content-encoding": "gzip"})


def _big(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    handler.respond(200, b" " * (8 << 20), {"content-type": "application/json"})


def _garbage(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    handler.write_raw(b"220 mail.example ESMTP ready\r\n\x00\xff\xfe\r\n\r\n")


def _bad_headers(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    handler.write_raw(
        b"HTTP/1.1 200 \xff\xfe\r\nx-odd: \xff\xfe\x80\r\nretry-after: \xe2\x80\xae\r\n"
        b"content-length: 2\r\n\r\n{}"
    )


def _cookie(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    handler.respond(200, b"{}", {"content-type": "application/json", "set-cookie": "track=1; Path=/"})


def _echo(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    handler.respond(400, json.dumps({"message": seen.headers.get("authorization", "")}).encode())


def _many_headers(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    lines = b"".join(b"x-%d: a\r\n" % number for number in range(100_000))
    handler.write_raw(b"HTTP/1.1 200 OK\r\n" + lines + b"content-length: 2\r\n\r\n{}")


def _long_header(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    handler.write_raw(b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * 1_000_000 + b"\r\ncontent-length: 2\r\n\r\n{}")


def _endless(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    handler.write_raw(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    while handler.wait(0):
        handler.write_raw(b"1000\r\n" + b" " * 0x1000 + b"\r\n")


def _liar(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    handler.write_raw(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10000000000\r\n\r\n{}"
    )


def _continue(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    handler.write_raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)
    _ok(handler, seen, [])


def _odd_status(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    handler.write_raw(b"HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n")


def _two_waits(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    handler.write_raw(b"HTTP/1.1 429 No\r\nretry-after: 7\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n")


def _latin(handler: _Handler, seen: Seen, numbers: list[str]) -> None:
    handler.respond(200, b'{"message":"\xff\xfe\xe9"}')


_BEHAVIOURS = {
    "many-headers": _many_headers,
    "long-header": _long_header,
    "endless": _endless,
    "liar": _liar,
    "continue": _continue,
    "odd-status": _odd_status,
    "two-waits": _two_waits,
    "latin": _latin,
    "ok": _ok,
    "status": _status,
    "partial": _partial,
    "warning": _warning,
    "html": _html,
    "redirect": _redirect,
    "slow": _slow,
    "drip": _drip,
    "drip-headers": _drip_headers,
    "reset": _reset,
    "drop": _drop,
    "drop-reused": _drop_reused,
    "bomb": _bomb,
    "big": _big,
    "garbage": _garbage,
    "bad-headers": _bad_headers,
    "cookie": _cookie,
    "echo": _echo,
}
