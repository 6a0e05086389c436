import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast import genai, otlp
from broadcast.destination import envelope
from broadcast.receipt import Error, ProviderAttempt, Receipt, Routing, Timing, Usage
from broadcast.receipt_parser import content
from broadcast.span import ResourceSpans, Span
from tests import factories, oracle

NS = "openrouter"
JSON_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), inner, max_size=4),
    ),
    max_leaves=12,
)
TRACES = st.dictionaries(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
        st.sampled_from(["trace_id", "trace_name", "span_name", "generation_name", "parent_span_id"]),
    ),
    JSON_VALUES,
    max_size=6,
)


def made(receipt: Receipt, **options: Any) -> dict[str, Span]:
    tree = genai.spans(receipt, namespace=NS, options=genai.SpanOptions(**options))
    return {span.name: span for span in tree.spans}


def generation(receipt: Receipt, **options: Any) -> Span:
    tree = genai.spans(receipt, namespace=NS, options=genai.SpanOptions(**options))
    return next(span for span in tree.spans if "gen_ai.operation.name" in span.attributes)


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def test_a_plain_request_is_a_generation_with_one_attempt() -> None:
    receipt = factories.receipt(trace=None)
    root, attempt = genai.spans(receipt, namespace=NS).spans
    assert (root.name, root.kind, root.parent_span_id) == ("chat openai/gpt-4o-mini", 3, "")
    assert root.trace_id == digest(receipt.id)[:32]
    assert root.span_id == digest(receipt.id)[:16]
    assert root.start_ns == factories.AT_US * 1000
    assert root.end_ns - root.start_ns == 1_234_567_000
    assert root.status_code == 1
    assert (attempt.name, attempt.kind) == ("provider attempt 1: OpenAI", 3)
    assert attempt.span_id == digest(receipt.id + ":attempt-0")[:16]
    assert attempt.parent_span_id == root.span_id


def test_names_make_the_tree_of_the_contract() -> None:
    receipt = factories.full_receipt()
    tree = made(receipt)
    assert list(tree) == [
        "Answer a question",
        "Look up",
        "Write",
        "route",
        "provider attempt 1: Azure",
        "provider attempt 2: OpenAI",
    ]
    assert tree["Answer a question"].span_id == digest(receipt.id + ":trace")[:16]
    assert tree["Answer a question"].parent_span_id == "00f067aa0ba902b7"
    assert tree["Look up"].span_id == digest(receipt.id + ":span")[:16]
    assert tree["Look up"].parent_span_id == tree["Answer a question"].span_id
    assert tree["Write"].parent_span_id == tree["Look up"].span_id
    assert tree["route"].span_id == digest(receipt.id + ":route")[:16]
    assert tree["route"].parent_span_id == tree["Write"].span_id
    assert [span.kind for span in tree.values()] == [1, 1, 3, 1, 3, 3]
    assert {span.trace_id for span in tree.values()} == {"4bf92f3577b34da6a3ce929d0e0e4736"}


def test_only_the_generation_carries_tokens_cost_and_operation() -> None:
    tree = made(factories.full_receipt())
    for name, span in tree.items():
        carries = [key for key in span.attributes if key.startswith("gen_ai.")]
        assert bool(carries) == (name == "Write")


def test_the_resource_names_the_service_and_the_receipt() -> None:
    tree = genai.spans(factories.receipt(), namespace="acme")
    assert tree.resource == {
        "service.name": "acme",
        "service.version": "1.0.0",
        "acme.trace.id": factories.receipt().id,
    }
    assert tree.scope == "acme"


