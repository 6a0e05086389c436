"""The notes of one request while it runs, and the receipt they become."""

import secrets
import string
from collections.abc import Callable
from typing import Final

from broadcast.gateway.prices import Prices, cost_of
from broadcast.gateway.request import Request
from broadcast.receipt import Error, KeyRef, ProviderAttempt, Receipt, Routing, Status, Timing
from broadcast.receipt_size import fitted
from broadcast.trace_context import trace_id_of

_BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_DIGITS: Final = 20


def new_generation_id(now_us: int) -> str:
    """Return `gen-{unix seconds}-{20 base62}`."""
    number, digits = secrets.randbelow(len(_BASE62) ** _ID_DIGITS), []
    for _ in range(_ID_DIGITS):
        number, digit = divmod(number, len(_BASE62))
        digits.append(_BASE62[digit])
    return f"gen-{now_us // 1_000_000}-{''.join(digits)}"


class Record:
    """What happened to one request, with offsets measured from its start."""

    def __init__(
        self,
        request: Request,
        *,
        system: str | None,
        api_key: KeyRef,
        now_us: int,
        clock: Callable[[], int],
    ) -> None:
        self.id = new_generation_id(now_us)
        self.request = request
        self.reading = request.shape.reading()
        self.attempts: list[ProviderAttempt] = []
        self.routing: Routing | None = None
        self.headers_ms: float | None = None
        self.first_token_ms: float | None = None
        self.prices: Prices | None = None
        self.error: Error | None = None
        self._system = system
        self._api_key = api_key
        self._now_us = now_us
        self._clock = clock
        self._started = clock()
        self._status: Status = "succeeded"
        self._duration_us: int | None = None

    def offset_ms(self) -> float:
        """Return how long the request has run, or ran; nothing of it ends after it."""
        if self._duration_us is not None:
            return self._duration_us / 1000
        return max(0, self._clock() - self._started) / 1000

    def finish(self, status: Status, error: Error | None = None) -> None:
        """Keep how it ended; the first end counts."""
        if self._duration_us is None:
            self._duration_us = max(0, self._clock() - self._started)
            self._status, self.error = status, error

    @property
    def finished(self) -> bool:
        """Whether the end is known."""
        return self._duration_us is not None

    @property
    def trace_id(self) -> str:
        """The trace id of the spans, told before anything is known of the answer or read of the messages."""
        request = self.request
        return trace_id_of(
            Receipt(
                id=self.id,
                created_at_us=self._now_us,
                duration_us=0,
                model=request.model,
                status="succeeded",
                trace=request.trace,
                traceparent=request.traceparent,
            )
        )

    def receipt(self) -> Receipt:
        """Return the receipt as of now."""
        request, reading = self.request, self.reading
        asked = request.asked
        last = self.attempts[-1] if self.attempts else None
        usage = reading.usage
        made = Receipt(
            id=self.id,
            created_at_us=self._now_us,
            duration_us=self._duration_us or 0,
            model=request.model,
            status=self._status,
            response_model=reading.model,
            provider=last.provider if last else None,
            provider_slug=last.provider_slug if last else None,
            system=self._system,
            api_type=request.api,
            streamed=request.streamed,
            finish_reason=reading.finish_reason,
            native_finish_reason=reading.native_finish_reason,
            error=self.error,
            usage=usage,
            cost=cost_of(reading.raw_usage, usage, self.prices),
            timing=self._timing(last),
            attempts=tuple(self.attempts),
            routing=self.routing,
            capabilities=request.capabilities(asked),
            app=request.app,
            user_agent=request.user_agent,
            origin=request.origin,
            parameters=request.parameters,
            user=request.user,
            session_id=request.session_id,
            trace=request.trace,
            traceparent=request.traceparent,
            api_key=self._api_key,
            input=asked,
            output=reading.output,
        )
        return fitted(made)

    def _timing(self, last: ProviderAttempt | None) -> Timing:
        return Timing(
            first_token_ms=self.first_token_ms,
            router_ms=self.routing.duration_ms if self.routing else None,
            provider_request_ms=last.start_ms if last else None,
            provider_headers_ms=self.headers_ms,
            provider_body_end_ms=round(last.start_ms + last.duration_ms, 3)
            if last and self.headers_ms is not None
            else None,
        )
