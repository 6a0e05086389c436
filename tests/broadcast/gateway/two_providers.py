"""Requests of every API to a gateway over two providers, and what a provider may answer."""

import json
from collections.abc import Callable
from typing import Any

from broadcast.gateway import Answer, Gateway
from broadcast.gateway.apis import Api
from tests.broadcast.gateway.conftest import AKey, now_us, receipt_of
from tests.broadcast.gateway.provider import Answerer

Build = Callable[..., Gateway]
ASKED: dict[Api, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "Hi"}]},
    "messages": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9},
    "responses": {"input": "Hi"},
    "embeddings": {"input": "Hi"},
}


def send(gateway: Gateway, api: Api = "chat", *, model: str = "acme/one", **fields: Any) -> Answer:
    body = json.dumps({"model": model, **ASKED[api], **fields}).encode()
    return gateway.serve(api, body, workspace_id=1, key=AKey(), headers={}, now_us=now_us())


def served_by(answer: Answer) -> list[str]:
    return [attempt.provider for attempt in receipt_of(answer).attempts]


def refuses(status: int, document: Any = None, **headers: str) -> Answerer:
    told = {"error": {"message": "No."}} if document is None else document
    return lambda _, handler: handler.whole(told, status, **headers)
