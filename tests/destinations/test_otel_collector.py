from typing import Any

import pytest

from broadcast.destination import Batch, Verdict
from broadcast.egress import Policy
from broadcast.errors import SettingsError
from broadcast.span import ResourceSpans, Span
from broadcast.transport import send_once
from destinations.otel_collector import OtelCollector
from tests.grpc_receiver import GrpcReceiver, reject
from tests.receiver import Receiver

SPANS = ResourceSpans(
    resource={"service.name": "openrouter"},
    scope="openrouter",
    spans=(Span(trace_id="ab" * 16, span_id="cd" * 8, name="chat", kind=3, start_ns=1, end_ns=2),),
)


def send(receiver: Receiver, path: str = "/custom/path/", **config: Any) -> Verdict:
    destination = OtelCollector.parse({"endpoint": receiver.url(path), **config})
    request = destination.request(Batch(id="b", at_us=1, pieces=(destination.encode(SPANS),)))
    policy = Policy.parse([f"127.0.0.1:{receiver.port}"])
    return destination.judge(send_once(policy, lambda transport: transport.send(request))).verdict


def test_json_goes_to_the_address_exactly_as_given() -> None:
    with Receiver() as receiver:
        assert send(receiver, headers={"Authorization": "Bearer t"}) is Verdict.DELIVERED
        seen = receiver.requests[0]
        assert (seen.method, seen.path) == ("POST", "/custom/path/")
        assert seen.headers["content-type"] == "application/json"
        assert seen.headers["content-encoding"] == "gzip"
        assert seen.headers["authorization"] == "Bearer t"
        assert [span.trace_id for span in receiver.spans()] == ["ab" * 16]


def test_protobuf_is_one_setting_away() -> None:
    with Receiver() as receiver:
        assert send(receiver, encoding="protobuf") is Verdict.DELIVERED
        assert receiver.requests[0].headers["content-type"] == "application/x-protobuf"
        assert [span.trace_id for span in receiver.spans()] == ["ab" * 16]


def called(receiver: GrpcReceiver, **config: Any) -> Verdict:
    destination = OtelCollector.parse({"endpoint": receiver.url, "encoding": "grpc", **config})
    request = destination.request(Batch(id="b", at_us=1, pieces=(destination.encode(SPANS),)))
    policy = Policy.parse([f"127.0.0.1:{receiver.port}"])
    return destination.judge(send_once(policy, lambda transport: transport.send(request))).verdict


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_grpc_is_one_setting_away(compression: str) -> None:
    with GrpcReceiver() as receiver:
        headers = {"Authorization": "Bearer t"}
        assert called(receiver, headers=headers, compression=compression) is Verdict.DELIVERED
        assert receiver.seen[0].metadata["authorization"] == "Bearer t"
        assert [span.trace_id for span in receiver.spans()] == ["ab" * 16]


def test_spans_rejected_over_grpc_are_read() -> None:
    with GrpcReceiver() as receiver:
        receiver.script(reject(1))
        assert called(receiver) is Verdict.PARTLY_DELIVERED


def test_over_grpc_the_services_of_each_signal_are_called() -> None:
    made = OtelCollector.parse({"endpoint": "https://a.example:4317", "encoding": "grpc"})
    assert made.endpoint() == (
        "https://a.example:4317/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    )
    assert made.metrics_endpoint() == (
        "https://a.example:4317/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
    )
    assert made.warnings() == {}


def test_another_protocol_is_another_address_so_that_secrets_are_asked_for() -> None:
    http = OtelCollector.parse({"endpoint": "https://a.example"})
    assert (
        http.address() != OtelCollector.parse({"endpoint": "https://a.example", "encoding": "grpc"}).address()
    )


@pytest.mark.parametrize("path", ["/v1/traces", "/otlp", "/?x=1"])
@pytest.mark.parametrize("field", ["endpoint", "metricsEndpoint"])
def test_over_grpc_an_address_has_no_path(field: str, path: str) -> None:
    given = {"endpoint": "https://a.example:4317", field: f"https://a.example:4317{path}"}
    with pytest.raises(SettingsError) as caught:
        OtelCollector.parse({"encoding": "grpc", **given})
    assert caught.value.problems.keys() == {field}
    assert "no path" in caught.value.problems[field]


def test_a_receiver_that_takes_nothing_compressed_is_sent_plain_bytes() -> None:
    with Receiver() as receiver:
        assert send(receiver, compression="none") is Verdict.DELIVERED
        assert "content-encoding" not in receiver.requests[0].headers
        assert [span.trace_id for span in receiver.spans()] == ["ab" * 16]


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
def test_rejected_spans_are_read_in_either_encoding(encoding: str) -> None:
    with Receiver() as receiver:
        assert send(receiver, "/partial/1", encoding=encoding) is Verdict.PARTLY_DELIVERED


def test_the_address_is_called_endpoint_outside() -> None:
    assert [spec.outside for spec in OtelCollector.specs()] == [
        "endpoint",
        "encoding",
        "compression",
        "metrics",
        "metricsEndpoint",
        "traceLink",
        "headers",
    ]
    assert OtelCollector.parse({"endpoint": "https://a.example/v1/traces"}).plain() == {
        "endpoint": "https://a.example/v1/traces",
        "encoding": "json",
        "compression": "gzip",
        "metrics": "off",
    }


@pytest.mark.parametrize(
    "receiver", ["Tempo", "Jaeger", "SigNoz", "OpenObserve", "VictoriaTraces", "Datadog Agent"]
)
def test_the_setup_tells_how_to_point_it_at(receiver: str) -> None:
    (step,) = [step for step in OtelCollector.setup if step.partition(":")[0].endswith(receiver)]
    assert "/v1/traces" in step


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        ("https://otel.example.com:4317", "gRPC"),
        ("https://otel.example.com/v1/metrics", "another signal"),
        ("https://otel.example.com:4318/v1/logs/", "another signal"),
    ],
)
def test_another_port_or_signal_is_refused(pasted: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        OtelCollector.parse({"endpoint": pasted})
    assert words in caught.value.problems["endpoint"]


@pytest.mark.parametrize(
    ("endpoint", "warned"),
    [
        ("https://otel.example.com:4318", {"endpoint"}),
        ("https://otel.example.com/", {"endpoint"}),
        ("https://otel.example.com/v1/traces", set()),
        ("https://otel.example.com/v2/trace/otlp", set()),
    ],
)
def test_a_server_alone_is_warned_about(endpoint: str, warned: set[str]) -> None:
    assert OtelCollector.parse({"endpoint": endpoint}).warnings().keys() == warned
