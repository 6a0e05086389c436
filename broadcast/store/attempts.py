"""Attempts: one row a try at a batch, with the fate of every receipt that it settled."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, select
from sqlalchemy import insert as _insert

from broadcast import fates
from broadcast.store.tables import attempts

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


def list_for(
    conn: Connection, destination_id: int, limit: int, before_id: int | None = None
) -> list[Attempt]:
    """Return a destination's attempts, newest first, those before `before_id` where it is given."""
    query = select(*_COLUMNS).where(attempts.c.destination_id == destination_id)
    if before_id is not None:
        query = query.where(attempts.c.id < before_id)
    return [_record(row) for row in conn.execute(query.order_by(attempts.c.id.desc()).limit(limit))]


def by_uid(conn: Connection, destination_id: int, uid: str) -> Attempt | None:
    """Return a destination's attempt by its outside id."""
    query = select(*_COLUMNS).where(attempts.c.destination_id == destination_id, attempts.c.uid == uid)
    row = conn.execute(query).one_or_none()
    return _record(row) if row else None


def fate_of(conn: Connection, destination_id: int, seq: int) -> tuple[fates.Fate, Attempt] | None:
    """Return what became of a receipt at a destination, and in which attempt; None while it waits.

    Settled runs of one destination do not overlap unless its ledger was begun again further back: then the
    newest one tells.
    """
    query = (
        select(*_COLUMNS)
        .where(
            attempts.c.destination_id == destination_id,
            attempts.c.settled,
            attempts.c.from_seq <= seq,
            attempts.c.from_seq > seq - MAX_RUN,
            attempts.c.to_seq >= seq,
        )
        .order_by(attempts.c.id.desc())
        .limit(1)
    )
    row = conn.execute(query).one_or_none()
    if row is None:
        return None
    attempt = _record(row)
    fate = fates.fate_at(attempt.fates, seq - attempt.from_seq)
    return None if fate is None else (fate, attempt)


MAX_RUN: Final = 65_536
"""The longest run of receipts one attempt may settle; it bounds the search for a receipt's fate."""


def fates_of(
    conn: Connection, destination_ids: Iterable[int], seq: int
) -> dict[int, tuple[fates.Fate, Attempt]]:
    """Return what became of a receipt at several destinations; those where it waits are left out."""
    found = {id_: fate_of(conn, id_, seq) for id_ in destination_ids}
    return {id_: fate for id_, fate in found.items() if fate is not None}


def _record(row: Any) -> Attempt:
    return Attempt(**row._asdict())
