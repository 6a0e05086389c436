"""Many rows into one table, as fast as each database takes them: the hot path of ingest."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Connection, Double, Integer, LargeBinary, Table, Text

from broadcast.store.direct import driver

_ROWS_AT_ONCE: Final = 100
"""So many cost SQLite a sixth less than one by one; more of them gain nothing."""
_SMALL_BYTES: Final = 4096


def insert_rows(
    conn: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert tuples in the order of `columns`, as `insert_columns` does."""
    if rows:
        insert_columns(conn, table, dict(zip(columns, zip(*rows, strict=True), strict=True)))


def insert_columns(conn: Connection, table: Table, columns: Mapping[str, Sequence[Any]]) -> None:
    """Insert rows, given column by column, as a statement of its own; the values are the driver's types.

    A column without any value is left out, which saves a NULL a row. Rows are made while the driver takes
    them: dictionaries, type processors and lists of rows, which the garbage collector walks over again and
    again, cost more than the database does.
    """
    filled = {name: values for name, values in columns.items() if not _is_empty(values)}
    names = ", ".join(f'"{table.c[name].name}"' for name in filled)
    if conn.dialect.name == "sqlite":
        insert = f'INSERT INTO "{table.name}" ({names}) VALUES '  # noqa: S608 - our own names
        _insert_into_sqlite(conn, table, insert, filled)
        return
    rows = zip(*filled.values(), strict=True)
    types = [_BINARY.get(type(table.c[name].type), "") for name in filled]
    statement = f'COPY "{table.name}" ({names}) FROM STDIN{" (FORMAT BINARY)" if all(types) else ""}'
    with driver(conn, statement) as raw, raw.cursor() as cursor, cursor.copy(statement) as copy:
        if all(types):
            copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def _insert_into_sqlite(
    conn: Connection, table: Table, insert: str, filled: Mapping[str, Sequence[Any]]
) -> None:
    """Hand over many rows in one statement as long as there are so many, then the others one by one."""
    width, count = len(filled), len(next(iter(filled.values())))
    values: list[Any] = [None] * (width * count)
    for place, column in enumerate(filled.values()):
        values[place::width] = column
    marks = f"({', '.join('?' * width)})"
    start = 0
    for rows in (_ROWS_AT_ONCE, 1) if _is_small(table, filled, count) else (1,):
        size = rows * width
        end = len(values) - (len(values) - start) % size
        if start < end:
            statement = insert + ", ".join([marks] * rows)
            with driver(conn, statement) as raw:
                raw.executemany(statement, (values[at : at + size] for at in range(start, end, size))).close()
        start = end


def _is_small(table: Table, filled: Mapping[str, Sequence[Any]], count: int) -> bool:
    """Whether rows are cheap to hold: a statement keeps its values until it is used again."""
    binary = [values for name, values in filled.items() if type(table.c[name].type) is LargeBinary]
    return sum(sum(map(len, filter(None, values))) for values in binary) <= count * _SMALL_BYTES


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
