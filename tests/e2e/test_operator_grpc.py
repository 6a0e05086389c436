"""The operator's export over gRPC with real programs, declared by OpenTelemetry's own variables."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import grpc
import pytest
import requests

from tests.databases import postgres_url
from tests.e2e.conftest import Served, environment, start, stop
from tests.e2e.test_operator_export import run, until
from tests.grpc_receiver import GrpcReceiver, refuse
from tests.receiver import SeenSpan


@pytest.fixture(scope="module")
def receiver() -> Iterator[GrpcReceiver]:
    with GrpcReceiver() as running:
        yield running


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(
    request: pytest.FixtureRequest, receiver: GrpcReceiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("operator-grpc")
    with postgres_url() if request.param == "postgresql" else nullcontext() as database_url:
        running = start(
            folder,
            environment(
                folder,
                database_url,
                OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
                OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
                OTEL_EXPORTER_OTLP_HEADERS="X-Operator=one%2Ctwo",
                OTEL_SERVICE_NAME="llm-router",
                BROADCAST_EGRESS_ALLOW=f"127.0.0.1:{receiver.port}",
            ),
        )
        try:
            yield running
        finally:
            code = stop(running)
        assert code == 0


def ask(served: Served) -> str:
    answer = requests.post(
        f"{served.url}/api/v1/chat/completions",
        json={"model": "demo/echo", "messages": [{"role": "user", "content": "Hello"}]},
        headers={"Authorization": f"Bearer {served.api_key}"},
        timeout=60,
    )
    return str(answer.json()["id"])


def generations(receiver: GrpcReceiver, receipt_id: str) -> list[SeenSpan]:
    """Return the spans of what was generated for one request, each time they came."""
    return [
        span
        for span in receiver.spans()
        if receipt_id in span.resource.values() and "gen_ai.usage.cost" in span.attributes
    ]


def test_a_request_arrives_typed_with_the_operators_name_and_headers(
    served: Served, receiver: GrpcReceiver
) -> None:
    id_ = ask(served)
    (span,) = until(lambda: generations(receiver, id_))
    assert span.resource["service.name"] == "llm-router"
    kinds: dict[str, type[Any]] = {
        "gen_ai.request.model": str,
        "gen_ai.usage.input_tokens": int,
        "gen_ai.usage.output_tokens": int,
        "gen_ai.usage.cost": float,
    }
    assert {name: type(span.attributes[name]) for name in kinds} == kinds
    called = next(one for one in receiver.seen if id_.encode() in one.request.SerializeToString())
    assert called.metadata["x-operator"] == "one,two"


def test_what_a_busy_receiver_refused_arrives_again_and_the_attempt_says_so(
    served: Served, receiver: GrpcReceiver
) -> None:
    receiver.script(refuse(grpc.StatusCode.UNAVAILABLE, "draining"))
    id_ = ask(served)
    first, again = until(lambda: [found] if len(found := generations(receiver, id_)) == 2 else [])[0]
    assert (first.trace_id, first.span_id) == (again.trace_id, again.span_id)
    log = (served.folder / "stderr.log").read_text()
    assert "verdict=retrying status=503" in log
    assert "503 gRPC UNAVAILABLE: draining" in log


def test_the_connection_is_tested_over_grpc(served: Served, receiver: GrpcReceiver) -> None:
    tried = run(served.folder, served.environment, "destinations", "test", "Operator's export")
    assert "The test span was accepted." in tried.stdout, tried.stdout + tried.stderr
    assert any(span.name == "broadcast-connection-test" for span in receiver.spans())
    receiver.script(refuse(grpc.StatusCode.UNAUTHENTICATED, "no such key"))
    refused = run(served.folder, served.environment, "destinations", "test", "Operator's export")
    assert refused.returncode == 1
    assert "401 gRPC UNAUTHENTICATED" in refused.stdout + refused.stderr


def test_the_library_writes_nothing_past_our_log(served: Served) -> None:
    lines = (served.folder / "stderr.log").read_text().splitlines()
    assert [line for line in lines if "ssl_transport" in line or ".cc:" in line or "Traceback" in line] == []
