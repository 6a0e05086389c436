"""Sessions: the sums of each, and by the day the numbers of its requests."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, select, text, tuple_

from broadcast.store.periods import Numbered, added, appended, bounded, written
from broadcast.store.rollup_tables import session_days, sessions
from broadcast.tally import SessionSums

_AT_ONCE: Final = 500


def add(
    conn: Connection,
    workspace_id: int,
    made: Mapping[str, SessionSums],
    seqs: Mapping[tuple[str, int], Sequence[int]],
) -> None:
    """Add to the sums of sessions, and to the numbers of their requests by session and day.

    The caller holds the log's place. By the day, so that a session of months is not written again as a whole.
    """
    here = {"workspace_id": workspace_id}
    if made:
        conn.execute(
            _ADD,
            [
                {**here, "session_id": session_id, **bounded(sums._asdict())}
                for session_id, sums in made.items()
            ],
        )
        conn.execute(
            _LIST,
            [
                {**here, "session_id": session_id, "at_us": at_us, "seqs": written(found)}
                for (session_id, at_us), found in seqs.items()
            ],
        )


_ADDED: Final = tuple(name for name in SessionSums._fields if not name.endswith("_at_us"))
_COLUMNS: Final = ("workspace_id", "session_id", *SessionSums._fields)
_ADD: Final = text(
    f"INSERT INTO sessions ({', '.join(_COLUMNS)})"  # noqa: S608 - our own names
    f" VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"
    " ON CONFLICT (workspace_id, session_id) DO UPDATE SET "
    + ", ".join(added("sessions", name) for name in _ADDED)
    + ", first_at_us = CASE WHEN excluded.first_at_us < sessions.first_at_us"
    " THEN excluded.first_at_us ELSE sessions.first_at_us END"
    ", last_at_us = CASE WHEN excluded.last_at_us > sessions.last_at_us"
    " THEN excluded.last_at_us ELSE sessions.last_at_us END"
)
_LIST: Final = text(
    "INSERT INTO session_days (workspace_id, session_id, at_us, seqs)"  # noqa: S608 - our own names
    " VALUES (:workspace_id, :session_id, :at_us, :seqs)"
    f" ON CONFLICT (workspace_id, session_id, at_us) DO UPDATE SET {appended('session_days')}"
)


def read(
    conn: Connection, workspace_id: int, before: tuple[int, str] | None, limit: int
) -> list[tuple[str, SessionSums]]:
    """Return sessions, the one that was last in use first, from a place on."""
    query = _sessions(workspace_id)
    if before is not None:
        query = query.where(tuple_(sessions.c.last_at_us, sessions.c.session_id) < tuple_(*before))
    query = query.order_by(sessions.c.last_at_us.desc(), sessions.c.session_id.desc()).limit(limit)
    return [(row[0], SessionSums(*row[1:])) for row in conn.execute(query)]


def named(conn: Connection, workspace_id: int, session_ids: Collection[str]) -> dict[str, SessionSums]:
    """Return the sums of sessions by their ids, of those that have any."""
    found: dict[str, SessionSums] = {}
    ids = list(session_ids)
    for start in range(0, len(ids), _AT_ONCE):
        query = _sessions(workspace_id).where(sessions.c.session_id.in_(ids[start : start + _AT_ONCE]))
        found |= {row[0]: SessionSums(*row[1:]) for row in conn.execute(query)}
    return found


def days(conn: Connection, workspace_id: int, session_id: str) -> tuple[SessionSums, list[Numbered]] | None:
    """Return a session's sums, where it has some, and its days: what these list is all, or else none of it.

    A day 0 stands for any.
    """
    row = conn.execute(_sessions(workspace_id).where(sessions.c.session_id == session_id)).one_or_none()
    if row is None:
        return None
    sums = SessionSums(*row[1:])
    query = select(session_days.c.at_us, session_days.c.seqs).where(
        session_days.c.workspace_id == workspace_id, session_days.c.session_id == session_id
    )
    found = [Numbered(at_us, (seqs or "").count(","), seqs) for at_us, seqs in conn.execute(query)]
    return sums, found if sum(day.requests for day in found) == sums.requests else []


def _sessions(workspace_id: int) -> Select[Any]:
    columns = (sessions.c[name] for name in SessionSums._fields)
    return select(sessions.c.session_id, *columns).where(sessions.c.workspace_id == workspace_id)


def drop(conn: Connection, workspace_id: int, before_us: int, limit: int) -> int:
    """Delete at most `limit` sessions that were last in use too long ago; return how many went."""
    query = select(sessions.c.session_id).where(
        sessions.c.workspace_id == workspace_id, sessions.c.last_at_us < before_us
    )
    gone = list(conn.execute(query.limit(limit)).scalars())
    if gone:
        for table in (session_days, sessions):
            here = (table.c.workspace_id == workspace_id, table.c.session_id.in_(gone))
            conn.execute(delete(table).where(*here))
    return len(gone)
