"""Cursors: how far each destination has read its workspace's log, who is at it, and when it is due."""

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, case, delete, func, insert, or_, select, update
from sqlalchemy.sql import ColumnElement

from broadcast.store.clock import NowUs
from broadcast.store.tables import cursors, destinations, heads, workspaces


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
class Claim:
    """A leased destination with something to send; `token` must come back with every `settle`."""

    destination_id: int
    workspace_id: int
    cursor_seq: int
    head_seq: int
    failures: int
    token: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """What became of a run of receipts."""

    delivered: int = 0
    sampled_out: int = 0
    filtered: int = 0
    rejected: int = 0
    expired: int = 0


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
    conn.execute(delete(cursors).where(cursors.c.destination_id == destination_id))
    conn.execute(
        insert(cursors).values(
            destination_id=destination_id,
            workspace_id=workspace_id,
            since_seq=since_seq,
            since_at_us=now_us,
            cursor_seq=since_seq,
            delivered=0,
            sampled_out=0,
            filtered=0,
            rejected=0,
            expired=0,
            due_at_us=0,
            failures=0,
            lease_token=0,
            lease_until_us=0,
        )
    )


def end(conn: Connection, destination_id: int, head_seq: int, now_us: int) -> bool:
    """End a ledger at the locked head; an attempt under way may still be recorded. Return whether one ran."""
    statement = (
        update(cursors)
        .where(cursors.c.destination_id == destination_id, cursors.c.ended_seq.is_(None))
        .values(ended_seq=head_seq, ended_at_us=now_us)
    )
    return conn.execute(statement).rowcount > 0


def get(conn: Connection, destination_id: int) -> Cursor | None:
    """Return a destination's cursor, None where none was ever started."""
    row = conn.execute(select(cursors).where(cursors.c.destination_id == destination_id)).one_or_none()
    return Cursor(**row._asdict()) if row else None


def list_for(conn: Connection, workspace_id: int) -> list[Cursor]:
    """Return the cursors of a workspace's destinations."""
    query = select(cursors).where(cursors.c.workspace_id == workspace_id).order_by(cursors.c.destination_id)
    return [Cursor(**row._asdict()) for row in conn.execute(query)]


# -- leases ------------------------------------------------------------------------------------------


def new_token() -> int:
    """Return a fencing token: never given twice."""
    return secrets.randbits(62) + 1


def claim(
    conn: Connection,
    *,
    holder: str,
    token: int | None = None,
    limit: int = 64,
    lease_us: int = 30_000_000,
    dead_holders: Collection[str] = (),
) -> list[Claim]:
    """Lease up to `limit` destinations that have something to send, the longest due first.

    A lease is free when its time is over or its holder is dead; all times are the database's.
    """
    token = token or new_token()
    query = (
        select(
            cursors.c.destination_id,
            cursors.c.workspace_id,
            cursors.c.cursor_seq,
            heads.c.head_seq,
            cursors.c.failures,
        )
        .join_from(cursors, heads, heads.c.workspace_id == cursors.c.workspace_id)
        .join(destinations, destinations.c.id == cursors.c.destination_id)
        .join(workspaces, workspaces.c.id == cursors.c.workspace_id)
        .where(*_READY, cursors.c.due_at_us <= NowUs(), _unleased(dead_holders))
        .order_by(cursors.c.due_at_us, cursors.c.destination_id)
        .limit(limit)
        .with_for_update(of=cursors, skip_locked=True)
    )
    claims = [Claim(**row._asdict(), token=token) for row in conn.execute(query)]
    if claims:
        conn.execute(
            update(cursors)
            .where(cursors.c.destination_id.in_([claim.destination_id for claim in claims]))
            .values(lease_token=token, lease_holder=holder, lease_until_us=NowUs() + lease_us)
        )
    return claims


