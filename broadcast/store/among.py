"""`column` among many values, as one parameter: no text to expand, and one plan however many there are."""

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import ARRAY, ColumnElement, Dialect, Text, bindparam, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import Boolean, TypeDecorator, TypeEngine


class _Several(TypeDecorator[Collection[Any]]):
    """PostgreSQL takes an array, SQLite the text of a JSON array."""

    impl = Text
    cache_ok = True

    def __init__(self, one: TypeEngine[Any]) -> None:
        super().__init__()
        self.one = one

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(self.one) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Collection[Any] | None, dialect: Dialect) -> Any:
        values = list(value or ())
        return values if dialect.name == "postgresql" else msgspec.json.encode(values).decode()


class _Among(FunctionElement[bool]):
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: OperatorType | None = None) -> "_Among":
        """Stay as it is in a condition: as `... = 1` SQLite would not look into its indexes."""
        del against
        return self


@compiles(_Among, "postgresql")
def _postgresql(element: _Among, compiler: Any, **kwargs: Any) -> str:
    column, values = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"({column} = ANY ({values}))"


@compiles(_Among, "sqlite")
def _sqlite(element: _Among, compiler: Any, **kwargs: Any) -> str:
    column, values = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({values})))"  # noqa: S608 - our own clauses


def among(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return whether a column is among the values that are given as `name` when the statement runs."""
    return _Among(column, bindparam(name, type_=_Several(column.type)))


def one_of(column: ColumnElement[int], numbers: Collection[int]) -> ColumnElement[bool]:
    """Return whether a column is one of these numbers."""
    return _Among(column, literal(numbers, _Several(column.type)))
