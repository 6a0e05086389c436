"""A provider's words about the router's own credential, which may quote it, reach nobody."""

import json
from typing import Any

import pytest

from broadcast.gateway.apis import APIS, Api
from tests.broadcast.gateway.conftest import read, receipt_of
from tests.broadcast.gateway.provider import DONE, STREAM, Answerer, Provider, completion
from tests.broadcast.gateway.two_providers import Build, refuses, send, served_by

SECRET = "sk-ours-1234"
WORDS = f"Incorrect API key provided: {SECRET}."
OWN_FAULT = "The provider refused the router's credential."
ERRORS: list[dict[str, Any]] = [
    {"error": {"code": 401, "message": WORDS}},
    {"error": {"code": 402, "message": WORDS, "metadata": {"raw": WORDS}}},
    {"error": {"code": 403, "message": WORDS}},
    {"error": {"code": "invalid_api_key", "type": "invalid_request_error", "message": WORDS}},
    {"type": "error", "error": {"type": "authentication_error", "message": WORDS}},
    {"type": "error", "error": {"type": "permission_error", "message": WORDS}},
    {"type": "error", "error": {"type": "billing_error", "message": WORDS}},
]
IDS = range(len(ERRORS))


def streams(*events: bytes) -> Answerer:
    return lambda _, handler: handler.stream(events)


def data(document: Any) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


@pytest.mark.parametrize("error", ERRORS, ids=IDS)
@pytest.mark.parametrize("api", APIS)
def test_an_error_inside_an_answer_is_told_in_our_words(
    build: Build, provider: Provider, second: Provider, api: Api, error: dict[str, Any]
) -> None:
    provider.answerer = second.answerer = refuses(200, error)
    answer = send(build(), api, model="acme/claude" if api == "messages" else "acme/one")
    receipt = receipt_of(answer)
    assert answer.status == 502
    assert OWN_FAULT in json.loads(read(answer))["error"]["message"]
    assert {attempt.error_message for attempt in receipt.attempts} == {OWN_FAULT}
    assert SECRET not in f"{answer.body!r} {receipt!r}"


def test_it_is_no_answer_even_where_no_other_provider_is_asked(build: Build, provider: Provider) -> None:
    provider.answerer = refuses(200, ERRORS[0])
    answer = send(build(model="fallback_on: [timeout]"))
    assert (answer.status, served_by(answer)) == (502, ["first"])
    assert SECRET not in f"{answer.body!r} {receipt_of(answer)!r}"


@pytest.mark.parametrize("error", ERRORS, ids=IDS)
def test_a_stream_that_begins_with_it_is_answered_by_the_next_provider(
    build: Build, provider: Provider, second: Provider, error: dict[str, Any]
) -> None:
    provider.answerer = streams(b": waiting\n\n" + data(error))
    second.answerer = streams(*STREAM)
    answer = send(build(), stream=True)
    body, receipt = read(answer), receipt_of(answer)
    assert (receipt.status, receipt.provider) == ("succeeded", "second")
    assert [attempt.error_message for attempt in receipt.attempts] == [OWN_FAULT, None]
    assert SECRET.encode() not in body


@pytest.mark.parametrize("error", ERRORS, ids=IDS)
@pytest.mark.parametrize("before", [b": OPENROUTER PROCESSING\n\n", STREAM[1]], ids=["comment", "words"])
def test_a_stream_that_comes_to_it_tells_it_in_our_words(
    build: Build, provider: Provider, before: bytes, error: dict[str, Any]
) -> None:
    choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
    lines = data({**error, "choices": [choice]}).replace(b"{", b"{\ndata: ", 1)
    provider.answerer = lambda _, handler: handler.stream([before, lines, DONE], pause_s=0.05)
    answer = send(build(), stream=True)
    body, receipt = read(answer), receipt_of(answer)
    assert OWN_FAULT.encode() in body
    assert body.endswith(DONE)
    assert receipt.error is not None
    assert (receipt.status, receipt.error.message) == ("error", OWN_FAULT)
    assert SECRET not in f"{body!r} {receipt!r}"


def test_an_event_that_is_the_error_itself_is_told_in_our_words(build: Build, provider: Provider) -> None:
    error = {"type": "error", "code": "invalid_api_key", "message": WORDS, "sequence_number": 1}
    begins = data({"type": "response.created", "response": {}})
    provider.answerer = streams(b": waiting\n\n", begins, data(error))
    answer = send(build(), "responses", stream=True)
    body, receipt = read(answer), receipt_of(answer)
    assert OWN_FAULT.encode() in body
    assert SECRET not in f"{body!r} {receipt!r}"


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_with_it_passes_without_its_words(build: Build, provider: Provider, status: int) -> None:
    provider.answerer = refuses(status, {**completion(), **ERRORS[3]})
    answer = send(build(model="fallback_on: [timeout]"))
    assert answer.status == status
    assert OWN_FAULT.encode() in read(answer)
    assert SECRET not in f"{answer.body!r} {receipt_of(answer)!r}"
