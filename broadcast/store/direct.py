"""Statements that run for every few receipts, handed to the driver as they are.

To compile a short statement, to bind its values and to wrap its rows costs ten times what it does itself.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

_AMONG: Final = re.compile(r"= ANY\(:(\w+)\)")
_NAME: Final = re.compile(r"(?<!:):(\w+)")


class Statement:
    """One statement, in PostgreSQL's words: `:name` stands for a value, `= ANY(:name)` for one of a list."""

    def __init__(self, text: str) -> None:
        # Who writes to SQLite holds the one lock there is.
        alone = text.removesuffix(" FOR UPDATE")
        self._sqlite = _AMONG.sub(r"IN (SELECT value FROM json_each(:\1))", alone)
        self._postgresql = _NAME.sub(r"%(\1)s", text)

    def rows(self, conn: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return all rows, with what the driver makes of each column.

        PostgreSQL's come in its own form: as text, bytes are twice as many, to be written and to be read.
        """
        with driver(conn, self._postgresql) as raw:
            if conn.dialect.name == "sqlite":
                given = {name: _one_parameter(value) for name, value in values.items()}
                return list(raw.execute(self._sqlite, given))
            with raw.cursor(binary=True) as cursor:
                return list(cursor.execute(self._postgresql, values))

    def run(self, conn: Connection, many: Sequence[Mapping[str, Any]]) -> int:
        """Run it for each of some values; return how many rows it changed."""
        with driver(conn, self._postgresql) as raw, contextlib.closing(raw.cursor()) as cursor:
            cursor.executemany(self._sqlite if conn.dialect.name == "sqlite" else self._postgresql, many)
            changed: int = cursor.rowcount
            return changed


def _one_parameter(value: Any) -> Any:
    """Return a list as JSON, which SQLite reads as a table: one statement however long the list is."""
    return msgspec.json.encode(value).decode() if isinstance(value, list) else value


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
