"""Notices: what a workspace is told once, in the transaction that makes it true."""

from typing import Literal

from sqlalchemy import Connection, insert

from broadcast.store.tables import notices

Kind = Literal["needs_attention", "resumed"]


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
            due_at_us=now_us,
            tries=0,
        )
    )
