"""Published captures of OpenRouter's Broadcast (September 2026), and what is odd about them."""

import json
from collections import Counter
from copy import deepcopy
from typing import Any

import pytest

from broadcast import genai, otlp
from broadcast.destination import envelope
from broadcast.receipt import Cost, KeyRef, ProviderAttempt, Receipt, Timing, Usage
from broadcast.sources import openrouter_wire
from broadcast.sources.genai_content import parsed
from broadcast.sources.span_trees import ORPHAN
from tests.broadcast.sources.spans import harvest, harvest_of, openrouter, pairs

GEN = "gen-1790605504-cpHCKdt8gpR7ocyZa2Hv"


def delivered(name: str = "delivery", **attributes: Any) -> Receipt:
    """Return the receipt of a capture, with attributes of the generation said otherwise."""
    document = json.loads(openrouter(name))
    held = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"]
    held[:] = [pair for pair in held if pair["key"] not in attributes] + pairs(attributes)
    found = harvest_of(json.dumps(document).encode())
    assert found.refused == {}
    [tree] = found.trees
    assert tree.spans == len(document["resourceSpans"])
    return tree.receipt


def test_a_delivery_is_one_receipt_with_the_generation_id() -> None:
    receipt = delivered()
    assert (receipt.id, receipt.status, receipt.model) == (GEN, "succeeded", "anthropic/claude-haiku-4.5")
    assert (receipt.provider, receipt.provider_slug, receipt.system) == (
        "Amazon Bedrock",
        "amazon-bedrock/global",
        "anthropic",
    )
    assert (receipt.created_at_us, receipt.duration_us) == (1_790_605_504_206_000, 2_443_000)
    assert receipt.session_id == "ses_f17985511ffeWT5KK0SC5G16lu"
    assert receipt.api_key == KeyRef(hash="a" * 64, name="fixture key")


def test_tokens_cost_and_times_are_exact() -> None:
    receipt = delivered()
    assert receipt.usage == Usage(
        input_tokens=12_315,
        output_tokens=213,
        cache_read_tokens=0,
        cache_write_tokens=12_312,
        reasoning_tokens=0,
    )
    assert receipt.cost == Cost(
        total_nano_usd=16_458_000, input_nano_usd=15_393_000, output_nano_usd=1_065_000
    )
    assert receipt.timing == Timing(
        first_token_ms=1382,
        router_ms=58,
        provider_request_ms=58,
        provider_headers_ms=1197,
        provider_body_end_ms=2440,
    )


def test_the_attempt_child_is_folded_in_with_its_upstream_id() -> None:
    assert delivered().attempts == (
        ProviderAttempt(
            provider="Amazon Bedrock",
            model="anthropic/claude-4.5-haiku-20251001",
            id="a537b4a0-0222-46d3-90fa-87c2bce363e5",
            status_code=200,
            start_ms=0,
            duration_ms=1139,
            is_byok=False,
        ),
    )


def test_what_the_providers_answered_is_read_once_for_all_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads(openrouter("delivery"))
    [attempt] = (
        entry
        for entry in document["resourceSpans"]
        if entry["scopeSpans"][0]["spans"][0]["name"].startswith("provider attempt")
    )
    for number in (2, 3):
        again = deepcopy(attempt)
        span = again["scopeSpans"][0]["spans"][0]
        span["spanId"], span["name"] = f"{number:016x}", f"provider attempt {number}: Other"
        span["attributes"] = []
        document["resourceSpans"].append(again)
    texts = Counter[Any]()

    def counted(value: Any) -> Any:
        texts[value] += 1
        return parsed(value)

    monkeypatch.setattr(openrouter_wire, "parsed", counted)
    [tree] = harvest_of(json.dumps(document).encode()).trees
    assert len(tree.receipt.attempts) == 3
    assert set(texts.values()) == {1}


def test_the_generation_child_says_that_it_was_streamed_and_counts_no_request() -> None:
    assert delivered().streamed is True


def test_finish_reasons_as_a_json_text_are_read() -> None:
    assert delivered().finish_reason == "tool_calls"
    assert delivered(**{"gen_ai.response.finish_reason": ""}).finish_reason == "tool_calls"
    assert delivered().native_finish_reason == "tool_use"


def test_messages_are_kept_and_the_copy_of_the_whole_request_is_not() -> None:
    receipt = delivered()
    assert [message["role"] for message in receipt.input] == ["system", "user"]
    assert receipt.output["content"] == "I'll create it."
    assert receipt.output["tool_calls"][0]["function"]["name"] == "todowrite"
    assert "rawRequest" not in json.dumps(receipt.output)


def test_what_the_caller_said_goes_out_under_the_same_names() -> None:
    said: dict[str, Any] = {
        "trace.metadata.feature": "search",
        "trace.metadata.step": 3,
        "trace.metadata.tags": ["a", "b"],
    }
    receipt = delivered(**said)
    generation = genai.whole_spans(receipt, namespace="openrouter").spans[0]
    sent = json.loads(openrouter("delivery"))["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"]
    expected = {pair["key"] for pair in sent if pair["key"].startswith("trace.metadata.")} | said.keys()
    assert {key for key in generation.attributes if key.startswith("trace.metadata.")} == expected
    assert generation.attributes["trace.metadata.step"] == 3
    assert generation.attributes["trace.metadata.tags"] == ("a", "b")


