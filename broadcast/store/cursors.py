"""Cursors: how far each destination has read its workspace's log, who is at it, and when it is due."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, select, update

from broadcast.store.among import among
from broadcast.store.leases import Counts
from broadcast.store.tables import cursors, heads, replays


@dataclass(frozen=True, kw_only=True, slots=True)
class Cursor:
    """One destination's place in the log and its counters since the ledger began."""

    destination_id: int
    workspace_id: int
    since_seq: int
    since_at_us: int
    ended_seq: int | None
    ended_at_us: int | None
    cursor_seq: int
    delivered: int
    sampled_out: int
    filtered: int
    rejected: int
    expired: int
    due_at_us: int
    failures: int
    doubts: int
    replay_id: int | None
    lease_token: int
    lease_holder: str | None
    lease_until_us: int
    last_attempt_at_us: int | None
    last_verdict: str | None
    last_status_code: int | None
    last_reason: str | None
    last_delivered_at_us: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """appended = delivered + sampled_out + filtered + rejected + expired + pending, always."""

    appended: int
    delivered: int
    sampled_out: int
    filtered: int
    rejected: int
    expired: int
    pending: int

    @property
    def balanced(self) -> bool:
        """Whether every receipt is accounted for."""
        settled = self.delivered + self.sampled_out + self.filtered + self.rejected + self.expired
        return self.pending >= 0 and self.appended == settled + self.pending


def ledger(cursor: Cursor, head: int) -> Ledger:
    """Return the ledger of a destination; of an ended one, as it stood at its end."""
    end = head if cursor.ended_seq is None else cursor.ended_seq
    return Ledger(
        appended=end - cursor.since_seq,
        delivered=cursor.delivered,
        sampled_out=cursor.sampled_out,
        filtered=cursor.filtered,
        rejected=cursor.rejected,
        expired=cursor.expired,
        pending=end - cursor.cursor_seq,
    )


# -- beginning and end of a ledger; the caller holds the head -----------------------------------------


def start(conn: Connection, destination_id: int, workspace_id: int, since_seq: int, now_us: int) -> None:
    """Begin a new ledger after `since_seq`: the locked head, or where the last ledger stopped.

    Whoever still has a lease on the old one loses it: the token is gone.
    """
    begun = _begun(since_seq, now_us)
    found = conn.execute(update(cursors).where(cursors.c.destination_id == destination_id).values(begun))
    if found.rowcount == 0:
        conn.execute(
            insert(cursors).values(destination_id=destination_id, workspace_id=workspace_id, **begun)
        )


def start_new(conn: Connection, places: Mapping[int, tuple[int, int]], now_us: int) -> None:
    """Begin the first ledger of several new destinations; each has its workspace and its locked head."""
    rows = [
        {"destination_id": id_, "workspace_id": workspace_id, **_begun(head_seq, now_us)}
        for id_, (workspace_id, head_seq) in places.items()
    ]
    if rows:
        conn.execute(insert(cursors), rows)


def _begun(since_seq: int, now_us: int) -> dict[str, Any]:
    return {
        "since_seq": since_seq,
        "since_at_us": now_us,
        "ended_seq": None,
        "ended_at_us": None,
        "cursor_seq": since_seq,
        **dict.fromkeys(Counts.__struct_fields__, 0),
        "due_at_us": 0,
        "failures": 0,
        "doubts": 0,
        "replay_id": None,
        "lease_token": 0,
        "lease_holder": None,
        "lease_until_us": 0,
        **dict.fromkeys(_LAST),
    }


_LAST: Final = (
    "last_attempt_at_us",
    "last_verdict",
    "last_status_code",
    "last_reason",
    "last_delivered_at_us",
)


def end(conn: Connection, destination_id: int, head_seq: int, now_us: int) -> bool:
    """End a ledger at the locked head, and a replay with it; return whether one ran.

    An attempt under way may still be recorded.
    """
    statement = (
        update(cursors)
        .where(cursors.c.destination_id == destination_id, cursors.c.ended_seq.is_(None))
        .values(ended_seq=head_seq, ended_at_us=now_us, replay_id=None)
    )
    conn.execute(
        update(replays)
        .where(replays.c.destination_id == destination_id, replays.c.state == "running")
        .values(state="stopped", ended_at_us=now_us)
    )
    return conn.execute(statement).rowcount > 0


def end_all(conn: Connection, destination_ids: Collection[int], now_us: int) -> None:
    """End several ledgers, each at the locked head of its workspace, and the replays with them."""
    ids = _lock_all(conn, destination_ids)
    conn.execute(_END_ALL, {**ids, "ended_at": now_us})
    conn.execute(_STOP_ALL, {**ids, "stopped_at": now_us})


_END_ALL: Final = (
    update(cursors)
    .where(among(cursors.c.destination_id, "ids"), cursors.c.ended_seq.is_(None))
    .values(
        ended_seq=select(heads.c.head_seq)
        .where(heads.c.workspace_id == cursors.c.workspace_id)
        .scalar_subquery(),
        ended_at_us=bindparam("ended_at"),
        replay_id=None,
    )
)
_STOP_ALL: Final = (
    update(replays)
    .where(among(replays.c.destination_id, "ids"), replays.c.state == "running")
    .values(state="stopped", ended_at_us=bindparam("stopped_at"))
)


def get(conn: Connection, destination_id: int) -> Cursor | None:
    """Return a destination's cursor, None where none was ever started."""
    row = conn.execute(select(cursors).where(cursors.c.destination_id == destination_id)).one_or_none()
    return Cursor(**row._asdict()) if row else None


def list_for(conn: Connection, workspace_id: int) -> list[Cursor]:
    """Return the cursors of a workspace's destinations."""
    query = select(cursors).where(cursors.c.workspace_id == workspace_id).order_by(cursors.c.destination_id)
    return [Cursor(**row._asdict()) for row in conn.execute(query)]


def make_due(conn: Connection, destination_id: int) -> None:
    """Let a destination try again at once: after a resume, or after its settings changed."""
    make_all_due(conn, (destination_id,))


def make_all_due(conn: Connection, destination_ids: Collection[int]) -> None:
    """Let several destinations try again at once."""
    conn.execute(_MAKE_DUE, _lock_all(conn, destination_ids))


_MAKE_DUE: Final = (
    update(cursors).where(among(cursors.c.destination_id, "ids")).values(due_at_us=0, failures=0, doubts=0)
)


def _lock_all(conn: Connection, destination_ids: Collection[int]) -> dict[str, list[int]]:
    """Lock several cursors in the order in which everybody does, and return them as a parameter."""
    ids = {"ids": list(destination_ids)}
    conn.execute(_LOCK_ALL, ids).all()
    return ids


_LOCK_ALL: Final = (
    select(cursors.c.destination_id)
    .where(among(cursors.c.destination_id, "ids"))
    .order_by(cursors.c.destination_id)
    .with_for_update()
)
