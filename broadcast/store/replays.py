"""Replays: receipts sent to one destination once more, each with its own place and its own counters."""

import json
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from broadcast import fates
from broadcast.errors import Conflict
from broadcast.fates import Fate
from broadcast.runs import Runs
from broadcast.store.attempts import MAX_RUN, SETTLED
from broadcast.store.tables import attempts, cursors, replays

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
    seqs: Runs | None
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
    runs = None if seqs is None else seqs if isinstance(seqs, Runs) else Runs.of(seqs)
    values: dict[str, Any] = {
        "uid": str(uuid.uuid4()),
        "workspace_id": workspace_id,
        "destination_id": destination_id,
        "source": source,
        "from_seq": from_seq,
        "to_seq": to_seq,
        "seqs": None if runs is None else json.dumps(runs.pairs).encode(),
        "include_delivered": include_delivered,
        "state": "running",
        "position": 0,
        "total": to_seq - from_seq + 1 if runs is None else len(runs),
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
    return Replay(id=id_, **values | {"seqs": runs})


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


# -- what was delivered already; any attempt says so, of fresh traffic or of a replay --------------------


def delivered(conn: Connection, destination_id: int, from_seq: int, to_seq: int) -> bytearray:
    """Return a byte a receipt from `from_seq` to `to_seq`, both included: 1 where it was delivered."""
    marks = bytearray(to_seq - from_seq + 1)
    for row in _delivering(conn, destination_id, from_seq, to_seq):
        place = row.from_seq - from_seq
        found = _marks(bytes(row.fates))[max(0, -place) : len(marks) - place]
        run = slice(max(0, place), max(0, place) + len(found))
        both = int.from_bytes(marks[run], "big") | int.from_bytes(found, "big")
        marks[run] = both.to_bytes(len(found), "big")
    return marks


def delivered_among(conn: Connection, destination_id: int, numbers: Iterable[int]) -> set[int]:
    """Return those of some receipts that were delivered."""
    found: set[int] = set()
    for near in _neighbours(sorted(numbers)):
        for row in _delivering(conn, destination_id, near[0], near[-1]):
            packed = bytes(row.fates)
            first, behind = bisect_left(near, row.from_seq), bisect_right(near, row.to_seq)
            found.update(
                seq
                for seq in near[first:behind]
                if fates.fate_at(packed, seq - row.from_seq) is Fate.DELIVERED
            )
    return found


def _delivering(conn: Connection, destination_id: int, from_seq: int, to_seq: int) -> Iterator[Any]:
    """Yield the runs that delivered something and touch a range; no run is longer than `MAX_RUN`."""
    query = select(attempts.c.from_seq, attempts.c.to_seq, attempts.c.fates).where(
        attempts.c.destination_id == destination_id,
        SETTLED,
        attempts.c.from_seq > from_seq - MAX_RUN,
        attempts.c.from_seq <= to_seq,
        attempts.c.to_seq >= from_seq,
        attempts.c.delivered > 0,
    )
    yield from conn.execute(query)


def _neighbours(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """Part numbers where they are far from each other, so that what lies between is not read."""
    first = 0
    for place in range(1, len(numbers) + 1):
        if place == len(numbers) or numbers[place] - numbers[place - 1] > MAX_RUN:
            yield numbers[first:place]
            first = place


def _marks(packed: bytes) -> bytes:
    """Return a byte a receipt: an octal digit is just the 3 bits of one fate."""
    return f"{int.from_bytes(packed, 'little'):o}"[::-1].encode().translate(_DELIVERED)


_DELIVERED: Final = bytes(code == ord("0") + fates.pack((Fate.DELIVERED,))[0] for code in range(256))


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
    values["seqs"] = None if values["seqs"] is None else Runs(map(tuple, json.loads(values["seqs"])))
    return Replay(**values)
