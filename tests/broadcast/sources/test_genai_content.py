"""Messages are found wherever an instrumentation puts them, and go out as the conventions' own."""

import json
from typing import Any

import pytest

from broadcast import messages
from broadcast.receipt import Receipt
from broadcast.sources.genai_content import content_of
from broadcast.span import Attributes, Event, Span
from tests.broadcast.sources.spans import SPAN, TRACE, event, harvest, span

BARE = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
ASKED = [
    {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
    {"role": "user", "parts": [{"type": "text", "content": "Hello?"}]},
]
ANSWERED = [{"role": "assistant", "parts": [{"type": "text", "content": "Hi."}], "finish_reason": "stop"}]
CALL = {"type": "tool_call", "name": "look", "id": "call_1", "arguments": {"at": "sky"}}
CALLED = [{"role": "assistant", "parts": [CALL], "finish_reason": "tool_call"}]


def read(attributes: dict[str, Any], *events: dict[str, Any]) -> Receipt:
    found = harvest(span({**BARE, **attributes}, events=list(events)))
    assert found.refused == {}
    [tree] = found.trees
    return tree.receipt


def sent(receipt: Receipt) -> tuple[Any, Any]:
    """Return the messages as they would go out."""
    found: Attributes = {}
    messages.add_content(found, receipt, prompt_attributes=False)
    asked, answered = found.get("gen_ai.input.messages"), found.get("gen_ai.output.messages")
    return asked and json.loads(asked), answered and json.loads(answered)


OPENAI_ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}]


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.input.messages": json.dumps(ASKED), "gen_ai.output.messages": json.dumps(ANSWERED)},
        {"gen_ai.input.messages": ASKED, "gen_ai.output.messages": ANSWERED},
        {
            "gen_ai.system_instructions": json.dumps(ASKED[0]["parts"]),
            "gen_ai.input.messages": json.dumps(ASKED[1:]),
            "gen_ai.output.messages": json.dumps(ANSWERED),
        },
        {
            "gen_ai.prompt": json.dumps({"messages": OPENAI_ASKED}),
            "gen_ai.completion": json.dumps({"completion": "Hi.", "reasoning": None}),
        },
        {"gen_ai.prompt": json.dumps(OPENAI_ASKED), "gen_ai.completion": "Hi."},
        {
            "gen_ai.prompt.0.role": "system",
            "gen_ai.prompt.0.content": "Be brief.",
            "gen_ai.prompt.1.role": "user",
            "gen_ai.prompt.1.content": json.dumps([{"type": "text", "text": "Hello?"}]),
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "Hi.",
            "gen_ai.completion.0.finish_reason": "stop",
        },
        {
            "llm.input_messages.0.message.role": "system",
            "llm.input_messages.0.message.content": "Be brief.",
            "llm.input_messages.1.message.role": "user",
            "llm.input_messages.1.message.contents.0.message_content.type": "text",
            "llm.input_messages.1.message.contents.0.message_content.text": "Hello?",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.content": "Hi.",
            "input.value": "a copy",
            "output.value": "a copy",
        },
        {"input.value": json.dumps({"messages": OPENAI_ASKED}), "output.value": "Hi."},
        {"span.input": json.dumps({"messages": OPENAI_ASKED}), "span.output": "Hi."},
        {"langfuse.observation.input": json.dumps(OPENAI_ASKED), "langfuse.observation.output": "Hi."},
        {"ai.prompt.messages": json.dumps(OPENAI_ASKED), "ai.response.text": "Hi."},
        {"traceloop.entity.input": json.dumps(OPENAI_ASKED), "traceloop.entity.output": "Hi."},
    ],
    ids=[
        "today",
        "structured",
        "instructions",
        "openrouter",
        "prompt",
        "indexed",
        "openinference",
        "input.value",
        "span.input",
        "langfuse",
        "vercel",
        "traceloop",
    ],
)
def test_messages_in_attributes(attributes: dict[str, Any]) -> None:
    assert sent(read(attributes)) == (ASKED, ANSWERED)


