"""Many rows into one table, as fast as each database takes them: the hot path of ingest."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Connection, Double, Integer, LargeBinary, Table, Text

from broadcast.store.direct import driver


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
    if conn.dialect.name == "sqlite":
        marks = ", ".join("?" * len(filled))
        statement = f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})'  # noqa: S608 - our own names
        with driver(conn, statement) as raw:
            raw.executemany(statement, rows).close()
        return
    types = [_BINARY.get(type(table.c[name].type), "") for name in filled]
    statement = f'COPY "{table.name}" ({names}) FROM STDIN{" (FORMAT BINARY)" if all(types) else ""}'
    with driver(conn, statement) as raw, raw.cursor() as cursor, cursor.copy(statement) as copy:
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
