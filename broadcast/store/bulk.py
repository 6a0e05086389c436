"""Many rows into one table, as fast as each database takes them: the hot path of ingest."""

from collections.abc import Sequence
from typing import Any, Final

import psycopg
from sqlalchemy import BigInteger, Boolean, Connection, Double, Integer, LargeBinary, Table, Text
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
        types = [_BINARY.get(type(table.c[name].type), "") for name in columns]
        _copy(conn, f'COPY "{table.name}" ({names}) FROM STDIN', types if all(types) else (), rows)


_BINARY: Final[dict[type, str]] = {
    BigInteger: "int8",
    Integer: "int4",
    Double: "float8",
    Boolean: "bool",
    Text: "text",
    LargeBinary: "bytea",
}
"""What PostgreSQL takes as it is; anything else goes as text, which costs the server half as much again."""


def _copy(conn: Connection, statement: str, types: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    raw: Any = conn.connection.driver_connection
    statement = f"{statement} (FORMAT BINARY)" if types else statement
    try:
        with raw.cursor() as cursor, cursor.copy(statement) as copy:
            if types:
                copy.set_types(types)
            for row in rows:
                copy.write_row(row)
    except psycopg.IntegrityError as error:
        raise IntegrityError(statement, None, error) from error
    except psycopg.OperationalError as error:
        # SQLAlchemy did not see this statement, so it cannot tell that the connection may be gone.
        raise OperationalError(statement, None, error, connection_invalidated=bool(raw.closed)) from error
