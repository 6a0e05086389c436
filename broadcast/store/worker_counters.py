"""What workers have done, counted in the transactions that do it; what dead ones counted stays in the total.

Each worker adds to rows of its own, so that no two wait for each other. Whoever buries a worker adds its rows
to those without a holder, once: only the one whose statement deletes a row gets to know its value.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, func, select, text, update

from broadcast.store.clock import NowUs
from broadcast.store.direct import Statement
from broadcast.store.side_tables import worker_counters, workers

NOBODY: Final = ""
"""The holder of what workers counted that are gone."""

ATTEMPTS: Final = "attempts:"
"""With a verdict: rows of attempts, whatever retention has deleted of them since."""

SETTLED: Final = "settled:"
"""With a fate: receipts that attempts and replays settled."""

SENT_BYTES: Final = "sent_bytes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A worker that is listed: how long ago it wrote its gauges, and what they were."""

    holder: str
    age_us: int
    gauges: Mapping[str, float]


def add(conn: Connection, holder: str, counts: Mapping[str, int]) -> None:
    """Add to a worker's counters."""
    # In one order, so that two who bury a worker each never wait for each other.
    added = {name: value for name, value in sorted(counts.items()) if value}
    if added:
        _ADD.run(conn, [{"holder": holder, "counts": msgspec.json.encode(added).decode()}])


def fold(conn: Connection, holders: Iterable[str]) -> None:
    """Keep what workers have counted that are gone."""
    gone = (
        delete(worker_counters)
        .where(worker_counters.c.holder.in_(sorted(holders)))
        .returning(worker_counters.c.name, worker_counters.c.value)
    )
    counts: Counter[str] = Counter()
    for name, value in conn.execute(gone):
        counts[name] += value
    add(conn, NOBODY, counts)


def totals(conn: Connection) -> dict[str, int]:
    """Return what all workers have counted since the database was made; no counter ever falls."""
    query = select(worker_counters.c.name, func.sum(worker_counters.c.value)).group_by(worker_counters.c.name)
    return {name: int(value) for name, value in conn.execute(query)}


def tell(conn: Connection, holder: str, gauges: Mapping[str, float]) -> None:
    """Write down what a worker is at just now; nothing is decided by it."""
    mine = update(workers).where(workers.c.holder == holder)
    conn.execute(mine.values(seen_at_us=NowUs(), gauges=dict(gauges)))


def told(conn: Connection) -> list[Seen]:
    """Return what every listed worker was at when it last said so."""
    query = select(workers.c.holder, NowUs() - workers.c.seen_at_us, workers.c.gauges)
    return [
        Seen(holder=holder, age_us=max(0, age_us), gauges=gauges or {})
        for holder, age_us, gauges in conn.execute(query.order_by(workers.c.holder))
    ]


_ADD: Final = Statement(
    text(
        "INSERT INTO worker_counters (holder, name, value)"
        " SELECT CAST(:holder AS text), key, CAST(CAST(value AS text) AS bigint) FROM json_each(:counts)"
        # Without a condition SQLite takes ON for a part of the join.
        " WHERE true ON CONFLICT (holder, name) DO UPDATE SET value = worker_counters.value + excluded.value"
    )
)
