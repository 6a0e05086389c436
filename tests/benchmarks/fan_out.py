"""Fan-out: what ten destinations of one workspace cost, against one, and against an SDK's ten processors.

Receipts go through ingest and then to every destination, on SQLite with `synchronous=FULL`, in this process;
then the same with ten destinations on PostgreSQL, whose own CPU is counted.
"""

import gc
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from broadcast.runtime import Services
from tests.benchmarks import encoding, fleet, path, peer, workload
from tests.benchmarks.postgres import Postgres
from tests.benchmarks.sink import Sink
from tests.benchmarks.table import Row

MANY: Final = 10
RUNS: Final = 2
PEERS: Final = 2_000
"""Receipts that the peer is given: it needs a millisecond for each at ten destinations."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """What one run cost."""

    receipts: int
    spans: int
    writes: int
    cpu_s: float
    wall_s: float
    server_cpu_s: float = 0.0


def rows(now_us: int, arrivals_file: Path | None) -> list[Row]:
    """Return the rows of this file; stop when a receipt was lost or came twice."""
    arrivals = workload.recorded(arrivals_file) if arrivals_file else workload.generated()
    items = workload.receipts(arrivals, ends_us=now_us)
    with Sink() as sink:
        one, many, theirs = _in_turn(items, sink, now_us)
        with Postgres() as server:
            on_server = durable(items, sink, MANY, server)
    return [*_own(one, many), _against_peer(many, theirs), _on_server(on_server)]


def _in_turn(items: list[bytes], sink: Sink, now_us: int) -> tuple[Course, Course, Course]:
    """Return the best run of each, run by turns: a machine's slow minute must not fall on one side alone."""
    rounds = [
        (
            durable(items, sink, 1),
            durable(items, sink, MANY),
            in_memory(items[:PEERS], sink, MANY, now_us),
        )
        for _ in range(RUNS)
    ]
    one, many, theirs = zip(*rounds, strict=True)
    return _best(one), _best(many), _best(theirs)


def _best(runs: tuple[Course, ...]) -> Course:
    return min(runs, key=lambda course: course.cpu_s)


def durable(items: list[bytes], sink: Sink, destinations: int, server: Postgres | None = None) -> Course:
    """Take receipts through ingest to so many destinations and check that each got each exactly once."""
    url = server.new_database("fan_out") if server else None
    with fleet.installation(url) as (services, _):
        (workspace,) = fleet.add_workspaces(services, 1)
        fleet.add_destinations(services, workspace, [f"{sink.url}/{n}" for n in range(destinations)])
        bodies = path.posts(items)
        sink.told()
        gc.collect()
        writes = _writes(services) if server is None else 0
        server_cpu = server.cpu_seconds() if server else 0.0
        wall, cpu = time.monotonic(), time.process_time()
        path.post(services, workspace, bodies)
        path.run(path.deliver(services))
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        server_cpu = server.cpu_seconds() - server_cpu if server else 0.0
        writes = _writes(services) - writes if server is None else 0
        spans = _checked(sink, len(items), destinations)
    return Course(
        receipts=len(items), spans=spans, writes=writes, cpu_s=cpu, wall_s=wall, server_cpu_s=server_cpu
    )


def _writes(services: Services) -> int:
    """Return the rows that SQLite's one writing connection has changed so far."""
    with services.store.write() as conn:
        return int(conn.exec_driver_sql("SELECT total_changes()").scalar_one())


def in_memory(items: list[bytes], sink: Sink, processors: int, now_us: int) -> Course:
    """Take the same receipts through the SDK with one processor and exporter for each destination."""
    trees = [encoding.tree(encoding.parse(item, now_us)) for item in items]
    provider = TracerProvider(resource=Resource(dict(trees[0].resource)), shutdown_on_exit=False)
    sink.told()
    gc.collect()
    wall, cpu = time.monotonic(), time.process_time()
    for _ in range(processors):
        exporter = OTLPSpanExporter(endpoint=sink.url, compression=Compression.Gzip)
        provider.add_span_processor(
            BatchSpanProcessor(exporter, max_queue_size=len(items) + 512, max_export_batch_size=512)
        )
    tracer = provider.get_tracer(encoding.NAMESPACE)
    for item, tree in zip(items, trees, strict=True):
        json.loads(item)
        peer.trace(tracer, tree)
    provider.shutdown()
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    spans = _checked(sink, len(items), processors)
    return Course(receipts=len(items), spans=spans, writes=0, cpu_s=cpu, wall_s=wall)


def _checked(sink: Sink, receipts: int, times: int) -> int:
    told = sink.told()
    if not told["spans"] == told["distinct"] * times == receipts * times:
        raise SystemExit(f"{receipts} to {times}: {told['spans']} spans came, {told['distinct']} different")
    return told["spans"]


def _own(one: Course, many: Course) -> list[Row]:
    speed_one, speed_many = one.receipts / one.wall_s, many.receipts / many.wall_s
    cost_one, cost_many = (course.cpu_s / course.receipts * 1e6 for course in (one, many))
    return [
        Row(
            name=f"{MANY} destinations, row writes",
            unit="a receipt and destination",
            ours=many.writes / many.receipts / MANY,
            target=0.35,
            absolute=True,
            at_most=True,
        ),
        Row(
            name=f"{MANY} destinations, whole path",
            unit="receipts a second",
            ours=speed_many,
            peer=speed_one,
            peer_name="at one destination",
            ratio=speed_many / speed_one,
            target=0.75,
        ),
        Row(
            name=f"{MANY} destinations, whole path",
            unit="CPU us a receipt",
            ours=cost_many,
            peer=cost_one,
            peer_name="at one destination",
            ratio=cost_one / cost_many,
        ),
    ]


def _against_peer(many: Course, theirs: Course) -> Row:
    ours, other = many.spans / many.cpu_s, theirs.spans / theirs.cpu_s
    return Row(
        name=f"{MANY} destinations, whole path",
        unit="spans a CPU-second",
        ours=ours,
        peer=other,
        peer_name=f"{MANY} BatchSpanProcessors, OTLP, gzip",
        ratio=ours / other,
    )


def _on_server(course: Course) -> Row:
    return Row(
        name=f"{MANY} destinations, PostgreSQL's own CPU",
        unit="us a receipt",
        ours=course.server_cpu_s / course.receipts * 1e6,
        target=40.0,
        absolute=True,
        at_most=True,
    )
