import json
from typing import Any

import pytest

from broadcast.destination import Verdict
from destinations.braintrust import Braintrust
from tests.destinations import wire

PROJECT = "4a4b33c9-ee04-46cb-bb99-a727b8a786a1"


def braintrust(**config: Any) -> Braintrust:
    return Braintrust.parse({"apiKey": "sk-example", "projectId": PROJECT, **config})


def test_the_project_gets_gzipped_protobuf_as_its_parent() -> None:
    found = wire.send(braintrust())
    assert found.url == "https://api.braintrust.dev/otel/v1/traces"
    assert found.seen.headers["content-type"] == "application/x-protobuf"
    assert found.seen.headers["authorization"] == "Bearer sk-example"
    assert found.seen.headers["x-bt-parent"] == f"project_id:{PROJECT}"
    assert found.outcome.delivered


def test_metrics_stand_in_for_what_braintrust_would_make_of_the_usage() -> None:
    made = wire.generation(wire.send(braintrust()))
    assert json.loads(made["braintrust.metrics"]) == {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "tokens": 150,
        "prompt_cached_tokens": 40,
        "prompt_cache_creation_tokens": 10,
        "completion_reasoning_tokens": 20,
        "time_to_first_token": 0.2505,
        "estimated_cost": 0.00042,
    }
    assert json.loads(made["braintrust.span_attributes"]) == {"type": "llm"}
    assert json.loads(made["braintrust.metadata"]) == {
        "team": "search",
        "tags": ["a", "b"],
        "user_id": "user-1",
        "session_id": "session-1",
    }
    assert made["braintrust.tags"] == ["a", "b"]


@pytest.mark.parametrize(("status", "problem"), [(200, False), (401, True), (403, True), (404, True)])
def test_the_project_is_asked_for_before_any_span(status: int, problem: bool) -> None:
    found, words = wire.check(braintrust(baseUrl="EU"), status=status, body="{}")
    assert (found.seen.method, found.url) == ("GET", f"https://api-eu.braintrust.dev/v1/project/{PROJECT}")
    assert bool(words) is problem


def test_too_much_is_halved() -> None:
    assert wire.send(braintrust(), status=413).outcome.verdict is Verdict.REJECTED


@pytest.mark.parametrize("key", ["sk-proj-abc", "sk-ant-abc", "sk-or-v1-abc"])
def test_a_providers_key_is_recognised(key: str) -> None:
    assert braintrust(apiKey=key).warnings().keys() == {"apiKey"}
    assert braintrust().warnings() == {}
