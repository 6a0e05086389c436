"""Try the providers of a model in order until one answers; each try is kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from broadcast.errors import SendFailed
from broadcast.gateway.plain import plain
from broadcast.gateway.reading import error_of
from broadcast.gateway.record import Record
from broadcast.gateway.upstreams import Model, Reply, Route
from broadcast.receipt import ProviderAttempt

_ANSWER_BYTES: Final = 64 * 2**20
_ERROR_BYTES: Final = 64 * 1024
_OPERATORS: Final = frozenset({401, 403})
"""Our own credential was refused: not the client's fault, and the provider's text may quote the key."""


@dataclass(frozen=True, kw_only=True)
class Whole:
    """An answer in one piece; a status of 400 and above is the client's to mend."""

    status: int
    content_type: str
    body: bytes
    document: Any


@dataclass(frozen=True, kw_only=True)
class Streaming:
    """An answer whose first bytes are here; `tries` is kept once the stream has ended."""

    content_type: str
    pieces: Iterator[bytes]
    reply: Reply
    tries: "Try"


@dataclass(frozen=True, kw_only=True)
class AllFailed:
    """No provider answered; the last one's status and words."""

    status: int
    message: str
    retry_after: str | None


class _Failed(Exception):  # noqa: N818 - ends one try, the next one begins
    def __init__(
        self, reason: str, message: str, *, status: int | None, retry_after: str | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.status = status
        self.retry_after = retry_after


class Try:
    """One try at one provider, timed."""

    def __init__(self, record: Record, route: Route) -> None:
        self._record = record
        self._route = route
        self._start_ms = record.offset_ms()
        self._kept = False

    def keep(self, status: int | None, *, error_type: str | None = None, message: str | None = None) -> None:
        """Add the try to the record, once."""
        if self._kept:
            return
        self._kept = True
        duration_ms = round(max(0.0, self._record.offset_ms() - self._start_ms), 3)
        self._record.attempts.append(
            ProviderAttempt(
                provider=self._route.upstream.name,
                provider_slug=self._route.upstream.slug,
                model=self._route.model,
                id=None if error_type else self._record.reading.upstream_id,
                status_code=status if status and status <= 999 else None,
                error_type=error_type,
                error_message=message,
                start_ms=self._start_ms,
                duration_ms=duration_ms,
            )
        )


def answer(record: Record, model: Model) -> Whole | Streaming | AllFailed:
    """Return the first provider's answer that can be passed on."""
    record.candidates = len(model.routes)
    record.router_ms = record.offset_ms()
    last = AllFailed(status=502, message="No provider is configured.", retry_after=None)
    for route in model.routes:
        attempt = Try(record, route)
        try:
            return _one(record, route, attempt)
        except _Failed as failed:
            attempt.keep(failed.status, error_type=failed.reason, message=failed.message)
            record.headers_ms = None
            last = _after(route, failed)
    return last


def _one(record: Record, route: Route, attempt: Try) -> Whole | Streaming:
    record.prices = route.prices
    request = record.request
    body = request.body_for(route.model, ask_usage=route.upstream.ask_usage)
    try:
        reply = route.upstream.send(request.api, body)
    except SendFailed as error:
        raise _Failed(error.reason, str(error), status=None) from None
    record.headers_ms = record.offset_ms()
    keep_open = False
    try:
        _refuse(reply)
        content_type = reply.headers.get("content-type", "application/json")
        if reply.status == 200 and content_type.startswith("text/event-stream"):
            streaming = Streaming(content_type=content_type, pieces=_begun(reply), reply=reply, tries=attempt)
            keep_open = True
            return streaming
        return _whole(record, reply, content_type, attempt)
    except SendFailed as error:
        raise _Failed(error.reason, str(error), status=reply.status) from None
    finally:
        if not keep_open:
            reply.close()


def _refuse(reply: Reply) -> None:
    """Raise `_Failed` for an answer that another provider may do better."""
    status = reply.status
    if status in _OPERATORS:
        raise _Failed(str(status), "The provider refused the router's credential.", status=status)
    if status in {408, 429} or status >= 500:
        told = error_of(plain(reply.read(_ERROR_BYTES)), f"The provider answered {status}.")
        raise _Failed(str(status), told.message, status=status, retry_after=reply.headers.get("retry-after"))
    if not (status == 200 or 400 <= status < 500):
        raise _Failed(str(status), f"The provider answered {status}.", status=status)


def _begun(reply: Reply) -> Iterator[bytes]:
    """Wait for the first bytes, because until then the next provider may still be tried."""
    pieces = reply.pieces()
    first = next(pieces, None)
    if first is None:
        raise _Failed("empty_answer", "The provider ended its answer before it began.", status=reply.status)
    return chain((first,), pieces)


def _whole(record: Record, reply: Reply, content_type: str, attempt: Try) -> Whole:
    body = reply.read(_ANSWER_BYTES)
    document = plain(body)
    if not isinstance(document, dict):
        raise _Failed("bad_answer", "The provider's answer is not a JSON object.", status=reply.status)
    if reply.status == 200:
        record.reading.whole(document)
        attempt.keep(reply.status)
    else:
        attempt.keep(
            reply.status, error_type=str(reply.status), message=error_of(document, "").message or None
        )
    return Whole(status=reply.status, content_type=content_type, body=body, document=document)


def _after(route: Route, failed: _Failed) -> AllFailed:
    passed_on = failed.status in {408, 429} or (failed.status or 0) >= 500
    return AllFailed(
        status=failed.status if passed_on and failed.status else 502,
        message=f"No provider could answer. {route.upstream.name}: {failed.message}",
        retry_after=failed.retry_after,
    )
