import json
import re
from typing import Any

import msgspec
import pytest

from broadcast.gateway import Gateway
from broadcast.gateway.watch import Watched
from broadcast.receipt import Error
from broadcast.trace_context import trace_id_of
from tests.broadcast.gateway.conftest import AKey, Chat, now_us, read, receipt_of
from tests.broadcast.gateway.provider import (
    DONE,
    STREAM,
    USAGE,
    Handler,
    Provider,
    completion,
    delta,
    event,
)


def test_an_answer_passes_as_it_came_but_for_its_id(provider: Provider, chat: Chat) -> None:
    body = (
        b'{\n  "id" : "chatcmpl-1","choices":[ {"index":0,"message":{"id":"x","content":"\\u00e9"}}],'
        b'"odd":1.50}'
    )
    provider.answerer = lambda _, handler: handler.whole(body)
    answer = chat()
    receipt = receipt_of(answer)
    assert re.fullmatch(r"gen-\d{10}-[0-9A-Za-z]{20}", receipt.id)
    assert answer.body == body.replace(b"chatcmpl-1", receipt.id.encode())


def test_the_receipt_tells_the_whole_request(provider: Provider, chat: Chat) -> None:
    answer = chat(
        {
            "X-Session-Id": "s-header",
            "HTTP-Referer": "https://app.example",
            "X-Title": "App",
            "User-Agent": "sdk/1",
            "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        },
        user="u-1",
        trace={"trace_name": "Nightly", "team": "ops"},
        temperature=0.5,
        tools=[{"type": "function", "function": {"name": "f"}}],
        response_format={"type": "json_schema", "json_schema": {}},
    )
    receipt = receipt_of(answer)
    assert (receipt.status, receipt.model, receipt.response_model) == ("succeeded", "acme/one", "up-2026")
    assert (receipt.provider, receipt.provider_slug, receipt.system) == ("First", "first", "acme")
    assert (receipt.user, receipt.session_id) == ("u-1", "s-header")
    assert receipt.trace == {"trace_name": "Nightly", "team": "ops"}
    assert receipt.parameters == {"temperature": 0.5, "tools_offered": 1}
    assert receipt.capabilities == ("structured_outputs", "tools")
    assert receipt.app is not None
    assert (receipt.app.referer, receipt.app.title, receipt.user_agent) == (
        "https://app.example",
        "App",
        "sdk/1",
    )
    assert receipt.api_key is not None
    assert receipt.api_key.name == "My key"
    assert receipt.usage is not None
    assert (receipt.usage.input_tokens, receipt.usage.output_tokens, receipt.usage.total_tokens) == (
        1000,
        100,
        1100,
    )
    assert (receipt.usage.cache_read_tokens, receipt.usage.reasoning_tokens) == (200, 40)
    assert receipt.finish_reason == "stop"
    assert receipt.input == [{"role": "user", "content": "Hi"}]
    assert receipt.output == [{"role": "assistant", "content": "Hello."}]
    [attempt] = receipt.attempts
    assert (attempt.id, attempt.status_code, attempt.model) == ("chatcmpl-1", 200, "up")
    assert attempt.start_ms + attempt.duration_ms <= receipt.duration_us / 1000
    assert answer.headers["X-Trace-Id"] == "0af7651916cd43dd8448eb211c80319c" == trace_id_of(receipt)


def test_what_is_ours_never_reaches_a_provider(provider: Provider, chat: Chat) -> None:
    chat(
        {
            "Authorization": "Bearer sk-ours",
            "X-Session-Id": "s",
            "Cookie": "a=b",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        },
        trace={"a": 1},
        session_id="s",
        user="u",
        seed=7,
    )
    assert provider.bodies == [{"model": "up", "messages": [{"role": "user", "content": "Hi"}], "seed": 7}]
    [headers] = provider.headers
    assert headers["authorization"] == "Bearer sk-upstream"
    assert not {"x-session-id", "cookie", "traceparent"} & headers.keys()


def test_the_session_in_the_body_wins(chat: Chat) -> None:
    assert receipt_of(chat({"x-session-id": "header"}, session_id="body")).session_id == "body"


def test_a_stream_passes_as_it_came_but_for_its_ids(provider: Provider, chat: Chat) -> None:
    events = [b": OPENROUTER PROCESSING\n\n", STREAM[1].replace(b"\n", b"\r\n"), STREAM[3], USAGE, DONE]
    provider.answerer = lambda _, handler: handler.stream(events)
    answer = chat(stream=True, stream_options={"include_usage": True})
    body = read(answer)
    assert body == b"".join(events).replace(b"chatcmpl-1", receipt_of(answer).id.encode())
    assert answer.headers["Content-Type"] == "text/event-stream"


def test_usage_is_asked_for_and_hidden_when_the_client_did_not_ask(provider: Provider, chat: Chat) -> None:
    provider.answerer = lambda _, handler: handler.stream(STREAM)
    answer = chat(stream=True)
    body = read(answer)
    receipt = receipt_of(answer)
    assert provider.bodies[0]["stream_options"] == {"include_usage": True}
    assert body == b"".join([*STREAM[:4], DONE]).replace(b"chatcmpl-1", receipt.id.encode())
    assert receipt.usage is not None
    assert receipt.usage.total_tokens == 12


def test_a_stream_is_measured(provider: Provider, chat: Chat) -> None:
    provider.answerer = lambda _, handler: handler.stream(STREAM, pause_s=0.05)
    answer = chat(stream=True)
    read(answer)
    receipt = receipt_of(answer)
    assert receipt.streamed
    assert receipt.status == "succeeded"
    assert receipt.timing is not None
    assert receipt.timing.first_token_ms is not None
    assert 50 <= receipt.timing.first_token_ms <= receipt.duration_us / 1000 - 100
    assert receipt.output == [{"role": "assistant", "content": "Hello."}]
    [attempt] = receipt.attempts
    assert attempt.duration_ms >= 200


def test_chunks_go_out_as_they_come(provider: Provider, chat: Chat) -> None:
    provider.answerer = lambda _, handler: handler.stream(STREAM, pause_s=0.02)
    answer = chat(stream=True)
    assert isinstance(answer.body, Watched)
    assert len(list(answer.body)) == 5
    answer.body.close()


def test_streamed_tool_calls_are_put_together(provider: Provider, chat: Chat) -> None:
    events = [
        delta(
            role="assistant",
            tool_calls=[{"index": 0, "id": "c1", "function": {"name": "look", "arguments": ""}}],
        ),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"a":'}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": "1}"}}]),
        delta("tool_calls", reasoning="Hm"),
        DONE,
    ]
    provider.answerer = lambda _, handler: handler.stream(events)
    answer = chat(stream=True)
    read(answer)
    [message] = receipt_of(answer).output
    function = {"name": "look", "arguments": '{"a":1}'}
    assert message["tool_calls"] == [{"id": "c1", "type": "function", "function": function}]
    assert message["reasoning"] == "Hm"


def test_a_client_that_goes_away_leaves_a_cancelled_receipt(provider: Provider, chat: Chat) -> None:
    provider.answerer = lambda _, handler: handler.stream(STREAM, pause_s=0.02)
    answer = chat(stream=True)
    assert isinstance(answer.body, Watched)
    next(answer.body)
    answer.body.close()
    receipt = receipt_of(answer)
    assert receipt.status == "cancelled"
    assert receipt.cost is None
    assert [attempt.provider for attempt in receipt.attempts] == ["First"]


def test_a_client_that_goes_away_before_the_first_byte_is_cancelled_too(
    provider: Provider, chat: Chat
) -> None:
    provider.answerer = lambda _, handler: handler.stream(STREAM)
    answer = chat(stream=True)
    assert isinstance(answer.body, Watched)
    answer.body.close()
    assert receipt_of(answer).status == "cancelled"


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 503, 302])
@pytest.mark.parametrize("stream", [False, True])
def test_the_next_provider_is_tried(
    provider: Provider, second: Provider, chat: Chat, status: int, stream: bool
) -> None:
    provider.answerer = lambda _, handler: handler.whole({"error": {"message": "Busy."}}, status)
    second.answerer = lambda _, handler: handler.stream(STREAM) if stream else handler.whole(completion())
    answer = chat(stream=stream)
    read(answer)
    receipt = receipt_of(answer)
    assert (answer.status, receipt.status, receipt.provider) == (200, "succeeded", "second")
    assert [(item.status_code, item.error_type) for item in receipt.attempts] == [
        (status, str(status)),
        (200, None),
    ]
    assert receipt.cost is None  # the second has no price: unknown, never 0


