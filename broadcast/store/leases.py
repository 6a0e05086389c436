"""Leases: who works at which destination, and how its outcome is written under the lease's token."""

import re
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, case, func, not_, or_, select, text, update
from sqlalchemy.sql import ColumnElement

from broadcast.store.among import among, one_of
from broadcast.store.clock import NowUs
from broadcast.store.direct import Statement
from broadcast.store.tables import cursors, destinations, heads, workspaces


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A leased destination with something to send; `token` must come back with every `settle`.

    `probing` says that an answer paused it: one receipt finds out whether that is over.
    """

    destination_id: int
    workspace_id: int
    cursor_seq: int
    head_seq: int
    failures: int
    doubts: int
    replay_id: int | None
    probing: bool
    token: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run of receipts."""

    delivered: int = 0
    sampled_out: int = 0
    filtered: int = 0
    rejected: int = 0
    expired: int = 0


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
    most: int = 2**62,
    workspace_ids: Collection[int] | None = None,
) -> list[Claim]:
    """Lease up to `limit` destinations that have something to send, the longest due first.

    Those with more than `most` receipts to send are left alone; where workspaces are given, so are others.
    A lease is free when its time is over or its holder is dead; all times are the database's.
    """
    token = token or new_token()
    wanted = {"dead": list(dead_holders), "count": limit, "most": most}
    if workspace_ids is None:
        found = _CLAIMABLE.rows(conn, wanted)
    else:
        found = _CLAIMABLE_THERE.rows(conn, {**wanted, "there": list(workspace_ids)})
    if found:
        ids = [row[0] for row in found]
        _LEASE.run(conn, [{"ids": ids, "token": token, "holder": holder, "lease_us": lease_us}])
    return [_claim(row, token) for row in found]


def _claim(row: tuple[Any, ...], token: int) -> Claim:
    destination_id, workspace_id, cursor_seq, head_seq, failures, doubts, replay_id, probing = row
    return Claim(
        destination_id=destination_id,
        workspace_id=workspace_id,
        cursor_seq=cursor_seq,
        head_seq=head_seq,
        failures=failures,
        doubts=doubts,
        replay_id=replay_id,
        probing=bool(probing),
        token=token,
    )


_CLAIMED: Final = (
    cursors.c.destination_id,
    cursors.c.workspace_id,
    cursors.c.cursor_seq,
    heads.c.head_seq,
    cursors.c.failures,
    cursors.c.doubts,
    cursors.c.replay_id,
    destinations.c.paused_by.is_not(None).label("probing"),
)
# A replay waits behind fresh receipts; what an answer paused is tried again when it is due.
_READY: Final[tuple[ColumnElement[bool], ...]] = (
    or_(cursors.c.cursor_seq < heads.c.head_seq, cursors.c.replay_id.is_not(None)),
    cursors.c.ended_seq.is_(None),
    destinations.c.enabled,
    or_(destinations.c.paused_by.is_(None), destinations.c.paused_by == "answer"),
    destinations.c.deleted_at_us.is_(None),
    or_(workspaces.c.broadcast_enabled, destinations.c.origin == "operator"),
)
# Read once for a statement: for each row that it looks at, the clock costs more than the row.
_NOW: Final = select(NowUs()).scalar_subquery()
_UNLEASED: Final = or_(cursors.c.lease_until_us < _NOW, among(cursors.c.lease_holder, "dead"))
_CLAIM: Final = (
    select(*_CLAIMED)
    .join_from(cursors, heads, heads.c.workspace_id == cursors.c.workspace_id)
    .join(destinations, destinations.c.id == cursors.c.destination_id)
    .join(workspaces, workspaces.c.id == cursors.c.workspace_id)
    .where(
        *_READY,
        cursors.c.due_at_us <= _NOW,
        _UNLEASED,
        heads.c.head_seq - cursors.c.cursor_seq <= bindparam("most"),
    )
    .order_by(cursors.c.due_at_us, cursors.c.destination_id)
    .limit(bindparam("count"))
    .with_for_update(of=cursors, skip_locked=True)
)
_CLAIMABLE: Final = Statement(_CLAIM)
_CLAIMABLE_THERE: Final = Statement(_CLAIM.where(among(cursors.c.workspace_id, "there")))
_LEASE: Final = Statement(
    update(cursors)
    .where(among(cursors.c.destination_id, "ids"))
    .values(
        lease_token=bindparam("token"),
        lease_holder=bindparam("holder"),
        lease_until_us=NowUs() + bindparam("lease_us"),
    )
)


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


