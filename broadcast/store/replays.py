"""Replays: receipts sent to one destination once more, each with its own place and its own counters."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from broadcast.errors import Conflict
from broadcast.store.tables import cursors, replays

Source = Literal["range", "list", "dead_letters", "backfill"]
COUNTERS: Final = ("delivered", "sampled_out", "filtered", "rejected", "expired", "left_out")


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """One replay; `position` of its `total` receipts are settled, `seqs` names them where no range does."""

    id: int
    uid: str
    workspace_id: int
    destination_id: int
    source: Source
    from_seq: int
    to_seq: int
    seqs: tuple[int, ...] | None
    include_delivered: bool
    state: Literal["running", "done", "stopped"]
    position: int
    total: int
    delivered: int
    sampled_out: int
    filtered: int
    rejected: int
    expired: int
    left_out: int
    requested_by: int | None
    created_at_us: int
    ended_at_us: int | None

    def numbers(self, limit: int) -> Sequence[int]:
        """Return the next receipts' numbers, at most `limit` of them, in order."""
        end = min(self.total, self.position + limit)
        if self.seqs is not None:
            return self.seqs[self.position : end]
        return range(self.from_seq + self.position, self.from_seq + end)


_COLUMNS: Final = tuple(replays.c[name] for name in Replay.__slots__)


def start(
    conn: Connection,
    *,
    workspace_id: int,
    destination_id: int,
    source: Source,
    from_seq: int,
    to_seq: int,
    seqs: Sequence[int] | None = None,
    include_delivered: bool = False,
    requested_by: int | None,
    now_us: int,
) -> Replay:
    """Begin a replay; raise `Conflict` while another one runs. The caller holds the head.

    `seqs`, where given, is in order and without repeats; `from_seq` and `to_seq` are its first and last.
    """
    values: dict[str, Any] = {
        "uid": str(uuid.uuid4()),
        "workspace_id": workspace_id,
        "destination_id": destination_id,
        "source": source,
        "from_seq": from_seq,
        "to_seq": to_seq,
        "seqs": None if seqs is None else json.dumps(list(seqs)).encode(),
        "include_delivered": include_delivered,
        "state": "running",
        "position": 0,
        "total": to_seq - from_seq + 1 if seqs is None else len(seqs),
        **dict.fromkeys(COUNTERS, 0),
        "requested_by": requested_by,
        "created_at_us": now_us,
        "ended_at_us": None,
    }
    try:
        with conn.begin_nested():
            id_ = conn.execute(insert(replays).values(values).returning(replays.c.id)).scalar_one()
    except IntegrityError as error:
        if "replays" not in str(error.orig):
            raise
        message = "A replay runs here already. Stop it, or wait until it ends."
        raise Conflict(message, reason="replay_running") from None
    conn.execute(update(cursors).where(cursors.c.destination_id == destination_id).values(replay_id=id_))
    return Replay(id=id_, **values | {"seqs": None if seqs is None else tuple(seqs)})


def by_id(conn: Connection, replay_id: int) -> Replay | None:
    """Return a replay by its inside id."""
    row = conn.execute(select(*_COLUMNS).where(replays.c.id == replay_id)).one_or_none()
    return _record(row) if row else None


def by_uid(conn: Connection, destination_id: int, uid: str) -> Replay | None:
    """Return a destination's replay by its outside id."""
    query = select(*_COLUMNS).where(replays.c.destination_id == destination_id, replays.c.uid == uid)
    row = conn.execute(query).one_or_none()
    return _record(row) if row else None


def list_for(conn: Connection, destination_id: int, limit: int, before_id: int | None = None) -> list[Replay]:
    """Return a destination's replays, newest first, those before `before_id` where it is given."""
    query = select(*_COLUMNS).where(replays.c.destination_id == destination_id)
    if before_id is not None:
        query = query.where(replays.c.id < before_id)
    return [_record(row) for row in conn.execute(query.order_by(replays.c.id.desc()).limit(limit))]


def advance(
    conn: Connection, replay_id: int, *, position: int, counts: dict[str, int], now_us: int
) -> Replay | None:
    """Settle the next receipts of a running replay and end it after its last; None when it was stopped.

    The caller holds the destination's lease. `counts` has a number for each of `COUNTERS` that grew.
    """
    grown = {name: replays.c[name] + counts.get(name, 0) for name in COUNTERS}
    moved = sum(counts.values())
    statement = (
        update(replays)
        .where(replays.c.id == replay_id, replays.c.state == "running", replays.c.position == position)
        .values(position=replays.c.position + moved, **grown)
        .returning(*_COLUMNS)
    )
    row = conn.execute(statement).one_or_none()
    if row is None:
        return None
    replay = _record(row)
    if replay.position >= replay.total:
        _end(conn, replay, "done", now_us)
    return replay


def stop(conn: Connection, replay: Replay, *, now_us: int) -> bool:
    """Stop a running replay; what is under way may still arrive. False when it had ended."""
    return _end(conn, replay, "stopped", now_us)


def _end(conn: Connection, replay: Replay, state: str, now_us: int) -> bool:
    statement = (
        update(replays)
        .where(replays.c.id == replay.id, replays.c.state == "running")
        .values(state=state, ended_at_us=now_us)
    )
    ended = conn.execute(statement).rowcount == 1
    conn.execute(update(cursors).where(cursors.c.replay_id == replay.id).values(replay_id=None))
    return ended


def _record(row: Any) -> Replay:
    values = row._asdict()
    values["seqs"] = None if values["seqs"] is None else tuple(json.loads(values["seqs"]))
    return Replay(**values)
