import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast import genai, otlp, otlp_protobuf, truncation
from broadcast.errors import ReceiptError
from broadcast.receipt import Error
from broadcast.span import ResourceSpans, Span
from tests import factories

LONG = 'é"\n' * 20_000


def tree(limit: int = 65_536, **overrides: Any) -> ResourceSpans:
    options = genai.SpanOptions(max_attribute_bytes=limit)
    return genai.spans(factories.receipt(**overrides), namespace="openrouter", options=options)


def marks(span: Span) -> tuple[str, ...]:
    (event,) = [event for event in span.events if event.name == "openrouter.trace_truncated"]
    keys: tuple[str, ...] = event.attributes["keys"]
    return keys


def test_what_fits_is_left_alone() -> None:
    made = tree()
    assert truncation.cut_attributes(made, limit=65_536) is made
    assert truncation.fit(made, encode=otlp.encode, max_bytes=100_000) == otlp.encode(made)


def test_a_long_value_is_cut_marked_and_said() -> None:
    span = tree(1000, trace={"note": LONG, "short": "x"}).spans[0]
    cut = span.attributes["trace.metadata.note"]
    assert len(cut.encode()) <= 1000
    assert cut.endswith("[truncated]")
    assert span.attributes["trace.metadata.note.truncated"] is True
    assert span.attributes["trace.metadata.short"] == "x"
    assert marks(span) == ("trace.metadata.note",)


def test_content_that_was_cut_is_still_messages() -> None:
    asked = [{"role": "user", "content": LONG} for _ in range(5)]
    span = tree(2000, input=asked, output=LONG).spans[0]
    for key in ("gen_ai.input.messages", "gen_ai.output.messages"):
        assert len(span.attributes[key].encode()) <= 2000
        assert all(message["parts"] for message in json.loads(span.attributes[key]))
    assert marks(span) == ("gen_ai.input.messages", "gen_ai.output.messages")


def test_of_very_many_messages_the_last_ones_stay() -> None:
    asked = [{"role": "user", "content": f"question {index}"} for index in range(500)]
    messages = json.loads(tree(2000, input=asked).spans[0].attributes["gen_ai.input.messages"])
    assert "messages omitted" in messages[0]["parts"][0]["content"]
    assert messages[-1]["parts"][0]["content"] == "question 499"


def test_content_goes_first_then_metadata() -> None:
    made = tree(input=LONG, trace={"note": "n" * 2000})
    only_content = json.loads(truncation.fit(made, encode=otlp.encode, max_bytes=12_000))
    (event,) = only_content["scopeSpans"][0]["spans"][0]["events"]
    assert event["attributes"][0]["value"]["arrayValue"]["values"] == [
        {"stringValue": "gen_ai.input.messages"}
    ]
    both = truncation.fit(made, encode=otlp.encode, max_bytes=5000)
    assert b"trace.metadata.note.truncated" in both


@settings(max_examples=40, deadline=None)
@given(
    max_bytes=st.integers(6000, 60_000),
    size=st.integers(0, 20_000),
    keys=st.integers(0, 300),
    message=st.integers(0, 20_000),
)
def test_whatever_is_too_long_fits_in_the_end(max_bytes: int, size: int, keys: int, message: int) -> None:
    made = tree(
        input="é" * size,
        output=[{"content": '"' * size}],
        status="error",
        error=Error(type="x", message="m" * (message + 1)),
        trace={f"k{index}" * 10: "v" * (size // 10) for index in range(keys)},
    )
    for encode in (otlp.encode, otlp_protobuf.encode):
        encoded = truncation.fit(made, encode=encode, max_bytes=max_bytes)
        assert len(encoded) <= max_bytes
        assert b"gen_ai.usage.input_tokens" in encoded


def test_a_receipt_is_refused_only_when_the_bare_facts_do_not_fit() -> None:
    with pytest.raises(ReceiptError, match="does not fit into 500 bytes"):
        truncation.fit(tree(), encode=otlp.encode, max_bytes=500)


@given(value=st.text(st.characters(exclude_categories=["Cs"])), limit=st.integers(0, 40))
def test_cut_text_is_within_its_limit(value: str, limit: int) -> None:
    assert (
        len(truncation.cut_text(value, limit).encode()) <= limit or truncation.cut_text(value, limit) == value
    )
