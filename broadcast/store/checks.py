"""Reads that prove what the database holds: logs without gaps, contents owed, living leases, true sums."""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, Table, bindparam, func, literal, select, text, true
from sqlalchemy.sql import ColumnElement

from broadcast.store import rollups
from broadcast.store.clock import NowUs
from broadcast.store.periods import MOST, whole, wide
from broadcast.store.rollup_tables import facets
from broadcast.store.rollup_tables import rollups as groups
from broadcast.store.side_tables import workers
from broadcast.store.tables import contents, cursors, destinations, receipts, workspaces
from broadcast.tally import DAY_US


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """Some receipts in a row: how many there are, and the last one's number."""

    count: int
    last_seq: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """A destination that is leased now, and by whom; `listed` says that this worker is known."""

    workspace: str
    name: str
    holder: str
    listed: bool


def stretch(conn: Connection, workspace_id: int, after_seq: int, limit: int) -> Stretch | None:
    """Return the next receipts of a log as a count, None at its end."""
    row = conn.execute(_STRETCH, {"of": workspace_id, "after": after_seq, "count": limit}).one()
    return None if row.last_seq is None else Stretch(count=row.found, last_seq=row.last_seq)


_STRETCH: Final = text(
    "SELECT count(*) AS found, max(seq) AS last_seq FROM"
    " (SELECT seq FROM receipts WHERE workspace_id = :of AND seq > :after ORDER BY seq LIMIT :count) AS next"
)


def first_gap(conn: Connection, workspace_id: int, after_seq: int, upto_seq: int) -> tuple[int, int]:
    """Return the first and the last number of the first gap in a stretch that has one."""
    expected = after_seq + 1
    query = (
        select(receipts.c.seq)
        .where(
            receipts.c.workspace_id == workspace_id, receipts.c.seq > after_seq, receipts.c.seq <= upto_seq
        )
        .order_by(receipts.c.seq)
    )
    for seq in conn.execute(query).scalars():
        if seq != expected:
            return expected, seq - 1
        expected += 1
    return expected, upto_seq


def stale_contents(conn: Connection, workspace_id: int, upto_seq: int, before_us: int, limit: int) -> int:
    """Return how many contents up to a number belong to receipts that arrived before, counted up to `limit`.

    Those whose receipt is gone count as well.
    """
    found = (
        select(contents.c.seq)
        .outerjoin(
            receipts,
            (receipts.c.workspace_id == contents.c.workspace_id) & (receipts.c.seq == contents.c.seq),
        )
        .where(
            contents.c.workspace_id == workspace_id,
            contents.c.seq <= upto_seq,
            receipts.c.seq.is_(None) | (receipts.c.received_at_us < before_us),
        )
        .limit(limit)
    )
    return conn.execute(select(func.count()).select_from(found.subquery())).scalar_one()


def overdue_contents(conn: Connection, before_us: int, limit: int) -> int:
    """Return how many contents should have been dropped before, counted up to `limit`."""
    found = select(contents.c.seq).where(contents.c.expires_at_us < before_us).limit(limit)
    return conn.execute(select(func.count()).select_from(found.subquery())).scalar_one()


def leases(conn: Connection) -> list[Lease]:
    """Return the destinations that are leased now."""
    query = (
        select(
            workspaces.c.slug.label("workspace"),
            destinations.c.name,
            cursors.c.lease_holder.label("holder"),
            workers.c.holder.is_not(None).label("listed"),
        )
        .join_from(cursors, destinations, destinations.c.id == cursors.c.destination_id)
        .join(workspaces, workspaces.c.id == cursors.c.workspace_id)
        .outerjoin(workers, workers.c.holder == cursors.c.lease_holder)
        .where(cursors.c.lease_until_us > NowUs(), cursors.c.lease_holder.is_not(None))
        .order_by(workspaces.c.slug, destinations.c.name)
        .limit(bindparam("count", 1000))
    )
    return [Lease(**row._asdict()) for row in conn.execute(query)]


def names(conn: Connection, workspace_id: int) -> dict[int, str]:
    """Return the names of a workspace's destinations, deleted ones included, by inside id."""
    query = select(destinations.c.id, destinations.c.name).where(destinations.c.workspace_id == workspace_id)
    return {row.id: row.name for row in conn.execute(query)}


# -- sums ----------------------------------------------------------------------------------------------


class DaySums(NamedTuple):
    """A day in figures that any database adds up exactly."""

    requests: int
    unpriced: int
    spend_nano_usd: int
    input_tokens: int
    output_tokens: int


class Counted(NamedTuple):
    """Sums that are kept of some requests, and which requests these are."""

    table: Table
    kept: ColumnElement[bool]
    those: ColumnElement[bool]


EVERY: Final = Counted(groups, true(), true())
WITH_USER: Final = Counted(
    facets, facets.c.name == "user", receipts.c.user.is_not(None) & (receipts.c.user != "")
)


def summed_days(
    conn: Connection, workspace_id: int, what: Counted, from_us: int, hours: int
) -> dict[int, DaySums]:
    """Return the sums of every day from one on, as periods of 1 or 24 hours say them."""
    table = what.table
    day = table.c.at_us - table.c.at_us % DAY_US
    parts = (part for name in DaySums._fields for part in wide(table.c[name]))
    query = (
        select(day, *map(func.sum, parts))
        .where(table.c.workspace_id == workspace_id, table.c.hours == hours, table.c.at_us >= from_us)
        .where(what.kept)
        .group_by(day)
    )
    return _days(conn, query)


def counted_days(conn: Connection, workspace_id: int, what: Counted, from_us: int) -> dict[int, DaySums]:
    """Return the same, counted from the receipts that have been added up."""
    day = receipts.c.created_at_us - receipts.c.created_at_us % DAY_US
    cost = receipts.c.cost_nano_usd
    # One part counts by itself, so each figure is a pair as the sums are.
    counts = (func.count(), func.count().filter(cost.is_(None)))
    parts: list[ColumnElement[int]] = [pair for count in counts for pair in (literal(0), count)]
    for column in (cost, receipts.c.input_tokens, receipts.c.output_tokens):
        parts += [func.coalesce(func.sum(part), 0) for part in wide(column)]
    query = (
        select(day, *parts)
        .where(
            receipts.c.workspace_id == workspace_id,
            receipts.c.created_at_us >= from_us,
            receipts.c.seq <= rollups.place(conn, workspace_id),
            what.those,
        )
        .group_by(day)
    )
    return _days(conn, query)


def _days(conn: Connection, query: Select[Any]) -> dict[int, DaySums]:
    """Return days by their begin; no figure is told apart beyond the most that a sum holds."""
    return {
        int(row[0]): DaySums(*(min(whole(*pair), MOST) for pair in zip(row[1::2], row[2::2], strict=True)))
        for row in conn.execute(query)
    }
