"""Models, the routes to them, and the providers at their ends."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from broadcast.gateway.apis import PATHS, Api
from broadcast.gateway.failures import FALLBACK_ON, Failure
from broadcast.gateway.prices import Prices
from broadcast.gateway.profiles import Profile
from broadcast.outbound import Outbound, Timeouts

_SUFFIXES: Final[Mapping[str, Profile]] = {":floor": "cost", ":nitro": "throughput"}
"""OpenRouter's shorthand behind a model's name for its cheapest and its fastest provider."""


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

    @property
    def is_router(self) -> bool:
        """Whether it chooses among providers of its own, and so reads a request's `provider` itself."""

    def send(self, api: Api, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Return the answer once its headers are here; raise `SendFailed`."""


@dataclass(frozen=True, kw_only=True)
class HttpUpstream:
    """A provider over HTTP."""

    name: str
    slug: str
    base_url: str
    apis: frozenset[Api]
    is_router: bool
    headers: Mapping[str, str] = field(repr=False)
    ask_usage: bool
    timeouts: Timeouts
    outbound: Outbound = field(repr=False)

    def send(self, api: Api, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Return the answer once its headers are here; raise `SendFailed`."""
        return self.outbound.send(
            "POST",
            f"{self.base_url}{PATHS[api]}",
            headers={**self.headers, **headers, "Content-Type": "application/json"},
            body=body,
            timeouts=self.timeouts,
        )


@dataclass(frozen=True, kw_only=True)
class Route:
    """One way to serve a model."""

    upstream: Upstream
    model: str
    prices: Prices | None


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model clients may ask for; `routes` are tried as `profile` orders them, as declared without one."""

    id: str
    name: str
    system: str
    context_length: int | None
    routes: tuple[Route, ...]
    profile: Profile | None = None
    fallback_on: frozenset[Failure] = FALLBACK_ON


@dataclass(frozen=True, kw_only=True)
class Upstreams:
    """Every model, by the name clients use."""

    models: Mapping[str, Model]

    def find(self, name: str) -> Model | None:
        """Return the model of that name; `:floor` and `:nitro` behind it choose a profile."""
        if name in self.models:
            return self.models[name]
        plain_name, colon, suffix = name.rpartition(":")
        profile = _SUFFIXES.get(colon + suffix)
        model = self.models.get(plain_name) if profile else None
        return replace(model, profile=profile) if model else None