def breaks_at_once(_: Provider, handler: Handler) -> None:
    handler.stream([], breaks=True)


def sends_a_page(_: Provider, handler: Handler) -> None:
    handler.whole(b"<html>")


@pytest.mark.parametrize(
    ("answerer", "reason"),
    [(breaks_at_once, "connection_lost"), (sends_a_page, "bad_answer")],
)
def test_a_provider_without_a_usable_first_byte_is_passed_over(
    provider: Provider, chat: Chat, answerer: Any, reason: str
) -> None:
    provider.answerer = answerer
    receipt = receipt_of(chat(stream=answerer is breaks_at_once))
    assert [attempt.error_type for attempt in receipt.attempts][:1] == [reason]


def test_a_refused_connection_is_passed_over(gateway: Gateway, chat: Chat, provider: Provider) -> None:
    model = gateway._upstreams.models["acme/one"]
    first = model.routes[0]
    object.__setattr__(first.upstream, "base_url", "http://127.0.0.1:1/v1")
    receipt = receipt_of(chat())
    assert [attempt.error_type for attempt in receipt.attempts] == ["connection_failed", None]
    assert receipt.attempts[0].status_code is None


def test_when_every_provider_fails_the_client_learns_why(
    provider: Provider, second: Provider, chat: Chat
) -> None:
    provider.answerer = lambda _, handler: handler.whole({"error": {"message": "Down."}}, 500)
    second.answerer = lambda _, handler: handler.whole(
        {"error": {"message": "Slow down."}}, 429, Retry_After="7"
    )
    answer = chat()
    error = json.loads(read(answer))["error"]
    assert (answer.status, error["code"], answer.headers["Retry-After"]) == (429, 429, "7")
    assert error["message"] == "No provider could answer. second: Slow down."
    receipt = receipt_of(answer)
    assert receipt.status == "error"
    assert receipt.error is not None
    assert len(receipt.attempts) == 2


