"""Many rows in or out, as fast as each driver does it: the hot paths of ingest and of delivery."""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Dialect,
    Double,
    Integer,
    LargeBinary,
    Table,
    Text,
    TextClause,
)
from sqlalchemy.exc import DBAPIError


def insert_rows(
    conn: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert tuples in the order of `columns`, as `insert_columns` does."""
    if rows:
        insert_columns(conn, table, dict(zip(columns, zip(*rows, strict=True), strict=True)))


def insert_columns(conn: Connection, table: Table, columns: Mapping[str, Sequence[Any]]) -> None:
    """Insert rows, given column by column, as a statement of its own; the values are the driver's types.

    A column without any value is left out, which saves a NULL a row. Rows are made one at a time while the
    driver takes them: dictionaries, type processors and lists of rows, which the garbage collector walks over
    again and again, cost more than the database does.
    """
    filled = {name: values for name, values in columns.items() if not _is_empty(values)}
    names = ", ".join(f'"{table.c[name].name}"' for name in filled)
    rows = zip(*filled.values(), strict=True)
    raw: Any = conn.connection.driver_connection
    if conn.dialect.name == "sqlite":
        marks = ", ".join("?" * len(filled))
        statement = f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})'  # noqa: S608 - our own names
        with _told(conn, statement):
            raw.executemany(statement, rows).close()
        return
    types = [_BINARY.get(type(table.c[name].type), "") for name in filled]
    statement = f'COPY "{table.name}" ({names}) FROM STDIN{" (FORMAT BINARY)" if all(types) else ""}'
    with _told(conn, statement), raw.cursor() as cursor, cursor.copy(statement) as copy:
        if all(types):
            copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def _is_empty(values: Sequence[Any]) -> bool:
    return values[0] is None and values.count(None) == len(values)


_BINARY: Final[dict[type, str]] = {
    BigInteger: "int8",
    Integer: "int4",
    Double: "float8",
    Boolean: "bool",
    Text: "text",
    LargeBinary: "bytea",
}
"""What PostgreSQL takes as it is; anything else goes as text, which costs the server half as much again."""


def rows_of(conn: Connection, query: TextClause, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return all rows as the driver gives them: to wrap a row costs as much as to read it.

    PostgreSQL's come in its own form: as text, bytes are twice as many, to be written and to be read.
    """
    if conn.dialect.name == "sqlite":
        result = conn.execute(query, values)
        cursor: Any = result.cursor
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        result.close()
        return rows
    raw: Any = conn.connection.driver_connection
    statement = _statement(query, conn.dialect)
    with _told(conn, statement), raw.cursor(binary=True) as cursor:
        return list(cursor.execute(statement, values))


@functools.cache
def _statement(query: TextClause, dialect: Dialect) -> str:
    return str(query.compile(dialect=dialect))


@contextlib.contextmanager
def _told(conn: Connection, statement: str) -> Iterator[None]:
    """Raise the driver's errors as SQLAlchemy does, which did not see the statement."""
    raw: Any = conn.connection.driver_connection
    errors = conn.dialect.loaded_dbapi.Error
    try:
        yield
    except errors as error:
        gone = conn.dialect.name == "postgresql" and bool(raw.closed)
        raise DBAPIError.instance(
            statement, None, error, errors, connection_invalidated=gone, dialect=conn.dialect
        ) from error
