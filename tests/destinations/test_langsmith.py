import json
from typing import Any

import pytest

from broadcast.destination import Verdict
from broadcast.errors import SettingsError
from destinations.langsmith import LangSmith
from tests.destinations import wire

KEY = f"lsv2_pt_{'0' * 32}_{'0' * 10}"
WORKSPACE = "4a4b33c9-ee04-46cb-bb99-a727b8a786a1"


def langsmith(**config: Any) -> LangSmith:
    return LangSmith.parse({"apiKey": KEY, **config})


def test_the_project_gets_protobuf_with_key_and_workspace() -> None:
    found = wire.send(langsmith(project="my project", workspaceId=WORKSPACE))
    assert found.url == "https://api.smith.langchain.com/otel/v1/traces"
    assert found.seen.headers["content-type"] == "application/x-protobuf"
    assert found.seen.headers["x-api-key"] == KEY
    assert found.seen.headers["langsmith-project"] == "my project"
    assert found.seen.headers["x-tenant-id"] == WORKSPACE
    assert found.outcome.delivered


def test_the_project_is_openrouters_unless_given() -> None:
    found = wire.send(langsmith())
    assert found.seen.headers["langsmith-project"] == "main"
    assert "x-tenant-id" not in found.seen.headers


def test_usage_counts_details_as_parts_and_has_our_cost() -> None:
    made = wire.generation(wire.send(langsmith()))
    assert json.loads(made["langsmith.usage_metadata"]) == {
        "input_tokens": 100,
        "output_tokens": 50,
        "total_tokens": 150,
        "input_token_details": {"cache_read": 40, "cache_creation": 10},
        "output_token_details": {"reasoning": 20},
        "total_cost": 0.00042,
        "input_cost": 0.00012,
        "output_cost": 0.0003,
    }


def test_a_run_has_thread_user_model_tags_and_messages() -> None:
    made = wire.generation(wire.send(langsmith()))
    assert made["langsmith.span.kind"] == "llm"
    assert made["langsmith.metadata.thread_id"] == "session-1"
    assert made["langsmith.metadata.user_id"] == "user-1"
    assert made["langsmith.metadata.team"] == "search"
    assert made["langsmith.metadata.ls_model_name"] == "openai/gpt-4o-2024-08-06"
    assert made["langsmith.span.tags"] == "a,b"
    assert json.loads(made["gen_ai.prompt"])["messages"][1]["content"] == "the-question"
    assert json.loads(made["gen_ai.completion"])["completion"] == "the-answer"


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("EU", "https://eu.api.smith.langchain.com/otel/v1/traces"),
        ("aws us", "https://aws.api.smith.langchain.com/otel/v1/traces"),
        ("https://ls.example.com/api/v1", "https://ls.example.com/api/v1/otel/v1/traces"),
        ("https://api.smith.langchain.com/otel", "https://api.smith.langchain.com/otel/v1/traces"),
    ],
)
def test_regions_and_installations(endpoint: str, url: str) -> None:
    assert langsmith(endpoint=endpoint).endpoint() == url


def test_a_page_is_refused_with_the_address_of_its_region() -> None:
    with pytest.raises(SettingsError) as caught:
        langsmith(endpoint="https://eu.smith.langchain.com/o/1/projects")
    assert "https://eu.api.smith.langchain.com" in caught.value.problems["endpoint"]


def test_a_missing_workspace_is_a_refusal_that_says_so() -> None:
    assert wire.send(langsmith(), status=403).outcome.verdict is Verdict.REFUSED
    assert "workspace" in LangSmith.hints[403]


@pytest.mark.parametrize("key", ["ls__abc", "sk-abc"])
def test_other_keys_are_warned_about(key: str) -> None:
    assert langsmith(apiKey=key).warnings().keys() == {"apiKey"}
    assert langsmith().warnings() == {}
