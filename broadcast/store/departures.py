"""Workspaces that were deleted: out of reach at once, their rows gone in small steps."""

from typing import Any, Final

from sqlalchemy import Column, Connection, Select, Table, delete, select, tuple_, update

from broadcast.store.tables import (
    api_keys,
    attempts,
    audit_log,
    contents,
    cursors,
    dead_letters,
    destinations,
    heads,
    memberships,
    notices,
    passed_tests,
    receipts,
    replays,
    users,
    workspaces,
)


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
            # Its name in addresses is free for another one.
            slug=workspaces.c.uid,
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
    for table in (memberships, passed_tests):
        conn.execute(delete(table).where(table.c.workspace_id == workspace_id))


def departed_before(conn: Connection, horizon_us: int) -> int | None:
    """Return a workspace that was deleted before an instant and still has rows."""
    query = select(workspaces.c.id).where(workspaces.c.deleted_at_us < horizon_us).order_by(workspaces.c.id)
    found: int | None = conn.execute(query.limit(1)).scalar()
    return found


def forget(conn: Connection, workspace_id: int, limit: int) -> None:
    """Delete at most `limit` rows of a departed workspace; the last step takes the workspace itself."""
    for table, key in _LONG:
        if _delete(conn, table, key, _rows_of(table, key, workspace_id).limit(limit)):
            return
    for table in _LAST:
        conn.execute(delete(table).where(table.c.workspace_id == workspace_id))
    conn.execute(delete(workspaces).where(workspaces.c.id == workspace_id))


_LONG: Final[tuple[tuple[Table, tuple[Column[int], ...]], ...]] = (
    (contents, (contents.c.workspace_id, contents.c.seq)),
    (receipts, (receipts.c.workspace_id, receipts.c.seq)),
    (dead_letters, (dead_letters.c.id,)),
    (notices, (notices.c.id,)),
    (attempts, (attempts.c.id,)),
    (replays, (replays.c.id,)),
    (audit_log, (audit_log.c.id,)),
)
_LAST: Final = (cursors, destinations, api_keys, heads)
_BY_DESTINATION: Final = (attempts, dead_letters, replays)
"""Found by the index on their destination: none of them has one on the workspace."""


def _rows_of(table: Table, key: tuple[Column[int], ...], workspace_id: int) -> Select[*tuple[Any, ...]]:
    if table not in _BY_DESTINATION:
        return select(*key).where(table.c.workspace_id == workspace_id)
    own = select(destinations.c.id).where(destinations.c.workspace_id == workspace_id)
    return select(*key).where(table.c.destination_id.in_(own))


def _delete(
    conn: Connection,
    table: Table,
    key: tuple[Column[int], ...],
    query: Select[*tuple[Any, ...]],
) -> int:
    found = [tuple(row) for row in conn.execute(query)]
    if not found:
        return 0
    which = key[0].in_([row[0] for row in found]) if len(key) == 1 else tuple_(*key).in_(found)
    return conn.execute(delete(table).where(which)).rowcount
