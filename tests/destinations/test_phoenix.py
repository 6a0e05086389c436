from typing import Any

import pytest

from broadcast.destination import Verdict
from destinations.phoenix import Phoenix
from tests.destinations import wire

CLOUD = "https://app.phoenix.arize.com/s/acme"


def phoenix(**config: Any) -> Phoenix:
    return Phoenix.parse({"baseUrl": CLOUD, "apiKey": "key", "project": "llm-router", **config})


def test_the_space_gets_gzipped_protobuf_and_the_project_twice() -> None:
    found = wire.send(phoenix())
    assert found.url == f"{CLOUD}/v1/traces"
    # Phoenix compares the media type as a whole: a charset would be refused.
    assert found.seen.headers["content-type"] == "application/x-protobuf"
    assert found.seen.headers["content-encoding"] == "gzip"
    assert found.seen.headers["authorization"] == "Bearer key"
    assert found.seen.headers["x-project-name"] == "llm-router"
    assert {span.resource["openinference.project.name"] for span in found.spans} == {"llm-router"}
    assert found.outcome.delivered


def test_the_page_of_a_span_has_tokens_cost_and_messages() -> None:
    made = wire.generation(wire.send(phoenix()))
    assert made["openinference.span.kind"] == "LLM"
    assert (made["llm.token_count.total"], made["llm.cost.total"]) == (150, 0.00042)
    assert made["llm.input_messages.1.message.content"] == "the-question"
    assert made["output.value"] == "the-answer"


def test_an_open_server_needs_no_key_and_has_a_default_project() -> None:
    found = wire.send(Phoenix.parse({"baseUrl": "https://phoenix.example.com/"}))
    assert found.url == "https://phoenix.example.com/v1/traces"
    assert {"authorization", "x-project-name"}.isdisjoint(found.seen.headers)


@pytest.mark.parametrize("page", ["/projects/UHJvamVjdDox/traces", "/settings/general", "/v1/traces", "/"])
def test_a_page_of_the_server_is_enough(page: str) -> None:
    assert phoenix(baseUrl=CLOUD + page).endpoint() == f"{CLOUD}/v1/traces"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(401, Verdict.REFUSED), (415, Verdict.REFUSED), (422, Verdict.REJECTED), (503, Verdict.RETRYING)],
)
def test_its_answers(status: int, verdict: Verdict) -> None:
    assert wire.send(phoenix(), status=status, body="no").outcome.verdict is verdict


def test_a_trace_has_a_page() -> None:
    assert phoenix().trace_url("ab", 0) == f"{CLOUD}/redirects/traces/ab"