def test_attributes_have_the_names_and_types_of_the_contract() -> None:
    found = generation(factories.receipt(routing=Routing(profile="cost"), capabilities=("tools",))).attributes
    assert found == {
        "gen_ai.operation.name": "chat",
        "gen_ai.system": "openai",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "openai/gpt-4o-mini",
        "gen_ai.response.model": "openai/gpt-4o-mini-2024-07-18",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.usage.input_tokens": 1200,
        "gen_ai.usage.output_tokens": 345,
        "gen_ai.usage.total_tokens": 1545,
        "gen_ai.usage.cache_read.input_tokens": 1000,
        "gen_ai.usage.reasoning.output_tokens": 64,
        "gen_ai.usage.cost": 0.000387,
        "gen_ai.usage.total_cost": 0.000387,
        "gen_ai.usage.input_cost": 0.00018,
        "gen_ai.usage.output_cost": 0.000207,
        "gen_ai.response.finish_reason": "stop",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.4125,
        "openrouter.time_to_first_token_ms": 412,
        "openrouter.duration_ms": 1235,
        "openrouter.output_tokens_per_second": 419.674,
        "openrouter.streamed": True,
        "openrouter.provider_name": "OpenAI",
        "openrouter.provider_slug": "openai",
        "openrouter.routing_profile": "cost",
        "openrouter.capabilities": ("tools",),
        "openrouter.funding_source": "credits",
        "openrouter.api_key_name": "backend",
        "openrouter.attempt_count": 1,
        "gen_ai.request.temperature": 0.7,
        "gen_ai.request.max_tokens": 1024,
        "user.id": "user-7",
        "session.id": "session-42",
        "trace.metadata.environment": "production",
        "trace.metadata.feature": "search",
        "trace.metadata.beta": True,
        "trace.metadata.step": 3,
    }


@pytest.mark.parametrize(
    ("api_type", "expected"),
    [
        ("chat", "chat"),
        ("responses", "chat"),
        ("messages", "chat"),
        ("completions", "text_completion"),
        ("embeddings", "embeddings"),
        ("rerank", "rerank"),
    ],
)
def test_the_operation_follows_the_api(api_type: str, expected: str) -> None:
    assert generation(factories.receipt(api_type=api_type)).attributes["gen_ai.operation.name"] == expected


def test_unknown_facts_are_absent_and_never_zero() -> None:
    found = generation(
        factories.receipt(usage=None, cost=None, timing=None, finish_reason=None, attempts=())
    ).attributes
    assert not [key for key in found if key.startswith(("gen_ai.usage.", "gen_ai.response.finish"))]
    assert found["gen_ai.response.id"] == factories.receipt().id


def test_langfuse_gets_the_one_cost_attribute_it_reads() -> None:
    found = generation(factories.receipt(), total_cost_attributes=False).attributes
    assert [key for key in found if "cost" in key] == ["gen_ai.usage.cost"]


@pytest.mark.parametrize("status", ["error", "denied", "cancelled"])
def test_a_failed_request_fails_generation_and_roots(status: str) -> None:
    receipt = factories.full_receipt(
        status=status, error=Error(type="rate_limit", message="Too many requests.")
    )
    tree = made(receipt)
    for name in ("Answer a question", "Look up", "Write"):
        span = tree[name]
        assert (span.status_code, span.status_message) == (2, "Too many requests.")
        assert span.attributes["error.type"] == "rate_limit"
        (event,) = span.events
        assert (event.name, event.time_ns) == ("exception", span.end_ns)
        assert event.attributes == {
            "exception.type": "rate_limit",
            "exception.message": "Too many requests.",
        }


@pytest.mark.parametrize("status", ["denied", "cancelled"])
def test_a_failure_without_words_is_named_by_its_status(status: str) -> None:
    span = generation(factories.receipt(status=status, error=None))
    assert (span.status_code, span.status_message) == (2, status)
    assert span.attributes["error.type"] == status


def test_a_failed_attempt_of_a_request_that_succeeded_is_no_error() -> None:
    failed = made(factories.full_receipt())["provider attempt 1: Azure"]
    assert failed.status_code == 0
    assert failed.attributes["error.type"] == "overloaded"
    assert failed.attributes["http.response.status_code"] == 503


def test_no_child_leaves_its_parent() -> None:
    receipt = factories.receipt(
        duration_us=1_000_000,
        routing=Routing(duration_ms=5000.0),
        attempts=(ProviderAttempt(provider="A", start_ms=900.0, duration_ms=900.0),),
        timing=Timing(first_token_ms=4000.0),
        usage=Usage(output_tokens=10),
    )
    tree = genai.spans(receipt, namespace=NS).spans
    assert all(tree[0].start_ns <= span.start_ns <= span.end_ns <= tree[0].end_ns for span in tree)


