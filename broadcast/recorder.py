"""Outcomes recorded: in groups, in a lane of their own, and never so often that ingest starves.

Attempt, cursor, counters and dead letters of an outcome change in one transaction, fenced by the token.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import structs

from broadcast import failpoints
from broadcast import fates as fate_map
from broadcast.destination import Outcome
from broadcast.errors import Unavailable
from broadcast.fates import Fate
from broadcast.lanes import Lane
from broadcast.store import (
    Conn,
    attempts,
    audit,
    dead_letters,
    destinations,
    leases,
    notices,
    replays,
    worker_counters,
)
from broadcast.store.leases import Claim, Counts, Held, Lease, Settled
from broadcast.store.notices import Kind

_GATHER_S: Final = 0.02
_AGAIN_S: Final = 0.5
_GIVE_UP_S: Final = 25.0
_GROUP: Final = 256
_log: Final = logging.getLogger(__name__)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to record; `fates` is empty where nothing was settled."""

    at_us: int
    from_seq: int
    to_seq: int
    fates: tuple[Fate | None, ...]
    outcome: Outcome
    duration_ms: float
    sent_bytes: int
    config_version: int


@dataclass(frozen=True, kw_only=True)
class DeadOne:
    """A receipt that was rejected, with the destination's words."""

    seq: int
    receipt_id: str
    reason: str
    status_code: int | None


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """How far a replay came: what its receipts came to, and the numbers of those that arrived."""

    replay_id: int
    position: int
    counts: dict[str, int]
    arrived: tuple[int, ...]


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one claim; `attention` is why the destination needs a person, None where it does not."""

    claim: Claim
    name: str
    advance_to: int
    fates: tuple[Fate, ...]
    entries: tuple[Entry, ...]
    dead: tuple[DeadOne, ...]
    failures: int
    doubts: int
    due_in_us: int
    outcome: Outcome
    sent: bool
    attention: str | None = None
    resumes: bool = False
    replay: Replayed | None = None
    goes_on: bool = False
    """Whether the lease is kept for the next batch."""

    @property
    def joins(self) -> bool:
        """Whether it may be recorded together with what follows: dead letters name their own attempt."""
        return self.goes_on and not self.dead and not self.resumes

    def followed_by(self, later: "Settlement") -> "Settlement":
        """Return this and what became of the next receipts, under the same lease, as one to record."""
        return structs.replace(
            later, claim=self.claim, fates=self.fates + later.fates, entries=self.entries + later.entries
        )

    @property
    def lease(self) -> Lease:
        """Return the lease under which it may be recorded."""
        return self.claim.destination_id, self.claim.token

    def report(self, *, kept: bool) -> None:
        """Log one line an attempt; the reason is scrubbed, so no secret is in it."""
        for entry in self.entries:
            _log.info(
                "action=attempt destination=%s from=%s to=%s verdict=%s status=%s ms=%.0f bytes=%s kept=%s "
                "reason=%s",
                self.name,
                entry.from_seq,
                entry.to_seq,
                entry.outcome.verdict.value,
                entry.outcome.status_code,
                entry.duration_ms,
                entry.sent_bytes,
                kept,
                entry.outcome.reason,
            )

    def settled(self, moved: int) -> Settled:
        """Return what the cursor is told; `moved` dead letters have arrived after all."""
        counts = fate_map.counted(self.fates)
        tried = self.sent or self.attention is not None
        return Settled(
            destination_id=self.claim.destination_id,
            token=self.claim.token,
            advance_to=self.advance_to,
            counts=Counts(
                delivered=counts[Fate.DELIVERED] + moved,
                sampled_out=counts[Fate.SAMPLED_OUT],
                filtered=counts[Fate.FILTERED],
                rejected=counts[Fate.REJECTED] - moved,
                expired=counts[Fate.EXPIRED],
            ),
            due_in_us=self.due_in_us,
            failures=self.failures,
            doubts=self.doubts,
            verdict=self.outcome.verdict.value if tried else None,
            status_code=self.outcome.status_code,
            reason=self.outcome.reason,
            release=not self.goes_on,
        )


class Recorder:
    """The outcomes of one worker, recorded one transaction at a time."""

    def __init__(self, lane: Lane, holder: str) -> None:
        self._lane = lane
        self._holder = holder
        self._gathered_at = 0.0
        self._waiting: list[tuple[Settlement, asyncio.Future[bool]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def record(self, settlement: Settlement) -> bool:
        """Record an outcome together with whatever else is waiting; return False when the lease was lost."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((settlement, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._drain())
        return await done

    async def close(self) -> None:
        """Wait until everything handed over is recorded or given up."""
        if self._writer is not None:
            await asyncio.wait((self._writer,))

    async def _drain(self) -> None:
        """Record what waits, at most 50 times a second: a burst's outcomes come one soon after the other."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            await asyncio.sleep(max(0.0, self._gathered_at + _GATHER_S - loop.time()))
            self._gathered_at = loop.time()
            group, self._waiting = self._waiting[:_GROUP], self._waiting[_GROUP:]
            await self._record_group(group)

    async def _record_group(self, group: list[tuple[Settlement, asyncio.Future[bool]]]) -> None:
        """Record outcomes together; one that cannot be recorded is found by recording each alone."""
        try:
            kept = await self._persist([settlement for settlement, _ in group])
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            if len(group) > 1 and not isinstance(error, Unavailable):
                for one in group:
                    await self._record_group([one])
                return
            for _, done in group:
                if not done.done():
                    done.set_exception(error)
            return
        for (_, done), is_kept in zip(group, kept, strict=True):
            if not done.done():
                done.set_result(is_kept)

    async def _persist(self, outcomes: list[Settlement]) -> list[bool]:
        """Try until the database takes it: what was delivered must not be sent again for a busy moment."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + _GIVE_UP_S
        while True:
            try:
                kept = await self._lane.write(lambda conn: settle(conn, outcomes, self._holder))
            except Unavailable:
                if loop.time() > give_up_at:
                    raise
                _log.warning("action=record_waits outcomes=%s", len(outcomes))
                await asyncio.sleep(_AGAIN_S)
            else:
                failpoints.reached("record_after_commit")
                return kept


