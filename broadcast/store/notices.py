"""Notices: what a workspace is told once, in the transaction that makes it true.

A notice of a pause waits a little: where the destination goes on by itself in that time, nobody is told.
Whoever sends one takes it first, which moves its due time ahead and counts a try, so that no two workers send
the same.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, insert, select, update

from broadcast.store.side_tables import notices

Kind = Literal["needs_attention", "resumed"]
HOLD_BACK_US: Final = 20_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """One notice; each way out is None until it is done, `ended_at_us` until nothing is left to do."""

    id: int
    workspace_id: int
    destination_id: int
    kind: Kind
    message: str
    at_us: int
    mailed_at_us: int | None
    posted_at_us: int | None
    due_at_us: int
    tries: int
    ended_at_us: int | None

    @property
    def told(self) -> bool:
        """Whether it went out by any way."""
        return self.mailed_at_us is not None or self.posted_at_us is not None


_COLUMNS: Final = tuple(notices.c[name] for name in Notice.__slots__)


def add(
    conn: Connection, *, workspace_id: int, destination_id: int, kind: Kind, message: str, now_us: int
) -> None:
    """Write down a notice; it goes out by the ways that the workspace has chosen."""
    conn.execute(
        insert(notices).values(
            workspace_id=workspace_id,
            destination_id=destination_id,
            kind=kind,
            message=message,
            at_us=now_us,
            due_at_us=now_us + (HOLD_BACK_US if kind == "needs_attention" else 0),
            tries=0,
        )
    )


def by_id(conn: Connection, notice_id: int) -> Notice | None:
    """Return a notice by its inside id."""
    return _first(conn, notices.c.id == notice_id)


def list_for(conn: Connection, workspace_id: int, limit: int) -> list[Notice]:
    """Return a workspace's notices, newest first."""
    query = select(*_COLUMNS).where(notices.c.workspace_id == workspace_id).order_by(notices.c.id.desc())
    return [Notice(**row._asdict()) for row in conn.execute(query.limit(limit))]


def due(conn: Connection, now_us: int, limit: int) -> list[Notice]:
    """Return the notices to look at now, oldest first."""
    query = (
        select(*_COLUMNS)
        .where(notices.c.due_at_us <= now_us, notices.c.ended_at_us.is_(None))
        .order_by(notices.c.id)
        .limit(limit)
    )
    return [Notice(**row._asdict()) for row in conn.execute(query)]


def pause_before(conn: Connection, notice: Notice) -> Notice | None:
    """Return the pause that a notice ends: the newest one before it."""
    return _first(
        conn,
        (notices.c.destination_id == notice.destination_id)
        & (notices.c.kind == "needs_attention")
        & (notices.c.id < notice.id),
    )


def has_follower(conn: Connection, notice: Notice) -> bool:
    """Return whether something newer is to be said of the same destination."""
    newer = (notices.c.destination_id == notice.destination_id) & (notices.c.id > notice.id)
    return _first(conn, newer) is not None


def take(conn: Connection, notice: Notice, *, until_us: int) -> bool:
    """Keep a notice from everyone else until then and count the try; False when someone else has it."""
    statement = (
        update(notices)
        .where(
            notices.c.id == notice.id,
            notices.c.due_at_us == notice.due_at_us,
            notices.c.tries == notice.tries,
            notices.c.ended_at_us.is_(None),
        )
        .values(due_at_us=until_us, tries=notice.tries + 1)
    )
    return conn.execute(statement).rowcount == 1


def record(conn: Connection, notice_id: int, *, mailed: bool, posted: bool, now_us: int) -> None:
    """Note by which ways a notice has gone out."""
    values: dict[str, Any] = {}
    if mailed:
        values["mailed_at_us"] = now_us
    if posted:
        values["posted_at_us"] = now_us
    if values:
        conn.execute(update(notices).where(notices.c.id == notice_id).values(values))


def defer(conn: Connection, notice_id: int, *, due_at_us: int) -> None:
    """Look at a notice again later."""
    open_ = (notices.c.id == notice_id) & notices.c.ended_at_us.is_(None)
    conn.execute(update(notices).where(open_).values(due_at_us=due_at_us))


def end(conn: Connection, notice_id: int, *, now_us: int) -> bool:
    """Be done with a notice; False when it was done already."""
    open_ = (notices.c.id == notice_id) & notices.c.ended_at_us.is_(None)
    return conn.execute(update(notices).where(open_).values(ended_at_us=now_us)).rowcount == 1


def _first(conn: Connection, condition: Any) -> Notice | None:
    query = select(*_COLUMNS).where(condition).order_by(notices.c.id.desc()).limit(1)
    row = conn.execute(query).one_or_none()
    return Notice(**row._asdict()) if row else None
