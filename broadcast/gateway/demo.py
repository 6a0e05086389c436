"""The demo's providers: deterministic OpenAI-compatible answers, made in this process, timed for real."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

import msgspec

from broadcast.errors import SendFailed
from broadcast.gateway.apis import Api
from broadcast.gateway.plain import plain
from broadcast.gateway.prices import Prices
from broadcast.gateway.upstreams import Model, Route

_PRICES: Final = Prices(input=Decimal("0.15"), output=Decimal("0.60"), cache_read=Decimal("0.075"))
_CREATED_S: Final = 1_767_225_600
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
    apis: frozenset[Api] = field(default=frozenset({"chat"}), init=False)

    def send(self, _api: Api, body: bytes) -> DemoReply:
        """Return the answer at once; a slow one pauses while it is read."""
        if self.fails:
            error = {"message": "The demo provider is down on purpose.", "type": "server_error", "code": 503}
            return DemoReply(
                status=503, content_type="application/json", parts=(msgspec.json.encode({"error": error}),)
            )
        request = plain(body)
        words = _words(request)
        if request.get("stream") is True:
            parts = tuple(_chunks(request, words, _ident(body), whole_words=not self.slow))
            pause_s = _SLOW_S / len(parts) if self.slow else 0.0
            return DemoReply(status=200, content_type="text/event-stream", parts=parts, pause_s=pause_s)
        answer = {
            **_head(request, _ident(body), "chat.completion"),
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "".join(words), "refusal": None},
                    "logprobs": None,
                    "finish_reason": _finish(request, words),
                }
            ],
            "usage": _usage(request, words),
        }
        pause_s = _SLOW_S if self.slow else 0.0
        return DemoReply(
            status=200, content_type="application/json", parts=(msgspec.json.encode(answer),), pause_s=pause_s
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


def _ident(body: bytes) -> str:
    return f"chatcmpl-demo-{sha256(body).hexdigest()[:20]}"


def _head(request: Any, ident: str, kind: str) -> dict[str, Any]:
    return {
        "id": ident,
        "object": kind,
        "created": _CREATED_S,
        "model": request["model"],
        "system_fingerprint": "fp_demo",
    }


def _words(request: Any) -> list[str]:
    """Return the answer as words with their spaces, each counting as one token, within `max_tokens`."""
    words = f"You said: {_last_text(request)}".split(" ")
    spaced = [word if index == 0 else f" {word}" for index, word in enumerate(words)]
    return spaced[: _most(request)]


def _most(request: Any) -> int | None:
    most = request.get("max_completion_tokens") or request.get("max_tokens")
    return most if isinstance(most, int) and most > 0 else None


def _finish(request: Any, words: list[str]) -> str:
    return "length" if len(words) == _most(request) else "stop"


def _last_text(request: Any) -> str:
    texts = [_text(message) for message in request.get("messages") or [] if isinstance(message, dict)]
    return next((text for text in reversed(texts) if text), "nothing")


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)


def _usage(request: Any, words: list[str]) -> dict[str, int]:
    sent = sum(
        4 + len(_text(message).split())
        for message in request.get("messages") or []
        if isinstance(message, dict)
    )
    return {"prompt_tokens": sent, "completion_tokens": len(words), "total_tokens": sent + len(words)}


def _chunks(request: Any, words: list[str], ident: str, *, whole_words: bool) -> Iterator[bytes]:
    head = _head(request, ident, "chat.completion.chunk")
    step = 1 if whole_words else max(1, -(-len(words) // _SLOW_PIECES))
    texts = ["".join(words[at : at + step]) for at in range(0, len(words), step)]
    yield _chunk(head, {"role": "assistant", "content": ""})
    for text in texts:
        yield _chunk(head, {"content": text})
    yield _chunk(head, {}, finish=_finish(request, words))
    options = request.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage") is True:
        yield _event({**head, "choices": [], "usage": _usage(request, words)})
    yield b"data: [DONE]\n\n"


def _chunk(head: dict[str, Any], delta: dict[str, Any], *, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _event({**head, "choices": [choice]})


def _event(document: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(document) + b"\n\n"
