"""What belongs to receipts, deleted by age: a bounded number of rows a call, each found by an index."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, bindparam, delete, select, tuple_

from broadcast.store.people_tables import invitations, password_resets, sign_ins
from broadcast.store.receipts import oldest_seq
from broadcast.store.side_tables import audit_log, limits, notices
from broadcast.store.tables import attempts, dead_letters, destinations, login_sessions, replays


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """How far a walk by age has come."""

    at_us: int = -1
    id: int = 0


def attempts_before(conn: Connection, mark: Mark, horizon_us: int, limit: int) -> Mark | None:
    """Delete old attempts that tell of no receipt still kept; return how far it looked, None at the end.

    The dead letters that an attempt made go with it, so that a ledger can be proved from what is left.
    """
    query = (
        select(
            attempts.c.id,
            attempts.c.at_us,
            attempts.c.destination_id,
            attempts.c.from_seq,
            attempts.c.to_seq,
            attempts.c.settled,
            attempts.c.replay_id,
            destinations.c.workspace_id,
        )
        .join(destinations, destinations.c.id == attempts.c.destination_id)
        .where(attempts.c.at_us < horizon_us, tuple_(attempts.c.at_us, attempts.c.id) > (mark.at_us, mark.id))
        .order_by(attempts.c.at_us, attempts.c.id)
        .limit(limit)
    )
    rows = conn.execute(query).all()
    if not rows:
        return None
    gone = _behind_the_log(conn, rows, always=lambda row: not row.settled)
    own = [row for row in gone if row.settled and row.replay_id is None]
    if own:
        conn.execute(
            delete(dead_letters).where(
                dead_letters.c.destination_id == bindparam("of"),
                dead_letters.c.seq.between(bindparam("first"), bindparam("last")),
                dead_letters.c.replay_id.is_(None),
            ),
            [{"of": row.destination_id, "first": row.from_seq, "last": row.to_seq} for row in own],
        )
    _delete_ids(conn, attempts, [row.id for row in gone])
    return Mark(at_us=rows[-1].at_us, id=rows[-1].id)


def replayed_dead_letters_before(conn: Connection, mark: Mark, horizon_us: int, limit: int) -> Mark | None:
    """Delete old dead letters that a replay made, once their receipts are gone; None at the end."""
    query = (
        select(
            dead_letters.c.id,
            dead_letters.c.at_us,
            dead_letters.c.seq.label("to_seq"),
            dead_letters.c.replay_id,
            dead_letters.c.workspace_id,
        )
        .where(
            dead_letters.c.at_us < horizon_us,
            tuple_(dead_letters.c.at_us, dead_letters.c.id) > (mark.at_us, mark.id),
        )
        .order_by(dead_letters.c.at_us, dead_letters.c.id)
        .limit(limit)
    )
    rows = conn.execute(query).all()
    if not rows:
        return None
    gone = _behind_the_log(conn, [row for row in rows if row.replay_id is not None])
    _delete_ids(conn, dead_letters, [row.id for row in gone])
    return Mark(at_us=rows[-1].at_us, id=rows[-1].id)


def replays_before(conn: Connection, mark: Mark, horizon_us: int, limit: int) -> Mark | None:
    """Delete replays that ended long ago and whose receipts are gone; None at the end."""
    query = (
        select(replays.c.id, replays.c.state, replays.c.ended_at_us, replays.c.to_seq, replays.c.workspace_id)
        .where(replays.c.id > mark.id)
        .order_by(replays.c.id)
        .limit(limit)
    )
    rows = conn.execute(query).all()
    if not rows:
        return None
    ended = [row for row in rows if row.state != "running" and (row.ended_at_us or 0) < horizon_us]
    _delete_ids(conn, replays, [row.id for row in _behind_the_log(conn, ended)])
    return Mark(id=rows[-1].id)


def small_tables_before(
    conn: Connection, *, horizon_us: int, audit_horizon_us: int, now_us: int, limit: int
) -> int:
    """Delete old entries of the small tables, at most `limit` of each; return how many."""
    oldest_entries = (
        select(audit_log.c.id, audit_log.c.at_us).order_by(audit_log.c.id).limit(limit).subquery()
    )
    old: tuple[tuple[Table, Column[Any], Any], ...] = (
        (notices, notices.c.id, select(notices.c.id).where(notices.c.ended_at_us < horizon_us).limit(limit)),
        (
            audit_log,
            audit_log.c.id,
            select(oldest_entries.c.id).where(oldest_entries.c.at_us < audit_horizon_us),
        ),
        *(
            (table, table.c.id, select(table.c.id).where(table.c.expires_at_us <= now_us).limit(limit))
            for table in (login_sessions, invitations, password_resets, sign_ins)
        ),
        (limits, limits.c.key, select(limits.c.key).where(limits.c.ends_at_us <= now_us).limit(limit)),
    )
    count = 0
    for table, key, query in old:
        found = list(conn.execute(query).scalars())
        if found:
            count += conn.execute(delete(table).where(key.in_(found))).rowcount
    return count


# -- inside ----------------------------------------------------------------------------------------


def _behind_the_log(
    conn: Connection, rows: Iterable[Any], always: Callable[[Any], bool] = lambda _: False
) -> list[Any]:
    """Return the rows whose receipts are all gone; the log's oldest number is asked once a workspace."""
    oldest: dict[int, int | None] = {}
    found = []
    for row in rows:
        if row.workspace_id not in oldest:
            oldest[row.workspace_id] = oldest_seq(conn, row.workspace_id)
        first = oldest[row.workspace_id]
        if first is None or row.to_seq < first or always(row):
            found.append(row)
    return found


def _delete_ids(conn: Connection, table: Table, ids: list[int]) -> None:
    if ids:
        conn.execute(delete(table).where(table.c.id.in_(ids)))
