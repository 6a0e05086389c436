"""The audit log: who changed what, without secrets."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from broadcast.store.destinations import StoredDestination
from broadcast.store.keys import ApiKey
from broadcast.store.side_tables import audit_log
from broadcast.store.tables import destinations, users
from broadcast.store.users import User


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One change; `email` is the address of who made it, None for the command line and the engine.

    `destination` is the name of the destination it was made to, deleted ones included.
    """

    id: int
    workspace_id: int | None
    user_id: int | None
    at_us: int
    action: str
    target: str
    detail: dict[str, Any]
    email: str | None
    destination: str | None


def record(
    conn: Connection,
    *,
    workspace_id: int | None,
    user_id: int | None,
    action: str,
    target: str,
    detail: dict[str, Any] | None = None,
    now_us: int,
) -> None:
    """Write down a change, in the transaction that makes it."""
    conn.execute(
        insert(audit_log).values(
            workspace_id=workspace_id,
            user_id=user_id,
            at_us=now_us,
            action=action,
            target=target,
            detail=detail or {},
        )
    )


def of_destination(  # noqa: PLR0917 - always called alike
    conn: Connection,
    stored: StoredDestination,
    user_id: int | None,
    action: str,
    detail: dict[str, Any],
    now_us: int,
) -> None:
    """Write down a change of a destination."""
    record(
        conn,
        workspace_id=stored.workspace_id,
        user_id=user_id,
        action=action,
        target=stored.uid,
        detail=detail,
        now_us=now_us,
    )


def of_key(  # noqa: PLR0917 - always called alike
    conn: Connection, key: ApiKey, user_id: int, action: str, detail: dict[str, Any], now_us: int
) -> None:
    """Write down a change of a key, with what it was called then."""
    record(
        conn,
        workspace_id=key.workspace_id,
        user_id=user_id,
        action=action,
        target=key.hash,
        detail={"name": key.name, "kind": key.kind} | detail,
        now_us=now_us,
    )


def of_login(
    conn: Connection, user: User | None, action: str, detail: dict[str, Any] | None = None, *, now_us: int
) -> None:
    """Write down what happened to a login; a tried address is only written down where it is a user's."""
    record(
        conn,
        workspace_id=user.last_workspace_id if user else None,
        user_id=user.id if user else None,
        action=action,
        target=user.email if user else "unknown user",
        detail=detail,
        now_us=now_us,
    )


def list_for(
    conn: Connection,
    workspace_id: int,
    limit: int,
    before_id: int | None = None,
    only: Collection[str] | None = None,
) -> list[Entry]:
    """Return a workspace's changes, newest first: those before `before_id` and of the actions in `only`."""
    query = (
        select(audit_log, users.c.email, destinations.c.name.label("destination"))
        .outerjoin(users, users.c.id == audit_log.c.user_id)
        .outerjoin(
            destinations,
            (destinations.c.uid == audit_log.c.target)
            & (destinations.c.workspace_id == audit_log.c.workspace_id),
        )
        .where(audit_log.c.workspace_id == workspace_id)
    )
    if before_id is not None:
        query = query.where(audit_log.c.id < before_id)
    if only is not None:
        query = query.where(audit_log.c.action.in_(only))
    rows = conn.execute(query.order_by(audit_log.c.id.desc()).limit(limit))
    return [Entry(**row._asdict()) for row in rows]
