"""Every destination's place in its log at one look, for figures over all workspaces."""

from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, select

from broadcast.store.side_tables import notices
from broadcast.store.tables import cursors, destinations, heads, receipts, workspaces


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """One destination: whether its ledger runs, and what it is still owed since when."""

    uid: str
    type: str
    on: bool
    paused: bool
    failures: int
    last_verdict: str | None
    waiting: int
    oldest_received_at_us: int | None


def every(conn: Connection) -> list[Backlog]:
    """Return every destination that is not deleted."""
    oldest = and_(
        receipts.c.workspace_id == cursors.c.workspace_id, receipts.c.seq == cursors.c.cursor_seq + 1
    )
    on = and_(
        destinations.c.enabled, workspaces.c.broadcast_enabled, cursors.c.cursor_seq.is_not(None),
        cursors.c.ended_seq.is_(None),
    )  # fmt: skip
    query = (
        select(
            destinations.c.uid,
            destinations.c.type,
            on.label("on"),
            destinations.c.paused_by.is_not(None).label("paused"),
            func.coalesce(cursors.c.failures, 0).label("failures"),
            cursors.c.last_verdict,
            func.coalesce(heads.c.head_seq - cursors.c.cursor_seq, 0).label("waiting"),
            receipts.c.received_at_us.label("oldest_received_at_us"),
        )
        .join(workspaces, workspaces.c.id == destinations.c.workspace_id)
        .join(heads, heads.c.workspace_id == destinations.c.workspace_id)
        .outerjoin(cursors, cursors.c.destination_id == destinations.c.id)
        .outerjoin(receipts, oldest)
        .where(destinations.c.deleted_at_us.is_(None), workspaces.c.deleted_at_us.is_(None))
        .order_by(destinations.c.id)
    )
    return [Backlog(**row._asdict()) for row in conn.execute(query)]


def notices_waiting(conn: Connection) -> int:
    """Return how many notices have not gone out by every way chosen for them."""
    return conn.execute(select(func.count()).where(notices.c.ended_at_us.is_(None))).scalar_one()
