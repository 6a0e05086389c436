"""The demo's providers: deterministic answers of every API, made in this process, timed for real."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import msgspec

from broadcast.errors import SendFailed
from broadcast.gateway import demo_shapes
from broadcast.gateway.apis import APIS, Api
from broadcast.gateway.prices import Prices
from broadcast.gateway.upstreams import Model, Route

_PRICES: Final = Prices(input=Decimal("0.15"), output=Decimal("0.60"), cache_read=Decimal("0.075"))
_SLOW_S: Final = 1.5
_SLOW_PIECES: Final = 6


@dataclass(frozen=True, kw_only=True)
class DemoReply:
    """An answer made of pieces, each after a pause."""

    status: int
    content_type: str
    parts: tuple[bytes, ...]
    pause_s: float = 0.0

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""
        return {"content-type": self.content_type}

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it is made."""
        for part in self.parts:
            if self.pause_s:
                time.sleep(self.pause_s)
            yield part

    def read(self, limit: int) -> bytes:
        """Return the whole body."""
        body = b"".join(self.pieces())
        if len(body) > limit:
            raise SendFailed("data", "too_large", f"The answer is larger than {limit} bytes.")
        return body

    def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True, kw_only=True)
class DemoUpstream:
    """A provider that repeats what it was told, fails, or takes its time."""

    name: str
    slug: str
    fails: bool = False
    slow: bool = False
    ask_usage: bool = field(default=True, init=False)
    apis: frozenset[Api] = field(default=frozenset(APIS), init=False)
    is_router: bool = field(default=False, init=False)

    def send(self, api: Api, body: bytes, _headers: Mapping[str, str]) -> DemoReply:
        """Return the answer at once; a slow one pauses while it is read."""
        if self.fails:
            return _failed(503, "server_error", "The demo provider is down on purpose.")
        answer = demo_shapes.said(body)
        if demo_shapes.wants_stream(api, answer):
            parts = tuple(demo_shapes.events(api, answer, self._pieces(answer.words)))
            pause_s = _SLOW_S / len(parts) if self.slow else 0.0
            return DemoReply(status=200, content_type="text/event-stream", parts=parts, pause_s=pause_s)
        try:
            body = demo_shapes.whole(api, answer)
        except demo_shapes.Unfit as error:
            return _failed(400, "invalid_request_error", str(error))
        return DemoReply(
            status=200,
            content_type="application/json",
            parts=(body,),
            pause_s=_SLOW_S if self.slow else 0.0,
        )

    def _pieces(self, words: Sequence[str]) -> list[str]:
        step = max(1, -(-len(words) // _SLOW_PIECES)) if self.slow else 1
        return ["".join(words[at : at + step]) for at in range(0, len(words), step)]


def _failed(status: int, kind: str, message: str) -> DemoReply:
    error = {"message": message, "type": kind, "code": status}
    return DemoReply(
        status=status, content_type="application/json", parts=(msgspec.json.encode({"error": error}),)
    )


def models() -> dict[str, Model]:
    """Return the demo's models."""
    ok = DemoUpstream(name="Demo", slug="demo")
    down = DemoUpstream(name="Demo Down", slug="demo-down", fails=True)
    slow = DemoUpstream(name="Demo Slow", slug="demo-slow", slow=True)
    return {
        f"demo/{name}": _model(f"demo/{name}", shown, *ways)
        for name, shown, ways in (
            ("echo", "Demo echo", (ok,)),
            ("flaky", "Demo with a failing first provider", (down, ok)),
            ("fail", "Demo that always fails", (down,)),
            ("slow", "Demo that takes its time", (slow,)),
        )
    }


def _model(name: str, shown: str, *ways: DemoUpstream) -> Model:
    routes = tuple(Route(upstream=way, model=name, prices=_PRICES) for way in ways)
    return Model(id=name, name=shown, system="demo", context_length=128_000, routes=routes)