def test_content_is_the_conventions_message_json() -> None:
    found = generation(factories.full_receipt()).attributes
    assert json.loads(found["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "What is a receipt?"}]}
    ]
    assert json.loads(found["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "The record of one finished request."}],
            "finish_reason": "stop",
        }
    ]
    assert "gen_ai.prompt" not in found


def test_prompt_and_completion_come_where_the_vendor_reads_them() -> None:
    found = generation(factories.full_receipt(), prompt_attributes=True).attributes
    assert json.loads(found["gen_ai.prompt"]) == {
        "messages": [{"role": "user", "content": "What is a receipt?"}]
    }
    assert json.loads(found["gen_ai.completion"])["completion"] == "The record of one finished request."


def test_content_stored_apart_is_put_back_and_left_out_on_request() -> None:
    whole = factories.full_receipt()
    bare = factories.full_receipt(input=None, output=None)
    assert genai.spans(bare, namespace=NS, content=content(whole)) == genai.spans(whole, namespace=NS)
    without = genai.SpanOptions(content=False)
    assert genai.spans(whole, namespace=NS, options=without) == genai.spans(bare, namespace=NS)


def test_a_callers_key_never_overwrites_ours() -> None:
    trace = {"gen_ai.usage.input_tokens": 1, "session.id": "x", "__proto__": "y", "": "z"}
    found = generation(factories.receipt(trace=trace)).attributes
    assert found["gen_ai.usage.input_tokens"] == 1200
    assert found["session.id"] == "session-42"
    assert found["trace.metadata.gen_ai.usage.input_tokens"] == 1
    assert found["trace.metadata.__proto__"] == "y"
    assert found["trace.metadata."] == "z"


def test_parameters_of_another_type_are_left_out() -> None:
    parameters = {"temperature": "0.7", "max_tokens": 10.0, "seed": True, "stop": "END", "top_k": 5, "x": 1}
    found = generation(factories.receipt(parameters=parameters)).attributes
    sent = {key: value for key, value in found.items() if key.startswith("gen_ai.request.")}
    assert sent == {
        "gen_ai.request.model": "openai/gpt-4o-mini",
        "gen_ai.request.max_tokens": 10,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.top_k": 5.0,
    }


def test_the_marked_spans_never_count_as_generations() -> None:
    for tree in (
        genai.test_span(factories.AT_US, "broadcast-connection-test", NS),
        genai.sample_generation(factories.AT_US, NS),
    ):
        (span,) = tree.spans
        assert "gen_ai.operation.name" not in span.attributes
        assert span.parent_span_id == ""
    assert span.name == "Test Generation"


@settings(max_examples=150, deadline=None)
@given(trace=TRACES, asked=JSON_VALUES, answered=JSON_VALUES, parameters=TRACES)
def test_whatever_a_caller_sends_becomes_spans_that_the_official_types_read(
    trace: dict[str, Any],
    asked: Any,
    answered: Any,
    parameters: dict[str, Any],
) -> None:
    receipt = factories.receipt(trace=trace, input=asked, output=answered, parameters=parameters)
    tree = genai.spans(receipt, namespace=NS, options=genai.SpanOptions(prompt_attributes=True))
    read = oracle.spans_of(oracle.read_json(envelope("json", (otlp.encode(tree),))))
    assert_tree(tree, read)
    found = generation(receipt).attributes
    assert found["gen_ai.usage.input_tokens"] == 1200
    assert len([key for key in found if key.startswith("trace.metadata")]) <= 128


def assert_tree(tree: ResourceSpans, read: list[Any]) -> None:
    """Every span has a valid id of its own and lies inside its parent."""
    by_id = {span.span_id: span for span in read}
    assert len(by_id) == len(tree.spans)
    for span in read:
        assert len(span.trace_id) == 16
        assert any(span.trace_id)
        assert any(span.span_id)
        parent = by_id.get(span.parent_span_id)
        if parent is not None:
            assert parent.start_time_unix_nano <= span.start_time_unix_nano
            assert span.end_time_unix_nano <= parent.end_time_unix_nano
