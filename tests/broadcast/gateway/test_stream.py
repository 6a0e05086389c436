"""Streams as providers really send them: in odd pieces, with other line ends, broken."""

import json
from collections.abc import Callable

import pytest

from tests.broadcast.gateway.conftest import Chat, read, receipt_of
from tests.broadcast.gateway.provider import DONE, STREAM, USAGE, Provider, delta, event

WORDS = "Grüße, 世界 🌍"
EVENTS = [
    delta(role="assistant", content=""),
    b'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % WORDS.encode(),
    delta("stop"),
    DONE,
]


def crlf(events: bytes) -> bytes:
    return events.replace(b"\n", b"\r\n")


def cr(events: bytes) -> bytes:
    return events.replace(b"\n", b"\r")


def lf(events: bytes) -> bytes:
    return events


@pytest.mark.parametrize("ends", [lf, crlf, cr])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_pieces_of_any_size_with_any_line_end(
    provider: Provider, chat: Chat, size: int, ends: Callable[[bytes], bytes]
) -> None:
    whole = ends(b"".join(EVENTS))
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    provider.answerer = lambda _, handler: handler.stream(pieces)
    answer = chat(stream=True)
    body = read(answer)
    receipt = receipt_of(answer)
    assert body == whole.replace(b"chatcmpl-1", receipt.id.encode())
    assert (receipt.status, receipt.output) == ("succeeded", [{"role": "assistant", "content": WORDS}])


@pytest.mark.parametrize(
    "odd",
    [
        b": OPENROUTER PROCESSING\n\n",
        b":\n\n",
        b"\n",
        b"\n\n\n",
        b"event: ping\ndata: {}\n\n",
        b"data:\n\n",
        b"data: null\n\n",
        b"data: 7\n\n",
        b"data: [1, 2]\n\n",
        b"data: not JSON\n\n",
        b'data: {"broken": \n\n',
        b'data: {"choices": "none"}\n\n',
        b'data: {"choices": [null, 7, {"delta": 7}, {"index": -1, "delta": {"content": 7}}]}\n\n',
        b'data: {"usage": "many"}\n\n',
        b'data: {"model": 7, "id": null}\n\n',
        b"data: \xff\xfe{}\n\n",
        b'data: {"x": "\xff"}\n\n',
        b'data: {"x": "\\ud800\\u0000"}\n\n',
        b'data: {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n",
        b"retry: 10\nid: 7\n\n",
        b"garbage without a colon\n\n",
    ],
)
def test_an_odd_event_harms_neither_answer_nor_receipt(provider: Provider, chat: Chat, odd: bytes) -> None:
    events = [EVENTS[0], odd, *EVENTS[1:]]
    provider.answerer = lambda _, handler: handler.stream(events)
    answer = chat(stream=True)
    body = read(answer)
    receipt = receipt_of(answer)
    assert WORDS.encode() in body
    assert body.endswith(DONE)
    assert receipt.status == "succeeded"
    assert receipt.output[0]["content"] == WORDS


def test_events_without_an_empty_line_between_them_are_read_one_by_one(
    provider: Provider, chat: Chat
) -> None:
    whole = b"".join(EVENTS).replace(b"\n\n", b"\n") + b"\n"
    provider.answerer = lambda _, handler: handler.stream([whole])
    answer = chat(stream=True)
    body = read(answer)
    receipt = receipt_of(answer)
    assert body == whole.replace(b"chatcmpl-1", receipt.id.encode())
    assert (receipt.status, receipt.output[0]["content"]) == ("succeeded", WORDS)


def test_an_event_over_several_lines_is_one_document(provider: Provider, chat: Chat) -> None:
    lines = (
        b'data: {"id":\ndata:  "chatcmpl-1", "choices":\n'
        b'data: [{"index": 0, "delta": {"content": "Hi"}}]}\n\n'
    )
    provider.answerer = lambda _, handler: handler.stream([lines, delta("stop"), DONE])
    answer = chat(stream=True)
    body = read(answer)
    receipt = receipt_of(answer)
    assert body.startswith(lines.replace(b"chatcmpl-1", receipt.id.encode()))
    assert receipt.output[0]["content"] == "Hi"


def test_a_last_event_without_its_empty_line_still_counts(provider: Provider, chat: Chat) -> None:
    provider.answerer = lambda _, handler: handler.stream([*EVENTS[:2], delta("stop").rstrip()])
    answer = chat(stream=True)
    assert read(answer).endswith(b"}")
    receipt = receipt_of(answer)
    assert (receipt.status, receipt.finish_reason) == ("succeeded", "stop")


@pytest.mark.parametrize("end", [b"", b'data: {"id": "chatcmpl-1", "choi', b"data: garbage"])
def test_a_stream_that_ends_early_is_an_error_with_what_came(
    provider: Provider, chat: Chat, end: bytes
) -> None:
    provider.answerer = lambda _, handler: handler.stream([*EVENTS[:2], end] if end else EVENTS[:2])
    answer = chat(stream=True)
    last = json.loads(read(answer).rstrip().rpartition(b"data: ")[2])
    receipt = receipt_of(answer)
    assert (last["id"], last["error"]["code"]) == (receipt.id, 502)
    assert receipt.error is not None
    assert (receipt.status, receipt.error.type) == ("error", "connection_lost")
    assert receipt.output[0]["content"] == WORDS


def test_a_stream_of_nothing_but_garbage_is_an_error(provider: Provider, chat: Chat) -> None:
    provider.answerer = lambda _, handler: handler.stream([b"<html>", b"\n\n", b"</html>"])
    answer = chat(stream=True)
    assert b"<html>" in read(answer)
    assert receipt_of(answer).status == "error"


def test_an_event_without_end_is_cut_off(
    provider: Provider, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broadcast.gateway.stream._EVENT_BYTES", 1000)
    provider.answerer = lambda _, handler: handler.stream([b"data: " + b"x" * 2000] * 12)
    answer = chat(stream=True)
    read(answer)
    receipt = receipt_of(answer)
    assert receipt.error is not None
    assert (receipt.status, receipt.error.type) == ("error", "too_large")


def test_a_provider_that_repeats_its_usage_is_counted_once(provider: Provider, chat: Chat) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
    events = [
        event(choices=[{"index": 0, "delta": {"content": "Hi"}}], usage=usage),
        *STREAM[3:4],
        USAGE,
        DONE,
    ]
    provider.answerer = lambda _, handler: handler.stream(events)
    answer = chat(stream=True)
    read(answer)
    told = receipt_of(answer).usage
    assert told is not None
    assert (told.input_tokens, told.output_tokens, told.total_tokens) == (10, 2, 12)


def test_several_choices_are_kept_apart(provider: Provider, chat: Chat) -> None:
    events = [
        event(choices=[{"index": 1, "delta": {"content": "B"}}]),
        event(choices=[{"index": 0, "delta": {"content": "A"}}, {"index": 1, "delta": {"content": "b"}}]),
        event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
        DONE,
    ]
    provider.answerer = lambda _, handler: handler.stream(events)
    answer = chat(stream=True)
    read(answer)
    assert [message["content"] for message in receipt_of(answer).output] == ["A", "Bb"]
