import json
from typing import Any

from broadcast.destination import Verdict
from destinations.arize import Arize
from tests.destinations import wire

CONFIG = {"apiKey": "ak-example", "spaceKey": "U3BhY2U6MTIzNDphYmNk", "modelId": "llm-router"}


def arize(**config: Any) -> Arize:
    return Arize.parse({**CONFIG, **config})


def test_the_space_gets_gzipped_protobuf_with_key_space_and_project() -> None:
    found = wire.send(arize())
    assert found.url == "https://otlp.arize.com/v1/traces"
    assert found.seen.headers["content-type"] == "application/x-protobuf"
    assert found.seen.headers["content-encoding"] == "gzip"
    assert found.seen.headers["authorization"] == "ak-example"
    assert found.seen.headers["arize-space-id"] == CONFIG["spaceKey"]
    assert {span.resource["openinference.project.name"] for span in found.spans} == {"llm-router"}
    assert found.outcome.delivered


def test_the_page_of_a_span_has_model_tokens_cost_and_who() -> None:
    made = wire.generation(wire.send(arize()))
    assert made["openinference.span.kind"] == "LLM"
    assert (made["llm.model_name"], made["llm.provider"]) == ("openai/gpt-4o-2024-08-06", "openai")
    assert (made["llm.token_count.prompt"], made["llm.token_count.completion"]) == (100, 50)
    assert made["llm.token_count.total"] == 150
    assert made["llm.token_count.prompt_details.cache_read"] == 40
    assert made["llm.token_count.completion_details.reasoning"] == 20
    assert (made["llm.cost.total"], made["llm.cost.prompt"]) == (0.00042, 0.00012)
    assert (made["session.id"], made["user.id"]) == ("session-1", "user-1")
    assert json.loads(made["metadata"]) == {"team": "search", "tags": ["a", "b"]}
    assert json.loads(made["llm.invocation_parameters"]) == {"temperature": 0.5, "max_tokens": 64}


def test_messages_are_flattened_and_listed() -> None:
    made = wire.generation(wire.send(arize()))
    assert made["llm.input_messages.1.message.role"] == "user"
    assert made["llm.input_messages.1.message.content"] == made["input.value"] == "the-question"
    assert made["llm.output_messages.0.message.content"] == made["output.value"] == "the-answer"


def test_a_region_by_name_is_its_address() -> None:
    assert arize(baseUrl="EU").endpoint() == "https://otlp.eu-west-1a.arize.com/v1/traces"


def test_a_wrong_space_is_refused_with_what_to_copy() -> None:
    found = wire.send(arize(), status=401, body="Unauthorized", headers={"content-type": "text/plain"})
    assert found.outcome.verdict is Verdict.REFUSED
    assert "Space ID" in Arize.hints[401]


def test_a_space_in_the_place_of_the_key_is_warned_about() -> None:
    assert arize(apiKey=CONFIG["spaceKey"]).warnings().keys() == {"apiKey"}
    assert arize().warnings() == {}