@pytest.mark.parametrize(
    "events",
    [
        [
            event("gen_ai.system.message", content="Be brief."),
            event("gen_ai.user.message", content="Hello?"),
            event("gen_ai.choice", index=0, finish_reason="stop", message=json.dumps({"content": "Hi."})),
        ],
        [
            event("gen_ai.system.message", **{"gen_ai.event.content": json.dumps({"content": "Be brief."})}),
            event("gen_ai.user.message", **{"gen_ai.event.content": json.dumps({"content": "Hello?"})}),
            event(
                "gen_ai.choice",
                **{
                    "gen_ai.event.content": json.dumps(
                        {"finish_reason": "stop", "message": {"content": "Hi."}}
                    )
                },
            ),
        ],
        [
            event("gen_ai.content.prompt", **{"gen_ai.prompt": json.dumps(OPENAI_ASKED)}),
            event("gen_ai.content.completion", **{"gen_ai.completion": json.dumps([{"content": "Hi."}])}),
        ],
        [
            event(
                "gen_ai.client.inference.operation.details",
                **{
                    "gen_ai.input.messages": json.dumps(ASKED),
                    "gen_ai.output.messages": json.dumps(ANSWERED),
                },
            )
        ],
    ],
    ids=["messages", "azure", "content", "details"],
)
def test_messages_in_events(events: list[dict[str, Any]]) -> None:
    assert sent(read({}, *events)) == (ASKED, ANSWERED)


FUNCTION = {"name": "look", "arguments": '{"at": "sky"}'}


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.output.messages": json.dumps(CALLED)},
        {
            "gen_ai.completion": json.dumps(
                {"completion": "", "toolCalls": [{"id": "call_1", "type": "function", "function": FUNCTION}]}
            ),
            "gen_ai.response.finish_reason": "tool_calls",
        },
        {
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.finish_reason": "tool_calls",
            "gen_ai.completion.0.tool_calls.0.id": "call_1",
            "gen_ai.completion.0.tool_calls.0.name": "look",
            "gen_ai.completion.0.tool_calls.0.arguments": '{"at": "sky"}',
        },
        {
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.tool_calls.0.tool_call.id": "call_1",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "look",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"at": "sky"}',
            "llm.finish_reason": "tool_calls",
        },
    ],
    ids=["today", "openrouter", "indexed", "openinference"],
)
def test_calls_of_tools(attributes: dict[str, Any]) -> None:
    assert sent(read(attributes))[1] == CALLED


def test_the_answer_of_a_tool_is_told_with_its_call() -> None:
    asked = read({}, event("gen_ai.tool.message", id="call_1", content="blue"))
    assert sent(asked)[0] == [
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": "blue", "id": "call_1"}]}
    ]


def test_embedded_texts_are_what_was_asked() -> None:
    told = {"embedding.embeddings.0.embedding.text": "one", "embedding.embeddings.1.embedding.text": "two"}
    assert read({"openinference.span.kind": "EMBEDDING", **told}).input == ["one", "two"]


def test_nothing_said_is_no_content() -> None:
    receipt = read({})
    assert (receipt.input, receipt.output) == (None, None)


@pytest.mark.parametrize("text", ["{not json", '{"a": 1', "[" * 100 + "]" * 100, "plain"])
def test_what_is_no_json_is_kept_as_text(text: str) -> None:
    assert read({"gen_ai.completion": text}).output == text


def test_a_number_too_wide_for_others_is_kept_as_text() -> None:
    assert read({"gen_ai.completion": '{"a": ' + "9" * 30 + "}"}).output == {"a": "9" * 30}


def test_attributes_that_contradict_each_other_lose_no_request() -> None:
    told = {"gen_ai.prompt.0": "a", "gen_ai.prompt.0.role": "user", "gen_ai.prompt.x.y": "b"}
    assert read(told).model == "gpt-4o"


def test_what_a_span_says_counts_before_its_events_and_an_earlier_event_before_a_later_one() -> None:
    receipt = read(
        {"gen_ai.prompt": "of the span"},
        event("gen_ai.content.prompt", **{"gen_ai.prompt": "of an event"}),
        event("gen_ai.content.completion", **{"gen_ai.completion": "first"}),
        event("gen_ai.content.completion", **{"gen_ai.completion": "second"}),
    )
    assert (receipt.input, receipt.output) == ("of the span", "first")


def test_many_events_are_gathered_without_copying_what_came_before() -> None:
    copied: list[int] = []

    class Counting(dict[str, Any]):
        def __or__(self, other: Any) -> Any:
            copied.append(len(other))
            return super().__or__(other)

    events = tuple(
        Event(name="gen_ai.content.prompt", time_ns=0, attributes=Counting({f"key {number}": number}))
        for number in range(100)
    )
    content_of(Span(trace_id=TRACE, span_id=SPAN, name="chat", kind=3, start_ns=0, end_ns=1, events=events))
    assert sum(copied) < 200
