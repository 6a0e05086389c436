"""Providers, models and prices, from the file `BROADCAST_UPSTREAMS` names (YAML).

providers:
  openai:                                # the slug
    name: OpenAI                         # as shown; the slug when left out
    base_url: https://api.openai.com/v1  # `/chat/completions` is appended
    api_key: ${OPENAI_API_KEY}           # or the text; leave out where none is needed
    headers: {OpenAI-Project: proj_1}    # more headers; values may hold ${VAR}
    ask_usage: true                      # false where `stream_options` is refused
    connect_timeout_s: 10
    read_timeout_s: 300                  # longest silence before and within an answer
models:
  openai/gpt-4o-mini:                    # the name clients ask for
    name: GPT-4o mini
    system: openai                       # the maker; the part before `/` when left out
    context_length: 128000
    providers:                           # tried in this order
      - provider: openai
        model: gpt-4o-mini               # the provider's own name; ours when left out
        usd_per_million: {input: 0.15, output: 0.60, cache_read: 0.075, cache_write: 0.15}
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Protocol
from urllib.parse import urlsplit

import msgspec
import yaml

from broadcast.errors import ConfigError
from broadcast.gateway.apis import APIS, PATHS, Api
from broadcast.gateway.prices import Prices
from broadcast.outbound import Outbound

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_Price = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Reply(Protocol):
    """A provider's answer; header names are lower case."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it arrives; raise `SendFailed`."""

    def read(self, limit: int) -> bytes:
        """Return the whole body; raise `SendFailed`."""

    def close(self) -> None:
        """Let go of the connection."""


class Upstream(Protocol):
    """A provider: over the network, or the demo in this process."""

    @property
    def name(self) -> str:
        """The name shown."""

    @property
    def slug(self) -> str:
        """The name in settings."""

    @property
    def ask_usage(self) -> bool:
        """Whether a streamed request may ask for usage."""

    @property
    def apis(self) -> frozenset[Api]:
        """The APIs it speaks."""

    def send(self, api: Api, body: bytes) -> Reply:
        """Return the answer once its headers are here; raise `SendFailed`."""


@dataclass(frozen=True, kw_only=True)
class HttpUpstream:
    """An OpenAI-compatible provider over HTTP."""

    name: str
    slug: str
    base_url: str
    apis: frozenset[Api]
    headers: Mapping[str, str] = field(repr=False)
    ask_usage: bool
    connect_timeout_s: float
    read_timeout_s: float
    outbound: Outbound = field(repr=False)

    def send(self, api: Api, body: bytes) -> Reply:
        """Return the answer once its headers are here; raise `SendFailed`."""
        headers = {**self.headers, "Content-Type": "application/json"}
        return self.outbound.send(
            "POST",
            f"{self.base_url}{PATHS[api]}",
            headers=headers,
            body=body,
            connect_timeout_s=self.connect_timeout_s,
            read_timeout_s=self.read_timeout_s,
        )


