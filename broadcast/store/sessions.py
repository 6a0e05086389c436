"""Login sessions: the hash of the cookie's token, never the token."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy import delete as _delete

from broadcast.store.tables import login_sessions


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginSession:
    """One browser that is logged in."""

    id: int
    token_hash: str = field(repr=False)
    user_id: int
    csrf: str = field(repr=False)
    created_at_us: int
    seen_at_us: int
    expires_at_us: int


def create(
    conn: Connection, *, token_hash: str, user_id: int, csrf: str, now_us: int, expires_at_us: int
) -> LoginSession:
    """Store a session."""
    values: dict[str, Any] = {
        "token_hash": token_hash,
        "user_id": user_id,
        "csrf": csrf,
        "created_at_us": now_us,
        "seen_at_us": now_us,
        "expires_at_us": expires_at_us,
    }
    id_ = conn.execute(insert(login_sessions).values(values).returning(login_sessions.c.id)).scalar_one()
    return LoginSession(id=id_, **values)


def by_token_hash(conn: Connection, token_hash: str, now_us: int) -> LoginSession | None:
    """Return the session with this token, unless its time is over."""
    query = select(login_sessions).where(
        login_sessions.c.token_hash == token_hash, login_sessions.c.expires_at_us > now_us
    )
    row = conn.execute(query).one_or_none()
    return LoginSession(**row._asdict()) if row else None


def touch(conn: Connection, token_hash: str, now_us: int, expires_at_us: int | None = None) -> None:
    """Note that a session was used, and prolong it where a new end is given."""
    later = {} if expires_at_us is None else {"expires_at_us": expires_at_us}
    statement = update(login_sessions).where(login_sessions.c.token_hash == token_hash)
    conn.execute(statement.values(seen_at_us=now_us, **later))


def delete(conn: Connection, token_hash: str) -> None:
    """End a session."""
    conn.execute(_delete(login_sessions).where(login_sessions.c.token_hash == token_hash))


def delete_for_user(conn: Connection, user_id: int, besides: str = "") -> int:
    """End every session of a user but the one with this hash, where the way in changed; return how many."""
    statement = _delete(login_sessions).where(
        login_sessions.c.user_id == user_id, login_sessions.c.token_hash != besides
    )
    return conn.execute(statement).rowcount


def drop_expired(conn: Connection, now_us: int) -> int:
    """Delete the sessions whose time is over; return how many."""
    return conn.execute(_delete(login_sessions).where(login_sessions.c.expires_at_us <= now_us)).rowcount
