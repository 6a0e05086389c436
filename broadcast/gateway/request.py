"""A request taken apart: what goes on to a provider, byte for byte, and what stays with us.

What cannot be served is taken apart too, as far as it can be read: it has a receipt like any other.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from broadcast import json_text
from broadcast.errors import ReceiptError
from broadcast.gateway.apis import Api
from broadcast.gateway.plain import fields_of, plain
from broadcast.gateway.shape import Fields, Shape, UpstreamId
from broadcast.gateway.wishes import capabilities_of, parameters_of
from broadcast.receipt import App
from broadcast.trace_context import OUR_KEYS, caller_text

UNKNOWN_MODEL: Final = "unknown"
"""The model of a receipt whose request does not name one that can be read."""
_LONGEST: Final = 256
_TRACE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a request cannot be served: 400 when it is not JSON, else 422 with the field at fault."""

    message: str
    field: str | None = None

    @property
    def status(self) -> int:
        """The HTTP status."""
        return 400 if self.field is None else 422


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request; `fields` is what the client sent, each value as it wrote it, `headers` what goes on."""

    shape: Shape
    fields: Fields
    headers: Mapping[str, str]
    model: str
    streamed: bool
    trace: dict[str, Any] | None
    session_id: str | None
    user: str | None
    traceparent: str | None
    app: App | None
    user_agent: str | None
    origin: str | None
    fault: Fault | None

    @property
    def api(self) -> Api:
        """Which API it speaks."""
        return self.shape.api

    @property
    def hides_usage(self) -> bool:
        """Whether the client is not to see the usage that we ask for."""
        return self.streamed and not self.shape.asks_usage(self.fields)

    def body_for(self, upstream_model: str, *, ask_usage: bool, without: Collection[str] = ()) -> bytes:
        """Return the body a provider gets: its own model name, and our wish for usage when there is one."""
        wished = ask_usage and self.hides_usage
        fields = self.shape.onward(self.shape.asking_usage(self.fields) if wished else self.fields)
        kept = {name: value for name, value in fields.items() if name not in without}
        return msgspec.json.encode({**kept, "model": upstream_model})

    @property
    def asked(self) -> Any:
        """What is asked, as plain values fit for a receipt."""
        return self.shape.asked(self.fields) if self.fields else None

    @property
    def parameters(self) -> dict[str, Any] | None:
        """The parameters worth telling."""
        return parameters_of(self.fields)

    def capabilities(self, asked: Any) -> tuple[str, ...]:
        """Return what the request needed of a model beyond text; `asked` is read once for all."""
        return capabilities_of(self.fields, asked)

    def following(self, upstream_id: UpstreamId) -> "Request":
        """Return the request with what a provider knows of earlier answers, instead of our names for them."""
        return replace(self, fields=self.shape.following(self.fields, upstream_id))

    def without_content(self) -> "Request":
        """Return what may be kept of a request that was denied: nothing of it was to be read."""
        return replace(self, fields={})


def parse(shape: Shape, body: bytes, headers: Mapping[str, str]) -> Request:
    """Return the request, with the first thing that is wrong with it; header names may be in any case."""
    given = {name.lower(): value for name, value in headers.items()}
    read = _Reader(shape, body)
    model = read.model()
    read.content()
    trace = read.trace()
    streamed = read.streamed()
    session_id = read.text("session_id", plain(read.fields.get("session_id")))
    return Request(
        shape=shape,
        fields=read.fields,
        headers={name: given[name] for name in shape.headers if given.get(name)},
        model=model,
        streamed=streamed,
        trace=trace,
        session_id=session_id or read.text("x-session-id", given.get("x-session-id")),
        user=read.text(*shape.user(read.fields)),
        traceparent=_header(given, "traceparent"),
        app=_app(given),
        user_agent=_header(given, "user-agent"),
        origin=_header(given, "origin"),
        fault=read.fault,
    )


class _Reader:
    """Reads field after field; what is wrong is left out and told, the first of it to the client."""

    def __init__(self, shape: Shape, body: bytes) -> None:
        self._shape = shape
        self.fault: Fault | None = None
        self.fields: Fields = {}
        try:
            self.fields = fields_of(body)
        except ValueError as error:
            self.fault = Fault(message=str(error))

    def _wrong(self, field: str, message: str) -> None:
        self.fault = self.fault or Fault(message=message, field=field)

    def model(self) -> str:
        model = plain(self.fields.get("model"))
        if isinstance(model, str) and 0 < len(model) <= _LONGEST:
            return model
        self._wrong("model", f"`model` must be a string of 1 to {_LONGEST} characters.")
        return UNKNOWN_MODEL

    def content(self) -> None:
        if missing := self._shape.missing(self.fields):
            self._wrong(*missing)

    def streamed(self) -> bool:
        if not self._shape.streams:
            return False
        stream = plain(self.fields.get("stream"))
        if stream is not None and not isinstance(stream, bool):
            self._wrong("stream", "`stream` must be true or false.")
        return stream is True

    def text(self, name: str, value: Any) -> str | None:
        if value is None or value == "":
            return None
        if isinstance(value, str) and len(value) <= _LONGEST:
            return value
        self._wrong(name, f"`{name}` must be a string of at most {_LONGEST} characters.")
        return None

    def trace(self) -> dict[str, Any] | None:
        raw = self.fields.get("trace")
        if raw is None or bytes(raw).strip() == b"null":
            return None
        trace = plain(raw)
        if trace is None or (isinstance(trace, dict) and _is_too_deep(trace)):
            self._wrong("trace", f"`trace` is nested too deeply: send at most {json_text.MAX_DEPTH} levels.")
        elif not isinstance(trace, dict):
            self._wrong("trace", "`trace` must be an object.")
        elif len(bytes(raw)) > _TRACE_BYTES:
            self._wrong("trace", f"`trace` is larger than {_TRACE_BYTES} bytes: send ids and labels alone.")
        else:
            return trace
        # What says where the spans belong is kept even so.
        held = trace if isinstance(trace, dict) else {}
        kept = {key: held[key] for key in OUR_KEYS if 0 < len(caller_text(held, key)) <= _LONGEST}
        return kept or None


def _is_too_deep(trace: dict[str, Any]) -> bool:
    try:
        json_text.holds_wide_integer(trace)
    except ReceiptError:
        return True
    return False


def _header(given: Mapping[str, str], name: str) -> str | None:
    return json_text.text(given.get(name, "").strip())[:512] or None


def _app(given: Mapping[str, str]) -> App | None:
    referer = _header(given, "http-referer") or _header(given, "referer")
    title = _header(given, "x-openrouter-title") or _header(given, "x-title")
    return App(referer=referer, title=title) if referer or title else None
