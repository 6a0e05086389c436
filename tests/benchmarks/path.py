"""The whole durable path against opentelemetry-python's exporter at one destination; the replay of arrivals.

Ours: JSON in, parsed, stored by SQLite with `synchronous=FULL`, read, built, encoded, compressed, sent, and
the outcome recorded. The peer: JSON in, a span by the SDK's tracer, batched in memory, encoded, gzipped,
sent; nothing of it is durable. Both have taken one receipt before the clock starts: to be ready is the cost
of a process, and of no receipt.
"""

import asyncio
import contextlib
import gc
import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from broadcast import config
from broadcast.delivery import Delivery
from broadcast.runtime import Services, build
from broadcast.store.workspaces import Workspace
from broadcast.transport import Transport
from broadcast.worker import new_event_loop
from destinations import TYPES
from tests.benchmarks import encoding, peer, workload
from tests.benchmarks.sink import Sink
from tests.benchmarks.table import Row

POST = 500
RUNS = 9
HOLDER = "bench"
PEER = "BatchSpanProcessor, OTLP, gzip"
KINDER_PEER = f"{PEER}, attributes given at once"
PEER_US = 155
"""CPU that the peer took a receipt on the core for which 25,000 receipts are the target."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Course:
    """What one run cost and what arrived."""

    cpu_s: float
    wall_s: float
    spans: int
    bytes: int


def rows(now_us: int, arrivals_file: Path | None) -> list[Row]:
    """Return the rows of this file; stop when a receipt was lost or came twice."""
    arrivals = workload.recorded(arrivals_file) if arrivals_file else workload.generated()
    source = arrivals_file.name if arrivals_file else "generated arrivals"
    with Sink() as sink:
        plain = workload.receipts(arrivals, ends_us=now_us)
        ours, theirs, at_once = _in_turn(plain, sink, now_us)
        heavy = workload.receipts(arrivals[:2_000], ends_us=now_us, content_bytes=20 * encoding.KILO)
        ours_heavy, theirs_heavy, at_once_heavy = _in_turn(heavy, sink, now_us)
    return [
        _against("no content", PEER, ours, theirs, target=4.0),
        _against("no content", KINDER_PEER, ours, at_once),
        *_receipts(ours, theirs),
        Row(
            name=f"{len(plain):,} {source}, each delivered once",
            unit="receipts a second",
            ours=ours.spans / ours.wall_s,
        ),
        _against("20 KB content", PEER, ours_heavy, theirs_heavy),
        _against("20 KB content", KINDER_PEER, ours_heavy, at_once_heavy),
    ]


def _in_turn(items: list[bytes], sink: Sink, now_us: int) -> tuple[Course, Course, Course]:
    """Return the best run of ours, of the peer and of the kinder peer.

    They run by turns: a machine's slow minute must not fall on one side alone.
    """
    ours: list[Course] = []
    theirs: list[Course] = []
    at_once: list[Course] = []
    for _ in range(RUNS):
        # What one side leaves behind is not collected at the other's cost.
        gc.collect()
        ours.append(durable(items, sink))
        gc.collect()
        theirs.append(in_memory(items, sink, now_us))
        gc.collect()
        at_once.append(in_memory(items, sink, now_us, at_once=True))
    return _best(ours), _best(theirs), _best(at_once)


def _best(runs: list[Course]) -> Course:
    return min(runs, key=lambda course: course.cpu_s)


def _against(label: str, peer_name: str, ours: Course, theirs: Course, *, target: float | None = None) -> Row:
    mine, other = ours.spans / ours.cpu_s, theirs.spans / theirs.cpu_s
    return Row(
        name=f"whole path, {label}",
        unit="spans a CPU-second",
        ours=mine,
        peer=other,
        peer_name=peer_name,
        ratio=mine / other,
        target=target,
    )


def _receipts(ours: Course, theirs: Course) -> list[Row]:
    """Return what this core does, and what by the peer the core of the target would; the first is judged."""
    a_cpu_second = ours.spans / ours.cpu_s
    peer_us = theirs.cpu_s / theirs.spans * 1e6
    return [
        Row(
            name="whole path, no content",
            unit="receipts a CPU-second",
            ours=a_cpu_second,
            target=25_000,
            absolute=True,
        ),
        Row(
            name=f"the same where the peer takes {PEER_US} us, worked out",
            unit="receipts a CPU-second",
            ours=a_cpu_second * peer_us / PEER_US,
        ),
    ]


def durable(items: list[bytes], sink: Sink) -> Course:
    """Take receipts through ingest to one destination and check that each arrived exactly once."""
    with tempfile.TemporaryDirectory() as folder:
        services, workspace = _prepared(Path(folder), sink)
        services.ingest.start()
        first, *others = items
        bodies = posts(others)

        async def course() -> tuple[float, float]:
            async with _delivering(services) as rest:
                post(services, workspace, [first])
                await rest()
                sink.told()
                wall, cpu = time.monotonic(), time.process_time()
                post(services, workspace, bodies)
                await rest()
                return time.process_time() - cpu, time.monotonic() - wall

        cpu_s, wall_s = run(course())
        services.ingest.stop()
        services.close()
    return _checked(sink, len(others), cpu_s, wall_s)


def posts(items: Sequence[bytes]) -> list[bytes]:
    """Return receipts as the bodies of posts, so many in each."""
    return [b"\n".join(items[start : start + POST]) for start in range(0, len(items), POST)]


def post(services: Services, workspace: Workspace, bodies: Sequence[bytes]) -> None:
    """Take bodies through ingest; stop when it did not take all that is in them."""
    for body in bodies:
        status, answer = services.ingest.accept_body(workspace.id, None, body, "application/x-ndjson")
        if status != 202 or answer["rejected"]:
            raise SystemExit(f"ingest answered {status}: {str(answer)[:500]}")


def _prepared(folder: Path, sink: Sink) -> tuple[Services, Workspace]:
    """Return the program on a new database, with one destination saved through its live test."""
    environment = {
        "BROADCAST_DATA_DIR": str(folder),
        "BROADCAST_EGRESS_ALLOW": f"127.0.0.1:{sink.port}",
    }
    services = build(config.load(environment), TYPES)
    services.store.migrate()
    now_us = services.clock()
    user = services.accounts.create_user(
        email="bench@example.com", password="a password for benchmarks", now_us=now_us
    )
    workspace = services.accounts.create_workspace(name="Bench", owner=user, now_us=now_us)
    body = {
        "type": "otel-collector",
        "name": "sink",
        "enabled": True,
        "config": {"endpoint": sink.url},
        "privacy_level": "full",
    }
    services.connections.create(workspace, user.id, body, now_us=now_us)
    services.connections.set_broadcast(workspace, user.id, enabled=True, now_us=now_us)
    return services, workspace


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run delivery on the loop that a worker has."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


async def deliver(services: Services) -> None:
    """Deliver until every cursor is at the head."""
    async with _delivering(services) as rest:
        await rest()


@contextlib.asynccontextmanager
async def _delivering(services: Services) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Open delivery; what is yielded runs rounds until every cursor is at the head."""
    woken = asyncio.Event()
    with services.store.hold(HOLDER):
        async with Transport(services.policy) as transport:
            delivery = Delivery(
                services.store,
                services.vault,
                services.types,
                transport,
                namespace=services.config.service_name,
                holder=HOLDER,
                clock=services.clock,
                wake=woken.set,
            )

            async def rest() -> None:
                while await delivery.round() or delivery.in_flight:
                    if delivery.in_flight:
                        await woken.wait()
                        woken.clear()

            yield rest
            await delivery.stop(10)


