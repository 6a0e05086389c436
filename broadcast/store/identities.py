"""Who people are at the identity provider: an account, and the subject that the issuer calls it by."""

from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from broadcast.store.people_tables import identities


def user_of(conn: Connection, *, issuer: str, subject: str) -> int | None:
    """Return whose account a subject opens, None for one that opens none."""
    query = select(identities.c.user_id).where(identities.c.issuer == issuer, identities.c.subject == subject)
    return conn.execute(query).scalar()


def connect(conn: Connection, *, user_id: int, issuer: str, subject: str, now_us: int) -> None:
    """Let a subject open an account, in the place of any other subject of the same issuer."""
    dialect: Any = sqlite if conn.dialect.name == "sqlite" else postgresql
    known = {"subject": subject, "connected_at_us": now_us}
    statement = dialect.insert(identities).values(user_id=user_id, issuer=issuer, **known)
    conn.execute(statement.on_conflict_do_update(index_elements=["user_id", "issuer"], set_=known))


def connected_at_us(conn: Connection, *, user_id: int, issuer: str) -> int | None:
    """Return since when somebody at the issuer opens an account, None where nobody does."""
    query = select(identities.c.connected_at_us).where(
        identities.c.user_id == user_id, identities.c.issuer == issuer
    )
    return conn.execute(query).scalar()


def disconnect(conn: Connection, *, user_id: int, issuer: str) -> bool:
    """Let nobody at the issuer open an account any more; return whether somebody could."""
    statement = delete(identities).where(identities.c.user_id == user_id, identities.c.issuer == issuer)
    return conn.execute(statement).rowcount > 0
