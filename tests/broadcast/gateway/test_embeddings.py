"""Embeddings, over a real provider that makes them."""

import json
from typing import Any

import pytest

from tests.broadcast.gateway.conftest import Ask, read, receipt_of
from tests.broadcast.gateway.provider import STREAM, Provider

BODY: dict[str, Any] = {"model": "acme/any", "input": ["one", "two"], "dimensions": 2}
ANSWER = {
    "object": "list",
    "model": "up-2026",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
    "usage": {"prompt_tokens": 1000, "total_tokens": 1000},
}


def test_an_answer_gets_an_id_and_keeps_every_other_byte(provider: Provider, ask: Ask) -> None:
    body = json.dumps(ANSWER).encode()
    provider.answerer = lambda _, handler: handler.whole(body)
    answer = ask("embeddings", BODY)
    assert answer.body == b'{"id":"%s",' % receipt_of(answer).id.encode() + body[1:]


def test_the_receipt_has_input_and_cost_and_no_vectors(provider: Provider, ask: Ask) -> None:
    provider.answerer = lambda _, handler: handler.whole(ANSWER)
    receipt = receipt_of(ask("embeddings", {**BODY, "user": "u-1", "trace": {"team": "ops"}}))
    assert (receipt.api_type, receipt.status, receipt.user) == ("embeddings", "succeeded", "u-1")
    assert (receipt.input, receipt.output) == ({"input": ["one", "two"]}, None)
    assert receipt.parameters == {"dimensions": 2}
    assert receipt.usage is not None
    assert (receipt.usage.input_tokens, receipt.usage.output_tokens) == (1000, 0)
    assert receipt.cost is not None
    assert (receipt.cost.total_nano_usd, receipt.cost.output_nano_usd) == (2_000_000, 0)
    assert provider.bodies == [{**BODY, "model": "up"}]


@pytest.mark.parametrize("asked", [None, "", [], 7, {}])
def test_a_request_without_input_is_refused_by_name(ask: Ask, asked: Any) -> None:
    answer = ask("embeddings", {**BODY, "input": asked})
    error = json.loads(read(answer))["error"]
    assert (answer.status, error["metadata"]["field"]) == (422, "input")


def test_a_stream_is_no_answer(provider: Provider, ask: Ask) -> None:
    provider.answerer = lambda _, handler: handler.stream(STREAM)
    answer = ask("embeddings", {**BODY, "stream": True})
    assert answer.status == 502
    assert receipt_of(answer).status == "error"
