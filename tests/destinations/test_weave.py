import json
from typing import Any

import pytest

from broadcast.destination import Verdict
from broadcast.errors import SettingsError
from destinations.weave import Weave
from tests.destinations import wire

KEY = "wandb_v1_" + "a" * 77


def weave(**config: Any) -> Weave:
    return Weave.parse({"apiKey": KEY, "entity": "acme", "project": "llm-router", **config})


def test_the_project_gets_protobuf_and_is_named_by_the_resource() -> None:
    found = wire.send(weave())
    assert found.url == "https://trace.wandb.ai/otel/v1/traces"
    assert found.seen.headers["content-type"] == "application/x-protobuf"
    assert found.seen.headers["content-encoding"] == "gzip"
    assert found.seen.headers["wandb-api-key"] == KEY
    resource = found.spans[0].resource
    assert (resource["wandb.entity"], resource["wandb.project"]) == ("acme", "llm-router")
    assert found.outcome.delivered


def test_a_session_is_a_thread_and_each_request_a_turn() -> None:
    made = wire.generation(wire.send(weave()))
    assert (made["wandb.thread_id"], made["wandb.is_turn"]) == ("session-1", True)
    assert made["weave.span.kind"] == "llm"
    assert json.loads(made["wandb.attributes"]) == {"team": "search", "tags": ["a", "b"]}


def test_tokens_are_named_once() -> None:
    made = wire.generation(wire.send(weave()))
    assert made["llm.usage.total_tokens"] == 150
    assert not any(name.startswith("llm.token_count.") for name in made)


def test_a_dedicated_instance() -> None:
    destination = weave(baseUrl="https://acme.wandb.io/traces")
    assert destination.endpoint() == "https://acme.wandb.io/traces/otel/v1/traces"


def test_a_page_is_refused_with_what_to_enter_where() -> None:
    with pytest.raises(SettingsError) as caught:
        weave(baseUrl="https://wandb.ai/acme/llm-router/weave")
    assert "https://trace.wandb.ai" in caught.value.problems["baseUrl"]


@pytest.mark.parametrize("key", ["sk-abc", "wandb"])
def test_what_is_no_key_is_warned_about(key: str) -> None:
    assert weave(apiKey=key).warnings().keys() == {"apiKey"}


@pytest.mark.parametrize("key", [KEY, "0" * 40, "local-" + "0" * 40])
def test_every_known_form_of_a_key_passes(key: str) -> None:
    assert weave(apiKey=key).warnings() == {}


def test_another_project_is_a_refusal() -> None:
    found = wire.send(weave(), status=403, body={"detail": "not allowed"})
    assert found.outcome.verdict is Verdict.REFUSED
