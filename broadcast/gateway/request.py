"""A chat request taken apart: what goes on to a provider, byte for byte, and what stays with us."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from broadcast.gateway.apis import Api
from broadcast.gateway.plain import Raw, fields_of, is_filled_list, plain
from broadcast.receipt import App

_OURS: Final = ("trace", "session_id", "user")
_PARAMETERS: Final[tuple[str, ...]] = (
    "temperature", "top_p", "top_k", "min_p", "max_tokens", "max_completion_tokens", "seed", "stop", "n",
    "frequency_penalty", "presence_penalty", "repetition_penalty", "reasoning_effort", "parallel_tool_calls",
)  # fmt: skip
_LONGEST: Final = 256
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class BadRequest(Exception):  # noqa: N818 - it becomes an answer, by its status
    """The body cannot be served: 400 when it is not JSON, else 422 with the field at fault."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.status = 400 if field is None else 422


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request; `fields` is what may be sent on, each value as the client wrote it."""

    fields: dict[str, Raw]
    model: str
    streamed: bool
    usage_asked: bool
    trace: dict[str, Any] | None
    session_id: str | None
    user: str | None
    traceparent: str | None
    app: App | None
    user_agent: str | None
    origin: str | None
    api: Api = "chat"

    def body_for(self, upstream_model: str, *, ask_usage: bool) -> bytes:
        """Return the body a provider gets: its own model name, and our wish for usage when there is one."""
        fields = dict(self.fields)
        fields["model"] = Raw(msgspec.json.encode(upstream_model))
        if ask_usage and self.streamed and not self.usage_asked:
            options = plain(fields.get("stream_options"))
            wished = {**(options if isinstance(options, dict) else {}), "include_usage": True}
            fields["stream_options"] = Raw(msgspec.json.encode(wished))
        return msgspec.json.encode(fields)

    @property
    def messages(self) -> Any:
        """The messages as plain values, fit for a receipt."""
        return plain(self.fields["messages"])

    @property
    def parameters(self) -> dict[str, Any] | None:
        """The parameters worth telling, and how many tools were offered."""
        known = {name: plain(self.fields[name]) for name in _PARAMETERS if name in self.fields}
        told = {name: value for name, value in known.items() if value is not None}
        tools = plain(self.fields.get("tools"))
        if isinstance(tools, list) and tools:
            told["tools_offered"] = len(tools)
        return told or None

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What the request needed of a model beyond text."""
        form = plain(self.fields.get("response_format"))
        structured = isinstance(form, dict) and form.get("type") == "json_schema"
        tools = plain(self.fields.get("tools"))
        wanted = {"structured_outputs": structured, "tools": isinstance(tools, list) and bool(tools)}
        return tuple(name for name, used in wanted.items() if used)


def parse(body: bytes, headers: Mapping[str, str]) -> Request:
    """Return the request; header names may be in any case; raise `BadRequest`."""
    try:
        fields = fields_of(body)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    given = {name.lower(): value for name, value in headers.items()}
    model = plain(fields.get("model"))
    if not isinstance(model, str) or not 0 < len(model) <= _LONGEST:
        raise BadRequest("`model` must be a string of 1 to 256 characters.", field="model")
    if not is_filled_list(fields.get("messages")):
        raise BadRequest("`messages` must be a list with at least one message.", field="messages")
    trace = plain(fields.get("trace"))
    if trace is not None and not isinstance(trace, dict):
        raise BadRequest("`trace` must be an object.", field="trace")
    stream = plain(fields.get("stream"))
    if stream is not None and not isinstance(stream, bool):
        raise BadRequest("`stream` must be true or false.", field="stream")
    options = plain(fields.get("stream_options"))
    session_id = _text(plain(fields.get("session_id")), "session_id")
    return Request(
        fields={name: value for name, value in fields.items() if name not in _OURS},
        model=model,
        streamed=bool(stream),
        usage_asked=isinstance(options, dict) and options.get("include_usage") is True,
        trace=trace,
        session_id=session_id or _text(given.get("x-session-id"), "x-session-id"),
        user=_text(plain(fields.get("user")), "user"),
        traceparent=_header(given, "traceparent"),
        app=_app(given),
        user_agent=_header(given, "user-agent"),
        origin=_header(given, "origin"),
    )


def _text(value: Any, name: str) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise BadRequest(f"`{name}` must be a string of at most 256 characters.", field=name)
    return value


def _header(given: Mapping[str, str], name: str) -> str | None:
    value = given.get(name, "").strip()
    return _SURROGATE.sub("\ufffd", value)[:512] or None


def _app(given: Mapping[str, str]) -> App | None:
    referer = _header(given, "http-referer") or _header(given, "referer")
    title = _header(given, "x-openrouter-title") or _header(given, "x-title")
    return App(referer=referer, title=title) if referer or title else None
