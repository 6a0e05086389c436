"""Delivery: claim destinations that are owed something, build, send, and record what became of it.

Invariants. No transaction is open while a byte is on the network. One batch is in flight for each
destination, also where it sends several in a row: its lease sees to it, and every outcome is fenced by the
lease's token. The cursor moves over the finished prefix of a batch only. Whatever goes wrong ends as a
recorded attempt with a reason, and nothing is dropped by a failure: a receipt leaves the backlog as
delivered, sampled out, filtered, rejected or expired, in no other way.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from broadcast import outcomes, retry
from broadcast.batches import Builder, Piece, Prepared, Unbuilt
from broadcast.budget import Budget
from broadcast.destination import Batch, Destination, Outcome, Request, Response, Verdict
from broadcast.errors import AddressRefused, SendFailed, Unavailable
from broadcast.fates import Fate
from broadcast.guests import drop_contents
from broadcast.outcomes import Sent
from broadcast.recorder import DeadOne, Entry, Recorder, Settlement
from broadcast.store import Conn, Store, cursors
from broadcast.store.cursors import Claim
from broadcast.vault import Vault

CLAIM: Final = 64
LEASE_US: Final = 30_000_000
OPEN_SENDS: Final = 2_000
OPEN_BYTES: Final = 64 * 2**20
IN_A_ROW: Final = 8
"""Batches that a destination may send under one lease while it catches up; then the others have a turn."""

MAX_DEAD_LETTERS: Final = 16
"""After so many rejected receipts in one batch its rest waits: then the fault is hardly the receipts'."""

_log: Final = logging.getLogger(__name__)


class Sender(Protocol):
    """What sends a request: the transport."""

    async def send(self, request: Request) -> Response:
        """Return the answer, or raise `AddressRefused` or `SendFailed`."""