def test_a_refused_credential_of_ours_is_not_the_clients_fault(second: Provider, chat: Chat) -> None:
    second.answerer = lambda _, handler: handler.whole({"error": {"message": "Incorrect key sk-up"}}, 401)
    answer = chat(model="acme/free")
    assert answer.status == 502
    assert b"sk-up" not in read(answer)


def test_an_answer_that_the_client_must_mend_passes_as_it_came(provider: Provider, chat: Chat) -> None:
    body = (
        b'{"error": {"message":"Too long.", "type":"invalid_request_error","code":"context_length_exceeded"}}'
    )
    provider.answerer = lambda _, handler: handler.whole(body, 400)
    answer = chat()
    assert (answer.status, answer.body) == (400, body)
    receipt = receipt_of(answer)
    assert receipt.status == "error"
    assert receipt.error is not None
    assert (receipt.error.type, receipt.error.code) == ("invalid_request_error", "context_length_exceeded")


def test_a_stream_that_breaks_off_ends_with_an_error_event(provider: Provider, chat: Chat) -> None:
    provider.answerer = lambda _, handler: handler.stream(STREAM[:2], breaks=True)
    answer = chat(stream=True)
    last = json.loads(read(answer).rstrip().rpartition(b"data: ")[2])
    receipt = receipt_of(answer)
    assert (last["error"]["code"], last["id"]) == (502, receipt.id)
    assert (receipt.status, receipt.attempts[0].error_type) == ("error", "connection_lost")


def test_an_error_inside_a_stream_makes_the_request_fail(provider: Provider, chat: Chat) -> None:
    broken = b'data: {"error":{"message":"Overloaded","code":529}}\n\n'
    provider.answerer = lambda _, handler: handler.stream([STREAM[1], broken])
    answer = chat(stream=True)
    assert read(answer).endswith(broken)
    receipt = receipt_of(answer)
    assert receipt.error is not None
    assert (receipt.status, receipt.error.message) == ("error", "Overloaded")


def test_the_cost_is_the_providers_own_where_it_tells_one(provider: Provider, chat: Chat) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.0042}
    provider.answerer = lambda _, handler: handler.whole(completion(usage=usage))
    cost = receipt_of(chat()).cost
    assert cost is not None
    assert (cost.total_nano_usd, cost.estimated) == (4_200_000, None)


