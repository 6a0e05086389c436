"""OpenAI's Responses, over a real provider that speaks them."""

import json
from typing import Any

import pytest

from broadcast.gateway import Gateway
from broadcast.messages import input_messages, output_messages
from tests.broadcast.gateway.conftest import AKey, Ask, now_us, read, receipt_of
from tests.broadcast.gateway.provider import DONE, Provider

BODY: dict[str, Any] = {"model": "acme/any", "instructions": "Be brief.", "input": "Weather?"}
REASONING = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}
WORDS = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}],
}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "call_id": "c_1",
    "name": "weather",
    "arguments": '{"city":"Rome"}',
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "up-2026",
    "output": [REASONING, WORDS, CALL],
    "usage": {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 40},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 8},
        "total_tokens": 120,
    },
}
BEGUN = {**RESPONSE, "status": "in_progress", "output": [], "usage": None}


def stream_of(*told: dict[str, Any]) -> list[bytes]:
    return [
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n".encode()
        for number, event in enumerate(told)
    ]


def item(index: int, whole: dict[str, Any], kind: str, *deltas: str) -> list[dict[str, Any]]:
    empty = {name: value for name, value in whole.items() if name not in {"content", "summary", "arguments"}}
    of_item = {"output_index": index, "item_id": whole["id"]}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": empty},
        *({"type": f"response.{kind}.delta", **of_item, "delta": delta} for delta in deltas),
        {"type": "response.output_item.done", "output_index": index, "item": whole},
    ]


EVENTS: list[dict[str, Any]] = [
    {"type": "response.created", "response": BEGUN},
    {"type": "response.in_progress", "response": BEGUN},
    *item(0, REASONING, "reasoning_summary_text", "H", "m"),
    *item(1, WORDS, "output_text", "Let me ", "look."),
    *item(2, CALL, "function_call_arguments", '{"city":', '"Rome"}'),
    {"type": "response.completed", "response": RESPONSE},
]
STREAM = stream_of(*EVENTS)


@pytest.mark.parametrize("stream", [False, True])
def test_only_the_responses_id_changes(provider: Provider, ask: Ask, stream: bool) -> None:
    sent = b"".join(STREAM) if stream else json.dumps(RESPONSE, indent=1).encode()
    provider.answerer = lambda _, handler: handler.stream(STREAM) if stream else handler.whole(sent)
    answer = ask("responses", {**BODY, "stream": stream})
    assert read(answer) == sent.replace(b"resp_1", receipt_of(answer).id.encode())


@pytest.mark.parametrize("stream", [False, True])
def test_the_receipt_is_the_same_streamed_and_not(provider: Provider, ask: Ask, stream: bool) -> None:
    provider.answerer = lambda _, handler: handler.stream(STREAM) if stream else handler.whole(RESPONSE)
    answer = ask("responses", {**BODY, "stream": stream})
    read(answer)
    receipt = receipt_of(answer)
    assert (receipt.api_type, receipt.status, receipt.response_model) == ("responses", "succeeded", "up-2026")
    assert (receipt.finish_reason, receipt.native_finish_reason) == ("tool_calls", "completed")
    assert receipt.attempts[0].id == "resp_1"
    assert receipt.usage is not None
    assert (receipt.usage.input_tokens, receipt.usage.output_tokens, receipt.usage.total_tokens) == (
        100,
        20,
        120,
    )
    assert (receipt.usage.cache_read_tokens, receipt.usage.reasoning_tokens) == (40, 8)
    assert receipt.cost is not None
    assert receipt.cost.total_nano_usd == (60 * 2 + 40 * 1 + 20 * 10) * 1000
    assert receipt.input == {"instructions": "Be brief.", "input": "Weather?"}
    assert [message["role"] for message in input_messages(receipt.input)] == ["system", "user"]
    assert output_messages(receipt.output, "tool_call") == [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "Hm"},
                {"type": "text", "content": "Let me look."},
                {"type": "tool_call", "name": "weather", "id": "c_1", "arguments": {"city": "Rome"}},
            ],
            "finish_reason": "tool_call",
        }
    ]


def test_what_is_ours_never_reaches_a_provider(provider: Provider, ask: Ask) -> None:
    provider.answerer = lambda _, handler: handler.whole(RESPONSE)
    ours = {"trace": {"team": "ops"}, "session_id": "s-1", "user": "u-1"}
    receipt = receipt_of(ask("responses", {**BODY, **ours, "metadata": {"theirs": "kept"}}))
    assert (receipt.user, receipt.session_id, receipt.trace) == ("u-1", "s-1", {"team": "ops"})
    assert provider.bodies == [{**BODY, "model": "up", "metadata": {"theirs": "kept"}}]