class Delivery:
    """The worker's work: `round` claims, builds and starts sends; outcomes record themselves."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        types: Mapping[str, type[Destination]],
        sender: Sender,
        *,
        namespace: str,
        holder: str,
        clock: Callable[[], int],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._builder = Builder(store, vault, types, namespace=namespace)
        self._sender = sender
        self._holder = holder
        self._clock = clock
        self._wake = wake
        self._recorder = Recorder(store)
        self._flying: dict[int, asyncio.Task[None]] = {}
        self._sends = asyncio.Semaphore(OPEN_SENDS)
        self._budget = Budget(OPEN_BYTES)
        self._served: set[int] = set()
        self._stopping = False

    @property
    def in_flight(self) -> int:
        """Return how many destinations have a batch under way."""
        return len(self._flying)

    # -- claiming ----------------------------------------------------------------------------------

    async def round(self, *, look_for_dead: bool = False) -> int:
        """Claim up to 64 destinations, build their batches and start sending; return how many were claimed.

        Nothing is written when nothing is due, except to take over from holders that may have died.
        """
        if not look_for_dead and await self.due_in_us() != 0:
            return 0
        claims = await self._recorder.write(self._claim)
        # Workspace by workspace, so that what is shared between destinations is in memory only once.
        claims.sort(key=lambda claim: (claim.workspace_id, claim.cursor_seq))
        claimed = Counter(claim.workspace_id for claim in claims)
        with self._builder.round() as building:
            for claim in claims:
                if self._stopping:
                    await self._give_back(claim)
                    continue
                await self._budget.take(_RESERVED)
                try:
                    made = await asyncio.to_thread(building.build, claim, now_us=self._clock())
                except Unavailable:
                    self._budget.give(_RESERVED)
                    await self._give_back(claim)
                    raise
                except BaseException:
                    self._budget.give(_RESERVED)
                    raise
                # Those that share what is made of a receipt stay together, round by round.
                self._start(claim, made, batches=IN_A_ROW if claimed[claim.workspace_id] == 1 else 1)
        return len(claims)

    async def due_in_us(self) -> int | None:
        """Return how long until something is due; 0 is now, None is nothing waits."""
        return await asyncio.to_thread(self._due)

    def _due(self) -> int | None:
        with self._store.read() as conn:
            return cursors.next_due_in_us(conn)

    def _claim(self, conn: Conn) -> list[Claim]:
        return cursors.claim(
            conn,
            holder=self._holder,
            limit=CLAIM,
            lease_us=LEASE_US,
            dead_holders=self._store.dead_holders(conn),
        )

    async def _give_back(self, claim: Claim) -> None:
        await self._recorder.write(lambda conn: cursors.release(conn, (claim.destination_id,), claim.token))

    def _start(self, claim: Claim, made: Prepared | Unbuilt | None, *, batches: int) -> None:
        size = _size(made)
        self._budget.give(_RESERVED - size)
        task = asyncio.create_task(self._carry(claim, made, size, batches))
        self._flying[claim.destination_id] = task
        self._served.add(claim.workspace_id)

    # -- keeping and ending --------------------------------------------------------------------------

    async def renew(self) -> None:
        """Prolong the leases of what is in flight; stop work on those that are no longer ours."""
        flying = dict(self._flying)
        if not flying:
            return
        ours = await self._recorder.write(lambda conn: cursors.renew(conn, self._holder, flying, LEASE_US))
        for destination_id, task in flying.items():
            if destination_id not in ours and not task.done():
                _log.warning("action=lease_lost destination_id=%s", destination_id)
                task.cancel()

    async def drop_settled_contents(self) -> None:
        """Drop contents that no destination owes any more in workspaces served since the last call."""
        served, self._served = self._served, set()
        for workspace_id in sorted(served):
            await self._recorder.write(partial(drop_contents, workspace_id=workspace_id))

    async def write(self, change: Callable[[Conn], object]) -> None:
        """Run a small change in the same lane as every other write of this worker."""
        await self._recorder.write(change)

    async def stop(self, timeout_s: float) -> None:
        """Let what is in flight finish within the time, then give up; leases end with the holder."""
        self._stopping = True
        if self._flying:
            await asyncio.wait(list(self._flying.values()), timeout=timeout_s)
        late = [task for task in self._flying.values() if not task.done()]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await self._recorder.close()

    # -- one batch -----------------------------------------------------------------------------------

    async def _carry(self, claim: Claim, made: Prepared | Unbuilt | None, size: int, batches: int) -> None:
        try:
            for left in reversed(range(batches)):
                settlement = await self._settlement(made, goes_on=left > 0)
                if settlement is None:
                    await self._give_back(claim)
                    return
                kept = await self._recorder.record(settlement)
                _report(settlement, kept=kept)
                if not (kept and settlement.goes_on):
                    return
                self._budget.give(size)
                size = 0
                claim = replace(claim, cursor_seq=settlement.advance_to, failures=0)
                made = await self._next(claim)
                size = _size(made)
        except Unavailable:
            _log.warning("action=not_recorded destination_id=%s", claim.destination_id)
        except Exception:  # noqa: BLE001 - logged
            # The lease ends by itself and the batch is tried again.
            _log.exception("action=not_recorded destination_id=%s", claim.destination_id)
        finally:
            self._budget.give(size)
            # It may have been claimed again since its lease is free: that batch is not ours to forget.
            if self._flying.get(claim.destination_id) is asyncio.current_task():
                del self._flying[claim.destination_id]
            self._wake()

    async def _next(self, claim: Claim) -> Prepared | Unbuilt | None:
        """Build the next batch of a lease that was kept; give the lease back when that cannot be."""
        await self._budget.take(_RESERVED)
        size = 0
        try:
            if self._stopping:
                return None
            made = await asyncio.to_thread(self._build_alone, claim)
            size = _size(made)
        except Unavailable:
            await self._give_back(claim)
            raise
        finally:
            self._budget.give(_RESERVED - size)
        return made

    def _build_alone(self, claim: Claim) -> Prepared | Unbuilt | None:
        with self._builder.round() as building:
            return building.build(claim, now_us=self._clock())

    async def _settlement(self, made: Prepared | Unbuilt | None, *, goes_on: bool) -> Settlement | None:
        if made is None:
            return None
        if isinstance(made, Unbuilt):
            outcome = Outcome(verdict=Verdict.RETRYING, reason=made.reason)
            return self._held(made, outcome)
        try:
            sent = await self._send_all(made)
        except Exception as error:  # noqa: BLE001 - logged and recorded
            # Our own mistake must not end a destination silently: it waits and says so.
            _log.exception("action=delivery_failed destination=%s", made.stored.uid)
            reason = f"Sending failed unexpectedly ({type(error).__name__})."
            sent = Sent(fates=(), outcome=Outcome(verdict=Verdict.RETRYING, reason=reason))
        return self._settled(made, sent, goes_on=goes_on)

    async def _send_all(self, made: Prepared) -> Sent:
        if not made.pieces:
            return Sent(
                fates=(), outcome=Outcome(verdict=Verdict.DELIVERED, reason="Nothing in this range to send.")
            )
        return await self._send(made, made.pieces, room=MAX_DEAD_LETTERS)

    async def _send(self, made: Prepared, pieces: Sequence[Piece], *, room: int) -> Sent:
        """Send pieces; where the destination rejects them, halve until the poison receipt is alone."""
        sent = await self._once(made, pieces)
        if sent.outcome.verdict is not Verdict.REJECTED:
            return sent
        if len(pieces) == 1:
            dead = DeadOne(
                seq=pieces[0].seq,
                receipt_id=pieces[0].receipt_id,
                reason=sent.outcome.reason,
                status_code=sent.outcome.status_code,
            )
            return replace(sent, fates=(Fate.REJECTED,), dead=(dead,))
        middle = len(pieces) // 2
        left = await self._send(made, pieces[:middle], room=room)
        if len(left.fates) < middle or self._stopping or len(left.dead) >= room:
            return outcomes.joined(sent, left)
        right = await self._send(made, pieces[middle:], room=room - len(left.dead))
        return outcomes.joined(sent, left, right)

    async def _once(self, made: Prepared, pieces: Sequence[Piece]) -> Sent:
        destination = made.destination
        batch = Batch(
            id=outcomes.batch_id(made, pieces), at_us=made.at_us, pieces=tuple(piece.body for piece in pieces)
        )
        started = asyncio.get_running_loop().time()
        try:
            async with self._sends:
                response = await self._sender.send(destination.request(batch))
        except AddressRefused as error:
            outcome = Outcome(verdict=Verdict.REFUSED, reason=str(error))
        except SendFailed as error:
            outcome = Outcome(verdict=Verdict.NO_ANSWER, reason=str(error))
        else:
            return outcomes.judged(destination, response, pieces)
        return Sent(
            fates=(), outcome=outcome, duration_ms=(asyncio.get_running_loop().time() - started) * 1000
        )

    # -- what is recorded ----------------------------------------------------------------------------

    def _settled(self, made: Prepared, sent: Sent, *, goes_on: bool) -> Settlement:
        fates = outcomes.prefix(made, sent.fates)
        finished = len(fates) == len(made.fates)
        entries = []
        if fates:
            entries.append(outcomes.entry(made, sent, fates))
        if not finished and not sent.outcome.delivered:
            entries.append(outcomes.entry(made, sent, (), from_seq=made.from_seq + len(fates)))
        dead = tuple(
            DeadOne(seq=made.from_seq + index, receipt_id=receipt_id, reason=reason, status_code=None)
            for index, receipt_id, reason in made.broken
            if index < len(fates)
        )
        slowed = not finished and not sent.outcome.delivered
        # Any success resets the back-off, also that of a part.
        before = 0 if Fate.DELIVERED in sent.fates else made.claim.failures
        failures = before + 1 if slowed else 0
        return Settlement(
            claim=made.claim,
            name=made.stored.uid,
            advance_to=made.claim.cursor_seq + len(fates),
            fates=fates,
            entries=tuple(entries),
            dead=(*sent.dead, *dead),
            failures=failures,
            due_in_us=self._wait_us(failures, sent.outcome) if slowed else 0,
            outcome=sent.outcome,
            sent=bool(made.pieces),
            goes_on=(
                goes_on
                and finished
                and sent.outcome.delivered
                and not self._stopping
                and made.claim.cursor_seq + len(fates) < made.claim.head_seq
            ),
        )

    def _held(self, made: Unbuilt, outcome: Outcome) -> Settlement:
        failures = made.claim.failures + 1
        entry = Entry(
            at_us=made.at_us,
            from_seq=made.claim.cursor_seq + 1,
            to_seq=made.claim.head_seq,
            fates=(),
            outcome=outcome,
            duration_ms=0.0,
            sent_bytes=0,
            config_version=made.config_version,
        )
        return Settlement(
            claim=made.claim,
            name=made.name,
            advance_to=made.claim.cursor_seq,
            fates=(),
            entries=(entry,),
            dead=(),
            failures=failures,
            due_in_us=self._wait_us(failures, outcome),
            outcome=outcome,
            sent=True,
        )

    def _wait_us(self, failures: int, outcome: Outcome) -> int:
        jitter = random.uniform(-1, 1)  # noqa: S311 - spreads retries, keeps no secret
        return retry.delay_us(failures, jitter=jitter, retry_after=outcome.retry_after, now_us=self._clock())


_RESERVED: Final = 2_000_000


def _size(made: Prepared | Unbuilt | None) -> int:
    return made.size_bytes if isinstance(made, Prepared) else 0


def _report(settlement: Settlement, *, kept: bool) -> None:
    """One line an attempt; the reason is scrubbed, so no secret is in it."""
    for entry in settlement.entries:
        _log.info(
            "action=attempt destination=%s from=%s to=%s verdict=%s status=%s ms=%.0f bytes=%s kept=%s "
            "reason=%s",
            settlement.name,
            entry.from_seq,
            entry.to_seq,
            entry.outcome.verdict.value,
            entry.outcome.status_code,
            entry.duration_ms,
            entry.sent_bytes,
            kept,
            entry.outcome.reason,
        )
