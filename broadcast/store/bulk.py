"""Many rows into one table, as fast as each database takes them: the hot path of ingest."""

from collections.abc import Sequence
from typing import Any

import psycopg
from sqlalchemy import Connection, Table
from sqlalchemy.exc import IntegrityError, OperationalError


def insert_rows(
    conn: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert tuples in the order of `columns`, as a statement of its own; the values are the driver's types.

    Dictionaries and type processors cost more than the database does, so they are left out here.
    """
    names = ", ".join(f'"{table.c[name].name}"' for name in columns)
    if conn.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        conn.exec_driver_sql(f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})', rows)  # noqa: S608 - our own names
    else:
        _copy(conn, f'COPY "{table.name}" ({names}) FROM STDIN', rows)


def _copy(conn: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    raw: Any = conn.connection.driver_connection
    try:
        with raw.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.IntegrityError as error:
        raise IntegrityError(statement, None, error) from error
    except psycopg.OperationalError as error:
        # SQLAlchemy did not see this statement, so it cannot tell that the connection may be gone.
        raise OperationalError(statement, None, error, connection_invalidated=bool(raw.closed)) from error
