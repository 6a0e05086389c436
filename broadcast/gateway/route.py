"""Try the providers of a model one after the other until one answers; each try is kept.

What sends a request on to the next provider is `fallback_on` of the model. What the client has to mend goes
back to it as it came.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import msgspec

from broadcast.errors import SendFailed
from broadcast.gateway.choice import Choice, NoRoute, choose, way
from broadcast.gateway.failures import CLIENTS, OWN_FAULT, Failure, covered, of_error, of_send, of_status
from broadcast.gateway.measures import Measures, Way
from broadcast.gateway.plain import plain
from broadcast.gateway.preferences import FIELD, BadPreference, wishes_of
from broadcast.gateway.reading import error_of
from broadcast.gateway.record import Record
from broadcast.gateway.refusal import Refusal
from broadcast.gateway.stream import opening
from broadcast.gateway.upstreams import Model, Reply, Route
from broadcast.receipt import ProviderAttempt, Routing

_ANSWER_BYTES: Final = 64 * 2**20
_ERROR_BYTES: Final = 64 * 1024
_STREAM: Final = "text/event-stream"
_ANSWERS: Final = ("choices", "content", "output", "data")
_WAIT: Final = re.compile(r"[ -~]{1,64}")


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


class _Failed(Exception):  # noqa: N818 - ends one try, the next one begins
    def __init__(
        self,
        kind: Failure,
        reason: str,
        message: str,
        *,
        status: int | None,
        retry_after: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.reason = reason
        self.message = message
        self.status = status
        self.retry_after = retry_after if retry_after and _WAIT.fullmatch(retry_after) else None


class Try:
    """One try at one provider, timed."""

    def __init__(self, record: Record, route: Route, measures: Measures) -> None:
        self._record = record
        self._route = route
        self._measures = measures
        self._start_ms = record.offset_ms()
        self._kept = False

    def keep(
        self,
        status: int | None,
        *,
        error_type: str | None = None,
        message: str | None = None,
        at_fault: bool = True,
    ) -> None:
        """Add the try to the record, once; `at_fault` says whether an error was the provider's."""
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
        if error_type is None:
            self._measure(duration_ms)
        elif at_fault:
            self._measures.failed(self._way)

    def _measure(self, duration_ms: float) -> None:
        record = self._record
        began_ms = record.first_token_ms if record.request.streamed else record.headers_ms
        usage = record.reading.usage
        tokens = usage.output_tokens if usage and record.error is None else None
        self._measures.answered(
            self._way,
            first_ms=None if began_ms is None else max(0.0, began_ms - self._start_ms),
            tokens_per_s=tokens * 1000 / duration_ms if tokens and duration_ms else None,
        )

    @property
    def _way(self) -> Way:
        request = self._record.request
        return way(self._route, request.api, streamed=request.streamed)


def answer(record: Record, model: Model, measures: Measures) -> Whole | Streaming | Refusal:
    """Return the first provider's answer that can be passed on."""
    chosen = _chosen(record, model, measures)
    if isinstance(chosen, Refusal):
        return chosen
    record.routing = Routing(
        profile=chosen.profile, candidates=chosen.candidates, duration_ms=record.offset_ms()
    )
    refusal = Refusal(status=502, reason="provider_error", message="No provider is configured.")
    for number, route in enumerate(chosen.routes, start=1):
        attempt = Try(record, route, measures)
        # What is passed on rather than tried again: everything, when there is no other provider.
        goes_on = model.fallback_on if number < len(chosen.routes) else frozenset()
        try:
            return _one(record, route, attempt, goes_on)
        except _Failed as failed:
            attempt.keep(
                failed.status,
                error_type=failed.reason,
                message=failed.message,
                at_fault=failed.kind not in CLIENTS,
            )
            record.headers_ms = None
            refusal = _after(route, failed, refusal.retry_after)
            if failed.kind not in goes_on:
                break
    return refusal


def _chosen(record: Record, model: Model, measures: Measures) -> Choice | Refusal:
    request = record.request
    try:
        wishes = wishes_of(plain(request.fields.get(FIELD)))
        return choose(model, request.api, wishes, measures, streamed=request.streamed)
    except BadPreference as bad:
        return Refusal(status=422, reason="invalid_request", message=bad.message, field=bad.field)
    except NoRoute as none:
        return Refusal(status=404, reason=none.reason, message=none.message)


