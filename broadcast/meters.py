"""What this process counts and times by itself, for Prometheus.    door: prometheus_client.

Each web process is a target of its own: its counters begin at nothing when it starts, as Prometheus expects.
What workers count is in the database, see `store/worker_counters.py`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

RESULTS: Final = ("accepted", "duplicate", "rejected", "not_stored", "lost")
CLASSES: Final = ("2xx", "3xx", "4xx", "5xx")
_INGEST_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Meters:
    """Counters and histograms of one process, all of them there from the start, at nothing."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._receipts = Counter(
            "broadcast_receipts",
            "Receipts that came to this web process; not_stored: the sender was told to send again; "
            "lost: a chat request's own that could not be stored.",
            ("result",),
            registry=self.registry,
        )
        self._ingest = Histogram(
            "broadcast_ingest_seconds",
            "From a submission of receipts that were read to its durable commit, or to its refusal.",
            registry=self.registry,
            buckets=_INGEST_S,
        )
        self._gateway = Counter(
            "broadcast_gateway_requests",
            "Requests that this web process answered as a gateway, by class of HTTP status.",
            ("status_class",),
            registry=self.registry,
        )
        self._waiting = {
            name: Gauge(f"broadcast_ingest_waiting_{name}", words, registry=self.registry)
            for name, words in (
                ("receipts", "Receipts that wait for whoever writes in this web process."),
                ("bytes", "What these hold in memory."),
            )
        }
        for result in RESULTS:
            self._receipts.labels(result)
        for status_class in CLASSES:
            self._gateway.labels(status_class)

    def receipts(self, result: str, count: int = 1) -> None:
        """Count receipts by what became of them."""
        if count:
            self._receipts.labels(result).inc(count)

    @contextmanager
    def ingesting(self) -> Iterator[None]:
        """Time a submission of receipts."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._ingest.observe(time.perf_counter() - began)

    def gateway(self, status: int) -> None:
        """Count a request to the gateway by its status."""
        self._gateway.labels(f"{status // 100}xx").inc()

    def watch_waiting(self, receipts: Callable[[], float], held_bytes: Callable[[], float]) -> None:
        """Ask the writer for what waits, whenever somebody looks."""
        self._waiting["receipts"].set_function(receipts)
        self._waiting["bytes"].set_function(held_bytes)
