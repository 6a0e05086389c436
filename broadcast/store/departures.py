"""Workspaces that were deleted: out of reach at once, their rows gone in small steps."""

from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    delete,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql import ColumnElement

from broadcast.store.people_tables import invitations
from broadcast.store.side_tables import passed_tests
from broadcast.store.tables import api_keys, destinations, memberships, metadata, users, workspaces


def depart(conn: Connection, workspace_id: int, *, now_us: int) -> None:
    """Make a workspace unreachable and its secrets unreadable; the caller holds the head.

    Without its key no content can be opened any more, so what is still on disk says nothing.
    """
    conn.execute(
        update(workspaces)
        .where(workspaces.c.id == workspace_id)
        .values(
            deleted_at_us=now_us,
            broadcast_enabled=False,
            content_key=b"",
            notify_webhook=None,
            notify_webhook_host=None,
            # Its own is free again, and no slug that a person may choose looks like this.
            slug=literal("~") + workspaces.c.uid,
        )
    )
    conn.execute(
        update(api_keys)
        .where(api_keys.c.workspace_id == workspace_id, api_keys.c.revoked_at_us.is_(None))
        .values(revoked_at_us=now_us)
    )
    conn.execute(
        update(users).where(users.c.last_workspace_id == workspace_id).values(last_workspace_id=None)
    )
    for table in (memberships, invitations, passed_tests):
        conn.execute(delete(table).where(table.c.workspace_id == workspace_id))


def departed_before(conn: Connection, horizon_us: int) -> int | None:
    """Return a workspace that was deleted before an instant and still has rows."""
    query = select(workspaces.c.id).where(workspaces.c.deleted_at_us < horizon_us).order_by(workspaces.c.id)
    found: int | None = conn.execute(query.limit(1)).scalar()
    return found


def forget(conn: Connection, workspace_id: int, limit: int) -> None:
    """Delete at most `limit` rows of what a departed workspace owns, then the workspace itself."""
    for table in reversed(metadata.sorted_tables):
        owner = _owner(table)
        if owner is not None and _delete(conn, table, _of(owner, workspace_id), limit):
            return
    conn.execute(delete(workspaces).where(workspaces.c.id == workspace_id))


def _owner(table: Table) -> Column[int] | None:
    """Return the column by which a table's rows belong to a workspace: one that an index begins with.

    Derived, so that a table that is added to the schema is not forgotten here.
    """
    owning = [table.c[name] for name in ("workspace_id", "destination_id") if name in table.c]
    keys = [next(iter(key.columns)) for key in (*table.indexes, *table.constraints) if isinstance(key, _KEYS)]
    return next((column for column in owning if column in keys), next(iter(owning), None))


_KEYS: Final = (Index, PrimaryKeyConstraint, UniqueConstraint)


def _of(owner: Column[int], workspace_id: int) -> ColumnElement[bool]:
    if owner.name == "workspace_id":
        return owner == workspace_id
    return owner.in_(select(destinations.c.id).where(destinations.c.workspace_id == workspace_id))


def _delete(conn: Connection, table: Table, which: ColumnElement[bool], limit: int) -> int:
    key = tuple(table.primary_key.columns)
    found = [tuple(row) for row in conn.execute(select(*key).where(which).limit(limit))]
    if not found:
        return 0
    return conn.execute(delete(table).where(tuple_(*key).in_(found))).rowcount