def _one(record: Record, route: Route, attempt: Try, goes_on: frozenset[Failure]) -> Whole | Streaming:
    record.prices = route.prices
    request, upstream = record.request, route.upstream
    body = request.body_for(
        route.model, ask_usage=upstream.ask_usage, without=() if upstream.is_router else (FIELD,)
    )
    try:
        reply = upstream.send(request.api, body, request.headers)
    except SendFailed as error:
        raise _Failed(of_send(error), error.reason, str(error), status=None) from None
    record.headers_ms = record.offset_ms()
    keep_open = False
    try:
        _refuse(reply)
        content_type = reply.headers.get("content-type", "application/json")
        if reply.status == 200 and content_type.lower().startswith(_STREAM):
            if not request.streamed:
                message = "The provider sent a stream, which was not asked for."
                raise _Failed("bad_answer", "bad_answer", message, status=reply.status)
            pieces = _begun(reply, goes_on)
            keep_open = True
            return Streaming(content_type=content_type, pieces=pieces, reply=reply, tries=attempt)
        return _whole(record, reply, content_type, attempt, goes_on)
    except SendFailed as error:
        raise _Failed(of_send(error), error.reason, str(error), status=reply.status) from None
    finally:
        if not keep_open:
            reply.close()


def _refuse(reply: Reply) -> None:
    """Raise `_Failed` for an answer that the client can do nothing about."""
    status = reply.status
    kind = of_status(status)
    if status == 200 or kind in CLIENTS:
        return
    # A provider's words about our credential may quote it.
    message = OWN_FAULT if kind == "credential" else _told(reply)
    raise _Failed(kind, str(status), message, status=status, retry_after=reply.headers.get("retry-after"))


def _told(reply: Reply) -> str:
    otherwise = f"The provider answered {reply.status}."
    try:
        return error_of(plain(reply.read(_ERROR_BYTES)), otherwise).message
    except SendFailed:
        # The status is known, and says more than the way in which its text broke off.
        return otherwise


def _begun(reply: Reply, goes_on: frozenset[Failure]) -> Iterator[bytes]:
    """Wait for the first event, because until then the next provider may still be tried."""
    pieces = reply.pieces()
    begun, document = opening(pieces)
    if not begun:
        message = "The provider ended its answer before it began."
        raise _Failed("bad_answer", "empty_answer", message, status=reply.status)
    failed = _error_in(reply.status, covered(document)) if document else None
    if failed and _ends(failed, goes_on):
        raise failed
    return chain((begun,), pieces)


def _whole(
    record: Record, reply: Reply, content_type: str, attempt: Try, goes_on: frozenset[Failure]
) -> Whole:
    body = reply.read(_ANSWER_BYTES)
    document = plain(body)
    if not isinstance(document, dict):
        message = "The provider's answer is not a JSON object."
        raise _Failed("bad_answer", "bad_answer", message, status=reply.status)
    if (told := covered(document)) is not document:
        document, body = told, msgspec.json.encode(told)
    if failed := _error_in(reply.status, document):
        if _ends(failed, goes_on):
            raise failed
        attempt.keep(
            reply.status,
            error_type=failed.reason,
            message=failed.message,
            at_fault=failed.kind not in CLIENTS,
        )
    if reply.status == 200:
        record.reading.whole(document)
        attempt.keep(reply.status)
    return Whole(status=reply.status, content_type=content_type, body=body, document=document)


def _error_in(status: int, document: dict[str, Any]) -> _Failed | None:
    """Return the failure that an answer tells; routers tell some of theirs with a status of 200."""
    error = error_of(document, f"The provider answered {status}.")
    if status != 200:
        return _Failed(of_status(status, document), str(status), error.message, status=status)
    if not document.get("error") or any(name in document for name in _ANSWERS):
        return None
    reason = str(error.code) if isinstance(error.code, int) else error.type
    return _Failed(of_error(error, document), reason, error.message, status=status)


def _ends(failed: _Failed, goes_on: frozenset[Failure]) -> bool:
    """Whether an answer that tells a failure is not passed on: the client cannot mend our credential."""
    return failed.kind in goes_on or failed.kind == "credential"


def _after(route: Route, failed: _Failed, retry_after: str | None) -> Refusal:
    """Return what the client is told when this was the last try."""
    passed_on = failed.status in {408, 429} or (failed.status or 0) >= 500
    return Refusal(
        status=failed.status if passed_on and failed.status else 502,
        reason="provider_error",
        message=f"No provider could answer. {route.upstream.name}: {failed.message}",
        retry_after=failed.retry_after or retry_after,
    )
