"""A real Phoenix server: it takes protobuf alone, and shows each request once, as OpenInference has it."""

from collections.abc import Iterator
from typing import Any

import pytest

from broadcast.destination import Verdict
from destinations.otel_collector import OtelCollector
from destinations.phoenix import Phoenix
from tests.chaos.program import free_port
from tests.world import readers
from tests.world.environments import python_with

pytestmark = pytest.mark.world

PHOENIX = "arize-phoenix==20.26.1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home, port = tmp_path_factory.mktemp("phoenix"), free_port()
    places = {
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
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


def test_json_is_refused_and_the_hint_says_what_to_do(server: str) -> None:
    outcome = readers.sent(OtelCollector.parse({"endpoint": f"{server}/v1/traces"}), trace_id="b" * 32)
    assert (outcome.verdict, outcome.status_code) == (Verdict.REFUSED, 415)
    assert "choose the other one" in OtelCollector.hints[415]
