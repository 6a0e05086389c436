"""Isolation: what one destination that hangs, or one workspace that floods, costs all the others.

Ten thousand destinations of 200 workspaces on PostgreSQL, each workspace's at a host of its own, two worker
processes, real HTTP on loopback. One destination in a hundred takes every request and answers after ten
seconds. The delay of a send runs from the moment its receipt is handed to ingest, before its commit, until
the first byte of the request is at the receiver; nothing waits for a send, so no slow one hides another.

Before that each workspace has had its turns at half the pace, the hanging ones hanging: what it costs two
workers to open ten thousand destinations and to connect to them is the price of a start, not of a neighbour.
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from broadcast.runtime import Services
from broadcast.store.workspaces import Workspace
from tests.benchmarks import fleet, processes, workload
from tests.benchmarks.fleet import Worker
from tests.benchmarks.postgres import Postgres
from tests.benchmarks.sink import Arrival, Sink
from tests.benchmarks.table import Row

WORKSPACES: Final = 200
DESTINATIONS: Final = 50
HUNG_EVERY: Final = 100
HANG_S: Final = 10
WORKERS: Final = 2
SENDS_A_SECOND: Final = 2_000
FLOOD: Final = 100
WARM_TURNS: Final = 3
MEASURED_S: Final = 20
FLOODED_S: Final = 10
DRAIN_S: Final = 3
_SEED: Final = 20261121


@dataclass(frozen=True, kw_only=True)
class Posted:
    """A receipt that was handed to ingest: in which workspace, when, and when it was durable."""

    workspace: int
    at_us: int
    durable_us: int


@dataclass(frozen=True, kw_only=True)
class Found:
    """Delays of one phase, in ms, sorted: of sends that never came, until nobody looked any more."""

    delays_ms: list[float]
    missing: int
    repeated: int
    seconds: float

    def quantile(self, share: float) -> float:
        """Return the delay that `share` of the sends due stayed under."""
        return self.delays_ms[min(int(share * self.due), self.due - 1)]

    @property
    def due(self) -> int:
        """Return how many sends to healthy destinations were due."""
        return len(self.delays_ms)

    @property
    def share(self) -> float:
        """Return how much of what was due has arrived."""
        return 1 - self.missing / self.due


@dataclass(kw_only=True)
class Load:
    """Receipts at an even pace."""

    services: Services
    made: Sequence[Workspace]
    dice: random.Random = field(default_factory=lambda: random.Random(_SEED))
    posted: dict[str, Posted] = field(default_factory=dict)

    def in_turn(self, turns: int, a_second: float) -> None:
        """Post to one workspace after the other, so many times to each."""
        self._post_all([*range(len(self.made))] * turns, a_second)

    def run(self, seconds: float, a_second: float, weights: Sequence[float] | None = None) -> None:
        """Post for so long, to workspaces drawn at random."""
        count = int(seconds * a_second)
        self._post_all(self.dice.choices(range(len(self.made)), weights, k=count), a_second)

    def _post_all(self, places: Sequence[int], a_second: float) -> None:
        """Post at a pace; who is late posts at once until the pace is reached again."""
        arrivals = workload.generated(len(places))
        first = len(self.posted)
        items = workload.receipts(arrivals, ends_us=self.services.clock())
        begun = time.monotonic()
        for number, (item, place) in enumerate(zip(items, places, strict=True)):
            time.sleep(max(0.0, begun + number / a_second - time.monotonic()))
            self._post(f"{first + number}", item, place)

    def _post(self, name: str, item: bytes, place: int) -> None:
        named = item.replace(b'"id":"gen-bench-', f'"id":"gen-{name}-'.encode(), 1)
        at_us = self.services.clock()
        status, answer = self.services.ingest.accept_body(self.made[place].id, None, named, None)
        if status != 202:
            raise SystemExit(f"ingest answered {status}: {str(answer)[:500]}")
        self.posted[name] = Posted(workspace=place, at_us=at_us, durable_us=self.services.clock())


def rows() -> list[Row]:
    """Return the rows of this file."""
    with Postgres() as server, Sink() as sink:
        url = server.new_database("isolation")
        with fleet.installation(url) as (services, variables):
            made = _planted(services, sink.port)
            with fleet.workers(variables, WORKERS) as running:
                fleet.wait_until_up(services, running)
                return _measured(services, made, running, sink, server)


def _planted(services: Services, port: int) -> list[Workspace]:
    made = fleet.add_workspaces(services, WORKSPACES)
    for place, workspace in enumerate(made):
        numbers = range(place * DESTINATIONS, (place + 1) * DESTINATIONS)
        fleet.add_destinations(services, workspace, [_endpoint(place, number, port) for number in numbers])
    with services.store.write() as conn:
        # A server learns the size of its tables within a minute; these rows came a second ago.
        conn.exec_driver_sql("ANALYZE")
    return made


def _endpoint(place: int, number: int, port: int) -> str:
    kind = f"hang/{HANG_S}" if _hangs(number) else "ok"
    return f"http://127.0.{place % 250 + 1}.1:{port}/{kind}/{number}"


def _hangs(number: int) -> bool:
    return number % HUNG_EVERY == HUNG_EVERY // 2


def _measured(
    services: Services, made: Sequence[Workspace], running: Sequence[Worker], sink: Sink, server: Postgres
) -> list[Row]:
    load = Load(services=services, made=made)
    a_second = SENDS_A_SECOND / DESTINATIONS
    load.in_turn(WARM_TURNS, a_second / 2)
    time.sleep(DRAIN_S)
    before = _cpu(running, sink, server)
    since_us = services.clock()
    load.run(MEASURED_S, a_second)
    until_us = services.clock()
    after = _cpu(running, sink, server)
    time.sleep(DRAIN_S)
    weights = [float(FLOOD)] + [1.0] * (WORKSPACES - 1)
    flood_since_us = services.clock()
    load.run(FLOODED_S, a_second * sum(weights) / WORKSPACES, weights)
    flood_until_us = services.clock()
    time.sleep(DRAIN_S)
    seen_us = services.clock()
    arrivals = sink.arrivals()
    traces = _traces(services)
    hung = delays(arrivals, traces, load.posted, since_us, until_us, seen_us=seen_us)
    flooded = delays(
        arrivals,
        traces,
        load.posted,
        flood_since_us,
        flood_until_us,
        seen_us=seen_us,
        left_out=frozenset({0}),
    )
    peak = max(processes.peak_rss_bytes(worker.pid) for worker in running)
    spent = {name: f"{(after[name] - before[name]) / hung.seconds:.2f}" for name in before}
    print(f"CPU cores used: {spent}; delivered twice: {hung.repeated + flooded.repeated}")
    start = delays(arrivals, traces, load.posted, 0, since_us, seen_us=seen_us)
    p50_ms, p99_ms = start.quantile(0.5), start.quantile(0.99)
    print(f"While it started, at half the pace: p50 {p50_ms:,.0f}, p99 {p99_ms:,.0f} ms")
    return _rows(hung, flooded, peak)


def _cpu(running: Sequence[Worker], sink: Sink, server: Postgres) -> dict[str, float]:
    return {
        **{f"worker {n}": processes.cpu_seconds(worker.pid) for n, worker in enumerate(running, 1)},
        "PostgreSQL": server.cpu_seconds(),
        "receiver": processes.cpu_seconds(sink.process.pid),
        "generator": time.process_time(),
    }


def _traces(services: Services) -> dict[str, str]:
    """Return the receipt's name of each trace id."""
    with services.store.read() as conn:
        found = conn.exec_driver_sql("SELECT trace_id, id FROM receipts").all()
    return {row[0]: row[1].split("-")[1] for row in found}


