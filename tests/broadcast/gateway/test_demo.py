import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.broadcast.gateway.conftest import Chat, read, receipt_of


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
