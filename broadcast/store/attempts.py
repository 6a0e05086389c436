"""Attempts: one row a try at a batch, with the fate of every receipt that it settled."""

import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Connection, select, text
from sqlalchemy import insert as _insert
from sqlalchemy.sql import ColumnElement

from broadcast import fates
from broadcast.store import bulk
from broadcast.store.tables import attempts, replays

Packed = bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One try: `from_seq` to `to_seq`, both included; `fates` is empty where nothing was settled."""

    id: int
    uid: str
    destination_id: int
    at_us: int
    from_seq: int
    to_seq: int
    delivered: int
    rejected: int
    skipped: int
    verdict: str
    status_code: int | None
    reason: str
    duration_ms: float
    bytes: int
    config_version: int
    fates: Packed = field(repr=False)
    replay_id: int | None = None


_COLUMNS: Final = tuple(attempts.c[name] for name in Attempt.__slots__)
_LOOKED_AT: Final = 1_000


def insert(
    conn: Connection,
    *,
    destination_id: int,
    at_us: int,
    from_seq: int,
    to_seq: int,
    verdict: str,
    reason: str,
    config_version: int,
    delivered: int = 0,
    rejected: int = 0,
    skipped: int = 0,
    status_code: int | None = None,
    duration_ms: float = 0.0,
    bytes: int = 0,  # noqa: A002 - the contract's word
    fates: Packed = b"",
    replay_id: int | None = None,
) -> int:
    """Record an attempt and return its inside id."""
    statement = _insert(attempts).values(
        uid=str(uuid.uuid4()),
        destination_id=destination_id,
        at_us=at_us,
        from_seq=from_seq,
        to_seq=to_seq,
        delivered=delivered,
        rejected=rejected,
        skipped=skipped,
        verdict=verdict,
        status_code=status_code,
        reason=reason,
        duration_ms=duration_ms,
        bytes=bytes,
        config_version=config_version,
        fates=fates,
        settled=len(fates) > 0,
        replay_id=replay_id,
    )
    return int(conn.execute(statement.returning(attempts.c.id)).scalar_one())


def insert_all(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record several attempts at once; each row has the arguments of `insert`, all of them."""
    if rows:
        bulk.insert_rows(
            conn,
            attempts,
            ("uid", "settled", *_GIVEN),
            [(str(uuid.uuid4()), len(row["fates"]) > 0, *_given(row)) for row in rows],
        )


