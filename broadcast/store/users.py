"""People and their roles in workspaces."""

import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from broadcast.errors import Conflict
from broadcast.store.tables import memberships, users

NO_PASSWORD: Final = "!"  # noqa: S105 - what stands where there is none
"""What stands in the place of a hash where the identity provider alone opens an account."""


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A person who logs in."""

    id: int
    uid: str
    email: str
    password_hash: str = field(repr=False)
    last_workspace_id: int | None
    created_at_us: int

    @property
    def has_password(self) -> bool:
        """Whether a password opens the account."""
        return self.password_hash != NO_PASSWORD


@dataclass(frozen=True, kw_only=True, slots=True)
class Membership:
    """A user's place in a workspace: owner, admin, member or viewer."""

    workspace_id: int
    user_id: int
    role: str


def create(conn: Connection, *, email: str, password_hash: str, now_us: int) -> User:
    """Make a user; the address counts without regard to case, and `Conflict` says that it is taken."""
    values: dict[str, Any] = {
        "uid": str(uuid.uuid4()),
        "email": _folded(email),
        "password_hash": password_hash,
        "last_workspace_id": None,
        "created_at_us": now_us,
    }
    try:
        id_ = conn.execute(insert(users).values(values).returning(users.c.id)).scalar_one()
    except IntegrityError:
        # Whoever looked before saw nobody: two come at the same moment.
        raise Conflict("A user with this address exists already. Log in.", field="email") from None
    return User(id=id_, **values)


def by_id(conn: Connection, user_id: int) -> User | None:
    """Return a user by the inside id."""
    return _one(conn, users.c.id == user_id)


def by_uid(conn: Connection, uid: str) -> User | None:
    """Return a user by the outside id."""
    return _one(conn, users.c.uid == uid)


def by_email(conn: Connection, email: str) -> User | None:
    """Return a user by address, without regard to case."""
    return _one(conn, users.c.email == _folded(email))


def count(conn: Connection) -> int:
    """Return the number of users."""
    return conn.execute(select(func.count()).select_from(users)).scalar_one()


def set_password(conn: Connection, user_id: int, password_hash: str) -> None:
    """Replace the password."""
    conn.execute(update(users).where(users.c.id == user_id).values(password_hash=password_hash))


def set_last_workspace(conn: Connection, user_id: int, workspace_id: int) -> None:
    """Remember where `/` leads."""
    conn.execute(update(users).where(users.c.id == user_id).values(last_workspace_id=workspace_id))


def forget_last_workspace(conn: Connection, user_id: int, workspace_id: int) -> None:
    """Let `/` lead elsewhere than to a workspace that the user has left."""
    statement = update(users).where(users.c.id == user_id, users.c.last_workspace_id == workspace_id)
    conn.execute(statement.values(last_workspace_id=None))


def add_member(conn: Connection, *, workspace_id: int, user_id: int, role: str) -> Membership:
    """Give a user a role in a workspace."""
    conn.execute(insert(memberships).values(workspace_id=workspace_id, user_id=user_id, role=role))
    return Membership(workspace_id=workspace_id, user_id=user_id, role=role)


def set_role(conn: Connection, *, workspace_id: int, user_id: int, role: str) -> bool:
    """Change a member's role; return whether there is such a member."""
    return (
        conn.execute(update(memberships).where(*_member(workspace_id, user_id)).values(role=role)).rowcount
        > 0
    )


def remove_member(conn: Connection, *, workspace_id: int, user_id: int) -> bool:
    """Take a user's role away; return whether there was one."""
    return conn.execute(delete(memberships).where(*_member(workspace_id, user_id))).rowcount > 0


def members(conn: Connection, workspace_id: int) -> list[tuple[User, str]]:
    """Return the members of a workspace with their roles, by address."""
    query = (
        select(users, memberships.c.role)
        .join(memberships, memberships.c.user_id == users.c.id)
        .where(memberships.c.workspace_id == workspace_id)
        .order_by(users.c.email)
    )
    found = [row._asdict() for row in conn.execute(query)]
    return [(User(**{key: row[key] for key in row if key != "role"}), row["role"]) for row in found]


def owners(conn: Connection, workspace_id: int) -> set[int]:
    """Return who owns a workspace, by inside id."""
    query = select(memberships.c.user_id).where(
        memberships.c.workspace_id == workspace_id, memberships.c.role == "owner"
    )
    return set(conn.execute(query).scalars())


def role_of(conn: Connection, workspace_id: int, user_id: int) -> str | None:
    """Return a user's role in a workspace, None for a stranger."""
    return conn.execute(select(memberships.c.role).where(*_member(workspace_id, user_id))).scalar()


def _member(workspace_id: int, user_id: int) -> tuple[Any, Any]:
    return memberships.c.workspace_id == workspace_id, memberships.c.user_id == user_id


def _one(conn: Connection, condition: Any) -> User | None:
    row = conn.execute(select(users).where(condition)).one_or_none()
    return User(**row._asdict()) if row else None


def _folded(email: str) -> str:
    return email.strip().lower()
