"""A real Phoenix server: it takes protobuf alone, and shows each request once, as OpenInference has it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from broadcast.destination import Verdict
from destinations.otel_collector import OtelCollector
from destinations.phoenix import Phoenix
from tests.chaos.program import free_port
from tests.world import readers, routed
from tests.world.environments import python_with

pytestmark = pytest.mark.world

PHOENIX = "arize-phoenix==20.26.1"


@pytest.fixture(scope="module")
def grpc_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(grpc_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home, port = tmp_path_factory.mktemp("phoenix"), free_port()
    places = {
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc_port),
        "PHOENIX_WORKING_DIR": str(home),
    }
    url = f"http://127.0.0.1:{port}"
    command = [str(python_with(PHOENIX) / "phoenix"), "serve"]
    with readers.running(
        command, home, f"{url}/healthz", PHOENIX_HOST="127.0.0.1", PHOENIX_TELEMETRY_ENABLED="false", **places
    ):
        yield url


def spans(server: str, project: str, expected: int) -> list[dict[str, Any]]:
    """Return the spans of a project once all of them are stored: Phoenix answers before."""
    found: list[dict[str, Any]] = readers.until(
        lambda: readers.ask(f"{server}/v1/projects/{project}/spans", limit=100)["data"],
        lambda data: len(data) >= expected,
    )
    return found


def test_a_request_is_one_llm_span_with_messages_tokens_and_cost(server: str) -> None:
    destination = Phoenix.parse({"baseUrl": server, "project": "llm-router"})
    for _ in range(2):
        assert readers.sent(destination, trace_id="a" * 32).delivered
    found = spans(server, "llm-router", 3)
    (llm,) = [span for span in found if span["span_kind"] == "LLM"]
    assert len(found) == 3
    made = llm["attributes"]
    assert made["llm.model_name"] == "openai/gpt-4o-2024-08-06"
    assert (made["llm.token_count.prompt"], made["llm.token_count.completion"]) == (100, 50)
    assert made["llm.cost.total"] == 0.00042
    assert (made["session.id"], made["user.id"]) == ("session-1", "user-1")
    assert (made["input.value"], made["output.value"]) == ("the-question", "the-answer")
    assert made["llm.input_messages.1.message.content"] == "the-question"


# -- sent by the real program ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What Test Connection said, and what Phoenix keeps of the requests."""

    report: dict[str, Any]
    spans: list[dict[str, Any]]

    def of(self, trace_id: str) -> dict[str, dict[str, Any]]:
        """Return the spans of a trace by name."""
        return {span["name"]: span for span in self.spans if span["context"]["trace_id"] == trace_id}


@pytest.fixture(scope="module")
def seen(server: str, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder, config = tmp_path_factory.mktemp("routed"), {"baseUrl": server, "project": "routed"}
    with routed.delivered(folder, server, "phoenix", config) as report:
        # Two test spans: one of making the destination, one of asking again.
        return Seen(report=report, spans=spans(server, "routed", len(routed.TREE) + 2 + 2))


def test_the_test_span_is_accepted_and_is_no_request(seen: Seen) -> None:
    assert (seen.report["ok"], seen.report["data_accepted"]) == (True, "yes")
    tests = [span for span in seen.spans if span["name"] == "broadcast-connection-test"]
    assert [span["span_kind"] == "LLM" for span in tests] == [False, False]


def test_a_request_is_the_tree_that_the_router_went_through(seen: Seen) -> None:
    found = seen.of(routed.TRACE)
    names = {span["context"]["span_id"]: name for name, span in found.items()}
    assert {name: names.get(span["parent_id"]) for name, span in found.items()} == routed.TREE
    assert {span["status_code"] for span in found.values()} == {"OK", "UNSET"}


def test_its_llm_span_shows_model_tokens_cost_session_and_user(seen: Seen) -> None:
    (llm,) = [span for span in seen.of(routed.TRACE).values() if span["span_kind"] == "LLM"]
    told = llm["attributes"]
    assert told["llm.model_name"] == "openai/gpt-4o-mini-2024-07-18"
    tokens = [told[f"llm.token_count.{kind}"] for kind in ("prompt", "completion", "total")]
    assert tokens == [1200, 345, 1545]
    assert told["llm.token_count.prompt_details.cache_read"] == 1000
    assert told["llm.token_count.completion_details.reasoning"] == 64
    assert [told[f"llm.cost.{kind}"] for kind in ("prompt", "completion", "total")] == [
        0.00018,
        0.000207,
        0.000387,
    ]
    assert (told["session.id"], told["user.id"], told["metadata.feature"]) == (
        "session-42",
        "user-7",
        "search",
    )


def test_its_messages_are_there_with_the_tool_call_and_the_image_described(seen: Seen) -> None:
    told = seen.of(routed.TRACE)["Write"]["attributes"]
    asked = "llm.input_messages.{}.message.{}"
    assert [told[asked.format(at, "role")] for at in range(4)] == ["system", "user", "assistant", "tool"]
    call = asked.format(2, "tool_calls.0.tool_call.function")
    assert told[f"{call}.name"] == "find_order"
    assert json.loads(told[f"{call}.arguments"]) == {"order": 7}
    assert (told[asked.format(3, "content")], told[asked.format(3, "tool_call_id")]) == (
        "in the van",
        "call-1",
    )
    assert "Where is order 7?" in told[asked.format(1, "content")]
    assert "[image: image/png" in told[asked.format(1, "content")]
    assert routed.IMAGE not in json.dumps(seen.spans)
    assert (told["llm.output_messages.0.message.content"], told["output.value"]) == (
        "On its way.",
        "On its way.",
    )


def test_a_failed_request_is_an_error_with_its_reason(seen: Seen) -> None:
    found = seen.of(routed.FAILED_TRACE)
    llm = found["chat openai/gpt-4o-mini"]
    assert llm["span_kind"] == "LLM"
    assert {(span["status_code"], span["status_message"]) for span in found.values()} == {
        ("ERROR", "The server is overloaded.")
    }
    (event,) = llm["events"]
    assert (event["name"], event["attributes"]["exception.type"]) == ("exception", "overloaded")
    assert llm["attributes"]["input.value"] == "Where is order 8?"
    assert not [name for name in llm["attributes"] if name.startswith(("llm.token_count.", "llm.cost."))]


def test_spans_arrive_over_grpc_too(server: str, grpc_port: int) -> None:
    given = {"endpoint": f"http://127.0.0.1:{grpc_port}", "encoding": "grpc"}
    assert readers.sent(OtelCollector.parse(given), trace_id="c" * 32).reason == "200 gRPC OK"
    traces = {span["context"]["trace_id"] for span in spans(server, "default", 1)}
    assert "c" * 32 in traces


def test_json_is_refused_and_the_hint_says_what_to_do(server: str) -> None:
    outcome = readers.sent(OtelCollector.parse({"endpoint": f"{server}/v1/traces"}), trace_id="b" * 32)
    assert (outcome.verdict, outcome.status_code) == (Verdict.REFUSED, 415)
    assert "choose the other one" in OtelCollector.hints[415]
