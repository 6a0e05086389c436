"""Providers, models and prices, from the file `BROADCAST_UPSTREAMS` names (YAML).

providers:
  openai:                                # the slug
    name: OpenAI                         # as shown; the slug when left out
    base_url: https://api.openai.com/v1  # `/chat/completions`, `/responses` or `/embeddings` is appended
    api_key: ${OPENAI_API_KEY}           # or the text; leave out where none is needed
    headers: {OpenAI-Project: proj_1}    # more headers; values may hold ${VAR}
    ask_usage: true                      # false where `stream_options` is refused
    connect_timeout_s: 10                # to a connection
    headers_timeout_s: 300               # to the beginning of an answer; `read_timeout_s` when left out
    read_timeout_s: 300                  # longest silence within an answer
    total_timeout_s: 1800                # to the end of an answer
  anthropic:
    style: anthropic                     # `/messages`, with `x-api-key` and `anthropic-version`
    base_url: https://api.anthropic.com/v1
    api_key: ${ANTHROPIC_API_KEY}
  openrouter:
    style: openrouter                    # all four APIs; gets a request's `provider` object
    base_url: https://openrouter.ai/api/v1
    api_key: ${OPENROUTER_API_KEY}
  local:
    base_url: http://127.0.0.1:8000/v1
    apis: [chat, embeddings]             # or messages, responses; by the style when left out
fallback_on: [connect, timeout, rate_limit, server_error, credential, not_found, bad_answer]
models:
  openai/gpt-4o-mini:                    # the name clients ask for
    name: GPT-4o mini
    system: openai                       # the maker; the part before `/` when left out
    context_length: 128000
    profile: latency                     # balanced, cost, latency or throughput; as declared when left out
    fallback_on: [connect, timeout, server_error, context_length]  # the file's when left out
    providers:                           # tried in this order unless a profile orders them
      - provider: openai
        model: gpt-4o-mini               # the provider's own name; ours when left out
        usd_per_million: {input: 0.15, output: 0.60, cache_read: 0.075}
      - provider: openrouter             # no price: the provider's own `usage.cost`, else the cost is unknown
  anthropic/claude-sonnet-4:
    providers:
      - provider: anthropic
        model: claude-sonnet-4-20250514
        usd_per_million: {input: 3, output: 15, cache_read: 0.30, cache_write: 3.75, cache_write_1h: 6}
        usd_per_request: 0
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from broadcast import declared_file
from broadcast.gateway.apis import APIS, Api
from broadcast.gateway.failures import FAILURES, FALLBACK_ON
from broadcast.gateway.prices import Prices
from broadcast.gateway.profiles import PROFILES
from broadcast.gateway.upstream_form import (
    SETTING,
    FileForm,
    ModelForm,
    ProviderForm,
    RouteForm,
    declared,
    listed,
    word_of,
    words_of,
    wrong,
)
from broadcast.gateway.upstreams import HttpUpstream, Model, Route, Upstream, Upstreams
from broadcast.outbound import Outbound, Timeouts

_HEADER_NAME: Final = re.compile(r"[!-9;-~]+")
_HEADER_VALUE: Final = re.compile(r"[ -~]+")
_ANTHROPIC_VERSION: Final = "2023-06-01"
_Style = Literal["openai", "anthropic", "openrouter"]


@dataclass(frozen=True, kw_only=True)
class _Manners:
    """What a style stands for."""

    apis: frozenset[Api]
    key_header: str = "Authorization"
    key_prefix: str = "Bearer "
    headers: Mapping[str, str]
    is_router: bool = False


_STYLES: Final[Mapping[_Style, _Manners]] = {
    "openai": _Manners(apis=frozenset({"chat", "responses", "embeddings"}), headers={}),
    "anthropic": _Manners(
        apis=frozenset({"messages"}),
        key_header="x-api-key",
        key_prefix="",
        headers={"anthropic-version": _ANTHROPIC_VERSION},
    ),
    "openrouter": _Manners(apis=frozenset(APIS), headers={}, is_router=True),
}


def load(path: Path, variables: Mapping[str, str], outbound: Outbound) -> Upstreams:
    """Return what the file declares; raise `ConfigError` naming the place and the fix."""
    document = declared_file.document(SETTING, path)
    file = declared(document, FileForm, "")
    providers = {
        slug: _upstream(slug, declared(item, ProviderForm, f"providers.{slug}"), variables, outbound)
        for slug, item in file.providers.items()
    }
    fallback_on = words_of(file.fallback_on, FAILURES, "fallback_on", otherwise=FALLBACK_ON)
    profile = word_of(file.profile, PROFILES, "profile")
    models = {}
    for name, item in file.models.items():
        place = f"models.{name}"
        form = declared(item, ModelForm, place)
        models[name] = Model(
            id=name,
            name=form.name or name,
            system=form.system or name.partition("/")[0],
            context_length=form.context_length,
            routes=_routes(form, name, place, providers),
            profile=word_of(form.profile, PROFILES, f"{place}.profile") or profile,
            fallback_on=words_of(form.fallback_on, FAILURES, f"{place}.fallback_on", otherwise=fallback_on),
        )
    return Upstreams(models=models)


def _upstream(slug: str, item: ProviderForm, variables: Mapping[str, str], outbound: Outbound) -> Upstream:
    place = f"providers.{slug}"
    manners = _STYLES[word_of(item.style, tuple(_STYLES), f"{place}.style") or "openai"]
    apis = words_of(item.apis, APIS, f"{place}.apis", otherwise=manners.apis)
    if not apis:
        raise wrong(f"{place}.apis is empty. Name one of {listed(APIS)}, or leave it out.")
    return HttpUpstream(
        name=item.name or slug,
        slug=slug,
        base_url=_base_url(item, variables, place),
        apis=apis,
        is_router=manners.is_router,
        headers=_headers(item, manners, variables, place),
        ask_usage=item.ask_usage,
        timeouts=Timeouts(
            connect_s=item.connect_timeout_s,
            headers_s=item.headers_timeout_s or item.read_timeout_s,
            silence_s=item.read_timeout_s,
            whole_s=item.total_timeout_s,
        ),
        outbound=outbound,
    )


def _base_url(item: ProviderForm, variables: Mapping[str, str], place: str) -> str:
    base_url = _expanded(item.base_url, variables, f"{place}.base_url").rstrip("/")
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise wrong(f"{place}.base_url must be like https://api.example.com/v1.")
    return base_url


def _headers(
    item: ProviderForm, manners: _Manners, variables: Mapping[str, str], place: str
) -> Mapping[str, str]:
    given = {
        name: _expanded(value, variables, f"{place}.headers.{name}") for name, value in item.headers.items()
    }
    lower = {name.lower() for name in given}
    headers = {name: value for name, value in manners.headers.items() if name not in lower} | given
    if item.api_key is not None:
        key = _expanded(item.api_key, variables, f"{place}.api_key")
        headers[manners.key_header] = f"{manners.key_prefix}{key}"
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise wrong(f"{place}: {name} is not a header that can be sent. Use printable ASCII.")
    return headers


def _routes(item: ModelForm, name: str, place: str, providers: Mapping[str, Upstream]) -> tuple[Route, ...]:
    routes = []
    for index, route in enumerate(item.providers):
        upstream = providers.get(route.provider)
        if upstream is None:
            where = f"{place}.providers[{index}]"
            known = listed(tuple(providers)) or "nothing is"
            raise wrong(f"{where} names {route.provider}, which is not under `providers`: {known}.")
        routes.append(Route(upstream=upstream, model=route.model or name, prices=_prices(route)))
    return tuple(routes)


def _prices(route: RouteForm) -> Prices | None:
    given, fee = route.usd_per_million, route.usd_per_request
    if given is None and fee is None:
        return None
    # A price for a request alone means that its tokens cost nothing.
    kinds = msgspec.structs.asdict(given) if given else {"input": 0, "output": 0}
    exact = {kind: Decimal(str(price)) for kind, price in kinds.items() if price is not None}
    return Prices(**exact, request_usd=Decimal(str(fee or 0)))


def _expanded(text: str, variables: Mapping[str, str], place: str) -> str:
    return declared_file.filled(SETTING, text, variables, place)
