import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from broadcast.gateway.apis import APIS, Api
from broadcast.gateway.choice import Choice, NoRoute, choose
from broadcast.gateway.measures import Measures
from broadcast.gateway.preferences import BadPreference, wishes_of
from broadcast.gateway.prices import Prices
from broadcast.gateway.upstreams import HttpUpstream, Model, Route
from broadcast.outbound import Outbound, Timeouts

CHAT: frozenset[Api] = frozenset({"chat", "embeddings"})
Choose = Callable[..., list[str]]


def route(
    slug: str, *, apis: frozenset[Api] = CHAT, usd: str | None = None, is_router: bool = False
) -> Route:
    upstream = HttpUpstream(
        name=f"{slug.title()} Inc",
        slug=slug,
        base_url="http://127.0.0.1:1",
        apis=apis,
        is_router=is_router,
        headers={},
        ask_usage=True,
        timeouts=Timeouts(),
        outbound=Outbound(),
    )
    prices = Prices(input=Decimal(usd), output=Decimal(usd)) if usd else None
    return Route(upstream=upstream, model="one", prices=prices)


MODEL = Model(
    id="acme/one",
    name="One",
    system="acme",
    context_length=None,
    routes=(
        route("dear", usd="10"),
        route("cheap", usd="1"),
        route("unpriced"),
        route("anthropic", apis=frozenset({"messages"}), usd="3"),
        route("router", apis=frozenset(APIS), is_router=True),
    ),
)


def chosen(provider: Any = None, *, api: Api = "chat", model: Model = MODEL) -> Choice:
    wishes = wishes_of(json.loads(json.dumps(provider)))
    return choose(model, api, wishes, Measures(lambda: 0), streamed=False)


def slugs(provider: Any = None, *, api: Api = "chat", model: Model = MODEL) -> list[str]:
    return [one.upstream.slug for one in chosen(provider, api=api, model=model).routes]


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        ("chat", ["dear", "cheap", "unpriced", "router"]),
        ("embeddings", ["dear", "cheap", "unpriced", "router"]),
        ("messages", ["anthropic", "router"]),
        ("responses", ["router"]),
    ],
)
def test_only_providers_that_speak_the_api_count(api: Api, expected: list[str]) -> None:
    assert slugs(api=api) == expected


@pytest.mark.parametrize(
    ("spoken", "asked", "places"),
    [
        ({"messages"}, "chat", "Send the request to /api/v1/messages."),
        (
            {"chat", "responses"},
            "messages",
            "Send the request to /api/v1/chat/completions or /api/v1/responses.",
        ),
    ],
)
def test_a_model_that_does_not_answer_here_says_where_it_does(
    spoken: set[Api], asked: Api, places: str
) -> None:
    model = replace(MODEL, routes=(route("one", apis=frozenset(spoken)),))
    with pytest.raises(NoRoute) as refused:
        chosen(api=asked, model=model)
    assert refused.value.reason == "wrong_endpoint"
    assert refused.value.message.startswith("The model acme/one does not answer at /api/v1/")
    assert refused.value.message.endswith(places)


def test_the_declared_order_is_no_profile() -> None:
    assert chosen().profile is None


@pytest.mark.parametrize(
    ("sort", "profile"), [("price", "cost"), ("latency", "latency"), ("throughput", "throughput")]
)
@pytest.mark.parametrize("as_object", [False, True])
def test_a_request_sorts_as_at_openrouter(sort: str, profile: str, as_object: bool) -> None:
    wish = {"sort": {"by": sort, "partition": "model"} if as_object else sort}
    assert chosen(wish).profile == profile
    assert chosen(wish, model=replace(MODEL, profile="balanced")).profile == profile


def test_the_models_own_profile_holds_without_a_wish() -> None:
    model = replace(MODEL, profile="cost")
    assert slugs(model=model) == ["cheap", "dear", "unpriced", "router"]
    assert chosen({"sort": None}, model=model).profile == "cost"


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ({"sort": "price"}, ["cheap", "dear", "unpriced", "router"]),
        ({"order": ["unpriced", "cheap"]}, ["unpriced", "cheap", "dear", "router"]),
        ({"order": ["Cheap Inc", "nobody"]}, ["cheap", "dear", "unpriced", "router"]),
        ({"order": ["CHEAP"], "sort": "price"}, ["cheap", "dear", "unpriced", "router"]),
        ({"order": ["cheap", "dear"], "allow_fallbacks": False}, ["cheap", "dear"]),
        ({"allow_fallbacks": False}, ["dear"]),
        ({"allow_fallbacks": False, "sort": "price"}, ["cheap"]),
        ({"only": ["cheap"]}, ["cheap", "router"]),
        ({"ignore": ["cheap", "dear"]}, ["unpriced", "router"]),
        ({"max_price": {"prompt": "2", "completion": 2}}, ["cheap", "router"]),
        ({"max_price": {"request": 0}}, ["dear", "cheap", "router"]),
        ({"max_price": {"image": 0}}, ["dear", "cheap", "unpriced", "router"]),
        ({"zdr": True}, ["router"]),
        ({"data_collection": "deny"}, ["router"]),
        ({"quantizations": ["fp8"]}, ["router"]),
        ({"enforce_distillable_text": True}, ["router"]),
        (
            {"zdr": False, "data_collection": "allow", "quantizations": [], "sort": "exacto"},
            ["dear", "cheap", "unpriced", "router"],
        ),
        ({"require_parameters": True, "options": {"x": 1}}, ["dear", "cheap", "unpriced", "router"]),
    ],
)
def test_wishes_order_providers_and_leave_them_out(provider: dict[str, Any], expected: list[str]) -> None:
    assert slugs(provider) == expected


def test_candidates_are_those_that_may_serve_it() -> None:
    assert chosen({"allow_fallbacks": False, "ignore": ["dear"]}).candidates == 3


@pytest.mark.parametrize(
    ("provider", "told"),
    [
        ({"only": ["nobody"]}, "`provider.only`"),
        ({"only": ["cheap"], "zdr": True}, "`provider.only` and `provider.zdr`"),
        ({"order": ["nobody"], "allow_fallbacks": False}, "`provider.order`"),
    ],
)
def test_wishes_that_nobody_keeps_to_are_named(provider: dict[str, Any], told: str) -> None:
    model = replace(MODEL, routes=MODEL.routes[:3])
    with pytest.raises(NoRoute) as refused:
        chosen(provider, model=model)
    assert refused.value.reason == "no_provider"
    assert refused.value.message == f"No provider of acme/one keeps to {told}. Wish for less."


@pytest.mark.parametrize(
    ("provider", "field"),
    [
        ("cheap", "provider"),
        (["cheap"], "provider"),
        ({"sort": "fast"}, "provider.sort"),
        ({"sort": {"by": "fast"}}, "provider.sort"),
        ({"sort": 1}, "provider.sort"),
        ({"order": "cheap"}, "provider.order"),
        ({"only": [1]}, "provider.only"),
        ({"allow_fallbacks": "no"}, "provider.allow_fallbacks"),
        ({"max_price": {"prompt": "cheap"}}, "provider.max_price.prompt"),
        ({"max_price": {"completion": -1}}, "provider.max_price.completion"),
        ({"max_price": {"request": "NaN"}}, "provider.max_price.request"),
        ({"zdr": "yes"}, "provider.zdr"),
    ],
)
def test_a_wish_that_is_wrong_is_named(provider: Any, field: str) -> None:
    with pytest.raises(BadPreference) as refused:
        wishes_of(provider)
    assert refused.value.field == field
    assert field in refused.value.message
