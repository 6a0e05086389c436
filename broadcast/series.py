"""Series: what requests come to by the conventions' labels, as sums and histograms that only grow.

Which labels, and the boundaries:
https://github.com/open-telemetry/semantic-conventions/blob/v1.41.1/docs/gen-ai/gen-ai-metrics.md, read
2026-11-21. What differs in a label beyond the cap goes to one series, which is called the other one; it keeps
every sum whole.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from broadcast.genai_attributes import operation
from broadcast.genai_measures import error_type_of
from broadcast.receipt import Receipt
from broadcast.tally import FAILED

LIMIT: Final = 1_000
"""Combinations of labels that one destination's metrics tell apart, since they were switched on."""

TOKEN_BOUNDS: Final = tuple(4**power for power in range(14))
SECOND_BOUNDS: Final = tuple(2**power / 100 for power in range(14))
_MICRO_BOUNDS: Final = tuple(10_000 * 2**power for power in range(14))
_LONGEST: Final = 256
_OTHER_KEY: Final = b""


class Labels(NamedTuple):
    """What requests are told apart by; empty where a receipt does not say, and all of them for the rest."""

    operation: str = ""
    provider: str = ""
    request_model: str = ""
    response_model: str = ""
    error_type: str = ""

    @property
    def key(self) -> bytes:
        """Return what a series is stored under: together the labels may be longer than an index takes."""
        return _OTHER_KEY if self == OTHER else hashlib.blake2b(_encode(self), digest_size=16).digest()


OTHER: Final = Labels()
"""The labels of the series for what the cap leaves without one; no request has them, for each has a model."""

_encode: Final = msgspec.json.Encoder().encode


class Histogram(msgspec.Struct, gc=False, array_like=True):
    """How many values lie in each bucket, its upper boundary included, and their exact sum."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * 15)
    sum: int = 0

    @property
    def count(self) -> int:
        """Return how many values there are."""
        return sum(self.counts)

    def put(self, value: int, bounds: tuple[int, ...]) -> None:
        """Count one value."""
        self.counts[bisect_left(bounds, value)] += 1
        self.sum += value

    def add(self, other: "Histogram") -> None:
        """Add another one's values."""
        self.counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum


class Series(msgspec.Struct, kw_only=True, gc=False):
    """What the requests with one set of labels come to; an unknown cost is counted, never taken for 0."""

    labels: Labels
    requests: int = 0
    errors: int = 0
    unpriced: int = 0
    cost_nano_usd: int = 0
    input_tokens: Histogram = msgspec.field(default_factory=Histogram)
    output_tokens: Histogram = msgspec.field(default_factory=Histogram)
    duration_us: Histogram = msgspec.field(default_factory=Histogram)
    first_chunk_us: Histogram = msgspec.field(default_factory=Histogram)

    def count(self, receipt: Receipt) -> None:
        """Count one request."""
        self.requests += 1
        self.errors += receipt.status in FAILED
        self.duration_us.put(receipt.duration_us, _MICRO_BOUNDS)
        total = receipt.cost.total_nano_usd if receipt.cost is not None else None
        self.unpriced += total is None
        self.cost_nano_usd += total or 0
        usage = receipt.usage
        if usage is not None and usage.input_tokens is not None:
            self.input_tokens.put(usage.input_tokens, TOKEN_BOUNDS)
        if usage is not None and usage.output_tokens is not None:
            self.output_tokens.put(usage.output_tokens, TOKEN_BOUNDS)
        first_ms = receipt.timing.first_token_ms if receipt.timing is not None else None
        # By the convention this is of streamed answers only.
        if receipt.streamed and first_ms is not None:
            self.first_chunk_us.put(round(first_ms * 1000), _MICRO_BOUNDS)

    def add(self, other: "Series") -> None:
        """Add what another series holds."""
        for name in self.__struct_fields__:
            mine, more = getattr(self, name), getattr(other, name)
            if isinstance(mine, Histogram):
                mine.add(more)
            elif isinstance(mine, int):
                setattr(self, name, mine + more)


def labels_of(receipt: Receipt) -> Labels:
    """Return what a request is told apart by, as its span says it."""
    return Labels(
        operation=operation(receipt)[:_LONGEST],
        provider=(receipt.provider_slug or receipt.system or "")[:_LONGEST],
        request_model=receipt.model[:_LONGEST],
        response_model=(receipt.response_model or "")[:_LONGEST],
        error_type=error_type_of(receipt)[:_LONGEST],
    )


def counted(receipts: Iterable[Receipt]) -> dict[Labels, Series]:
    """Return what some requests come to, in the order in which their labels first appeared."""
    found: dict[Labels, Series] = {}
    for receipt in receipts:
        labels = labels_of(receipt)
        found.setdefault(labels, Series(labels=labels)).count(receipt)
    return found


def merged(made: Mapping[Labels, Series], known: Collection[Series], total: int, limit: int) -> list[Series]:
    """Return the series that change when `made` is added to what is `known` of them.

    `total` says how many there are, the other one left out; new ones beyond the limit go to that one.
    """
    changed = {series.labels: series for series in known}
    for labels, series in made.items():
        is_new = labels not in changed
        home = OTHER if is_new and total >= limit else labels
        total += is_new
        changed.setdefault(home, Series(labels=home)).add(series)
    return list(changed.values())


def together(every: Iterable[Series]) -> list[list[Series]]:
    """Return series in groups that differ in the kind of error alone."""
    found: dict[Labels, list[Series]] = {}
    for one in every:
        found.setdefault(one.labels._replace(error_type=""), []).append(one)
    return list(found.values())


def without_errors(every: Iterable[Series]) -> list[Series]:
    """Return series told apart by all labels but the error's, for metrics whose labels do not hold it."""
    found = []
    for group in together(every):
        whole = Series(labels=group[0].labels._replace(error_type=""))
        for one in group:
            whole.add(one)
        found.append(whole)
    return found