def delays(
    arrivals: Sequence[Arrival],
    traces: Mapping[str, str],
    posted: Mapping[str, Posted],
    since_us: int,
    until_us: int,
    *,
    seen_us: int,
    left_out: frozenset[int] = frozenset(),
) -> Found:
    """Return what became of the healthy sends of receipts posted within a time."""
    chosen = {
        name: one
        for name, one in posted.items()
        if since_us <= one.at_us < until_us and one.workspace not in left_out
    }
    owed = {
        (name, f"/ok/{number}"): one.at_us
        for name, one in chosen.items()
        for number in range(one.workspace * DESTINATIONS, (one.workspace + 1) * DESTINATIONS)
        if not _hangs(number)
    }
    found: list[float] = []
    came = 0
    for arrival in arrivals:
        for name in {traces[trace] for trace in arrival.traces} & chosen.keys():
            came += arrival.path.startswith("/ok/")
            at_us = owed.pop((name, arrival.path), None)
            if at_us is not None:
                found.append((arrival.at_us - at_us) / 1000)
    late = [(seen_us - at_us) / 1000 for at_us in owed.values()]
    return Found(
        delays_ms=sorted(found + late),
        missing=len(late),
        repeated=came - len(found),
        seconds=(until_us - since_us) / 1e6,
    )


def _rows(hung: Found, flooded: Found, peak_bytes: int) -> list[Row]:
    setting = f"1 % of {WORKSPACES * DESTINATIONS:,} destinations hang"
    median, p95 = hung.quantile(0.5), hung.quantile(0.95)
    return [
        # A machine that cannot even post so much proves nothing about delivery.
        Row(
            name=f"{setting}: sends due at healthy ones",
            unit="a second",
            ours=hung.due / hung.seconds,
            target=0.95 * SENDS_A_SECOND,
            absolute=True,
        ),
        Row(
            name=f"{setting}: healthy ones start, p99 (p50 {median:,.0f}, p95 {p95:,.0f})",
            unit="ms from ingest to the wire",
            ours=hung.quantile(0.99),
            target=100.0,
            absolute=True,
            at_most=True,
        ),
        Row(
            name="healthy sends done of those due", unit="%", ours=hung.share * 100, target=98, absolute=True
        ),
        Row(
            name=f"one workspace sends {FLOOD} times as much: the others start, p95",
            unit="ms from ingest to the wire",
            ours=flooded.quantile(0.95),
            peer=p95,
            peer_name="without the flood",
            ratio=p95 / flooded.quantile(0.95),
        ),
        Row(
            name=f"worker with {WORKSPACES * DESTINATIONS:,} destinations, peak",
            unit="MiB",
            ours=peak_bytes / 2**20,
            target=250.0,
            absolute=True,
            at_most=True,
        ),
    ]
