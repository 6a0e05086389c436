"""Tests that passed on the page: the tested secrets wait here, sealed, for Save."""

from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from broadcast.store.side_tables import passed_tests


def save(conn: Connection, workspace_id: int, fingerprint: str, sealed: bytes, now_us: int) -> None:
    """Remember that exactly these values passed; a second pass counts from now."""
    dialect: Any = sqlite if conn.dialect.name == "sqlite" else postgresql
    new = {"sealed": sealed, "at_us": now_us}
    statement = dialect.insert(passed_tests).values(workspace_id=workspace_id, fingerprint=fingerprint, **new)
    conn.execute(statement.on_conflict_do_update(index_elements=["workspace_id", "fingerprint"], set_=new))


def find(conn: Connection, workspace_id: int, fingerprint: str, since_us: int) -> bytes | None:
    """Return what was sealed for a test that passed at or after `since_us`."""
    query = select(passed_tests.c.sealed).where(
        passed_tests.c.workspace_id == workspace_id,
        passed_tests.c.fingerprint == fingerprint,
        passed_tests.c.at_us >= since_us,
    )
    return conn.execute(query).scalar()


def drop_older(conn: Connection, before_us: int) -> int:
    """Delete the tests that passed before `before_us`, with their sealed secrets; return how many."""
    return conn.execute(delete(passed_tests).where(passed_tests.c.at_us < before_us)).rowcount
