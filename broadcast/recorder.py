"""The one lane for a worker's writes: outcomes recorded in groups, never so often that ingest starves.

Attempt, cursor, counters and dead letters of an outcome change in one transaction, fenced by the token.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from broadcast import fates as fate_map
from broadcast.destination import Outcome
from broadcast.errors import Unavailable
from broadcast.fates import Fate
from broadcast.store import Conn, Store, attempts, cursors, dead_letters
from broadcast.store.cursors import Claim, Counts

_PAUSE_S: Final = 0.02
_AGAIN_S: Final = 0.5
_GIVE_UP_S: Final = 25.0
_GROUP: Final = 256
_T = TypeVar("_T")
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One attempt to record; `fates` is empty where nothing was settled."""

    at_us: int
    from_seq: int
    to_seq: int
    fates: tuple[Fate, ...]
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
class Settlement:
    """What became of one claim."""

    claim: Claim
    name: str
    advance_to: int
    fates: tuple[Fate, ...]
    entries: tuple[Entry, ...]
    dead: tuple[DeadOne, ...]
    failures: int
    due_in_us: int
    outcome: Outcome
    sent: bool
    goes_on: bool = False
    """Whether the lease is kept for the next batch."""


class Recorder:
    """Writes of one worker, one transaction at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lane = asyncio.Lock()
        self._pause_s = _PAUSE_S if store.dialect == "sqlite" else 0.0
        self._free_at = 0.0
        self._waiting: list[tuple[Settlement, asyncio.Future[bool]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, change: Callable[[Conn], _T]) -> _T:
        """Run a change in a transaction of its own, at most 50 of them a second on SQLite."""
        async with self._lane:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(max(0.0, self._free_at - loop.time()))
            try:
                return await asyncio.to_thread(self._commit, change)
            finally:
                self._free_at = loop.time() + self._pause_s

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
        while self._waiting:
            group, self._waiting = self._waiting[:_GROUP], self._waiting[_GROUP:]
            outcomes = [settlement for settlement, _ in group]
            try:
                kept = await self._persist(outcomes)
            except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
                for _, done in group:
                    if not done.done():
                        done.set_exception(error)
                continue
            for (_, done), is_kept in zip(group, kept, strict=True):
                if not done.done():
                    done.set_result(is_kept)

    async def _persist(self, outcomes: list[Settlement]) -> list[bool]:
        """Try until the database takes it: what was delivered must not be sent again for a busy moment."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + _GIVE_UP_S
        while True:
            try:
                return await self.write(lambda conn: [settle(conn, item) for item in outcomes])
            except Unavailable:
                if loop.time() > give_up_at:
                    raise
                _log.warning("action=record_waits outcomes=%s", len(outcomes))
                await asyncio.sleep(_AGAIN_S)

    def _commit(self, change: Callable[[Conn], _T]) -> _T:
        with self._store.write() as conn:
            return change(conn)


def settle(conn: Conn, item: Settlement) -> bool:
    """Record one outcome; False, and nothing written, when the lease is no longer ours."""
    kept = cursors.settle(
        conn,
        destination_id=item.claim.destination_id,
        token=item.claim.token,
        advance_to=item.advance_to,
        counts=Counts(**{fate.value: item.fates.count(fate) for fate in Fate}),
        due_in_us=item.due_in_us,
        failures=item.failures,
        verdict=item.outcome.verdict.value if item.sent else None,
        status_code=item.outcome.status_code,
        reason=item.outcome.reason,
        release=not item.goes_on,
    )
    if not kept:
        return False
    attempt_id = None
    for entry in item.entries:
        id_ = _insert(conn, item, entry)
        attempt_id = id_ if entry.fates else attempt_id
    for dead in item.dead:
        dead_letters.insert(
            conn,
            destination_id=item.claim.destination_id,
            workspace_id=item.claim.workspace_id,
            seq=dead.seq,
            receipt_id=dead.receipt_id,
            at_us=item.entries[0].at_us,
            attempt_id=attempt_id,
            status_code=dead.status_code,
            reason=dead.reason,
        )
    return True


def _insert(conn: Conn, item: Settlement, entry: Entry) -> int:
    delivered, rejected = entry.fates.count(Fate.DELIVERED), entry.fates.count(Fate.REJECTED)
    return attempts.insert(
        conn,
        destination_id=item.claim.destination_id,
        at_us=entry.at_us,
        from_seq=entry.from_seq,
        to_seq=entry.to_seq,
        verdict=entry.outcome.verdict.value,
        reason=entry.outcome.reason,
        config_version=entry.config_version,
        delivered=delivered,
        rejected=rejected,
        skipped=len(entry.fates) - delivered - rejected,
        status_code=entry.outcome.status_code,
        duration_ms=round(entry.duration_ms, 1),
        bytes=entry.sent_bytes,
        fates=fate_map.pack(entry.fates),
    )
