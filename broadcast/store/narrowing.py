"""Where to look for the few requests of a filter, so that a question does not read a month of a log.

The sums say in which hours a user, a value of `trace` or a session occurs. They follow the log, so what is
not added up yet is looked through besides.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, func, select
from sqlalchemy.sql import ColumnElement

from broadcast import tally
from broadcast.store import facets, rollups, session_sums
from broadcast.store.among import one_of
from broadcast.store.facets import Facet
from broadcast.store.periods import MOST, Numbered
from broadcast.store.tables import heads, receipts
from broadcast.tally import DAY_US, HOUR_US

_TAIL: Final = 5_000
"""Receipts that are not added up yet; past these, looking through them is what takes the time."""

_SEQS: Final = 1_000


class Place(NamedTuple):
    """Some of the requests, `named` by number or by when they began."""

    condition: ColumnElement[bool]
    named: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """Where all requests of a filter are: none of them is in both."""

    fresh: tuple[Place, ...]
    older: Iterator[Place]
    """Each holds requests that began before those of the one before it."""


def places(
    conn: Connection,
    workspace_id: int,
    *,
    user: str | None,
    session_id: str | None,
    trace: tuple[str, str] | None,
    from_us: int | None,
    to_us: int | None,
    at_once: int,
) -> Places | None:
    """Return where to look for requests that began in `[from_us, to_us)`, None where that is everywhere.

    `at_once` is how many are asked for: of the older ones about as many are looked up together.
    """
    wanted = [Facet(*facet) for facet in tally.facets_with(user, trace)]
    if not (session_id or wanted):
        return None
    rolled_seq = rollups.place(conn, workspace_id)
    head_seq = conn.execute(select(heads.c.head_seq).where(heads.c.workspace_id == workspace_id)).scalar()
    fresh = range(rolled_seq + 1, (head_seq or 0) + 1)
    if len(fresh) > _TAIL:
        return None
    at_once = min(at_once, _SEQS)
    if session_id:
        older = _of_session(
            conn,
            workspace_id,
            session_id,
            from_us=from_us,
            to_us=to_us,
            rolled_seq=rolled_seq,
            at_once=at_once,
        )
    else:
        hours = facets.hours_of(conn, workspace_id, wanted, _begin_us(conn, workspace_id, from_us), to_us)
        older = _of_hours(hours, rolled_seq, at_once)
    return Places(fresh=(_named(fresh),) if fresh else (), older=older)


def _begin_us(conn: Connection, workspace_id: int, from_us: int | None) -> int:
    """Return where the first request that is still kept began: hours stay longer than receipts."""
    oldest = select(func.min(receipts.c.created_at_us)).where(receipts.c.workspace_id == workspace_id)
    return max(from_us or 0, conn.execute(oldest).scalar() or 0)


def _of_session(
    conn: Connection,
    workspace_id: int,
    session_id: str,
    *,
    from_us: int | None,
    to_us: int | None,
    rolled_seq: int,
    at_once: int,
) -> Iterator[Place]:
    found = session_sums.days(conn, workspace_id, tally.session_name(session_id))
    if found is None:
        return
    sums, days = found
    if not days:
        yield _between(sums.first_at_us, sums.last_at_us, rolled_seq)
        return
    # A day that says nothing of its time may hold any of them, so that all are looked up together.
    together = at_once if all(day.at_us for day in days) else sums.requests
    begun = from_us or 0, MOST if to_us is None else to_us
    asked = (day for day in days if not day.at_us or begun[0] - DAY_US < day.at_us < begun[1])
    newest = sorted(asked, key=lambda day: day.at_us, reverse=True)
    yield from _by_number(([day] for day in newest), rolled_seq, together)


def _of_hours(hours: Iterator[list[Numbered]], rolled_seq: int, at_once: int) -> Iterator[Place]:
    """Yield the hours: together those whose requests are few and known by number, and those in a row."""
    for listed, some in groupby(hours, lambda parts: all(part.is_listed for part in parts)):
        if listed:
            yield from _by_number(some, rolled_seq, at_once)
        else:
            yield from _in_a_row((parts[0].at_us for parts in some), rolled_seq)


def _by_number(periods: Iterable[list[Numbered]], rolled_seq: int, at_once: int) -> Iterator[Place]:
    known: set[int] = set()
    for parts in periods:
        for part in parts:
            known.update(seq for seq in part.seqs() if seq <= rolled_seq)
        if len(known) >= at_once:
            yield _named(known)
            known = set()
    if known:
        yield _named(known)


def _in_a_row(hours: Iterable[int], rolled_seq: int) -> Iterator[Place]:
    """Yield each stretch of hours as one: in order of time, no more of it is read than is asked for."""
    # One hour earlier each time, what is the same for a row is where it began.
    for _, row in groupby(enumerate(hours), lambda item: item[1] + item[0] * HOUR_US):
        begun = [at_us for _, at_us in row]
        yield _between(begun[-1], begun[0] + HOUR_US - 1, rolled_seq)


def _named(seqs: Iterable[int]) -> Place:
    return Place(one_of(receipts.c.seq, sorted(seqs)), named=True)


def _between(first_us: int, last_us: int, rolled_seq: int) -> Place:
    return Place(
        and_(receipts.c.created_at_us.between(first_us, last_us), receipts.c.seq <= rolled_seq), named=False
    )
