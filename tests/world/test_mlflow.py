"""A real MLflow server: what it shows of a request is what the request was."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from broadcast.destination import Destination
from destinations.mlflow import MLflow
from destinations.otel_collector import OtelCollector
from tests.chaos.program import free_port
from tests.world import readers, routed
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


# -- sent by the real program ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A trace as MLflow keeps it: what its list shows, and its spans by name."""

    info: dict[str, Any]
    spans: dict[str, dict[str, Any]]

    @property
    def known(self) -> dict[str, Any]:
        """What MLflow understood of the whole trace."""
        return readers.loaded(self.info["trace_metadata"])

    def understood(self, name: str) -> dict[str, Any]:
        """Return what MLflow made of a span's attributes."""
        return readers.loaded(self.spans[name]["attributes"])


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What Test Connection said, and the traces of the requests."""

    report: dict[str, Any]
    traces: Mapping[str, Trace]


@pytest.fixture(scope="module")
def seen(server: str, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder, config = tmp_path_factory.mktemp("routed"), {"baseUrl": server, "experimentId": "0"}
    with routed.delivered(folder, server, "mlflow", config) as report:
        return Seen(
            report=report, traces={key: kept(server, key) for key in (routed.TRACE, routed.FAILED_TRACE)}
        )


def kept(server: str, trace_id: str) -> Trace:
    """Return a trace by the API, and its spans by the call that MLflow's own page makes."""
    info = readers.ask(f"{server}/api/3.0/mlflow/traces/tr-{trace_id}")["trace"]["trace_info"]
    data = readers.ask(f"{server}/ajax-api/2.0/mlflow/get-trace-artifact", request_id=f"tr-{trace_id}")
    return Trace(info=info, spans={span["name"]: span for span in data["spans"]})


def test_test_connection_reads_its_span_back(seen: Seen) -> None:
    facts = [seen.report[name] for name in ("ok", "reachable", "credential_accepted", "data_accepted")]
    assert facts == [True, "yes", "yes", "yes"]
    assert "read back" in seen.report["message"]


def test_a_request_is_the_tree_that_the_router_went_through(seen: Seen) -> None:
    found = seen.traces[routed.TRACE]
    names = {span["span_id"]: name for name, span in found.spans.items()}
    assert {name: names.get(span["parent_span_id"]) for name, span in found.spans.items()} == routed.TREE
    assert found.info["state"] == "OK"
    # The failed try of a request that succeeded is no error.
    assert "STATUS_CODE_ERROR" not in {span["status"]["code"] for span in found.spans.values()}


def test_its_trace_shows_tokens_cost_session_and_user(seen: Seen) -> None:
    known = seen.traces[routed.TRACE].known
    assert known["mlflow.trace.tokenUsage"] == {
        "input_tokens": 1200,
        "output_tokens": 345,
        "total_tokens": 1545,
        "cache_read_input_tokens": 1000,
    }
    assert known["mlflow.trace.cost"] == {
        "input_cost": 0.00018,
        "output_cost": 0.000207,
        "total_cost": 0.000387,
    }
    assert (known["mlflow.trace.session"], known["mlflow.trace.user"]) == ("session-42", "user-7")


def test_its_chat_span_shows_model_messages_tool_call_and_the_image_described(seen: Seen) -> None:
    told = seen.traces[routed.TRACE].understood("Write")
    assert (told["mlflow.spanType"], told["mlflow.llm.model"]) == (
        "CHAT_MODEL",
        "openai/gpt-4o-mini-2024-07-18",
    )
    asked = told["mlflow.spanInputs"]
    assert [message["role"] for message in asked] == ["system", "user", "assistant", "tool"]
    assert [part["content"][:12] for part in asked[1]["parts"]] == ["Where is ord", "[image: imag"]
    (call,) = asked[2]["parts"]
    assert (call["type"], call["name"], call["arguments"]) == ("tool_call", "find_order", {"order": 7})
    assert asked[3]["parts"][0]["response"] == "in the van"
    assert told["mlflow.spanOutputs"][0]["parts"][0]["content"] == "On its way."
    assert routed.IMAGE not in json.dumps(seen.traces[routed.TRACE].spans)


def test_a_failed_request_is_an_error_with_its_reason(seen: Seen) -> None:
    found = seen.traces[routed.FAILED_TRACE]
    assert found.info["state"] == "ERROR"
    assert "Where is order 8?" in found.info["request_preview"]
    assert {"mlflow.trace.cost", "mlflow.trace.tokenUsage"}.isdisjoint(found.known)
    chat = found.spans["chat openai/gpt-4o-mini"]
    assert chat["status"] == {"code": "STATUS_CODE_ERROR", "message": "The server is overloaded."}
    (event,) = chat["events"]
    assert (event["name"], event["attributes"]["exception.type"]) == ("exception", "overloaded")
