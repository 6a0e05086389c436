"""A real MLflow server: what it shows of a request is what the request was."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcast.destination import Destination
from destinations.mlflow import MLflow
from destinations.otel_collector import OtelCollector
from tests.chaos.program import free_port
from tests.world import readers
from tests.world.environments import python_with

pytestmark = pytest.mark.world

MLFLOW = "mlflow==3.17.2"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home, port = tmp_path_factory.mktemp("mlflow"), free_port()
    command = [str(python_with(MLFLOW) / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)]
    place = Path(home) / "mlflow.db"
    store = ["--backend-store-uri", f"sqlite:///{place}", "--workers", "1"]
    url = f"http://127.0.0.1:{port}"
    with readers.running([*command, *store], home, f"{url}/health", MLFLOW_DISABLE_TELEMETRY="true"):
        yield url


def trace(server: str, trace_id: str) -> dict[str, Any]:
    """Return what MLflow keeps of a trace, beside its spans."""
    answer = readers.ask(f"{server}/api/3.0/mlflow/traces/tr-{trace_id}")
    return readers.loaded(answer["trace"]["trace_info"]["trace_metadata"])


def test_tokens_cost_session_and_user_are_where_mlflow_shows_them(server: str) -> None:
    destination = MLflow.parse({"baseUrl": server, "experimentId": "0"})
    assert readers.sent(destination, trace_id="a" * 32).delivered
    kept = trace(server, "a" * 32)
    assert kept["mlflow.trace.tokenUsage"] == {
        "input_tokens": 100,
        "output_tokens": 50,
        "total_tokens": 150,
        "cache_read_input_tokens": 40,
        "cache_creation_input_tokens": 10,
    }
    assert kept["mlflow.trace.cost"] == {"input_cost": 0.00012, "output_cost": 0.0003, "total_cost": 0.00042}
    assert (kept["mlflow.trace.session"], kept["mlflow.trace.user"]) == ("session-1", "user-1")


def test_a_repeat_is_counted_once(server: str) -> None:
    destination = MLflow.parse({"baseUrl": server, "experimentId": "0"})
    for _ in range(2):
        assert readers.sent(destination, trace_id="b" * 32).delivered
    assert trace(server, "b" * 32)["mlflow.trace.cost"]["total_cost"] == 0.00042


def test_json_is_read_as_protobuf_is(server: str) -> None:
    destination: Destination = OtelCollector.parse(
        {"endpoint": f"{server}/v1/traces", "headers": {"X-Mlflow-Experiment-Id": "0"}}
    )
    assert readers.sent(destination, trace_id="c" * 32).delivered
    assert trace(server, "c" * 32)["mlflow.trace.tokenUsage"]["total_tokens"] == 150


def test_the_test_span_is_read_back(server: str) -> None:
    outcome, seen = readers.tested(MLflow.parse({"baseUrl": server, "experimentId": "0"}))
    assert outcome.delivered
    assert seen is True
