"""Which provider comes first, and what it is asked."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from broadcast.gateway.apis import APIS, Api
from tests.broadcast.gateway.conftest import read, receipt_of
from tests.broadcast.gateway.provider import STREAM, Answerer, Handler, Provider, completion
from tests.broadcast.gateway.two_providers import Build, refuses, send, served_by


@dataclass
class Clock:
    """A clock that only providers move on."""

    now_us: int = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now_us


@pytest.mark.parametrize(
    ("model", "fields", "profile", "served"),
    [
        ("", {}, None, "first"),
        ("profile: cost", {}, "cost", "second"),
        ("profile: balanced", {}, "balanced", "first"),
        ("", {"model": "acme/one:floor"}, "cost", "second"),
        ("", {"model": "acme/one:nitro"}, "throughput", "first"),
        ("", {"provider": {"sort": "price"}}, "cost", "second"),
        ("profile: cost", {"provider": {"sort": "latency"}}, "latency", "first"),
        ("", {"provider": {"order": ["second"]}}, None, "second"),
    ],
)
def test_the_profile_orders_the_providers_and_is_told(
    build: Build,
    model: str,
    fields: dict[str, Any],
    profile: str | None,
    served: str,
) -> None:
    receipt = receipt_of(send(build(model=model), **fields))
    assert receipt.provider == served
    assert receipt.model == fields.get("model", "acme/one")
    assert receipt.routing is not None
    assert (receipt.routing.profile, receipt.routing.candidates) == (profile, 2)
    assert receipt.routing.duration_ms is not None
    assert receipt.routing.duration_ms <= receipt.attempts[0].start_ms


@pytest.mark.parametrize("stream", [False, True])
def test_once_both_are_measured_the_first_to_begin_comes_first(
    build: Build, provider: Provider, second: Provider, stream: bool
) -> None:
    clock = Clock()

    def answers_after(took_us: int) -> Answerer:
        def answer(_: Provider, handler: Handler) -> None:
            clock.now_us += took_us
            if stream:
                handler.stream(STREAM)
            else:
                handler.whole(completion())

        return answer

    provider.answerer, second.answerer = answers_after(300_000), answers_after(100_000)
    gateway = build(model="profile: latency", clock=clock)
    tried = []
    for _ in range(4):
        answer = send(gateway, stream=stream)
        read(answer)
        tried += served_by(answer)
    assert tried == ["first", "second", "second", "second"]


def test_the_most_tokens_a_second_come_first(build: Build, provider: Provider, second: Provider) -> None:
    few = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    many = {"prompt_tokens": 1, "completion_tokens": 1_000_000, "total_tokens": 1_000_001}
    provider.answerer = lambda _, handler: handler.whole(completion(usage=few))
    second.answerer = lambda _, handler: handler.whole(completion(usage=many))
    gateway = build(model="profile: throughput")
    assert [served_by(send(gateway)) for _ in range(3)] == [["first"], ["second"], ["second"]]


def test_with_a_profile_a_provider_that_has_just_failed_is_tried_last(
    build: Build, provider: Provider
) -> None:
    provider.answerer = refuses(500)
    gateway = build(model="profile: balanced")
    assert [served_by(send(gateway)) for _ in range(2)] == [["first", "second"], ["second"]]


def test_what_a_client_has_to_mend_does_not_count_against_a_provider(
    build: Build, provider: Provider
) -> None:
    provider.answerer = refuses(400)
    gateway = build(model="profile: balanced")
    assert [served_by(send(gateway)) for _ in range(2)] == [["first"], ["first"]]


def test_without_a_profile_the_order_of_the_file_always_holds(build: Build, provider: Provider) -> None:
    provider.answerer = refuses(500)
    gateway = build()
    assert [served_by(send(gateway)) for _ in range(2)] == [["first", "second"]] * 2


@pytest.mark.parametrize(("model", "sent"), [("acme/one", False), ("acme/every", True)])
def test_only_a_router_gets_the_wishes(
    build: Build, provider: Provider, second: Provider, model: str, sent: bool
) -> None:
    wish = {"sort": "price", "only": ["second", "somebody"]}
    send(build(), model=model, provider=wish)
    [body] = [*provider.bodies, *second.bodies]
    assert body.get("provider") == (wish if sent else None)


def test_a_wrong_wish_is_named(build: Build) -> None:
    answer = send(build(), provider={"sort": "fast"})
    error = json.loads(read(answer))["error"]
    assert (answer.status, error["metadata"]["field"]) == (422, "provider.sort")
    receipt = receipt_of(answer)
    assert (receipt.status, receipt.routing) == ("error", None)


@pytest.mark.parametrize("api", [api for api in APIS if api != "messages"])
def test_a_model_is_refused_where_it_does_not_answer(build: Build, api: Api) -> None:
    answer = send(build(), api, model="acme/claude")
    error = json.loads(read(answer))["error"]
    assert (answer.status, error["metadata"]["reason"]) == (404, "wrong_endpoint")
    assert error["message"].endswith("Send the request to /api/v1/messages.")
    assert receipt_of(answer).status == "error"


def test_anthropics_style_has_its_path_and_its_headers(build: Build, second: Provider) -> None:
    send(build(), "messages", model="acme/claude")
    [headers] = second.headers
    assert (headers["x-api-key"], headers["anthropic-version"]) == ("sk-ant", "2023-06-01")
    assert "authorization" not in headers
    assert second.paths == ["/v1/messages"]


@pytest.mark.parametrize(
    ("api", "path"),
    [
        ("chat", "/v1/chat/completions"),
        ("messages", "/v1/messages"),
        ("responses", "/v1/responses"),
        ("embeddings", "/v1/embeddings"),
    ],
)
def test_every_api_has_its_path(build: Build, second: Provider, api: Api, path: str) -> None:
    send(build(), api, model="acme/every")
    assert second.paths == [path]
