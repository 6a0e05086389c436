"""Everything Prometheus may ask, as its text: this process's own, and what the database knows of the whole.

What is read from the database (destinations, workers, attempts) is the same at every web process: ask with
`max by`, not `sum`. What a web process counts itself is its own: `sum` over the processes.
"""

import platform
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from broadcast import __version__, ledger
from broadcast.destination import Verdict
from broadcast.errors import Unavailable
from broadcast.fates import Fate
from broadcast.meters import Meters
from broadcast.store import Store, backlogs, worker_counters
from broadcast.store.backlogs import Backlog
from broadcast.store.spent import DATABASE_US, KINDS, TRANSACTIONS
from broadcast.store.worker_counters import ATTEMPTS, SENT_BYTES, SETTLED, Seen
from broadcast.worker_report import LAG

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
MOST_DESTINATIONS: Final = 100
"""Destinations with a series of their own: those that are furthest behind; the others are one series."""

OTHER: Final = "other"
FRESH_US: Final = 20_000_000
"""A worker that has not said anything for longer is not counted as alive."""

_WORKER_GAUGES: Final = (
    ("in_flight_destinations", "Destinations with a batch under way."),
    ("open_sends", "Requests to destinations that wait for an answer."),
    ("open_bytes", "What all open batches hold in memory."),
)


def text(store: Store, meters: Meters) -> bytes:
    """Return the exposition; without a database what this process knows by itself."""
    registry = CollectorRegistry()
    registry.register(_Of(_all(store)))
    return generate_latest(meters.registry) + generate_latest(registry)


