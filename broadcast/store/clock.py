"""The database's clock, for everything several machines must agree on: leases and due times."""

from typing import Any, Final

from sqlalchemy import BigInteger, Connection, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from broadcast.store.direct import Statement


class NowUs(FunctionElement[int]):
    """Microseconds since 1970 at the moment the database evaluates it."""

    type = BigInteger()
    inherit_cache = True


@compiles(NowUs, "sqlite")
def _sqlite(element: NowUs, compiler: Any, **kwargs: Any) -> str:
    """Return whole milliseconds: SQLite's clock has no finer hand."""
    del element, compiler, kwargs
    return "(CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000)"


@compiles(NowUs, "postgresql")
def _postgresql(element: NowUs, compiler: Any, **kwargs: Any) -> str:
    """Return the wall clock, not the start of the transaction."""
    del element, compiler, kwargs
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"


def now_us(conn: Connection) -> int:
    """Return the database's clock."""
    return int(_NOW.rows(conn, {})[0][0])


_NOW: Final = Statement(select(NowUs()))
