"""Receipts and contents by age: a bounded number of rows a call, each found by an index."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, select, text, update

from broadcast.store.clock import NowUs
from broadcast.store.receipts import oldest_seq
from broadcast.store.tables import contents, cursors, destinations, heads, receipts, workspaces


@dataclass(frozen=True, kw_only=True, slots=True)
class Instants:
    """When a receipt's request began, and when the log got it."""

    created_at_us: int
    received_at_us: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A destination's cursor, locked in this transaction while nobody has a lease on it."""

    destination_id: int
    destination_uid: str
    workspace_id: int
    cursor_seq: int
    head_seq: int
    config_version: int


def alone(conn: Connection) -> bool:
    """Return whether no other worker deletes until this transaction ends: two would wait for each other."""
    if conn.dialect.name == "sqlite":
        return True
    return bool(conn.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}).scalar_one())


_LOCK: Final = 0x726574656E74696F


def instants(conn: Connection, workspace_id: int, seq: int) -> Instants | None:
    """Return when a receipt began and arrived, None when it is gone."""
    query = select(receipts.c.created_at_us, receipts.c.received_at_us).where(
        receipts.c.workspace_id == workspace_id, receipts.c.seq == seq
    )
    row = conn.execute(query).one_or_none()
    return Instants(**row._asdict()) if row else None


def received_by_workspace(conn: Connection, after_id: int, limit: int) -> list[tuple[int, int | None]]:
    """Return the next workspaces, each with when its oldest kept receipt arrived, None for an empty log."""
    oldest = (
        select(receipts.c.received_at_us)
        .where(receipts.c.workspace_id == workspaces.c.id)
        .order_by(receipts.c.seq)
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(workspaces.c.id, oldest)
        .where(workspaces.c.id > after_id)
        .order_by(workspaces.c.id)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in conn.execute(query)]


def older_upto(
    conn: Connection, workspace_id: int, after_seq: int, horizon_us: int, limit: int
) -> int | None:
    """Return the last of the next `limit` numbers before the first receipt that is young enough.

    None where the next receipt is young, or none of these numbers is there. Arrival follows the numbers
    closely, so the log is walked from `after_seq` on and never searched.
    """
    row = conn.execute(
        _OLDER, {"of": workspace_id, "after": after_seq, "horizon": horizon_us, "to": after_seq + limit}
    ).one()
    upto = row.last if row.young is None else row.young - 1
    return None if upto is None or upto <= after_seq else int(upto)


_OLDER: Final = text(
    "SELECT min(CASE WHEN received_at_us >= :horizon THEN seq END) AS young, max(seq) AS last"
    " FROM receipts WHERE workspace_id = :of AND seq > :after AND seq <= :to"
)

# -- expiring --------------------------------------------------------------------------------------


def next_owing(
    conn: Connection, workspace_id: int, horizon_us: int, *, besides: Collection[int]
) -> int | None:
    """Return a destination whose cursor stands before a receipt that is too old, or gone already."""
    found = conn.execute(
        _OWING, {"of": workspace_id, "horizon": horizon_us, "besides": list(besides) or [0]}
    ).scalar()
    return None if found is None else int(found)


_OWING: Final = (
    select(cursors.c.destination_id)
    .join_from(cursors, heads, heads.c.workspace_id == cursors.c.workspace_id)
    .outerjoin(
        receipts,
        (receipts.c.workspace_id == cursors.c.workspace_id) & (receipts.c.seq == cursors.c.cursor_seq + 1),
    )
    .where(
        cursors.c.workspace_id == bindparam("of"),
        cursors.c.ended_seq.is_(None),
        cursors.c.cursor_seq < heads.c.head_seq,
        receipts.c.seq.is_(None) | (receipts.c.received_at_us < bindparam("horizon")),
        cursors.c.destination_id.not_in(bindparam("besides", expanding=True)),
    )
    .order_by(cursors.c.destination_id)
    .limit(1)
)


