"""Anthropic's shape, over a real provider that speaks it."""

import json
from typing import Any

import pytest

from broadcast.messages import output_messages
from tests.broadcast.gateway.conftest import Ask, read, receipt_of
from tests.broadcast.gateway.provider import Provider

BODY: dict[str, Any] = {
    "model": "acme/any",
    "max_tokens": 100,
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "Weather?"}],
}
USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 20,
    "cache_read_input_tokens": 300,
    "output_tokens": 7,
    "output_tokens_details": {"thinking_tokens": 3},
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "up-2026",
    "content": [
        {"type": "thinking", "thinking": "Hm", "signature": "sig"},
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "tu_1", "name": "weather", "input": {"city": "Rome"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": USAGE,
}


def named(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def block(index: int, begun: dict[str, Any], *deltas: dict[str, Any]) -> list[bytes]:
    return [
        named("content_block_start", index=index, content_block=begun),
        *(named("content_block_delta", index=index, delta=delta) for delta in deltas),
        named("content_block_stop", index=index),
    ]


START = named(
    "message_start",
    message={**MESSAGE, "content": [], "stop_reason": None, "usage": {**USAGE, "output_tokens": 1}},
)
STREAM = [
    START,
    named("ping"),
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "H"},
        {"type": "thinking_delta", "thinking": "m"},
        {"type": "signature_delta", "signature": "sig"},
    ),
    *block(
        1,
        {"type": "text", "text": ""},
        {"type": "text_delta", "text": "Let me "},
        {"type": "text_delta", "text": "look."},
    ),
    *block(
        2,
        {"type": "tool_use", "id": "tu_1", "name": "weather", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"city": '},
        {"type": "input_json_delta", "partial_json": '"Rome"}'},
    ),
    named(
        "message_delta",
        delta={"stop_reason": "tool_use", "stop_sequence": None},
        usage={"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 3}},
    ),
    named("message_stop"),
]


def test_an_answer_passes_as_it_came_but_for_its_id(provider: Provider, ask: Ask) -> None:
    body = json.dumps(MESSAGE, indent=1).encode()
    provider.answerer = lambda _, handler: handler.whole(body)
    answer = ask("messages", BODY)
    assert answer.body == body.replace(b"msg_1", receipt_of(answer).id.encode())


def test_only_the_beginning_of_a_stream_names_the_answer(provider: Provider, ask: Ask) -> None:
    provider.answerer = lambda _, handler: handler.stream(STREAM)
    answer = ask("messages", {**BODY, "stream": True})
    assert read(answer) == b"".join(STREAM).replace(b"msg_1", receipt_of(answer).id.encode())


@pytest.mark.parametrize("stream", [False, True])
def test_the_receipt_is_the_same_streamed_and_not(provider: Provider, ask: Ask, stream: bool) -> None:
    provider.answerer = lambda _, handler: handler.stream(STREAM) if stream else handler.whole(MESSAGE)
    answer = ask("messages", {**BODY, "stream": stream})
    read(answer)
    receipt = receipt_of(answer)
    assert (receipt.api_type, receipt.status, receipt.response_model) == ("messages", "succeeded", "up-2026")
    assert (receipt.finish_reason, receipt.native_finish_reason) == ("tool_calls", "tool_use")
    assert receipt.attempts[0].id == "msg_1"
    assert receipt.usage is not None
    assert (receipt.usage.input_tokens, receipt.usage.output_tokens, receipt.usage.total_tokens) == (
        330,
        7,
        337,
    )
    assert (receipt.usage.cache_read_tokens, receipt.usage.cache_write_tokens) == (300, 20)
    assert receipt.usage.reasoning_tokens == 3
    assert receipt.cost is not None
    assert receipt.cost.total_nano_usd == (10 * 2 + 300 * 1 + 20 * 4 + 7 * 10) * 1000
    assert receipt.input == {"system": "Be brief.", "messages": BODY["messages"]}
    assert receipt.output == [
        {"role": "assistant", "content": MESSAGE["content"], "stop_reason": "tool_use"},
    ]
    assert output_messages(receipt.output, "stop")[0]["parts"] == [
        {"type": "reasoning", "content": "Hm"},
        {"type": "text", "content": "Let me look."},
        {"type": "tool_call", "name": "weather", "id": "tu_1", "arguments": {"city": "Rome"}},
    ]


def test_the_first_token_is_the_first_thing_generated(provider: Provider, ask: Ask) -> None:
    provider.answerer = lambda _, handler: handler.stream(STREAM, pause_s=0.02)
    answer = ask("messages", {**BODY, "stream": True})
    read(answer)
    timing = receipt_of(answer).timing
    assert timing is not None
    assert timing.first_token_ms is not None
    assert timing.provider_headers_ms is not None
    assert timing.first_token_ms - timing.provider_headers_ms >= 40


def test_the_user_is_taken_from_where_anthropic_has_it_and_goes_no_further(
    provider: Provider, ask: Ask
) -> None:
    provider.answerer = lambda _, handler: handler.whole(MESSAGE)
    ours = {"trace": {"team": "ops"}, "session_id": "s-1"}
    receipt = receipt_of(ask("messages", {**BODY, **ours, "metadata": {"user_id": "u-1"}}))
    assert (receipt.user, receipt.session_id, receipt.trace) == ("u-1", "s-1", {"team": "ops"})
    assert provider.bodies == [{**BODY, "model": "up"}]


def test_our_own_name_for_the_user_wins_and_other_metadata_goes_on(provider: Provider, ask: Ask) -> None:
    provider.answerer = lambda _, handler: handler.whole(MESSAGE)
    fields = {**BODY, "user": "u-2", "metadata": {"user_id": "u-1", "odd": 1.50}}
    assert receipt_of(ask("messages", fields)).user == "u-2"
    assert provider.bodies == [{**BODY, "model": "up", "metadata": {"odd": 1.5}}]


def test_the_version_and_the_betas_of_the_request_go_with_it(provider: Provider, ask: Ask) -> None:
    provider.answerer = lambda _, handler: handler.whole(MESSAGE)
    ask(
        "messages",
        BODY,
        {"Anthropic-Version": "2023-06-01", "anthropic-beta": "a-1,b-2", "x-api-key": "sk-x"},
    )
    [headers] = provider.headers
    assert (headers["anthropic-version"], headers["anthropic-beta"]) == ("2023-06-01", "a-1,b-2")
    assert "x-api-key" not in headers


@pytest.mark.parametrize(
    ("native", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("something_new", "something_new"),
    ],
)
def test_the_reason_of_the_end_is_said_in_common_words(
    provider: Provider, ask: Ask, native: str, reason: str
) -> None:
    provider.answerer = lambda _, handler: handler.whole({**MESSAGE, "stop_reason": native})
    receipt = receipt_of(ask("messages", BODY))
    assert (receipt.finish_reason, receipt.native_finish_reason) == (reason, native)


def test_a_client_that_leaves_after_the_last_event_has_its_answer(provider: Provider, ask: Ask) -> None:
    provider.answerer = lambda _, handler: handler.stream([*STREAM, named("ping")], pause_s=0.01)
    answer = ask("messages", {**BODY, "stream": True})
    assert not isinstance(answer.body, bytes)
    for piece in answer.body:
        if b"message_stop" in piece:
            break
    answer.body.close()
    assert receipt_of(answer).status == "succeeded"


def test_a_client_that_leaves_in_the_middle_leaves_the_cost_unknown(provider: Provider, ask: Ask) -> None:
    provider.answerer = lambda _, handler: handler.stream(STREAM, pause_s=0.02)
    answer = ask("messages", {**BODY, "stream": True})
    assert not isinstance(answer.body, bytes)
    next(iter(answer.body))
    answer.body.close()
    receipt = receipt_of(answer)
    assert receipt.usage is not None
    assert (receipt.status, receipt.usage.input_tokens, receipt.usage.output_tokens, receipt.cost) == (
        "cancelled",
        330,
        None,
        None,
    )


def test_the_first_count_holds_where_no_later_one_is_told(provider: Provider, ask: Ask) -> None:
    ending = named("message_delta", delta={"stop_reason": "end_turn"})
    provider.answerer = lambda _, handler: handler.stream([START, ending, STREAM[-1]])
    answer = ask("messages", {**BODY, "stream": True})
    read(answer)
    usage = receipt_of(answer).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (330, 1)


def test_an_error_within_a_stream_makes_the_request_fail(provider: Provider, ask: Ask) -> None:
    overloaded = named("error", error={"type": "overloaded_error", "message": "Overloaded"})
    provider.answerer = lambda _, handler: handler.stream([*STREAM[:6], overloaded])
    answer = ask("messages", {**BODY, "stream": True})
    assert read(answer).endswith(overloaded)
    receipt = receipt_of(answer)
    assert receipt.error is not None
    assert (receipt.status, receipt.error.type, receipt.error.message) == (
        "error",
        "overloaded_error",
        "Overloaded",
    )


def test_a_stream_that_breaks_off_ends_with_anthropics_event(provider: Provider, ask: Ask) -> None:
    provider.answerer = lambda _, handler: handler.stream(STREAM[:9], breaks=True)
    answer = ask("messages", {**BODY, "stream": True})
    last = read(answer).decode().rstrip().rpartition("event: ")[2]
    name, _, data = last.partition("\ndata: ")
    assert (name, json.loads(data)["error"]["type"]) == ("error", "api_error")
    receipt = receipt_of(answer)
    assert (receipt.status, receipt.attempts[0].error_type) == ("error", "connection_lost")
    assert receipt.usage is not None
    assert receipt.usage.input_tokens == 330
    assert receipt.output[0]["content"][1] == {"type": "text", "text": "Let me "}


def test_a_refusal_reads_like_one_of_anthropics(ask: Ask) -> None:
    body = json.loads(read(ask("messages", {**BODY, "model": "acme/none"})))
    assert (body["type"], body["error"]["type"]) == ("error", "not_found_error")
    assert (body["error"]["code"], body["error"]["metadata"]["reason"]) == (404, "model_not_found")
