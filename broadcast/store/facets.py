"""Facets: sums by a value that requests have in common, and in which hours to look for these requests."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, Connection, cast, func, select, text

from broadcast.store.periods import (
    Period,
    Stretch,
    added,
    appended,
    bounded,
    inside,
    listed,
    whole,
    wide,
    written,
)
from broadcast.store.rollup_tables import facets
from broadcast.tally import HOUR_US, FacetSums


class Facet(NamedTuple):
    """A value that requests have in common: of `user`, or of a key of `trace`."""

    name: str
    value: str


class Hour(NamedTuple):
    """An hour in which a value occurs, and the numbers of its requests there where all are listed."""

    at_us: int
    seqs: frozenset[int] | None


def add(
    conn: Connection,
    workspace_id: int,
    made: Mapping[Period, Mapping[Facet, FacetSums]],
    seqs: Mapping[Period, Mapping[Facet, Sequence[int]]],
) -> None:
    """Add to the sums of facets, and to the numbers of an hour's; the caller holds the log's place."""
    rows = [
        {
            "workspace_id": workspace_id,
            **period._asdict(),
            **facet._asdict(),
            **bounded(sums._asdict()),
            "seqs": written(seqs[period][facet]) if period in seqs else None,
        }
        for period, by_facet in made.items()
        for facet, sums in by_facet.items()
    ]
    if rows:
        conn.execute(_ADD, rows)


_KEY: Final = ("workspace_id", "name", "hours", "at_us", "value")
_COLUMNS: Final = (*_KEY, *FacetSums._fields, "seqs")
_ADD: Final = text(
    f"INSERT INTO facets ({', '.join(_COLUMNS)})"  # noqa: S608 - our own names
    f" VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"
    f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET "
    + ", ".join(added("facets", name) for name in FacetSums._fields)
    + f", {appended('facets')}"
)


def read(conn: Connection, workspace_id: int, name: str, stretch: Stretch) -> dict[str, FacetSums]:
    """Return the sums of a facet's values over a stretch's periods."""
    sums = [func.sum(part) for field in FacetSums._fields for part in wide(facets.c[field])]
    here = (facets.c.name == name, *inside(facets, workspace_id, stretch))
    query = select(facets.c.value, *sums).where(*here).group_by(facets.c.value)
    return {row[0]: FacetSums(*map(whole, row[1::2], row[2::2])) for row in conn.execute(query)}


def names(conn: Connection, workspace_id: int) -> list[str]:
    """Return what requests of a workspace can be told apart by; one look an entry, however many rows."""
    found: list[str] = []
    query = select(func.min(facets.c.name)).where(facets.c.workspace_id == workspace_id)
    name: str | None = conn.execute(query).scalar()
    while name is not None:
        found.append(name)
        name = conn.execute(query.where(facets.c.name > name)).scalar()
    return found


# -- in which hours ----------------------------------------------------------------------------------------


def hours_of(
    conn: Connection, workspace_id: int, wanted: Iterable[Facet], from_us: int | None, to_us: int | None
) -> list[Hour]:
    """Return the hours inside `[from_us, to_us)` in which one of several facets occurs, newest first."""
    found: dict[int, frozenset[int] | None] = {}
    for facet in wanted:
        for hour in _hours(conn, workspace_id, facet, from_us, to_us):
            known = found.get(hour.at_us, frozenset())
            found[hour.at_us] = None if known is None or hour.seqs is None else known | hour.seqs
    return [Hour(at_us, found[at_us]) for at_us in sorted(found, reverse=True)]


def _hours(
    conn: Connection, workspace_id: int, facet: Facet, from_us: int | None, to_us: int | None
) -> Iterator[Hour]:
    """Ask for each hour by itself: all values of all hours would be many times as much."""
    of_name = (facets.c.workspace_id == workspace_id, facets.c.name == facet.name, facets.c.hours == 1)
    first, last = (
        conn.execute(select(end(facets.c.at_us)).where(*of_name)).scalar() for end in (func.min, func.max)
    )
    if first is None or last is None:
        return
    begin_us = first if from_us is None else max(first, from_us - from_us % HOUR_US)
    hours = select(cast(begin_us, BigInteger).label("at_us")).cte("hours", recursive=True)
    end_us = last if to_us is None else min(last, to_us - 1)
    hours = hours.union_all(select(hours.c.at_us + HOUR_US).where(hours.c.at_us + HOUR_US <= end_us))
    query = select(facets.c.at_us, facets.c.requests, facets.c.seqs).join(
        hours, facets.c.at_us == hours.c.at_us
    )
    for at_us, requests, seqs in conn.execute(query.where(*of_name, facets.c.value == facet.value)):
        yield Hour(at_us, listed((seqs,), requests))
