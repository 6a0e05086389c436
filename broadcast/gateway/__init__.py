"""Serve requests of four APIs over upstream providers, and hand back the receipt of each."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from broadcast.errors import Unavailable
from broadcast.gateway import demo, listing, upstream_file
from broadcast.gateway.apis import PATHS, Api
from broadcast.gateway.measures import Measures
from broadcast.gateway.reading import error_of
from broadcast.gateway.record import Record
from broadcast.gateway.refusal import Refusal
from broadcast.gateway.request import Request, parse
from broadcast.gateway.route import Streaming, Whole, answer
from broadcast.gateway.shape import UpstreamId
from broadcast.gateway.shapes import SHAPES
from broadcast.gateway.slots import Slots
from broadcast.gateway.splice import with_id
from broadcast.gateway.stream import Relay
from broadcast.gateway.upstreams import Model, Upstreams
from broadcast.gateway.watch import Watch, Watched
from broadcast.outbound import Outbound
from broadcast.receipt import KeyRef, Receipt

__all__ = ["PATHS", "SHAPES", "Answer", "Api", "Gateway", "Refusal", "Upstreams", "load_upstreams"]

_log: Final = logging.getLogger(__name__)


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
    """What goes to the client; send the body, close it if it has `close`, then take the receipt.

    `id` is the receipt's, whatever becomes of it.
    """

    id: str
    status: int
    body: bytes | Watched
    headers: dict[str, str] = field(default_factory=dict)
    receipt: Callable[[], Receipt]


def load_upstreams(path: Path | None, variables: Mapping[str, str], *, with_demo: bool) -> Upstreams:
    """Return the file's models, and the demo's when it is on or there is no file; raise `ConfigError`."""
    declared = dict(upstream_file.load(path, variables, Outbound()).models) if path else {}
    built_in = demo.models() if with_demo or path is None else {}
    return Upstreams(models={**built_in, **declared})


class Gateway:
    """Routes requests; `clock` counts microseconds, `namespace` owns the models without a maker."""

    def __init__(
        self,
        models: Upstreams,
        namespace: str,
        clock: Callable[[], int],
        slots: Slots | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._upstreams = models
        self._measures = Measures(clock)
        self._namespace = namespace
        self._clock = clock
        self._slots = slots or Slots()
        self._watch = watch or Watch()
        self._created_s = clock() // 1_000_000

    def use(self, models: Upstreams) -> None:
        """Route from now on among these; a request that is under way keeps what it began with."""
        self._upstreams = models

    def models(self) -> dict[str, Any]:
        """Return the models in OpenRouter's shape, which the OpenAI SDK reads as well."""
        return listing.listing(
            self._upstreams.models.values(), owner=self._namespace, created_s=self._created_s
        )

    def model(self, name: str) -> dict[str, Any] | Refusal:
        """Return one model as the list has it, or that it is not known."""
        found = self._upstreams.find(name)
        if found is None:
            return _unknown(name)
        return listing.entry(found, owner=self._namespace, created_s=self._created_s)

    def serve(
        self,
        api: Api,
        body: bytes,
        *,
        workspace_id: int,
        key: Key,
        headers: Mapping[str, str],
        now_us: int,
        upstream_id: UpstreamId = lambda _: None,
    ) -> Answer:
        """Serve one request; whatever becomes of it, there is an answer and a receipt.

        `upstream_id` tells what a provider called an answer of this workspace that has our id.
        """
        record = self._record(parse(SHAPES[api], body, headers), key, now_us)
        try:
            return self._serve(record, workspace_id, upstream_id)
        except Exception as error:  # noqa: BLE001 - a request must not be lost to a fault of ours
            _log.exception("action=request_failed receipt=%s error=%s", record.id, type(error).__name__)
            return _refused(
                record, Refusal(status=500, reason="internal", message="The router failed. Try again.")
            )

    def refuse(
        self,
        api: Api,
        body: bytes,
        refusal: Refusal,
        *,
        key: Key,
        headers: Mapping[str, str],
        now_us: int,
    ) -> Answer:
        """Answer a request that may not be served, with a receipt of what of it could be read."""
        request = parse(SHAPES[api], body, headers)
        if refusal.ends == "denied":
            request = request.without_content()
        return _refused(self._record(request, key, now_us), refusal)

    def _record(self, request: Request, key: Key, now_us: int) -> Record:
        model = self._upstreams.find(request.model)
        return Record(
            request,
            system=model.system if model else None,
            api_key=KeyRef(hash=key.hash, name=key.name),
            now_us=now_us,
            clock=self._clock,
        )

    def _serve(self, record: Record, workspace_id: int, upstream_id: UpstreamId) -> Answer:
        found = self._model(record.request)
        if isinstance(found, Refusal):
            return _refused(record, found)
        try:
            record.request = record.request.following(upstream_id)
            give_back = self._slots.take(workspace_id)
        except Unavailable as error:
            wait = str(error.retry_after_s)
            return _refused(
                record, Refusal(status=503, reason="unavailable", message=str(error), retry_after=wait)
            )
        streams = False
        try:
            served = self._routed(record, found, give_back)
            streams = isinstance(served.body, Watched)
            return served
        finally:
            if not streams:
                give_back()

    def _model(self, request: Request) -> Model | Refusal:
        """Return the model that is asked for, or why there is none."""
        if fault := request.fault:
            return Refusal(
                status=fault.status, reason="invalid_request", message=fault.message, field=fault.field
            )
        return self._upstreams.find(request.model) or _unknown(request.model)

    def _routed(self, record: Record, model: Model, give_back: Callable[[], None]) -> Answer:
        found = answer(record, model, self._measures)
        match found:
            case Refusal():
                return _refused(record, found)
            case Whole():
                return _passed_on(record, found)
            case Streaming():
                relay = _relay(record, found)
                return _streamed(record, found, self._watch.over(relay, give_back))