def release_all(conn: Connection, holder: str, *, but: Collection[int] = ()) -> int:
    """Give back every lease of a holder, except of some destinations; return how many that were."""
    statement = (
        update(cursors)
        .where(cursors.c.lease_holder == holder, not_(one_of(cursors.c.destination_id, but)))
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
    doubts: int = 0,
    verdict: str | None = None,
    status_code: int | None = None,
    reason: str | None = None,
    release: bool = True,
) -> bool:
    """Record what became of the receipts up to `advance_to`; False when the lease is lost: nothing changes.

    `due_in_us` is the wait before the next attempt, None for none; a `verdict` says that something was sent.
    With `release=False` the lease is kept for the next batch.
    """
    lease = (destination_id, token)
    held = lock_held(conn, {lease: advance_to})
    if lease not in held:
        return False
    item = Settled(
        destination_id=destination_id,
        token=token,
        advance_to=advance_to,
        counts=counts,
        due_in_us=due_in_us or 0,
        failures=failures,
        doubts=doubts,
        verdict=verdict,
        status_code=status_code,
        reason=reason,
        release=release,
    )
    settle_held(conn, (item,), held)
    return True


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run of receipts at one destination, under one lease; see `settle`."""

    destination_id: int
    token: int
    advance_to: int
    counts: Counts
    due_in_us: int
    failures: int
    doubts: int
    verdict: str | None
    status_code: int | None
    reason: str | None
    release: bool


Lease = tuple[int, int]
"""A destination and the token that its cursor is leased under."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A cursor that is locked in this transaction, and still under the lease of who asks."""

    since_seq: int
    now_us: int


def lock_held(conn: Connection, wanted: Mapping[Lease, int]) -> dict[Lease, Held]:
    """Lock the cursors of several outcomes, in order of ids; leave out those whose lease is lost.

    `wanted` says how far each lease's outcome goes. Two outcomes of one destination may be told apart by
    their tokens alone: one of them is late.
    """
    ids = sorted({destination_id for destination_id, _ in wanted})
    return {
        lease: Held(since_seq=since_seq, now_us=now_us)
        for destination_id, token, cursor_seq, since_seq, now_us in _LOCK.rows(conn, {"ids": ids})
        if cursor_seq <= wanted.get(lease := (destination_id, token), -1)
    }


def settle_held(conn: Connection, items: Sequence[Settled], held: Mapping[Lease, Held]) -> None:
    """Write several outcomes, all of them under leases that `lock_held` found."""
    rows = [_settled_row(item, held[item.destination_id, item.token]) for item in items]
    if not rows:
        return
    if conn.dialect.name == "sqlite":
        _SETTLE_ONE.run(conn, rows)
    else:
        _SETTLE_ALL.run(conn, [{"rows": msgspec.json.encode(rows).decode()}])