_READY: Final[tuple[ColumnElement[bool], ...]] = (
    cursors.c.cursor_seq < heads.c.head_seq,
    cursors.c.ended_seq.is_(None),
    destinations.c.enabled,
    destinations.c.paused_by.is_(None),
    destinations.c.deleted_at_us.is_(None),
    workspaces.c.broadcast_enabled,
)


def _unleased(dead_holders: Collection[str]) -> ColumnElement[bool]:
    free: list[ColumnElement[bool]] = [cursors.c.lease_until_us < NowUs()]
    if dead_holders:
        free.append(cursors.c.lease_holder.in_(list(dead_holders)))
    return or_(*free)


def renew(conn: Connection, holder: str, destination_ids: Iterable[int], lease_us: int) -> set[int]:
    """Prolong leases that are still the holder's; return which, so that the holder stops the others."""
    statement = (
        update(cursors)
        .where(cursors.c.destination_id.in_(list(destination_ids)), cursors.c.lease_holder == holder)
        .values(lease_until_us=NowUs() + lease_us)
        .returning(cursors.c.destination_id)
    )
    return set(conn.execute(statement).scalars())


def release(conn: Connection, destination_ids: Iterable[int], token: int) -> int:
    """Give leases back unused; return how many were still held under this token."""
    statement = (
        update(cursors)
        .where(cursors.c.destination_id.in_(list(destination_ids)), cursors.c.lease_token == token)
        .values(**_FREE)
    )
    return conn.execute(statement).rowcount


def settle(
    conn: Connection,
    *,
    destination_id: int,
    token: int,
    advance_to: int,
    counts: Counts,
    due_in_us: int | None = None,
    failures: int = 0,
    verdict: str | None = None,
    status_code: int | None = None,
    reason: str | None = None,
    release: bool = True,
) -> bool:
    """Record what became of the receipts up to `advance_to`; False when the lease is lost: nothing changes.

    `due_in_us` is the wait before the next attempt, None for none; a `verdict` says that something was sent.
    With `release=False` the lease is kept for the next batch.
    """
    values: dict[str, Any] = {
        "cursor_seq": advance_to,
        "due_at_us": NowUs() + (due_in_us or 0),
        "failures": failures,
        **{name: cursors.c[name] + getattr(counts, name) for name in Counts.__slots__},
        **(_FREE if release else {}),
    }
    if verdict is not None:
        values |= {
            "last_attempt_at_us": NowUs(),
            "last_verdict": verdict,
            "last_status_code": status_code,
            "last_reason": reason,
        }
    if counts.delivered:
        values["last_delivered_at_us"] = NowUs()
    statement = (
        update(cursors)
        .where(
            cursors.c.destination_id == destination_id,
            cursors.c.lease_token == token,
            cursors.c.cursor_seq <= advance_to,
        )
        .values(values)
    )
    return conn.execute(statement).rowcount == 1


_FREE: Final[dict[str, Any]] = {"lease_token": 0, "lease_holder": None, "lease_until_us": 0}


def make_due(conn: Connection, destination_id: int) -> None:
    """Let a destination try again at once: after a resume, or after its settings changed."""
    statement = update(cursors).where(cursors.c.destination_id == destination_id)
    conn.execute(statement.values(due_at_us=0, failures=0))


def next_due_in_us(conn: Connection) -> int | None:
    """Return how long until a destination with something to send is due, 0 for now, None if nothing waits."""
    due = func.min(
        # A leased destination is due when its lease ends, unless its holder settles it before.
        _later(cursors.c.due_at_us, cursors.c.lease_until_us)
    )
    query = (
        select(due - NowUs())
        .join_from(cursors, heads, heads.c.workspace_id == cursors.c.workspace_id)
        .join(destinations, destinations.c.id == cursors.c.destination_id)
        .join(workspaces, workspaces.c.id == cursors.c.workspace_id)
        .where(*_READY)
    )
    left = conn.execute(query).scalar()
    return None if left is None else max(0, int(left))


def _later(one: ColumnElement[int], other: ColumnElement[int]) -> ColumnElement[int]:
    return case((one > other, one), else_=other)
