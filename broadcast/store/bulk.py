"""Many rows into one table, as fast as each database takes them: the hot path of ingest."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
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


def insert_columns(
    conn: Connection, table: Table, columns: Mapping[str, Sequence[Any]], *, alike: Collection[str] = ()
) -> None:
    """Insert rows, given column by column, as a statement of its own; the values are the driver's types.

    A column without any value is left out, which saves a NULL a row. Columns that are often the same in all
    rows are named `alike`: few, since SQLite has a statement for each set of those that are.

    Rows are made while the driver takes them: dictionaries, type processors and lists of rows, which the
    garbage collector walks over again and again, cost more than the database does.
    """
    filled = {name: values for name, values in columns.items() if not _is_empty(values)}
    if conn.dialect.name == "sqlite":
        _insert_into_sqlite(conn, table, filled, alike)
        return
    names = _names(table, filled)
    rows = zip(*filled.values(), strict=True)
    types = [_BINARY.get(type(table.c[name].type), "") for name in filled]
    statement = f'COPY "{table.name}" ({names}) FROM STDIN{" (FORMAT BINARY)" if all(types) else ""}'
    with driver(conn, statement) as raw, raw.cursor() as cursor, cursor.copy(statement) as copy:
        if all(types):
            copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def _insert_into_sqlite(
    conn: Connection, table: Table, filled: Mapping[str, Sequence[Any]], alike: Collection[str]
) -> None:
    """Hand over many rows in one statement as long as there are so many, then the others one by one."""
    rows = len(next(iter(filled.values())))
    whole = rows - rows % _ROWS_AT_ONCE if _is_small(table, filled, rows) else 0
    if whole:
        some = {name: values[:whole] for name, values in filled.items()}
        _insert_so_many(conn, table, some, _ROWS_AT_ONCE, alike)
    if whole < rows:
        _insert_so_many(conn, table, {name: values[whole:] for name, values in filled.items()}, 1)


def _insert_so_many(
    conn: Connection,
    table: Table,
    filled: Mapping[str, Sequence[Any]],
    at_once: int,
    alike: Collection[str] = (),
) -> None:
    """Insert so many rows a statement; what is the same in all rows is handed over once for each."""
    same = {name: values[0] for name, values in filled.items() if name in alike and _is_same(values)}
    varied = [values for name, values in filled.items() if name not in same]
    width = len(varied)
    values: list[Any] = [None] * (width * len(next(iter(filled.values()))))
    for place, column in enumerate(varied):
        values[place::width] = column
    statement = _insert(table, tuple(same), tuple(name for name in filled if name not in same), at_once)
    size = at_once * width
    with driver(conn, statement) as raw:
        given = ([*same.values(), *values[at : at + size]] for at in range(0, len(values), size))
        raw.executemany(statement, given).close()


@lru_cache(maxsize=64)
def _insert(table: Table, same: tuple[str, ...], varied: tuple[str, ...], rows: int) -> str:
    """Return SQLite's statement for so many rows; the first values it takes are those that are the same.

    Only these are numbered, and come first in a row, so that SQLite counts on from them. From Python 3.12 on
    the driver asks for the name of every value, and SQLite looks for it among all that have one.
    """
    numbered = [f"?{place + 1}" for place in range(len(same))]
    row = f"({', '.join([*numbered, *('?' for _ in varied)])})"
    into = f'INSERT INTO "{table.name}" ({_names(table, (*same, *varied))}) VALUES '  # noqa: S608 - our own names
    return into + ", ".join([row] * rows)


def _names(table: Table, names: Iterable[str]) -> str:
    return ", ".join(f'"{table.c[name].name}"' for name in names)


def _is_small(table: Table, filled: Mapping[str, Sequence[Any]], count: int) -> bool:
    """Whether rows are cheap to hold: a statement keeps its values until it is used again."""
    binary = [values for name, values in filled.items() if type(table.c[name].type) is LargeBinary]
    return sum(sum(map(len, filter(None, values))) for values in binary) <= count * _SMALL_BYTES


def _is_same(values: Sequence[Any]) -> bool:
    return values[0] == values[-1] and values.count(values[0]) == len(values)


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