def in_memory(items: list[bytes], sink: Sink, now_us: int, *, at_once: bool = False) -> Course:
    """Take the same receipts through the SDK: JSON in, a span by its tracer, its processor, its exporter.

    What attributes to set is settled beforehand: to find out would be a cost of its own.
    """
    trees = [encoding.tree(encoding.parse(item, now_us)) for item in items]
    exporter = OTLPSpanExporter(endpoint=sink.url, compression=Compression.Gzip)
    provider = TracerProvider(resource=Resource(dict(trees[0].resource)), shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_queue_size=len(items) + 512, max_export_batch_size=512)
    )
    tracer = provider.get_tracer(encoding.NAMESPACE)
    peer.trace(tracer, trees[0], at_once=at_once)
    provider.force_flush()
    sink.told()
    wall, cpu = time.monotonic(), time.process_time()
    for item, one in zip(items[1:], trees[1:], strict=True):
        json.loads(item)
        peer.trace(tracer, one, at_once=at_once)
    provider.shutdown()
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    return _checked(sink, len(items) - 1, cpu, wall)


def _checked(sink: Sink, expected: int, cpu_s: float, wall_s: float) -> Course:
    told = sink.told()
    if not told["spans"] == told["distinct"] == expected:
        raise SystemExit(f"{expected} went in; {told['spans']} arrived, {told['distinct']} of them different")
    return Course(cpu_s=cpu_s, wall_s=wall_s, spans=told["spans"], bytes=told["bytes"])
