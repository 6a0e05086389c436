"""A real gRPC receiver of OTLP on loopback: grpcio's server, opentelemetry-proto's service, scripted.

    with GrpcReceiver() as receiver:
        send_to(receiver.url)                    # http://127.0.0.1:port; https://... with tls=True
        receiver.seen[0].metadata["x-team"]; receiver.spans()[0].attributes

    receiver.script(refuse(StatusCode.UNAVAILABLE, "busy", retry_after_s=7), times=2)
    receiver.script(reject(3, "too old"))        # a partial success
    receiver.script(hang)                        # answers nothing until the sender gives up
    receiver.script(cut(wire))                   # breaks the connection under the call

Unscripted it answers as a good receiver does. `Wire` stands before one and breaks connections.
"""

import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass
from typing import Any, Self

import grpc
import trustme
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.receiver import SeenPoint, SeenSpan, points_of, spans_of


@dataclass(frozen=True, kw_only=True)
class Called:
    """One call as it came, decoded by the official types."""

    request: ExportTraceServiceRequest
    metadata: dict[str, str | bytes]
    deadline_s: float


Behaviour = Callable[["GrpcReceiver", grpc.ServicerContext], ExportTraceServiceResponse]


def refuse(code: grpc.StatusCode, words: str = "", *, retry_after_s: float | None = None) -> Behaviour:
    def behave(receiver: "GrpcReceiver", context: grpc.ServicerContext) -> ExportTraceServiceResponse:
        if retry_after_s is not None:
            details = AnyMessage()
            delay = Duration()
            delay.FromNanoseconds(int(retry_after_s * 1e9))
            details.Pack(RetryInfo(retry_delay=delay))
            status = Status(code=code.value[0], message=words, details=[details])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, words)
        raise AssertionError

    return behave


def reject(spans: int, words: str = "") -> Behaviour:
    def behave(receiver: "GrpcReceiver", context: grpc.ServicerContext) -> ExportTraceServiceResponse:
        partial = ExportTracePartialSuccess(rejected_spans=spans, error_message=words)
        return ExportTraceServiceResponse(partial_success=partial)

    return behave


def hang(receiver: "GrpcReceiver", context: grpc.ServicerContext) -> ExportTraceServiceResponse:
    given_up = threading.Event()
    if context.add_callback(given_up.set):
        given_up.wait(60)
    return ExportTraceServiceResponse()


def cut(wire: "Wire") -> Behaviour:
    def behave(receiver: "GrpcReceiver", context: grpc.ServicerContext) -> ExportTraceServiceResponse:
        wire.cut()
        return hang(receiver, context)

    return behave


class _Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, receiver: "GrpcReceiver") -> None:
        self._receiver = receiver

    def Export(  # noqa: N802 - the service's name
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        return self._receiver.answer(request, context)


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self, receiver: "GrpcReceiver") -> None:
        self._receiver = receiver

    def Export(  # noqa: N802 - the service's name
        self, request: ExportMetricsServiceRequest, context: grpc.ServicerContext
    ) -> ExportMetricsServiceResponse:
        self._receiver.exports.append((points_of(request), dict(context.invocation_metadata())))
        return ExportMetricsServiceResponse()


class GrpcReceiver:
    """Serves on a free port of 127.0.0.1 from a few threads."""

    def __init__(
        self,
        *,
        tls: bool = False,
        name: str = "127.0.0.1",
        with_traces: bool = True,
        with_metrics: bool = False,
    ) -> None:
        self.seen: list[Called] = []
        self.exports: list[tuple[list[SeenPoint], dict[str, Any]]] = []
        self.authority = trustme.CA()
        self._came = threading.Condition()
        self._script: deque[Behaviour] = deque()
        self._server = grpc.server(futures.ThreadPoolExecutor(32))
        if with_traces:
            # The generated function has no types.
            serve: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
            serve(_Traces(self), self._server)
        if with_metrics:
            serve = metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server
            serve(_Metrics(self), self._server)
        if tls:
            cert = self.authority.issue_cert(name)
            chain = b"".join(part.bytes() for part in cert.cert_chain_pems)
            credentials = grpc.ssl_server_credentials([(cert.private_key_pem.bytes(), chain)])
            self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        else:
            self.port = self._server.add_insecure_port("127.0.0.1:0")
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.stop(None).wait()

    def script(self, behaviour: Behaviour, *, times: int = 1) -> None:
        self._script.extend([behaviour] * times)

    def answer(
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        with self._came:
            self.seen.append(
                Called(
                    request=request,
                    metadata=dict(context.invocation_metadata()),
                    deadline_s=context.time_remaining() or 0.0,
                )
            )
            self._came.notify_all()
        try:
            behaviour = self._script.popleft()
        except IndexError:
            return ExportTraceServiceResponse()
        return behaviour(self, context)

    def wait_for_calls(self, number: int) -> None:
        with self._came:
            assert self._came.wait_for(lambda: len(self.seen) >= number, 60), "It was not called."

    def spans(self) -> list[SeenSpan]:
        return [span for called in self.seen for span in spans_of(called.request)]


class Wire:
    """Relays to a receiver, counts the bytes towards it, and resets every connection when it is told."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._ends: list[socket.socket] = []
        self.made = self.open = 0
        self.sent_bytes = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def cut(self) -> None:
        """Reset both ends of every connection."""
        ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to))
            self.made += 1
            self.open += 1
            self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                thread = threading.Thread(
                    target=self._pump, args=(one, other), kwargs={"counts": one is near}, daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _pump(self, one: socket.socket, other: socket.socket, *, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while found := one.recv(65_536):
                self.sent_bytes += len(found) if counts else 0
                other.sendall(found)
        # A closed end closes the other one too.
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)
        self.open -= counts
