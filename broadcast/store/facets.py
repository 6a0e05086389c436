"""Facets: sums by a value that requests have in common, and in which hours to look for these requests."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, Connection, cast, func, select, text

from broadcast.store.periods import (
    Numbered,
    Period,
    Stretch,
    added,
    appended,
    bounded,
    inside,
    whole,
    wide,
    written,
)
from broadcast.store.rollup_tables import facets
from broadcast.tally import DAY_US, HOUR_US, FacetSums


class Facet(NamedTuple):
    """A value that requests have in common: of `user`, or of a key of `trace`."""

    name: str
    value: str


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
    conn: Connection, workspace_id: int, wanted: Sequence[Facet], from_us: int | None, to_us: int | None
) -> Iterator[list[Numbered]]:
    """Yield by the hour what is kept of several facets inside `[from_us, to_us)`, newest first.

    Whoever reads on pays for it: a day is asked for first, then each time twice as much.
    """
    first_us, last_us = _ends(conn, workspace_id, {facet.name for facet in wanted})
    if first_us is None or last_us is None:
        return
    begin_us = first_us if from_us is None else max(first_us, from_us - from_us % HOUR_US)
    end_us = last_us if to_us is None else min(last_us, to_us - 1)
    end_us, length_us = end_us - end_us % HOUR_US, DAY_US
    while end_us >= begin_us:
        since_us = max(begin_us, end_us - length_us + HOUR_US)
        found: defaultdict[int, list[Numbered]] = defaultdict(list)
        for facet in wanted:
            for hour in _hours(conn, workspace_id, facet, since_us, end_us):
                found[hour.at_us].append(hour)
        yield from (found[at_us] for at_us in sorted(found, reverse=True))
        end_us, length_us = since_us - HOUR_US, 2 * length_us


def _ends(conn: Connection, workspace_id: int, names: Iterable[str]) -> tuple[int | None, int | None]:
    """Return the first and the last hour of which some facets are kept."""
    of_name = [
        conn.execute(
            select(end(facets.c.at_us)).where(
                facets.c.workspace_id == workspace_id, facets.c.name == name, facets.c.hours == 1
            )
        ).scalar()
        for name in names
        for end in (func.min, func.max)
    ]
    known = [at_us for at_us in of_name if at_us is not None]
    return min(known, default=None), max(known, default=None)


def _hours(
    conn: Connection, workspace_id: int, facet: Facet, first_us: int, last_us: int
) -> Iterator[Numbered]:
    """Ask for each hour by itself: all values of all hours would be many times as much."""
    hours = select(cast(first_us, BigInteger).label("at_us")).cte("hours", recursive=True)
    hours = hours.union_all(select(hours.c.at_us + HOUR_US).where(hours.c.at_us + HOUR_US <= last_us))
    query = (
        select(facets.c.at_us, facets.c.requests, facets.c.seqs)
        .join(hours, facets.c.at_us == hours.c.at_us)
        .where(
            facets.c.workspace_id == workspace_id,
            facets.c.name == facet.name,
            facets.c.hours == 1,
            facets.c.value == facet.value,
        )
    )
    return (Numbered(*row) for row in conn.execute(query))
