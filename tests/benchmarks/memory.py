"""Memory: a worker's while its destinations are down and an hour's backlog grows behind them.

One workspace, three destinations that will not take anything: one refuses connections, one takes the request
and never answers, one answers 503. All owe the same log, so every receipt is waited for three times. The log
is multiplied in the database, since only the worker is measured; an hour holds more attempts than a minute,
so each of the three is made due again ten times a second, whatever its back-off says.
"""

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text

from broadcast.runtime import Services
from broadcast.store import tables
from broadcast.store.workspaces import Workspace
from tests.benchmarks import fleet, path, processes, workload
from tests.benchmarks.sink import Sink
from tests.benchmarks.table import Row

SEEDED: Final = 20_000
BACKLOG: Final = 600_000
STEP: Final = 20_000
AN_HOUR: Final = 3_600_000
"""Receipts of an hour at a thousand a second."""

SETTLE_S: Final = 6.0
HANG_S: Final = 60
_EVERY_S: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class Grown:
    """What the worker had before and at most after, and how much was asked of it meanwhile."""

    before_bytes: int
    peak_bytes: int
    receipts: int
    attempts: int


def rows(now_us: int) -> list[Row]:
    """Return the rows of this file."""
    with Sink() as sink, _closed_port() as closed, fleet.installation() as (services, variables):
        (workspace,) = fleet.add_workspaces(services, 1)
        fleet.add_destinations(
            services,
            workspace,
            [
                f"http://127.0.0.1:{closed}/refused",
                f"http://127.0.0.2:{sink.port}/hang/{HANG_S}/1",
                f"http://127.0.0.3:{sink.port}/status/503/1",
            ],
        )
        _seed(services, workspace, now_us)
        with fleet.workers(variables, 1) as (worker,):
            fleet.wait_until_up(services, [worker])
            grown = _grown(services, workspace, worker.pid)
    return [_row(grown)]


@contextlib.contextmanager
def _closed_port() -> Iterator[int]:
    """Hold a port that nobody listens on, so that no other program takes it meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def _seed(services: Services, workspace: Workspace, now_us: int) -> None:
    items = workload.receipts(workload.generated(SEEDED), ends_us=now_us)
    path.post(services, workspace, path.posts(items))


def _grown(services: Services, workspace: Workspace, pid: int) -> Grown:
    """Grow the backlog while the worker tries; it has held full batches of all three before that."""
    _press(services, SETTLE_S)
    before = peak = processes.rss_bytes(pid)
    copied = SEEDED
    while copied < BACKLOG:
        _copy(services, workspace, copied)
        copied += STEP
        peak = max(peak, _press(services, 2 * _EVERY_S, pid))
    peak = max(peak, _press(services, SETTLE_S, pid))
    with services.store.read() as conn:
        attempts = conn.exec_driver_sql("SELECT count(*) FROM attempts").scalar_one()
    return Grown(before_bytes=before, peak_bytes=peak, receipts=copied, attempts=attempts)


def _press(services: Services, seconds: float, pid: int | None = None) -> int:
    """Make every destination due again and again; return the most memory that was seen."""
    peak = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with services.store.write() as conn:
            conn.exec_driver_sql("UPDATE cursors SET due_at_us = 0")
        time.sleep(_EVERY_S)
        peak = max(peak, processes.rss_bytes(pid) if pid else 0)
    return peak


def _copy(services: Services, workspace: Workspace, after_seq: int) -> None:
    """Append the first receipts once more, under other ids, as one commit."""
    with services.store.write() as conn:
        new = {"seq": "seq + :after", "id": "id || '-' || :after", "block": "(seq + :after) >> :bits"}
        names = [column.name for column in tables.receipts.columns]
        values = ", ".join(new.get(name, f'"{name}"') for name in names)
        columns = ", ".join(f'"{name}"' for name in names)
        conn.execute(
            text(
                f"INSERT INTO receipts ({columns}) SELECT {values} FROM receipts"
                " WHERE workspace_id = :workspace_id AND seq <= :step"
            ),
            {"after": after_seq, "workspace_id": workspace.id, "step": STEP, "bits": tables.BLOCK_BITS},
        )
        conn.execute(
            text("UPDATE heads SET head_seq = head_seq + :step WHERE workspace_id = :workspace_id"),
            {"workspace_id": workspace.id, "step": STEP},
        )


def _row(grown: Grown) -> Row:
    share = grown.receipts / AN_HOUR
    return Row(
        name=(
            f"destinations down, {grown.receipts:,} receipts behind ({share:.0%} of an hour's at 1,000/s),"
            f" {grown.attempts} attempts: growth of the worker's {grown.before_bytes / 2**20:.0f} MiB"
        ),
        unit="MiB",
        ours=(grown.peak_bytes - grown.before_bytes) / 2**20,
        target=10.0,
        absolute=True,
        at_most=True,
    )