def test_the_spans_that_go_out_have_the_ids_that_came_in() -> None:
    sent = json.loads(openrouter("delivery"))["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    generation = genai.whole_spans(delivered(), namespace="openrouter").spans[0]
    assert (generation.trace_id, generation.span_id, generation.parent_span_id) == (
        sent["traceId"],
        sent["spanId"],
        "",
    )


@pytest.mark.parametrize(("said", "kept"), [("OpenRouter Request", None), ("Answer", "Answer")])
def test_a_trace_name_counts_when_a_caller_gave_it(said: str, kept: str | None) -> None:
    assert (delivered(**{"trace.name": said}).trace or {}).get("trace_name") == kept


def test_opt_in_groups_fill_fields_and_are_sent_on_by_opt_in_only() -> None:
    prefix = "trace.metadata.openrouter_generation."
    said: dict[str, Any] = {
        f"{prefix}http_referer": "https://example.com",
        f"{prefix}app_title": "Example",
        f"{prefix}user_agent": "curl/8",
        f"{prefix}usage_upstream": 0.01,
        f"{prefix}is_byok": True,
        f"{prefix}usage_cache": 0.5,
    }
    receipt = delivered(**said)
    assert receipt.app is not None
    assert (receipt.app.referer, receipt.app.title, receipt.user_agent) == (
        "https://example.com",
        "Example",
        "curl/8",
    )
    assert receipt.cost is not None
    assert (receipt.cost.upstream_nano_usd, receipt.funding_source) == (10_000_000, "byok")
    assert not any("openrouter_generation" in key for key in receipt.trace or {})
    assert receipt.metadata is not None
    assert receipt.metadata["openrouter_generation"]["usage_cache"] == 0.5


def test_a_client_that_went_away_is_cancelled() -> None:
    receipt = delivered("error")
    assert receipt.error is not None
    assert (receipt.status, receipt.error.type, receipt.error.message) == (
        "cancelled",
        "cancelled",
        "The client has disconnected",
    )
    assert (receipt.usage, receipt.cost) == (None, None)


def test_a_router_id_that_does_not_make_the_span_id_is_not_the_receipts() -> None:
    receipt = delivered("error")
    assert receipt.id == "otlp-7195c25a8068522385c817c8cb73fd1d-7195c25a80685223"
    assert receipt.request_id == GEN


@pytest.mark.parametrize("name", [1, 2])
def test_a_child_that_comes_without_its_generation_is_refused_and_no_request(name: int) -> None:
    document = json.loads(openrouter("delivery"))
    document["resourceSpans"] = [document["resourceSpans"][name]]
    found = harvest_of(json.dumps(document).encode())
    assert (found.trees, found.refused) == ([], {ORPHAN: 1})


def test_a_connection_test_is_neither_stored_nor_refused() -> None:
    found = harvest_of(openrouter("connection-test"))
    assert (found.trees, found.refused) == ([], {})


def test_our_own_tests_are_neither_stored_nor_refused() -> None:
    for made in (
        genai.test_span(1, "broadcast-connection-test", "router"),
        genai.sample_generation(1, "router"),
    ):
        found = harvest_of(envelope("json", (otlp.encode(made),)))
        assert (found.trees, found.refused) == ([], {})


DOCUMENTED = {
    "name": "chat",
    "startTimeUnixNano": "1705312800000000000",
    "endTimeUnixNano": "1705312801000000000",
    "attributes": [
        {"key": "gen_ai.request.model", "value": {"stringValue": "openai/gpt-4"}},
        {"key": "gen_ai.usage.prompt_tokens", "value": {"intValue": "100"}},
        {"key": "gen_ai.usage.completion_tokens", "value": {"intValue": "50"}},
    ],
}
"""The span that the page on OpenRouter's webhook prints."""


def test_the_example_of_openrouters_page_is_read() -> None:
    found = harvest(DOCUMENTED | {"traceId": "ab" * 16, "spanId": "cd" * 8})
    [tree] = found.trees
    assert (tree.receipt.model, tree.receipt.api_type) == ("openai/gpt-4", "chat")
    assert (tree.receipt.usage, tree.receipt.duration_us) == (
        Usage(input_tokens=100, output_tokens=50),
        1_000_000,
    )


def test_the_shortened_ids_of_that_page_are_refused_by_name() -> None:
    found = harvest(DOCUMENTED | {"traceId": "abc123...", "spanId": "def456..."})
    assert found.refused == {"traceId must be 32 hex digits and not all zero": 1}


def test_times_are_read_under_their_short_names_too() -> None:
    said: dict[str, Any] = {
        "trace.metadata.openrouter.first_token_ms": "",
        "openrouter.first_token_ms": 7.0,
    }
    receipt = delivered(**said)
    assert receipt.timing is not None
    assert receipt.timing.first_token_ms == 7


def test_a_caller_may_give_a_parent_and_a_name_of_the_trace() -> None:
    document = json.loads(openrouter("delivery"))
    span = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span["parentSpanId"] = "0123456789abcdef"
    span["attributes"].append({"key": "trace.name", "value": {"stringValue": "Answer"}})
    [tree] = harvest_of(json.dumps(document).encode()).trees
    root, generation, *_ = genai.whole_spans(tree.receipt, namespace="openrouter").spans
    assert (root.name, root.parent_span_id, generation.parent_span_id) == (
        "Answer",
        "0123456789abcdef",
        root.span_id,
    )
