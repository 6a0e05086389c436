"""What an answer means: the records of answers, and how they are judged by status and by OTLP's rules.

Statuses and partial success: https://opentelemetry.io/docs/specs/otlp/ (OTLP 1.11), read 2026-11-20.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Response:
    """What came back: at most 64 KiB of body as read from the wire, header names lower-case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes
    duration_ms: float
    sent_bytes: int
    host: str
    tls: str | None = None


class Verdict(StrEnum):
    """What one attempt came to."""

    DELIVERED = "delivered"
    PARTLY_DELIVERED = "partly_delivered"
    THROTTLED = "throttled"
    NO_ANSWER = "no_answer"
    RETRYING = "retrying"
    REJECTED = "rejected"
    REFUSED = "refused"


class Remedy(StrEnum):
    """What delivery does about an outcome."""

    NONE = "none"
    SPLIT = "split"
    DOUBT = "doubt"
    WAIT = "wait"
    ATTEND = "attend"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The meaning of an answer: what it came to, in words, and what the destination asked for."""

    verdict: Verdict
    reason: str
    status_code: int | None = None
    rejected_spans: int = 0
    retry_after: str | None = None
    answered_at: str | None = None

    @property
    def remedy(self) -> Remedy:
        """Return what to do: halve it, halve it after some tries, wait, or call a person."""
        if self.verdict is Verdict.RETRYING and _is_doubtful(self.status_code):
            return Remedy.DOUBT
        return _REMEDIES[self.verdict]

    @property
    def delivered(self) -> bool:
        """Whether the batch is settled as delivered."""
        return self.verdict in _ARRIVED


_ARRIVED: Final = frozenset({Verdict.DELIVERED, Verdict.PARTLY_DELIVERED})
_REMEDIES: Final[Mapping[Verdict, Remedy]] = {
    Verdict.DELIVERED: Remedy.NONE,
    Verdict.PARTLY_DELIVERED: Remedy.NONE,
    Verdict.THROTTLED: Remedy.WAIT,
    Verdict.NO_ANSWER: Remedy.WAIT,
    Verdict.RETRYING: Remedy.WAIT,
    Verdict.REJECTED: Remedy.SPLIT,
    Verdict.REFUSED: Remedy.ATTEND,
}


def _is_doubtful(status: int | None) -> bool:
    """Whether an answer may mean the server or one receipt: 408, 500, 501, 505 and above."""
    return status is not None and (status in {408, 500, 501} or status >= 505)


def judge_otlp(response: Response, things: str = "spans") -> Outcome:
    """Return what an answer to an export of some things means by OTLP's rules."""
    outcome = judge_api(response)
    return _judge_success(response, outcome.reason, things) if outcome.delivered else outcome


def judge_status(response: Response) -> Outcome:
    """Return what an answer means by its status alone: any success is a delivery."""
    status = response.status
    retry_after = response.headers.get("retry-after")
    if 200 <= status < 300:
        verdict = Verdict.DELIVERED
    elif status == 429 or (status == 503 and retry_after):
        verdict = Verdict.THROTTLED
    elif status in {400, 413, 422}:
        verdict = Verdict.REJECTED
    elif 300 <= status < 500 and status != 408:
        verdict = Verdict.REFUSED
    else:
        verdict = Verdict.RETRYING
    return Outcome(
        verdict=verdict,
        reason=f"{status} {response.reason}".strip(),
        status_code=status,
        retry_after=retry_after,
        answered_at=response.headers.get("date"),
    )


def judge_api(response: Response) -> Outcome:
    """Return what an answer of an API means by its status, where a page for people is none of its answers."""
    outcome = judge_status(response)
    if not outcome.delivered or not is_web_page(response):
        return outcome
    reason = f"{outcome.reason}, but the answer is a web page: check the address"
    return replace(outcome, verdict=Verdict.REFUSED, reason=reason)


def _judge_success(response: Response, words: str, things: str) -> Outcome:
    try:
        rejected, message = partial_success(response)
    except Exception:  # noqa: BLE001 - a success must not fail because its body cannot be read
        reason = f"{words}, with an answer that cannot be read"
        return Outcome(verdict=Verdict.DELIVERED, reason=reason, status_code=response.status)
    if rejected > 0:
        reason = f"{words}: {rejected} {things} rejected" + (f": {message}" if message else "")
        return Outcome(
            verdict=Verdict.PARTLY_DELIVERED,
            reason=reason,
            status_code=response.status,
            rejected_spans=rejected,
        )
    if message:
        words = f"{words}: {message}"
    return Outcome(verdict=Verdict.DELIVERED, reason=words, status_code=response.status)


def is_web_page(response: Response) -> bool:
    """Whether a page for people came, which says nothing of spans."""
    return bool(response.body.strip()) and "text/html" in response.headers.get("content-type", "").lower()


def partial_success(response: Response) -> tuple[int, str]:
    """Return how many spans, or points, were rejected and the receiver's words; an unreadable body raises."""
    kind = response.headers.get("content-type", "json")
    if "protobuf" in kind:
        return _partial_protobuf(response.body)
    # Another kind of answer, a plain "ok", is not OTLP's and says nothing of spans.
    if "json" not in kind:
        return 0, ""
    return _usual(response.body) if len(response.body) <= _SHORT else _partial_json(response.body)


_SHORT: Final = 64


@lru_cache(maxsize=64)
def _usual(body: bytes) -> tuple[int, str]:
    """Return the same for a short answer: nearly all are the same few bytes, which say that all is well."""
    return _partial_json(body)


def _partial_json(body: bytes) -> tuple[int, str]:
    document = json.loads(body or b"{}")
    partial = document.get("partialSuccess") or {}
    rejected = partial.get("rejectedSpans") or partial.get("rejectedDataPoints") or 0
    return int(rejected), str(partial.get("errorMessage") or "")[:300]


def _partial_protobuf(body: bytes) -> tuple[int, str]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415 - slow to import, rarely needed
        ExportTraceServiceResponse,
    )

    # An answer to metrics has the same two fields under the same numbers.
    partial = ExportTraceServiceResponse.FromString(body).partial_success
    return int(partial.rejected_spans), partial.error_message[:300]
