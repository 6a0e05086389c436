"""Links by which a person may join a workspace: the hash of the link's token, never the token."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from broadcast.store.people_tables import invitations
from broadcast.store.tables import users


@dataclass(frozen=True, kw_only=True, slots=True)
class Invitation:
    """A link that can still be used; `email` says whom it was made for, and whose account it may make."""

    id: int
    uid: str
    token_hash: str = field(repr=False)
    workspace_id: int
    email: str
    role: str
    invited_by: int
    created_at_us: int
    expires_at_us: int


def create(
    conn: Connection,
    *,
    token_hash: str,
    workspace_id: int,
    email: str,
    role: str,
    invited_by: int,
    now_us: int,
    expires_at_us: int,
) -> Invitation:
    """Store an invitation in the place of any other to the same address."""
    conn.execute(
        delete(invitations).where(invitations.c.workspace_id == workspace_id, invitations.c.email == email)
    )
    values: dict[str, Any] = {
        "uid": str(uuid.uuid4()),
        "token_hash": token_hash,
        "workspace_id": workspace_id,
        "email": email,
        "role": role,
        "invited_by": invited_by,
        "created_at_us": now_us,
        "expires_at_us": expires_at_us,
    }
    id_ = conn.execute(insert(invitations).values(values).returning(invitations.c.id)).scalar_one()
    return Invitation(id=id_, **values)


def by_token_hash(conn: Connection, token_hash: str, now_us: int) -> Invitation | None:
    """Return the invitation of a link, unless its time is over."""
    query = select(invitations).where(
        invitations.c.token_hash == token_hash, invitations.c.expires_at_us > now_us
    )
    row = conn.execute(query).one_or_none()
    return Invitation(**row._asdict()) if row else None


def roles_open_to(conn: Connection, workspace_id: int, email: str, now_us: int) -> set[str]:
    """Return what an address may become in a workspace by links that can still be used."""
    query = select(invitations.c.role).where(
        invitations.c.workspace_id == workspace_id,
        invitations.c.email == email,
        invitations.c.expires_at_us > now_us,
    )
    return set(conn.execute(query).scalars())


def use(conn: Connection, token_hash: str) -> None:
    """Take an invitation away: its link opens nothing from now on."""
    conn.execute(delete(invitations).where(invitations.c.token_hash == token_hash))


def list_for(conn: Connection, workspace_id: int, now_us: int) -> list[tuple[Invitation, str]]:
    """Return what a workspace's open invitations are, newest first, each with the address of who invited."""
    query = (
        select(invitations, users.c.email.label("inviter"))
        .join(users, users.c.id == invitations.c.invited_by)
        .where(invitations.c.workspace_id == workspace_id, invitations.c.expires_at_us > now_us)
        .order_by(invitations.c.id.desc())
    )
    found = [row._asdict() for row in conn.execute(query)]
    return [(Invitation(**row), inviter) for row in found if (inviter := row.pop("inviter"))]


def revoke(conn: Connection, workspace_id: int, uid: str) -> Invitation | None:
    """End an invitation and return what it was."""
    row = conn.execute(
        delete(invitations)
        .where(invitations.c.workspace_id == workspace_id, invitations.c.uid == uid)
        .returning(invitations)
    ).one_or_none()
    return Invitation(**row._asdict()) if row else None


def revoke_of(conn: Connection, workspace_id: int, user_id: int) -> int:
    """End what a person has open in a workspace; return how many."""
    statement = delete(invitations).where(
        invitations.c.workspace_id == workspace_id, invitations.c.invited_by == user_id
    )
    return conn.execute(statement).rowcount
