"""Periods that sums are kept by, and how a sum is added to."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Table
from sqlalchemy.sql import ColumnElement

MOST: Final = 2**63 - 1
"""Where a sum stays: nobody's figures may stop the log that everybody's are read from."""


_PART: Final = 1_000_000_000
_LISTED: Final = 32_768
"""Characters of a list of numbers: some thousand requests, and little to write again when one is added."""


class Period(NamedTuple):
    """An hour or a day of UTC, by its length in hours and its first instant."""

    hours: int
    at_us: int


class Stretch(NamedTuple):
    """The periods of one length that begin in `[from_us, to_us)`."""

    hours: int
    from_us: int
    to_us: int


def inside(table: Table, workspace_id: int, stretch: Stretch) -> tuple[ColumnElement[bool], ...]:
    """Return which rows of a table of sums are of a stretch."""
    return (
        table.c.workspace_id == workspace_id,
        table.c.hours == stretch.hours,
        table.c.at_us >= stretch.from_us,
        table.c.at_us < stretch.to_us,
    )


def bounded(sums: Mapping[str, int]) -> dict[str, Any]:
    """Return sums as a column holds them."""
    return {name: min(value, MOST) for name, value in sums.items()}


def added(table: str, name: str) -> str:
    """Return what adds to a sum; SQLite would go on with a fraction, PostgreSQL would refuse."""
    return (
        f"{name} = CASE WHEN {table}.{name} > {MOST} - excluded.{name} THEN {MOST}"
        f" ELSE {table}.{name} + excluded.{name} END"
    )


def wide(column: ColumnElement[int]) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """Return two numbers whose sums make the sum of a column, which may be more than SQLite can add up."""
    return column // _PART, column % _PART


def whole(high: int, low: int) -> int:
    """Return the sum that `wide` took apart."""
    return int(high) * _PART + int(low)


def written(seqs: Sequence[int]) -> str:
    """Return numbers as a column holds them."""
    return "".join(f"{seq}," for seq in seqs)


class Numbered(NamedTuple):
    """The requests of a period: how many they are, and their numbers as a column holds them."""

    at_us: int
    requests: int
    written: str | None

    @property
    def is_listed(self) -> bool:
        """Whether all are listed; one that somebody added to without knowing of the list is not."""
        return self.written is not None and self.written.count(",") == self.requests

    def seqs(self) -> Iterator[int]:
        """Yield the numbers that are listed."""
        return map(int, (self.written or "").split(",")[:-1])


def appended(table: str) -> str:
    """Return what adds to a list; one that has become too long is none, and stays none."""
    return f"seqs = CASE WHEN length({table}.seqs) < {_LISTED} THEN {table}.seqs || excluded.seqs END"
