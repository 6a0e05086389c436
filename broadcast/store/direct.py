"""Statements that run for every few receipts, handed to the driver as they are.

To bind the values of a short statement and to wrap its rows costs ten times what it does itself.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ClauseElement, Connection, make_url
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

_DIALECTS: Final = (
    sqlite.dialect(paramstyle="named"),
    make_url("postgresql+psycopg://").get_dialect()(),
)


class Statement:
    """One statement, compiled once for each database; its values and rows are the driver's."""

    def __init__(self, clause: ClauseElement) -> None:
        compiled = {dialect.name: clause.compile(dialect=dialect) for dialect in _DIALECTS}
        self._texts = {name: str(one) for name, one in compiled.items()}
        # What the statement itself compares with; None stands for what is given when it runs.
        written = compiled["sqlite"].params
        self._written = {name: value for name, value in written.items() if value is not None}

    def rows(self, conn: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return all rows, with what the driver makes of each column.

        PostgreSQL's come in its own form: as text, bytes are twice as many, to be written and to be read.
        """
        text = self._texts[conn.dialect.name]
        given = self._given(conn, values)
        with driver(conn, text) as raw:
            if conn.dialect.name == "sqlite":
                return list(raw.execute(text, given))
            with raw.cursor(binary=True) as cursor:
                return list(cursor.execute(text, given))

    def run(self, conn: Connection, many: Sequence[Mapping[str, Any]]) -> int:
        """Run it for each of some values; return how many rows it changed."""
        text = self._texts[conn.dialect.name]
        given = [self._given(conn, values) for values in many]
        with driver(conn, text) as raw, contextlib.closing(raw.cursor()) as cursor:
            if len(given) == 1:
                cursor.execute(text, given[0])
            else:
                cursor.executemany(text, given)
            changed: int = cursor.rowcount
            return changed

    def _given(self, conn: Connection, values: Mapping[str, Any]) -> Mapping[str, Any]:
        as_text = _ARRAYS[conn.dialect.name]
        given = {**self._written, **values}
        return {name: as_text(value) if isinstance(value, list) else value for name, value in given.items()}


def _json(values: list[Any]) -> str:
    """Return a list as the JSON that SQLite reads as a table."""
    return msgspec.json.encode(values).decode()


def _array(values: list[Any]) -> Any:
    """Return whole numbers as PostgreSQL writes an array: its driver would look at each several times."""
    return f"{{{','.join(map(str, values))}}}" if values and type(values[0]) is int else values


_ARRAYS: Final[dict[str, Callable[[list[Any]], Any]]] = {"sqlite": _json, "postgresql": _array}


@contextlib.contextmanager
def driver(conn: Connection, statement: str) -> Iterator[Any]:
    """Lend the driver's own connection; its errors are raised as SQLAlchemy does, which does not see them."""
    raw: Any = conn.connection.driver_connection
    errors = conn.dialect.loaded_dbapi.Error
    try:
        yield raw
    except errors as error:
        gone = conn.dialect.name == "postgresql" and bool(raw.closed)
        raise DBAPIError.instance(
            statement, None, error, errors, connection_invalidated=gone, dialect=conn.dialect
        ) from error
