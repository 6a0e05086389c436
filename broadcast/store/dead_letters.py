"""Dead letters: receipts a destination rejected, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from broadcast.store.tables import dead_letters


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """One rejected receipt at one destination."""

    id: int
    destination_id: int
    workspace_id: int
    seq: int
    receipt_id: str
    at_us: int
    attempt_id: int | None
    status_code: int | None
    reason: str
    replay_id: int | None


_COLUMNS: Final = tuple(dead_letters.c[name] for name in DeadLetter.__slots__)


def insert(
    conn: Connection,
    *,
    destination_id: int,
    workspace_id: int,
    seq: int,
    receipt_id: str,
    at_us: int,
    reason: str,
    attempt_id: int | None = None,
    status_code: int | None = None,
    replay_id: int | None = None,
) -> None:
    """Record a rejected receipt; a second rejection replaces the first one's reason, not whose it is."""
    new: dict[str, Any] = {
        "at_us": at_us,
        "attempt_id": attempt_id,
        "status_code": status_code,
        "reason": reason,
    }
    dialect: Any = sqlite if conn.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(dead_letters).values(
        destination_id=destination_id,
        workspace_id=workspace_id,
        seq=seq,
        receipt_id=receipt_id,
        replay_id=replay_id,
        **new,
    )
    conn.execute(statement.on_conflict_do_update(index_elements=["destination_id", "seq"], set_=new))


def list_for(
    conn: Connection, destination_id: int, limit: int, before_id: int | None = None
) -> list[DeadLetter]:
    """Return a destination's dead letters, newest first, those before `before_id` where it is given."""
    query = select(*_COLUMNS).where(dead_letters.c.destination_id == destination_id)
    if before_id is not None:
        query = query.where(dead_letters.c.id < before_id)
    rows = conn.execute(query.order_by(dead_letters.c.id.desc()).limit(limit))
    return [DeadLetter(**row._asdict()) for row in rows]


def count(conn: Connection, destination_id: int) -> int:
    """Return how many dead letters a destination has."""
    query = select(func.count()).where(dead_letters.c.destination_id == destination_id)
    return conn.execute(query).scalar_one()


def by_seq(conn: Connection, destination_id: int, seq: int) -> DeadLetter | None:
    """Return the dead letter of a receipt at a destination."""
    query = select(*_COLUMNS).where(
        dead_letters.c.destination_id == destination_id, dead_letters.c.seq == seq
    )
    row = conn.execute(query).one_or_none()
    return DeadLetter(**row._asdict()) if row else None


def counted(conn: Connection, destination_id: int, from_seq: int, to_seq: int) -> set[int]:
    """Return the numbers of a range whose rejection the ledger counts."""
    query = select(dead_letters.c.seq).where(
        dead_letters.c.destination_id == destination_id,
        dead_letters.c.seq.between(from_seq, to_seq),
        dead_letters.c.replay_id.is_(None),
    )
    return set(conn.execute(query).scalars())


def take(conn: Connection, destination_id: int, seqs: Sequence[int], *, since_seq: int) -> int:
    """Take receipts that have arrived off the list; return how many the running ledger counts as rejected."""
    taken = 0
    for start in range(0, len(seqs), _AT_ONCE):
        gone = conn.execute(
            delete(dead_letters)
            .where(
                dead_letters.c.destination_id == destination_id,
                dead_letters.c.seq.in_(list(seqs[start : start + _AT_ONCE])),
            )
            .returning(dead_letters.c.seq, dead_letters.c.replay_id)
        )
        taken += sum(row.replay_id is None and row.seq > since_seq for row in gone)
    return taken


_AT_ONCE: Final = 500
