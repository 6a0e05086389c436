"""Serve chat requests over upstream providers, and hand back the receipt of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from broadcast.gateway import demo, listing, upstreams
from broadcast.gateway.reading import error_of
from broadcast.gateway.record import Record
from broadcast.gateway.request import BadRequest, Request, parse
from broadcast.gateway.route import AllFailed, Streaming, Whole, answer
from broadcast.gateway.slots import Slots
from broadcast.gateway.splice import with_id
from broadcast.gateway.stream import Relay
from broadcast.gateway.upstreams import Upstreams
from broadcast.outbound import Outbound
from broadcast.receipt import Error, KeyRef, Receipt

__all__ = ["Answer", "Gateway", "Upstreams", "load_upstreams"]

_JSON: Final = "application/json"


class Key(Protocol):
    """What the gateway needs of the API key a request was made with."""

    @property
    def hash(self) -> str:
        """The public hash."""

    @property
    def name(self) -> str:
        """The name its owner gave it."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What goes to the client; send the body, close it if it has `close`, then take the receipt."""

    status: int
    body: "bytes | Relay"
    headers: dict[str, str] = field(default_factory=dict)
    receipt: Callable[[], Receipt | None] = lambda: None


def load_upstreams(path: Path | None, variables: Mapping[str, str], *, with_demo: bool) -> Upstreams:
    """Return the file's models, and the demo's when it is on or there is no file; raise `ConfigError`."""
    declared = dict(upstreams.load(path, variables, Outbound()).models) if path else {}
    built_in = demo.models() if with_demo or path is None else {}
    return Upstreams(models={**built_in, **declared})


class Gateway:
    """Routes chat requests; `clock` counts microseconds, `namespace` owns the models without a maker."""

    def __init__(
        self, models: Upstreams, namespace: str, clock: Callable[[], int], slots: Slots | None = None
    ) -> None:
        self._models = models.models
        self._namespace = namespace
        self._clock = clock
        self._slots = slots or Slots()
        self._created_s = clock() // 1_000_000

    def models(self) -> dict[str, Any]:
        """Return the models in OpenRouter's shape, which the OpenAI SDK reads as well."""
        return listing.listing(self._models.values(), owner=self._namespace, created_s=self._created_s)

    def chat(
        self, body: bytes, *, workspace_id: int, key: Key, headers: Mapping[str, str], now_us: int
    ) -> Answer:
        """Serve one request; raise `Unavailable` when no slot is free."""
        try:
            request = parse(body, headers)
        except BadRequest as bad:
            return Answer(
                status=bad.status,
                body=error_body(bad.status, bad.message, reason="invalid_request", field_at_fault=bad.field),
                headers={"Content-Type": _JSON},
            )
        give_back = self._slots.take(workspace_id)
        streams = False
        try:
            served = self._serve(request, key, now_us, give_back)
            streams = isinstance(served.body, Relay)
            return served
        finally:
            if not streams:
                give_back()

    def _serve(self, request: Request, key: Key, now_us: int, give_back: Callable[[], None]) -> Answer:
        model = self._models.get(request.model)
        record = Record(
            request,
            system=model.system if model else None,
            api_key=KeyRef(hash=key.hash, name=key.name),
            now_us=now_us,
            clock=self._clock,
        )
        headers = {"Content-Type": _JSON, "X-Trace-Id": record.trace_id}
        if model is None:
            message = f"The model {request.model} is not known. GET /api/v1/models lists what is."
            return _refused(record, headers, 404, message, reason="model_not_found")
        found = answer(record, model)
        match found:
            case AllFailed():
                if found.retry_after and found.retry_after.isascii():
                    headers["Retry-After"] = found.retry_after
                return _refused(record, headers, found.status, found.message, reason="provider_error")
            case Whole():
                return _passed_on(record, headers, found)
            case Streaming():
                return _streamed(record, headers, found, give_back)


def error_body(
    status: int, message: str, *, reason: str, field_at_fault: str | None = None, **more: Any
) -> bytes:
    """Return an error in the form of the contract, which OpenAI's SDK reads as well."""
    metadata = {"reason": reason, **({"field": field_at_fault} if field_at_fault else {}), **more}
    return msgspec.json.encode({"error": {"code": status, "message": message, "metadata": metadata}})


def _refused(record: Record, headers: dict[str, str], status: int, message: str, *, reason: str) -> Answer:
    record.finish("error", Error(type=reason, message=message, code=status))
    body = error_body(status, message, reason=reason, attempts=len(record.attempts), generation_id=record.id)
    return Answer(status=status, body=body, headers=headers, receipt=record.receipt)


def _passed_on(record: Record, headers: dict[str, str], found: Whole) -> Answer:
    headers["Content-Type"] = found.content_type
    if found.status != 200:
        record.finish("error", error_of(found.document, f"The provider answered {found.status}."))
        return Answer(status=found.status, body=found.body, headers=headers, receipt=record.receipt)
    error = record.reading.error
    record.finish("error" if error else "succeeded", error)
    body = found.body if error else with_id(found.body, record.id)
    return Answer(status=200, body=body, headers=headers, receipt=record.receipt)


def _streamed(
    record: Record, headers: dict[str, str], found: Streaming, give_back: Callable[[], None]
) -> Answer:
    def ended() -> None:
        failed = record.error if record.error and record.error.type != "cancelled" else None
        found.tries.keep(
            200, error_type=failed.type if failed else None, message=failed.message if failed else None
        )
        found.reply.close()
        give_back()

    headers |= {"Content-Type": found.content_type, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    relay = Relay(record, found.pieces, hide_usage=not record.request.usage_asked, on_end=ended)
    return Answer(status=200, body=relay, headers=headers, receipt=record.receipt)