@dataclass(frozen=True, kw_only=True)
class Route:
    """One way to serve a model."""

    upstream: Upstream
    model: str
    prices: Prices | None


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model clients may ask for; `routes` are tried in order."""

    id: str
    name: str
    system: str
    context_length: int | None
    routes: tuple[Route, ...]


@dataclass(frozen=True, kw_only=True)
class Upstreams:
    """Every model, by the name clients use."""

    models: Mapping[str, Model]


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _Prices(_Strict, frozen=True, kw_only=True):
    input: _Price
    output: _Price
    cache_read: _Price | None = None
    cache_write: _Price | None = None


class _Provider(_Strict, frozen=True, kw_only=True):
    base_url: str
    name: _Name | None = None
    api_key: str | None = None
    headers: dict[str, str] = {}
    ask_usage: bool = True
    connect_timeout_s: _Seconds = 10
    read_timeout_s: _Seconds = 300


class _Route(_Strict, frozen=True, kw_only=True):
    provider: str
    model: _Name | None = None
    usd_per_million: _Prices | None = None


class _Model(_Strict, frozen=True, kw_only=True):
    providers: Annotated[list[_Route], msgspec.Meta(min_length=1)]
    name: _Name | None = None
    system: _Name | None = None
    context_length: Annotated[int, msgspec.Meta(ge=1)] | None = None


class _File(_Strict, frozen=True, kw_only=True):
    providers: dict[_Name, _Provider]
    models: dict[_Name, _Model]


def load(path: Path, variables: Mapping[str, str], outbound: Outbound) -> Upstreams:
    """Return what the file declares; raise `ConfigError` naming the place and the fix."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"BROADCAST_UPSTREAMS: the file cannot be read ({type(error).__name__}). Check path and mode."
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise ConfigError(f"BROADCAST_UPSTREAMS: the file is not valid YAML{line}. Correct it.") from None
    try:
        declared = msgspec.convert(document, type=_File)
    except msgspec.ValidationError as error:
        raise ConfigError(f"BROADCAST_UPSTREAMS: {error}. Correct the file.") from None
    providers = {
        slug: _upstream(slug, item, variables, outbound) for slug, item in declared.providers.items()
    }
    return Upstreams(models={name: _model(name, item, providers) for name, item in declared.models.items()})


def _upstream(slug: str, item: _Provider, variables: Mapping[str, str], outbound: Outbound) -> Upstream:
    place = f"providers.{slug}"
    base_url = _expanded(item.base_url, variables, f"{place}.base_url").rstrip("/")
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(f"BROADCAST_UPSTREAMS: {place}.base_url must be like https://api.example.com/v1.")
    headers = {
        name: _expanded(value, variables, f"{place}.headers.{name}") for name, value in item.headers.items()
    }
    if item.api_key is not None:
        headers["Authorization"] = f"Bearer {_expanded(item.api_key, variables, f'{place}.api_key')}"
    for name, value in headers.items():
        if not re.fullmatch(r"[!-9;-~]+", name) or not re.fullmatch(r"[ -~]+", value):
            raise ConfigError(f"BROADCAST_UPSTREAMS: {place}: {name} is not a header that can be sent.")
    return HttpUpstream(
        name=item.name or slug,
        slug=slug,
        base_url=base_url,
        apis=frozenset(APIS) - {"messages"},
        headers=headers,
        ask_usage=item.ask_usage,
        connect_timeout_s=item.connect_timeout_s,
        read_timeout_s=item.read_timeout_s,
        outbound=outbound,
    )


def _expanded(text: str, variables: Mapping[str, str], place: str) -> str:
    def value(found: "re.Match[str]") -> str:
        name = found.group(1)
        if not variables.get(name):
            raise ConfigError(f"BROADCAST_UPSTREAMS: {place} needs the variable {name}. Set it.")
        return variables[name]

    return _VARIABLE.sub(value, text)


def _model(name: str, item: _Model, providers: Mapping[str, Upstream]) -> Model:
    routes = []
    for index, route in enumerate(item.providers):
        upstream = providers.get(route.provider)
        if upstream is None:
            raise ConfigError(
                f"BROADCAST_UPSTREAMS: models.{name}.providers[{index}] names {route.provider}, which is not "
                "under `providers`."
            )
        routes.append(Route(upstream=upstream, model=route.model or name, prices=_prices(route)))
    return Model(
        id=name,
        name=item.name or name,
        system=item.system or name.partition("/")[0],
        context_length=item.context_length,
        routes=tuple(routes),
    )


def _prices(route: _Route) -> Prices | None:
    if route.usd_per_million is None:
        return None
    given = route.usd_per_million
    return Prices(
        input=Decimal(str(given.input)),
        output=Decimal(str(given.output)),
        cache_read=None if given.cache_read is None else Decimal(str(given.cache_read)),
        cache_write=None if given.cache_write is None else Decimal(str(given.cache_write)),
    )