@pytest.mark.parametrize(
    ("previous", "sent"), [("gen-1", "resp_earlier"), ("gen-2", "gen-2"), ("resp_x", "resp_x"), (None, None)]
)
def test_a_response_is_continued_under_the_providers_own_id(
    gateway: Gateway, provider: Provider, previous: str | None, sent: str | None
) -> None:
    provider.answerer = lambda _, handler: handler.whole(RESPONSE)
    gateway.serve(
        "responses",
        json.dumps({**BODY, "previous_response_id": previous}).encode(),
        workspace_id=1,
        key=AKey(),
        headers={},
        now_us=now_us(),
        upstream_id={"gen-1": "resp_earlier"}.get,
    )
    assert provider.bodies[0]["previous_response_id"] == sent


@pytest.mark.parametrize(
    ("told", "reason", "native"),
    [
        ({"output": [WORDS]}, "stop", "completed"),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "length",
            "max_output_tokens",
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "content_filter",
            "content_filter",
        ),
        ({"status": "queued", "output": []}, None, None),
    ],
)
def test_the_reason_of_the_end_is_said_in_common_words(
    provider: Provider, ask: Ask, told: dict[str, Any], reason: str | None, native: str | None
) -> None:
    provider.answerer = lambda _, handler: handler.whole({**RESPONSE, **told})
    receipt = receipt_of(ask("responses", BODY))
    assert (receipt.status, receipt.finish_reason, receipt.native_finish_reason) == (
        "succeeded",
        reason,
        native,
    )


def test_a_failed_response_is_a_failed_request_under_our_id(provider: Provider, ask: Ask) -> None:
    told = {"status": "failed", "error": {"code": "server_error", "message": "Broke."}, "output": []}
    events = stream_of(EVENTS[0], {"type": "response.failed", "response": {**RESPONSE, **told}})
    provider.answerer = lambda _, handler: handler.stream(events)
    answer = ask("responses", {**BODY, "stream": True})
    body = read(answer)
    receipt = receipt_of(answer)
    assert body == b"".join(events).replace(b"resp_1", receipt.id.encode())
    assert receipt.error is not None
    assert (receipt.status, receipt.finish_reason) == ("error", "error")
    assert (receipt.error.message, receipt.error.code) == ("Broke.", "server_error")


def test_a_stream_may_end_as_chat_does(provider: Provider, ask: Ask) -> None:
    provider.answerer = lambda _, handler: handler.stream([*STREAM, DONE])
    answer = ask("responses", {**BODY, "stream": True})
    assert read(answer).endswith(DONE)
    assert receipt_of(answer).status == "succeeded"


def test_a_stream_that_breaks_off_tells_what_came(provider: Provider, ask: Ask) -> None:
    cut = [*EVENTS[:2], *item(0, WORDS, "output_text", "Let me ")[:-1]]
    provider.answerer = lambda _, handler: handler.stream(stream_of(*cut), breaks=True)
    answer = ask("responses", {**BODY, "stream": True})
    last = json.loads(read(answer).rstrip().rpartition(b"data: ")[2])
    assert (last["type"], last["code"], last["sequence_number"]) == ("error", "provider_unavailable", 4)
    receipt = receipt_of(answer)
    assert receipt.status == "error"
    assert output_messages(receipt.output, "error")[0]["parts"] == [{"type": "text", "content": "Let me "}]


def test_an_error_event_makes_the_request_fail(provider: Provider, ask: Ask) -> None:
    events = stream_of(EVENTS[0], {"type": "error", "code": "rate_limit", "message": "Slow.", "param": None})
    provider.answerer = lambda _, handler: handler.stream(events)
    answer = ask("responses", {**BODY, "stream": True})
    read(answer)
    receipt = receipt_of(answer)
    assert receipt.error is not None
    assert (receipt.status, receipt.error.message, receipt.error.code) == ("error", "Slow.", "rate_limit")


@pytest.mark.parametrize("asked", [None, "", [], 7, {}])
def test_a_request_without_input_is_refused_by_name(ask: Ask, asked: Any) -> None:
    answer = ask("responses", {**BODY, "input": asked})
    error = json.loads(read(answer))["error"]
    assert (answer.status, error["metadata"]["field"]) == (422, "input")


def test_a_stored_prompt_stands_for_input(provider: Provider, ask: Ask) -> None:
    provider.answerer = lambda _, handler: handler.whole(RESPONSE)
    prompt = {"id": "pmpt_1", "variables": {"city": "Rome"}}
    receipt = receipt_of(ask("responses", {"model": "acme/any", "prompt": prompt}))
    assert (receipt.status, receipt.input) == ("succeeded", {"prompt": prompt})