def _unknown(model: str) -> Refusal:
    return Refusal(
        status=404,
        reason="model_not_found",
        message=f"The model {model} is not known. GET /api/v1/models lists what is.",
    )


def _refused(record: Record, refusal: Refusal) -> Answer:
    record.finish(refusal.ends, refusal.error)
    body = refusal.body(record.request.shape, attempts=len(record.attempts), generation_id=record.id)
    headers = {**refusal.headers, "X-Trace-Id": record.trace_id}
    return Answer(id=record.id, status=refusal.status, body=body, headers=headers, receipt=record.receipt)


def _passed_on(record: Record, found: Whole) -> Answer:
    headers = {"Content-Type": found.content_type, "X-Trace-Id": record.trace_id}
    if found.status != 200:
        record.finish("error", error_of(found.document, f"The provider answered {found.status}."))
        return Answer(
            id=record.id, status=found.status, body=found.body, headers=headers, receipt=record.receipt
        )
    error = record.reading.error
    record.finish("error" if error else "succeeded", error)
    nameless = error is not None and "id" not in found.document
    body = found.body if nameless else with_id(found.body, record.id)
    return Answer(id=record.id, status=200, body=body, headers=headers, receipt=record.receipt)


def _relay(record: Record, found: Streaming) -> Relay:
    def ended() -> None:
        failed = record.error if record.error and record.error.type != "cancelled" else None
        found.tries.keep(
            200, error_type=failed.type if failed else None, message=failed.message if failed else None
        )
        found.reply.close()

    return Relay(record, found.pieces, on_end=ended)


def _streamed(record: Record, found: Streaming, body: Watched) -> Answer:
    headers = {
        "Content-Type": found.content_type,
        "Cache-Control": "no-cache",
        "X-Accel-Buffering": "no",
        "X-Trace-Id": record.trace_id,
    }
    return Answer(id=record.id, status=200, body=body, headers=headers, receipt=record.receipt)
