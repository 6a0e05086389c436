import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.broadcast.gateway.conftest import Ask, Chat, read, receipt_of


def chunks(body: bytes) -> Iterator[Any]:
    for line in body.splitlines():
        if line.startswith(b"data: {"):
            yield json.loads(line[6:])


def test_echo_says_the_same_streamed_and_not(chat: Chat) -> None:
    whole = json.loads(read(chat(model="demo/echo")))
    streamed = "".join(
        choice["delta"].get("content", "")
        for chunk in chunks(read(chat(model="demo/echo", stream=True)))
        for choice in chunk["choices"]
    )
    assert whole["choices"][0]["message"]["content"] == "You said: Hi" == streamed


@pytest.mark.parametrize("stream", [False, True])
def test_echo_has_usage_and_a_price(chat: Chat, stream: bool) -> None:
    answer = chat(model="demo/echo", stream=stream)
    read(answer)
    receipt = receipt_of(answer)
    assert receipt.usage is not None
    assert (receipt.usage.input_tokens, receipt.usage.output_tokens) == (5, 3)
    assert receipt.cost is not None
    assert receipt.cost.total_nano_usd == 5 * 150 + 3 * 600


def test_echo_stops_at_max_tokens(chat: Chat) -> None:
    choice = json.loads(read(chat(model="demo/echo", max_tokens=2)))["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("You said:", "length")


def test_flaky_is_answered_by_its_second_provider(chat: Chat) -> None:
    receipt = receipt_of(chat(model="demo/flaky"))
    assert [(attempt.provider, attempt.status_code) for attempt in receipt.attempts] == [
        ("Demo Down", 503),
        ("Demo", 200),
    ]


def test_fail_fails(chat: Chat) -> None:
    answer = chat(model="demo/fail")
    assert (answer.status, receipt_of(answer).status) == (503, "error")


def test_slow_takes_its_time_over_several_chunks(chat: Chat) -> None:
    answer = chat(model="demo/slow", stream=True)
    body = read(answer)
    receipt = receipt_of(answer)
    assert len(list(chunks(body))) >= 4
    assert 1_400_000 <= receipt.duration_us <= 2_500_000
    assert receipt.timing is not None
    assert receipt.timing.first_token_ms is not None
    assert receipt.timing.first_token_ms < receipt.duration_us / 2000


def embed(ask: Ask, **fields: Any) -> tuple[int, Any]:
    answer = ask("embeddings", {"model": "demo/echo", **fields})
    return answer.status, json.loads(read(answer))


@pytest.mark.parametrize(("inputs", "dimensions"), [(2048, 128), (64, 4096), (2048, None), (1, 1)])
def test_as_many_numbers_as_a_demo_may_make_are_made(ask: Ask, inputs: int, dimensions: int | None) -> None:
    status, answer = embed(ask, input=["Hi"] * inputs, dimensions=dimensions)
    assert status == 200
    assert [len(each["embedding"]) for each in answer["data"]] == [dimensions or 8] * inputs


@pytest.mark.parametrize(
    ("inputs", "dimensions", "words"),
    [
        (2049, 1, "`input` has 2049 texts: send at most 2048"),
        (2048, 129, "more than 262144 numbers: send fewer texts"),
        (65, 4096, "more than 262144 numbers: send fewer texts"),
        (1, 4097, "`dimensions` must be a whole number from 1 to 4096"),
        (1, 0, "`dimensions` must be a whole number from 1 to 4096"),
        (1, "8", "`dimensions` must be a whole number from 1 to 4096"),
    ],
)
def test_more_than_a_demo_may_make_is_refused_in_words(
    ask: Ask, inputs: int, dimensions: Any, words: str
) -> None:
    status, answer = embed(ask, input=["Hi"] * inputs, dimensions=dimensions)
    assert status == 400
    assert words in answer["error"]["message"]


@pytest.mark.parametrize("limits", [{}, {"max_tokens": 10**9}])
@pytest.mark.parametrize("stream", [False, True])
def test_echo_stops_after_twenty_thousand_words(chat: Chat, stream: bool, limits: dict[str, int]) -> None:
    long = [{"role": "user", "content": "a " * 30_000}]
    answer = chat(model="demo/echo", messages=long, stream=stream, **limits)
    read(answer)
    receipt = receipt_of(answer)
    assert receipt.usage is not None
    assert (receipt.usage.input_tokens, receipt.usage.output_tokens) == (30_004, 20_000)
    assert receipt.finish_reason == "length"