def lock_free(conn: Connection, destination_id: int) -> Place | None:
    """Lock a destination's cursor until this transaction ends; None while somebody has a lease on it."""
    query = (
        select(
            cursors.c.destination_id,
            destinations.c.uid.label("destination_uid"),
            cursors.c.workspace_id,
            cursors.c.cursor_seq,
            heads.c.head_seq,
            destinations.c.version.label("config_version"),
        )
        .join_from(cursors, heads, heads.c.workspace_id == cursors.c.workspace_id)
        .join(destinations, destinations.c.id == cursors.c.destination_id)
        .where(
            cursors.c.destination_id == destination_id,
            cursors.c.ended_seq.is_(None),
            cursors.c.lease_until_us < NowUs(),
        )
        .with_for_update(of=cursors, skip_locked=True)
    )
    row = conn.execute(query).one_or_none()
    return Place(**row._asdict()) if row else None


def expire(conn: Connection, place: Place, upto_seq: int) -> None:
    """Move a locked cursor over receipts as expired; its back-off, pause and last answer stay as they are.

    A lease whose time is over ends for good: its holder's token is gone, so what it sent late is not counted
    a second time.
    """
    conn.execute(
        update(cursors)
        .where(cursors.c.destination_id == place.destination_id)
        .values(
            cursor_seq=upto_seq,
            expired=cursors.c.expired + (upto_seq - place.cursor_seq),
            lease_token=0,
            lease_holder=None,
            lease_until_us=0,
        )
    )


# -- deleting --------------------------------------------------------------------------------------


def delete_receipts(conn: Connection, workspace_id: int, horizon_us: int, limit: int) -> bool:
    """Delete the oldest receipts that are too old and behind every cursor, contents included.

    At most `limit` of them; return whether there were any. Nobody who could still ask for one is overlooked:
    a ledger only ever begins at the head, or where it stopped, and counts what is gone as expired.
    """
    oldest = oldest_seq(conn, workspace_id)
    upto = None if oldest is None else older_upto(conn, workspace_id, oldest - 1, horizon_us, limit)
    if oldest is None or upto is None:
        return False
    owed_from = conn.execute(_FLOOR, {"of": workspace_id}).scalar()
    upto = upto if owed_from is None else min(upto, int(owed_from))
    for table in (contents, receipts):
        conn.execute(delete(table).where(table.c.workspace_id == workspace_id, table.c.seq <= upto))
    return upto >= oldest


_FLOOR: Final = select(func.min(cursors.c.cursor_seq)).where(
    cursors.c.workspace_id == bindparam("of"), cursors.c.ended_seq.is_(None)
)


# -- contents --------------------------------------------------------------------------------------


def contents_by_workspace(
    conn: Connection, after_id: int, levels: Sequence[str], limit: int
) -> list[tuple[int, bool]]:
    """Return the next workspaces, each with whether a content there looks as if nobody owed it."""
    oldest = (
        select(func.min(contents.c.seq)).where(contents.c.workspace_id == workspaces.c.id).scalar_subquery()
    )
    owed_from = (
        select(func.min(cursors.c.cursor_seq))
        .join_from(cursors, destinations, destinations.c.id == cursors.c.destination_id)
        .where(
            cursors.c.workspace_id == workspaces.c.id,
            cursors.c.ended_seq.is_(None),
            destinations.c.enabled,
            destinations.c.privacy_level.in_(levels),
        )
        .scalar_subquery()
    )
    query = (
        select(workspaces.c.id, oldest.label("oldest"), owed_from.label("owed_from"))
        .where(workspaces.c.id > after_id)
        .order_by(workspaces.c.id)
        .limit(limit)
    )
    return [
        (row.id, row.oldest is not None and (row.owed_from is None or row.oldest <= row.owed_from))
        for row in conn.execute(query)
    ]


def delete_contents(conn: Connection, workspace_id: int, upto_seq: int, limit: int) -> int:
    """Delete at most `limit` contents up to and with `upto_seq`, the oldest first; return how many."""
    oldest = (
        select(contents.c.seq)
        .where(contents.c.workspace_id == workspace_id, contents.c.seq <= upto_seq)
        .order_by(contents.c.seq)
        .limit(limit)
    )
    found = list(conn.execute(oldest).scalars())
    if found:
        conn.execute(
            delete(contents).where(contents.c.workspace_id == workspace_id, contents.c.seq <= found[-1])
        )
    return len(found)
