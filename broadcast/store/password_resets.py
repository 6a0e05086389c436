"""Links by which a person chooses a new password: the hash of the link's token, never the token."""

from sqlalchemy import Connection, delete, insert, select

from broadcast.store.people_tables import password_resets


def create(conn: Connection, *, token_hash: str, user_id: int, now_us: int, expires_at_us: int) -> None:
    """Store a link; earlier ones of the same person end only when one is used."""
    conn.execute(
        insert(password_resets).values(
            token_hash=token_hash, user_id=user_id, created_at_us=now_us, expires_at_us=expires_at_us
        )
    )


def user_of(conn: Connection, token_hash: str, now_us: int) -> int | None:
    """Return whose password a link changes, None where it was used or its time is over."""
    query = select(password_resets.c.user_id).where(
        password_resets.c.token_hash == token_hash, password_resets.c.expires_at_us > now_us
    )
    return conn.execute(query).scalar()


def use(conn: Connection, token_hash: str, now_us: int) -> int | None:
    """Take a link away from everybody else and return whose password it changes."""
    return conn.execute(
        delete(password_resets)
        .where(password_resets.c.token_hash == token_hash, password_resets.c.expires_at_us > now_us)
        .returning(password_resets.c.user_id)
    ).scalar()


def end_for_user(conn: Connection, user_id: int) -> None:
    """End every link of a person who has a new password."""
    conn.execute(delete(password_resets).where(password_resets.c.user_id == user_id))
