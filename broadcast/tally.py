"""Tallies: what requests come to, added up exactly; an unknown cost is counted, never taken for 0."""

import logging
from collections.abc import Hashable, Iterable, Iterator
from itertools import islice
from operator import add
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from broadcast import sketch
from broadcast.receipt import Cost, KeyRef, Timing, Usage
from broadcast.sketch import Sketch

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
FAILED: Final = frozenset({"error", "denied"})
"""The statuses that count as errors; who cancels has no complaint."""

_LONGEST: Final = 256
_LONGEST_NAME: Final = 64
_LONGEST_VALUE: Final = 128
_KEYS: Final = 8
UNTOLD: Final = "trace"
"""The facet of requests with a key of `trace` that tells nothing when added up; its value is that key, and
empty for all keys after the first few."""

_IDS: Final = frozenset({"trace_id", "parent_span_id", "trace_name", "span_name", "generation_name"})


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What is counted of a receipt, read from its document; the rest is skipped over."""

    created_at_us: int
    duration_us: int
    model: str
    status: str
    provider: str | None = None
    api_key: KeyRef | None = None
    capabilities: tuple[str, ...] = ()
    usage: Usage | None = None
    cost: Cost | None = None
    timing: Timing | None = None
    user: str | None = None
    session_id: str | None = None
    trace: dict[str, Any] | None = None


class Group(NamedTuple):
    """What requests are told apart by; empty where a receipt does not say."""

    model: str
    provider: str
    api_key_hash: str
    api_key_name: str
    status: str
    capabilities: str


class FacetSums(NamedTuple):
    """Sums of the requests that have one value in common."""

    requests: int
    errors: int
    unpriced: int
    spend_nano_usd: int
    input_tokens: int
    output_tokens: int

    def plus(self, other: "FacetSums") -> "FacetSums":
        """Return the sums of both."""
        return FacetSums._make(map(add, self, other))


class SessionSums(NamedTuple):
    """Sums of one session's requests, and from when to when they began."""

    requests: int
    errors: int
    unpriced: int
    spend_nano_usd: int
    input_tokens: int
    output_tokens: int
    first_at_us: int
    last_at_us: int

    def plus(self, other: "SessionSums") -> "SessionSums":
        """Return the sums of both."""
        sums = FacetSums(*self[:-2]).plus(FacetSums(*other[:-2]))
        first_at_us = min(self.first_at_us, other.first_at_us)
        return SessionSums(*sums, first_at_us, max(self.last_at_us, other.last_at_us))


_Sums = TypeVar("_Sums", FacetSums, SessionSums)
_Key = TypeVar("_Key", bound=Hashable)


def put(known: dict[_Key, _Sums], key: _Key, sums: _Sums) -> None:
    """Add sums to those that a key has already."""
    before = known.get(key)
    known[key] = sums if before is None else before.plus(sums)