class _Of(Collector):
    """Metrics that are made already."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> list[Metric]:
        return self._metrics


def _all(store: Store) -> Iterator[Metric]:
    yield _build_info(store)
    yield from _transactions("broadcast_web", "this web process", store.spent.figures())
    up = GaugeMetricFamily("broadcast_database_up", "Whether this web process could read the database.")
    try:
        with store.read() as conn:
            now_us = store.now_us(conn)
            every = backlogs.every(conn)
            notices = backlogs.notices_waiting(conn)
            told = worker_counters.told(conn)
            totals = worker_counters.totals(conn)
    except Unavailable:
        up.add_metric((), 0)
        yield up
        return
    up.add_metric((), 1)
    yield up
    yield from _destinations(every, now_us)
    yield GaugeMetricFamily(
        "broadcast_notices_waiting", "Notices to people that have not gone out.", value=notices
    )
    yield from _workers(told)
    attempts = CounterMetricFamily("broadcast_attempts", "Attempts at a batch.", labels=("verdict",))
    yield _filled(
        attempts, {verdict.value: totals.get(f"{ATTEMPTS}{verdict.value}", 0) for verdict in Verdict}
    )
    settled = CounterMetricFamily(
        "broadcast_settled_receipts", "Receipts settled at a destination.", labels=("fate",)
    )
    yield _filled(settled, {each.value: totals.get(f"{SETTLED}{each.value}", 0) for each in Fate})
    yield CounterMetricFamily(
        "broadcast_sent_bytes", "Bytes sent to destinations.", value=totals.get(SENT_BYTES, 0)
    )
    yield from _transactions("broadcast_worker", "all workers", totals)


def _build_info(store: Store) -> Metric:
    labels = ("version", "python", "database")
    info = GaugeMetricFamily("broadcast_build_info", "What runs here; always 1.", labels=labels)
    info.add_metric((__version__, platform.python_version(), store.dialect), 1)
    return info


def _filled(family: CounterMetricFamily, values: Mapping[str, float]) -> Metric:
    """Return a counter with every value of its label, so that a rate is known from the first one on."""
    for label, value in values.items():
        family.add_metric((label,), value)
    return family


def _transactions(prefix: str, whose: str, figures: Mapping[str, int]) -> Iterator[Metric]:
    count = CounterMetricFamily(
        f"{prefix}_database_transactions", f"Transactions of {whose}.", labels=("kind",)
    )
    seconds = CounterMetricFamily(
        f"{prefix}_database_seconds", f"Time in transactions of {whose}, waits included.", labels=("kind",)
    )
    yield _filled(count, {kind: figures.get(f"{TRANSACTIONS}{kind}", 0) for kind in KINDS})
    yield _filled(seconds, {kind: figures.get(f"{DATABASE_US}{kind}", 0) / 1e6 for kind in KINDS})


def _workers(told: list[Seen]) -> Iterator[Metric]:
    alive = [worker.gauges for worker in told if worker.age_us <= FRESH_US]
    yield GaugeMetricFamily("broadcast_workers", "Workers that said something lately.", value=len(alive))
    lag = max((gauges.get(LAG, 0.0) for gauges in alive), default=0.0)
    words = "How late the event loop of the slowest worker was at worst in its last seconds."
    yield GaugeMetricFamily("broadcast_worker_event_loop_lag_seconds", words, value=lag)
    for name, words in _WORKER_GAUGES:
        total = sum(gauges.get(name, 0) for gauges in alive)
        yield GaugeMetricFamily(f"broadcast_worker_{name}", words, value=total)


# -- destinations ------------------------------------------------------------------------------------


def _destinations(every: list[Backlog], now_us: int) -> Iterator[Metric]:
    placed = [_Placed(one, now_us) for one in every]
    groups: defaultdict[tuple[str, str], list[_Placed]] = defaultdict(list)
    for one in placed:
        groups[one.state, one.type].append(one)
    labels = ("state", "type")
    count = GaugeMetricFamily("broadcast_destinations", "Destinations.", labels=labels)
    backlog = GaugeMetricFamily("broadcast_backlog_receipts", "Receipts not settled yet.", labels=labels)
    lag = GaugeMetricFamily(
        "broadcast_lag_seconds",
        "Age of the oldest receipt not settled yet, at the destination furthest behind.",
        labels=labels,
    )
    for key, members in sorted(groups.items()):
        count.add_metric(key, len(members))
        backlog.add_metric(key, sum(one.backlog for one in members))
        lag.add_metric(key, max(one.lag_s for one in members))
    yield from (count, backlog, lag)
    yield from _each(placed)


class _Placed:
    """A destination with its state, how much it is owed and since when."""

    def __init__(self, one: Backlog, now_us: int) -> None:
        waits = one.on and one.oldest_received_at_us is not None
        behind_us = max(0, now_us - (one.oldest_received_at_us or 0)) if waits else 0
        self.uid, self.type = one.uid, one.type
        self.backlog = max(0, one.waiting) if one.on else 0
        self.lag_s = behind_us / 1e6
        self.state = ledger.word(
            on=one.on,
            paused=one.paused,
            failures=one.failures,
            last_verdict=one.last_verdict,
            behind_us=behind_us,
        )


def _each(placed: list[_Placed]) -> Iterator[Metric]:
    """Return a series for each destination by its id alone, and one for those past the cap."""
    ranked = sorted(placed, key=lambda one: one.lag_s, reverse=True)
    own, others = ranked[:MOST_DESTINATIONS], ranked[MOST_DESTINATIONS:]
    labels = ("destination",)
    backlog = GaugeMetricFamily(
        "broadcast_destination_backlog_receipts",
        f"Receipts not settled yet, by id; past {MOST_DESTINATIONS} destinations the sum of the others.",
        labels=labels,
    )
    lag = GaugeMetricFamily(
        "broadcast_destination_lag_seconds",
        f"Age of the oldest of them, by id; past {MOST_DESTINATIONS} destinations the oldest of the others.",
        labels=labels,
    )
    for one in sorted(own, key=lambda one: one.uid):
        backlog.add_metric((one.uid,), one.backlog)
        lag.add_metric((one.uid,), one.lag_s)
    if others:
        backlog.add_metric((OTHER,), sum(one.backlog for one in others))
        lag.add_metric((OTHER,), max(one.lag_s for one in others))
    left_out = GaugeMetricFamily(
        "broadcast_destination_series_left_out",
        "Destinations without a series of their own.",
        value=len(others),
    )
    yield from (backlog, lag, left_out)