_GIVEN: Final = tuple(name for name in Attempt.__slots__ if name not in {"id", "uid"})
_given: Final = itemgetter(*_GIVEN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Only:
    """Which attempts are asked for: of a verdict, in `[from_us, to_us)`, at a receipt."""

    verdict: str | None = None
    from_us: int | None = None
    to_us: int | None = None
    seq: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what is asked of a row."""
        found: list[ColumnElement[bool]] = []
        if self.verdict is not None:
            found.append(attempts.c.verdict == self.verdict)
        if self.from_us is not None:
            found.append(attempts.c.at_us >= self.from_us)
        if self.to_us is not None:
            found.append(attempts.c.at_us < self.to_us)
        if self.seq is not None:
            found += [attempts.c.from_seq <= self.seq, attempts.c.to_seq >= self.seq]
        return found


def list_for(
    conn: Connection,
    destination_id: int,
    limit: int,
    before_id: int | None = None,
    only: Only | None = None,
) -> list[Attempt]:
    """Return a destination's attempts, newest first, those before `before_id` where it is given."""
    query = select(*_COLUMNS).where(attempts.c.destination_id == destination_id)
    if before_id is not None:
        query = query.where(attempts.c.id < before_id)
    if only is not None:
        query = query.where(*only.conditions())
    return [_record(row) for row in conn.execute(query.order_by(attempts.c.id.desc()).limit(limit))]


def last_error(conn: Connection, destination_id: int) -> Attempt | None:
    """Return the newest attempt that did not deliver everything, of a destination's last thousand."""
    newest = select(*_COLUMNS).where(attempts.c.destination_id == destination_id)
    looked = newest.order_by(attempts.c.id.desc()).limit(_LOOKED_AT).subquery()
    query = select(looked).where(looked.c.verdict != "delivered").order_by(looked.c.id.desc()).limit(1)
    row = conn.execute(query).one_or_none()
    return None if row is None else _record(row)


def uids(conn: Connection, attempt_ids: Iterable[int]) -> dict[int, str]:
    """Return the outside ids of attempts that are still kept."""
    query = select(attempts.c.id, attempts.c.uid).where(attempts.c.id.in_(list(attempt_ids)))
    return {row.id: row.uid for row in conn.execute(query)}


def replay_uids(conn: Connection, found: Iterable[Attempt]) -> dict[int, str]:
    """Return the outside ids of the replays that some attempts belong to."""
    ids = {attempt.replay_id for attempt in found if attempt.replay_id is not None}
    if not ids:
        return {}
    query = select(replays.c.id, replays.c.uid).where(replays.c.id.in_(ids))
    return {row.id: row.uid for row in conn.execute(query)}


def by_uid(conn: Connection, destination_id: int, uid: str) -> Attempt | None:
    """Return a destination's attempt by its outside id."""
    query = select(*_COLUMNS).where(attempts.c.destination_id == destination_id, attempts.c.uid == uid)
    row = conn.execute(query).one_or_none()
    return _record(row) if row else None


MAX_RUN: Final = 65_536
"""The longest run of receipts one attempt may settle; it bounds the search for a receipt's fate."""

SETTLED: Final = text("attempts.settled")
"""Whether an attempt settled something, word for word as its index says it.

A column of truth is compared with 1 on SQLite, and then the index is not used.
"""


def fate_of(conn: Connection, destination_id: int, seq: int) -> tuple[fates.Fate, Attempt] | None:
    """Return what became of a receipt at a destination, and in which attempt; None while it waits.

    What was delivered once stays delivered, whatever a replay came to later; else the newest attempt tells.
    """
    told = told_of(conn, destination_id, seq)
    arrived = (item for item in told if item[0] is fates.Fate.DELIVERED)
    return next(arrived, told[0] if told else None)


def told_of(conn: Connection, destination_id: int, seq: int) -> list[tuple[fates.Fate, Attempt]]:
    """Return every fate that a receipt had at a destination, the newest first."""
    rows = reversed(_telling(conn, destination_id, seq, seq))
    found = ((fates.fate_at(row.fates, seq - row.from_seq), _record(row)) for row in rows)
    return [(fate, attempt) for fate, attempt in found if fate is not None]


def fates_at(conn: Connection, destination_id: int, seqs: Iterable[int]) -> dict[int, fates.Fate]:
    """Return what became of several receipts at a destination, as `fate_of` says it; only settled ones."""
    found: dict[int, fates.Fate] = {}
    for near in _neighbours(sorted(set(seqs))):
        for row in _telling(conn, destination_id, near[0], near[-1]):
            for seq in near[bisect_left(near, row.from_seq) : bisect_right(near, row.to_seq)]:
                fate = fates.fate_at(row.fates, seq - row.from_seq)
                if fate is not None and found.get(seq) is not fates.Fate.DELIVERED:
                    found[seq] = fate
    return found


def _telling(conn: Connection, destination_id: int, first: int, last: int) -> list[Any]:
    """Return the settled attempts that touch a range, the oldest first.

    Attempts at fresh receipts do not overlap, so none is older than the last that begins at or before the
    range. A replay's may leave receipts out; they are looked for only where a replay went by.
    """
    mine = (attempts.c.destination_id == destination_id, SETTLED)
    reach = (*mine, attempts.c.from_seq > first - MAX_RUN, attempts.c.from_seq <= last)
    begin = (
        select(attempts.c.from_seq)
        .where(*reach, attempts.c.from_seq <= first, attempts.c.replay_id.is_(None))
        .order_by(attempts.c.from_seq.desc())
        .limit(1)
    )
    begins = conn.execute(begin).scalar()
    own = select(*_COLUMNS).where(
        *mine,
        attempts.c.from_seq >= (first if begins is None else begins),
        attempts.c.from_seq <= last,
        attempts.c.to_seq >= first,
        attempts.c.replay_id.is_(None),
    )
    rows = list(conn.execute(own))
    passing = select(replays.c.id).where(
        replays.c.destination_id == destination_id, replays.c.from_seq <= last, replays.c.to_seq >= first
    )
    replayed = list(conn.execute(passing).scalars())
    if replayed:
        again = select(*_COLUMNS).where(
            *reach, attempts.c.to_seq >= first, attempts.c.replay_id.in_(replayed)
        )
        rows += conn.execute(again)
    return sorted(rows, key=lambda row: row.id)


def _neighbours(seqs: list[int]) -> Iterator[list[int]]:
    """Yield receipts that lie close together, so that what lies between them is not read."""
    near: list[int] = []
    for seq in seqs:
        if near and seq - near[0] >= _NEAR:
            yield near
            near = []
        near.append(seq)
    if near:
        yield near


_NEAR: Final = 4_096


def settled_after(conn: Connection, destination_id: int, after_seq: int, limit: int) -> list[Attempt]:
    """Return the next attempts that settled fresh receipts after a number, in the order of the log."""
    query = (
        select(*_COLUMNS)
        .where(
            attempts.c.destination_id == destination_id,
            SETTLED,
            attempts.c.from_seq > after_seq,
            attempts.c.replay_id.is_(None),
        )
        .order_by(attempts.c.from_seq, attempts.c.id)
        .limit(limit)
    )
    return [_record(row) for row in conn.execute(query)]


def fates_of(
    conn: Connection, destination_ids: Iterable[int], seq: int
) -> dict[int, tuple[fates.Fate, Attempt]]:
    """Return what became of a receipt at several destinations; those where it waits are left out."""
    found = {id_: fate_of(conn, id_, seq) for id_ in destination_ids}
    return {id_: fate for id_, fate in found.items() if fate is not None}


def _record(row: Any) -> Attempt:
    return Attempt(**row._asdict())
