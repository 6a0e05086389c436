"""`column` among many numbers, as one parameter: no text to expand, and one plan however many there are."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Dialect, Text, bindparam, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import Boolean, TypeDecorator, TypeEngine


class _Numbers(TypeDecorator[Collection[int]]):
    """PostgreSQL takes an array, SQLite the text of a JSON array."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(BigInteger()) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Collection[int] | None, dialect: Dialect) -> Any:
        numbers = list(value or ())
        return numbers if dialect.name == "postgresql" else str(numbers)


class _Among(FunctionElement[bool]):
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: OperatorType | None = None) -> "_Among":
        """Stay as it is in a condition: as `... = 1` SQLite would not look into its indexes."""
        del against
        return self


@compiles(_Among, "postgresql")
def _postgresql(element: _Among, compiler: Any, **kwargs: Any) -> str:
    column, numbers = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"({column} = ANY ({numbers}))"


@compiles(_Among, "sqlite")
def _sqlite(element: _Among, compiler: Any, **kwargs: Any) -> str:
    column, numbers = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({numbers})))"  # noqa: S608 - our own clauses


def among(column: ColumnElement[int], name: str) -> ColumnElement[bool]:
    """Return whether a column is among the numbers that are given as `name` when the statement runs."""
    return _Among(column, bindparam(name, type_=_Numbers()))


def one_of(column: ColumnElement[int], numbers: Collection[int]) -> ColumnElement[bool]:
    """Return whether a column is one of these numbers."""
    return _Among(column, literal(numbers, _Numbers()))
