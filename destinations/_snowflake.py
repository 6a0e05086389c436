"""The statements that Snowflake runs: its table, and how rows given as one JSON text get in.

Rows are merged by trace, span and time, so that a span which came before is not doubled; the time lets
Snowflake look at few partitions. https://docs.snowflake.com/en/sql-reference/sql/merge, read 2026-11-21.
"""

from collections.abc import Mapping
from typing import Final

from destinations import _columns

_TYPES: Final[Mapping[_columns.Kind, str]] = {
    "id": "VARCHAR(64)", "text": "VARCHAR", "time": "TIMESTAMP_NTZ", "ms": "NUMBER(18,3)",
    "count": "NUMBER(18,0)", "money": "NUMBER(18,8)", "json": "VARIANT", "list": "ARRAY",
}  # fmt: skip

CREATE: Final = _columns.table_sql(
    "CREATE TABLE OPENROUTER_TRACES", {**_TYPES, "id": "VARCHAR(64) NOT NULL"}, ";"
)


def merge(place: str, *, cache_write: bool) -> str:
    """Return the statement that takes a JSON array of rows as its one binding."""
    columns = _columns.columns(cache_write=cache_write)
    read = ", ".join(f"r.value:{name}::{_TYPES[kind]} AS {name}" for name, kind in columns.items())
    given = "(SELECT PARSE_JSON(?) AS v) g, LATERAL FLATTEN(INPUT => g.v) r"
    rows = f"SELECT {read} FROM {given}"  # noqa: S608 - names of ours
    return (
        f"MERGE INTO {place} t USING ({rows}) s "  # noqa: S608 - checked names
        "ON t.TRACE_ID = s.TRACE_ID AND t.SPAN_ID = s.SPAN_ID AND t.TIMESTAMP = s.TIMESTAMP "
        f"WHEN NOT MATCHED THEN INSERT ({', '.join(columns)}) "
        f"VALUES ({', '.join(f's.{name}' for name in columns)})"
    )


def count(place: str) -> str:
    """Return the statement that counts a trace's rows."""
    return f"SELECT COUNT(*) FROM {place} WHERE TRACE_ID = ?"  # noqa: S608 - checked names
