"""What a question can look up inside a stored document, on both databases."""

from typing import Any

from sqlalchemy import ColumnElement, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class TraceText(FunctionElement[str]):
    """The value of a key of `trace` as text: `true` and `false`, numbers as they were written."""

    type = Text()
    inherit_cache = True

    def __init__(self, document: ColumnElement[bytes], key: str) -> None:
        super().__init__(document, literal(key))


@compiles(TraceText, "sqlite")
def _sqlite(element: TraceText, compiler: Any, **kwargs: Any) -> str:
    """Ask for the type too: SQLite reads true as 1."""
    document, key = (compiler.process(part, **kwargs) for part in element.clauses)
    place = f"CAST({document} AS TEXT), '$.trace.\"' || {key} || '\"'"
    kind, value = f"json_type({place})", f"json_extract({place})"
    return f"CASE {kind} WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE CAST({value} AS TEXT) END"


@compiles(TraceText, "postgresql")
def _postgresql(element: TraceText, compiler: Any, **kwargs: Any) -> str:
    document, key = (compiler.process(part, **kwargs) for part in element.clauses)
    return f"(convert_from({document}, 'UTF8')::jsonb #>> ARRAY['trace', {key}::text])"
