"""Rate limits that hold for all processes together: counts in fixed windows."""

from typing import Any

from sqlalchemy import Connection, case, delete
from sqlalchemy.dialects import postgresql, sqlite

from broadcast.store.side_tables import limits


def hit(conn: Connection, *, key: str, limit: int, window_us: int, now_us: int) -> int:
    """Count one use of `key`; return 0 when it is allowed, else the seconds until the window ends.

    One statement, so that two uses at the same moment are two: the row itself is the lock.
    """
    dialect: Any = sqlite if conn.dialect.name == "sqlite" else postgresql
    fresh = limits.c.ends_at_us <= now_us
    statement = (
        dialect.insert(limits)
        .values(key=key, window_start_us=now_us, ends_at_us=now_us + window_us, hits=1)
        .on_conflict_do_update(
            index_elements=["key"],
            set_={
                "window_start_us": case((fresh, now_us), else_=limits.c.window_start_us),
                "ends_at_us": case((fresh, now_us + window_us), else_=limits.c.ends_at_us),
                "hits": case((fresh, 1), else_=limits.c.hits + 1),
            },
        )
        .returning(limits.c.hits, limits.c.ends_at_us)
    )
    row = conn.execute(statement).one()
    return 0 if row.hits <= limit else max(1, -(-(row.ends_at_us - now_us) // 1_000_000))


def clear(conn: Connection, key: str) -> None:
    """Forget the uses of `key`, after a login that succeeded."""
    conn.execute(delete(limits).where(limits.c.key == key))


def drop_ended(conn: Connection, now_us: int) -> int:
    """Delete the windows that are over; return how many."""
    return conn.execute(delete(limits).where(limits.c.ends_at_us <= now_us)).rowcount