_LOCK: Final = Statement(
    select(
        cursors.c.destination_id,
        cursors.c.lease_token,
        cursors.c.cursor_seq,
        cursors.c.since_seq,
        NowUs().label("now_us"),
    )
    .where(among(cursors.c.destination_id, "ids"))
    .order_by(cursors.c.destination_id)
    .with_for_update()
)
_CHANGES: Final = (
    "cursor_seq = :advance_to, due_at_us = :due_at_us, failures = :failures, doubts = :doubts"
    ", delivered = cursors.delivered + :delivered, sampled_out = cursors.sampled_out + :sampled_out"
    ", filtered = cursors.filtered + :filtered, rejected = cursors.rejected + :rejected"
    ", expired = cursors.expired + :expired"
    ", lease_token = CASE WHEN :release THEN 0 ELSE lease_token END"
    ", lease_holder = CASE WHEN :release THEN NULL ELSE lease_holder END"
    ", lease_until_us = CASE WHEN :release THEN 0 ELSE lease_until_us END"
    ", last_attempt_at_us = CASE WHEN :sent THEN :now_us ELSE last_attempt_at_us END"
    ", last_verdict = CASE WHEN :sent THEN :verdict ELSE last_verdict END"
    ", last_status_code = CASE WHEN :sent THEN :status_code ELSE last_status_code END"
    ", last_reason = CASE WHEN :sent THEN :reason ELSE last_reason END"
    ", last_delivered_at_us = CASE WHEN :arrived THEN :now_us ELSE last_delivered_at_us END"
)
_SETTLE_ONE: Final = Statement(
    text(f"UPDATE cursors SET {_CHANGES} WHERE destination_id = :of")  # noqa: S608 - our own text
)
_NEW: Final = re.sub(":([a-z_]+)", r"new.\1", _CHANGES)
# All in one statement; one text of JSON is the cheapest way in for many values of many kinds.
_SETTLE_ALL: Final = Statement(
    text(
        f"UPDATE cursors SET {_NEW}"  # noqa: S608 - likewise
        ' FROM json_to_recordset(CAST(:rows AS json)) AS new ("of" bigint, advance_to bigint'
        ", due_at_us bigint, failures bigint, doubts integer, delivered bigint, sampled_out bigint"
        ", filtered bigint, rejected bigint, expired bigint, release boolean, sent boolean, now_us bigint"
        ", verdict text, status_code integer, reason text, arrived boolean)"
        ' WHERE destination_id = new."of"'
    )
)


def _settled_row(item: Settled, held: Held) -> dict[str, Any]:
    return {
        "of": item.destination_id,
        "advance_to": item.advance_to,
        "due_at_us": held.now_us + item.due_in_us,
        "failures": item.failures,
        "doubts": item.doubts,
        **{name: getattr(item.counts, name) for name in Counts.__struct_fields__},
        "release": item.release,
        "sent": item.verdict is not None,
        "now_us": held.now_us,
        "verdict": item.verdict,
        "status_code": item.status_code,
        "reason": item.reason,
        "arrived": item.counts.delivered > 0,
    }


_FREE: Final[dict[str, Any]] = {"lease_token": 0, "lease_holder": None, "lease_until_us": 0}


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """Where something is due, the longest due first, and how long until something else is."""

    workspace_ids: tuple[int, ...]
    next_in_us: int | None

    @property
    def due_in_us(self) -> int | None:
        """Return how long until anything is due: 0 is now, None is nothing waits."""
        return 0 if self.workspace_ids else self.next_in_us


def look(conn: Connection) -> Look:
    """Look everywhere for destinations with something to send; nothing is locked."""
    rows = _LOOK.rows(conn, {})
    return Look(
        workspace_ids=tuple(workspace_id for workspace_id, first_us, _ in rows if first_us <= 0),
        next_in_us=min((later_us for _, _, later_us in rows if later_us is not None), default=None),
    )


def _later(one: ColumnElement[int], other: ColumnElement[int]) -> ColumnElement[int]:
    return case((one > other, one), else_=other)


# A leased destination is due when its lease ends, unless its holder settles it before.
_IN_US: Final = _later(cursors.c.due_at_us, cursors.c.lease_until_us) - _NOW
_LOOK: Final = Statement(
    select(
        cursors.c.workspace_id,
        func.min(_IN_US).label("first_us"),
        func.min(case((_IN_US > 0, _IN_US))).label("later_us"),
    )
    .join_from(cursors, heads, heads.c.workspace_id == cursors.c.workspace_id)
    .join(destinations, destinations.c.id == cursors.c.destination_id)
    .join(workspaces, workspaces.c.id == cursors.c.workspace_id)
    .where(*_READY)
    .group_by(cursors.c.workspace_id)
    .order_by(text("first_us"))
)