def test_the_cost_is_computed_from_prices_otherwise(chat: Chat) -> None:
    cost = receipt_of(chat()).cost
    assert cost is not None
    assert (cost.input_nano_usd, cost.output_nano_usd) == (800 * 1500 + 200 * 500, 100 * 6000)
    assert (cost.total_nano_usd, cost.estimated) == (1_900_000, True)


def test_an_unknown_model_is_refused_and_recorded(chat: Chat) -> None:
    answer = chat(model="acme/none")
    assert answer.status == 404
    assert json.loads(read(answer))["error"]["metadata"]["reason"] == "model_not_found"
    assert receipt_of(answer).status == "error"


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({"model": None}, "model"),
        ({"model": "x" * 257}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"trace": "x"}, "trace"),
        ({"stream": "yes"}, "stream"),
        ({"session_id": "x" * 257}, "session_id"),
        ({"user": 7}, "user"),
    ],
)
def test_a_wrong_field_is_named(chat: Chat, fields: dict[str, Any], at_fault: str) -> None:
    answer = chat(**fields)
    error = json.loads(read(answer))["error"]
    assert (answer.status, error["code"], error["metadata"]["field"]) == (422, 422, at_fault)
    receipt = receipt_of(answer)
    assert (receipt.status, receipt.error) == (
        "error",
        Error(type="invalid_request", message=error["message"], code=422),
    )


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"a":' * 100_000, b"null", b'{"model":NaN}'])
def test_what_is_not_a_json_object_is_refused(gateway: Gateway, body: bytes) -> None:
    answer = gateway.serve("chat", body, workspace_id=1, key=AKey(), headers={}, now_us=now_us())
    assert answer.status == 400


def test_content_that_no_database_takes_is_mended_in_the_receipt(gateway: Gateway) -> None:
    body = (
        b'{"model":"demo/echo","messages":[{"role":"user","content":"a\\u0000b\\ud800c"}],'
        b'"trace":{"n":1e999},"user":"u\\u0000"}'
    )
    answer = gateway.serve("chat", body, workspace_id=1, key=AKey(), headers={}, now_us=now_us())
    receipt = receipt_of(answer)
    assert receipt.input == [{"role": "user", "content": "a�b�c"}]
    assert receipt.user == "u�"


def test_a_large_image_does_not_make_a_large_receipt(provider: Provider, chat: Chat) -> None:
    url = "data:image/png;base64," + "A" * 2_000_000
    part = {"type": "image_url", "image_url": {"url": url}}
    receipt = receipt_of(chat(messages=[{"role": "user", "content": [part]}]))
    assert provider.bodies[0]["messages"][0]["content"][0]["image_url"]["url"] == url
    assert len(msgspec.json.encode(receipt.input)) < 1000


def test_slots_are_given_back_when_a_stream_ends_or_is_left(provider: Provider, chat: Chat) -> None:
    provider.answerer = lambda _, handler: handler.stream(STREAM)
    streams = [chat(stream=True), chat(stream=True)]
    refused = chat(stream=True)
    assert (refused.status, refused.headers["Retry-After"]) == (503, "2")
    assert receipt_of(refused).error == Error(
        type="unavailable", message=json.loads(read(refused))["error"]["message"], code=503
    )
    assert chat(stream=True, workspace_id=2).status == 200
    assert chat(workspace_id=3).status == 503
    for answer in streams:
        assert isinstance(answer.body, Watched)
        answer.body.close()
        answer.body.close()
    assert chat(stream=True).status == 200


def test_connections_are_used_again(provider: Provider, chat: Chat) -> None:
    provider.answerer = lambda _, handler: handler.stream(STREAM)
    for _ in range(3):
        read(chat(stream=True))
    assert len(provider.connections) == 1


def test_an_event_in_odd_pieces_is_put_together(provider: Provider, chat: Chat) -> None:
    whole = b"".join([event(choices=[]), *STREAM[1:]])
    provider.answerer = lambda _, handler: handler.stream(
        [whole[at : at + 7] for at in range(0, len(whole), 7)]
    )
    answer = chat(stream=True, stream_options={"include_usage": True})
    assert read(answer) == whole.replace(b"chatcmpl-1", receipt_of(answer).id.encode())