def settle(conn: Conn, items: Sequence[Settlement], holder: str) -> list[bool]:
    """Record outcomes together; False, and nothing written, for those whose lease is no longer ours."""
    destinations.lock(
        conn, [item.claim.destination_id for item in items if item.attention is not None or item.resumes]
    )
    held = leases.lock_held(conn, {item.lease: item.advance_to for item in items})
    kept = [item.lease in held for item in items]
    ours = [item for item, is_kept in zip(items, kept, strict=True) if is_kept]
    leases.settle_held(conn, [item.settled(_moved(conn, item, held)) for item in ours], held)
    rows: list[dict[str, Any]] = []
    for item in ours:
        now_us = held[item.lease].now_us
        _advance_replay(conn, item, now_us)
        rows.extend(_rows(conn, item))
        _call_for_attention(conn, item, now_us)
    attempts.insert_all(conn, rows)
    worker_counters.add(conn, holder, _counted(ours))
    failpoints.reached("record_before_commit")
    return kept


def _counted(items: Sequence[Settlement]) -> Counter[str]:
    """Return what these attempts add to their worker's counters."""
    counts: Counter[str] = Counter()
    for entry in (entry for item in items for entry in item.entries):
        counts[f"{worker_counters.ATTEMPTS}{entry.outcome.verdict.value}"] += 1
        counts[worker_counters.SENT_BYTES] += entry.sent_bytes
        for fate, count in fate_map.counted(entry.fates).items():
            if fate is not None:
                counts[f"{worker_counters.SETTLED}{fate.value}"] += count
    return counts


def _moved(conn: Conn, item: Settlement, held: Mapping[Lease, Held]) -> int:
    """Take the dead letters that a replay delivered off the list; return how many the ledger counted."""
    if item.replay is None or not item.replay.arrived:
        return 0
    since_seq = held[item.lease].since_seq
    return dead_letters.take(conn, item.claim.destination_id, item.replay.arrived, since_seq=since_seq)


def _advance_replay(conn: Conn, item: Settlement, now_us: int) -> None:
    if item.replay is not None and item.replay.counts:
        replays.advance(
            conn,
            item.replay.replay_id,
            position=item.replay.position,
            counts=item.replay.counts,
            now_us=now_us,
        )


def _rows(conn: Conn, item: Settlement) -> list[dict[str, Any]]:
    """Return the attempts to insert; those with dead letters are inserted here, since these name them."""
    rows = [_row(item, entry) for entry in item.entries]
    if not item.dead:
        return rows
    ids = [attempts.insert(conn, **row) for row in rows]
    for dead in item.dead:
        dead_letters.insert(
            conn,
            destination_id=item.claim.destination_id,
            workspace_id=item.claim.workspace_id,
            seq=dead.seq,
            receipt_id=dead.receipt_id,
            at_us=item.entries[0].at_us,
            attempt_id=ids[0],
            status_code=dead.status_code,
            reason=dead.reason,
            replay_id=None if item.replay is None else item.replay.replay_id,
        )
    return []


def _row(item: Settlement, entry: Entry) -> dict[str, Any]:
    counts = fate_map.counted(entry.fates)
    delivered, rejected = counts[Fate.DELIVERED], counts[Fate.REJECTED]
    return {
        "destination_id": item.claim.destination_id,
        "at_us": entry.at_us,
        "from_seq": entry.from_seq,
        "to_seq": entry.to_seq,
        "verdict": entry.outcome.verdict.value,
        "reason": entry.outcome.reason,
        "config_version": entry.config_version,
        "delivered": delivered,
        "rejected": rejected,
        "skipped": len(entry.fates) - counts[None] - delivered - rejected,
        "status_code": entry.outcome.status_code,
        "duration_ms": round(entry.duration_ms, 1),
        "bytes": entry.sent_bytes,
        "fates": fate_map.pack(entry.fates),
        "replay_id": None if item.replay is None else item.replay.replay_id,
    }


def _call_for_attention(conn: Conn, item: Settlement, now_us: int) -> None:
    """Pause a destination that needs a person, or let it go on; either is told once, in this transaction."""
    id_ = item.claim.destination_id
    if item.attention is not None:
        changed = destinations.pause(conn, id_, by="answer", reason=item.attention, now_us=now_us)
        _tell(conn, item, "needs_attention", "destination.needs_attention", item.attention, changed, now_us)
    elif item.resumes:
        changed = destinations.resume(conn, id_, paused_by="answer")
        _tell(conn, item, "resumed", "destination.resumed", item.outcome.reason, changed, now_us)


def _tell(  # noqa: PLR0917 - private
    conn: Conn, item: Settlement, kind: Kind, action: str, message: str, changed: bool, now_us: int
) -> None:
    if not changed:
        return
    of = item.claim
    audit.record(
        conn,
        workspace_id=of.workspace_id,
        user_id=None,
        action=action,
        target=item.name,
        detail={"reason": message},
        now_us=now_us,
    )
    notices.add(
        conn,
        workspace_id=of.workspace_id,
        destination_id=of.destination_id,
        kind=kind,
        message=message,
        now_us=now_us,
    )