class Tally:
    """Sums of requests; `latency` and `first_token` are sketches."""

    __slots__ = (
        "cached_tokens",
        "errors",
        "first_token",
        "input_tokens",
        "latency",
        "output_tokens",
        "reasoning_tokens",
        "requests",
        "spend_nano_usd",
        "unpriced",
    )

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self.unpriced = 0
        self.spend_nano_usd = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.cached_tokens = 0
        self.reasoning_tokens = 0
        self.latency: Sketch = sketch.EMPTY
        self.first_token: Sketch = sketch.EMPTY

    def count(self, facts: Facts) -> None:
        """Count one request."""
        self.requests += 1
        self.errors += facts.status in FAILED
        total = facts.cost.total_nano_usd if facts.cost else None
        if total is None:
            self.unpriced += 1
        else:
            self.spend_nano_usd += total
        if facts.usage is not None:
            self._count_tokens(facts.usage)
        self.latency += sketch.of(facts.duration_us)
        first_ms = facts.timing.first_token_ms if facts.timing else None
        if first_ms is not None:
            self.first_token += sketch.of(first_ms * 1000)

    def _count_tokens(self, usage: Usage) -> None:
        self.input_tokens += usage.input_tokens or 0
        self.output_tokens += usage.output_tokens or 0
        self.cached_tokens += usage.cache_read_tokens or 0
        self.reasoning_tokens += usage.reasoning_tokens or 0

    def add(self, other: "Tally") -> None:
        """Add another tally's sums."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def latency_us(self, percent: int) -> int | None:
        """Return a percentile of the latency, within 3 %."""
        return sketch.percentile_us(self.latency, percent)

    def first_token_us(self, percent: int) -> int | None:
        """Return a percentile of the time to the first token, within 3 %."""
        return sketch.percentile_us(self.first_token, percent)


_log: Final = logging.getLogger(__name__)
_FACTS: Final = msgspec.json.Decoder(Facts)


def facts_of(documents: Iterable[bytes]) -> Iterator[Facts]:
    """Yield what is counted of stored receipts; one that cannot be read must not stop the sums."""
    for document in documents:
        facts = read(document)
        if facts is not None:
            yield facts


def read(document: bytes) -> Facts | None:
    """Return what is counted of a stored receipt, None where it cannot be read."""
    try:
        return _FACTS.decode(document)
    except msgspec.DecodeError as error:
        # Its words may quote what somebody sent.
        _log.warning("action=receipt_not_counted error=%s", type(error).__name__)
        return None


def group_of(facts: Facts) -> Group:
    """Return the group that a request is counted in."""
    key = facts.api_key
    return Group(
        model=facts.model[:_LONGEST],
        provider=(facts.provider or "")[:_LONGEST],
        api_key_hash=((key.hash if key else None) or "")[:_LONGEST],
        api_key_name=((key.name if key else None) or "")[:_LONGEST],
        status=facts.status,
        capabilities=",".join(sorted(set(facts.capabilities)))[:_LONGEST] if facts.capabilities else "",
    )


def sums_of(facts: Facts) -> FacetSums:
    """Return what one request adds to each of its facets."""
    total = facts.cost.total_nano_usd if facts.cost else None
    return FacetSums(
        requests=1,
        errors=int(facts.status in FAILED),
        unpriced=int(total is None),
        spend_nano_usd=total or 0,
        input_tokens=(facts.usage.input_tokens if facts.usage else None) or 0,
        output_tokens=(facts.usage.output_tokens if facts.usage else None) or 0,
    )


def facets_of(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield the names and values by which a request can be told apart beyond its group.

    A value of `trace` counts where it is short and plain: ids and long texts tell nothing when added up.
    """
    if facts.user:
        yield "user", facts.user[:_LONGEST_VALUE]
    plain = (item for item in (facts.trace or {}).items() if item[0] not in _IDS and item[1] is not None)
    for name, value in islice(plain, _KEYS):
        shown = _shown(value) if len(name) <= _LONGEST_NAME else None
        yield (UNTOLD, name[:_LONGEST_VALUE]) if shown is None else (f"trace.{name}", shown)
    if next(plain, None) is not None:
        yield UNTOLD, ""


def _shown(value: object) -> str | None:
    """Return a value of `trace` as a facet's, None where it is none."""
    if not isinstance(value, str | bool | int):
        return None
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return shown if 0 < len(shown) <= _LONGEST_VALUE else None


def facets_with(user: str | None, trace: tuple[str, str] | None) -> list[tuple[str, str]]:
    """Return the facets that have between them every request of a user, or with a text at a key of `trace`.

    None has where the value is empty, or the key is one of the ids.
    """
    if user:
        return [("user", user[:_LONGEST_VALUE])]
    if trace is None or not trace[1] or trace[0] in _IDS:
        return []
    key, value = trace
    return [(f"trace.{key}", value), (UNTOLD, key[:_LONGEST_VALUE]), (UNTOLD, "")]


def session_name(session_id: str) -> str:
    """Return what a session's sums are kept by."""
    return session_id[:_LONGEST]


def session_of(facts: Facts) -> Iterator[tuple[str, SessionSums]]:
    """Yield the request's session and what it adds to it, where it has one."""
    if facts.session_id:
        at_us = facts.created_at_us
        yield session_name(facts.session_id), SessionSums(*sums_of(facts), at_us, at_us)
