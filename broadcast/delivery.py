"""Delivery: claim destinations that are owed something, build, send, and record what became of it.

Invariants. No transaction is open while a byte is on the network. One batch is in flight for each
destination, also where it sends several in a row: its lease sees to it, and every outcome is fenced by the
lease's token. The cursor moves over the finished prefix of a batch only. Whatever goes wrong ends as a
recorded attempt with a reason, and nothing is dropped by a failure: a receipt leaves the backlog as
delivered, sampled out, filtered, rejected or expired, in no other way.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from msgspec import structs

from broadcast import failpoints, outcomes
from broadcast.batches import BATCH_BYTES, Ahead, Builder, Built, Prepared, Round, Unbuilt
from broadcast.budget import Budget
from broadcast.claim_order import SMALL, in_turn, is_small
from broadcast.destination import Destination, Outcome, Verdict
from broadcast.errors import Unavailable
from broadcast.flights import Flights
from broadcast.guests import AT_ONCE, drop_contents
from broadcast.lanes import Lanes
from broadcast.outcomes import Sent
from broadcast.recorder import Recorder, Settlement
from broadcast.sending import Courier, Sender
from broadcast.store import Conn, Store, leases, receipts
from broadcast.store.leases import Claim
from broadcast.strays import Strays
from broadcast.vault import Vault

CLAIM: Final = 64
LEASE_US: Final = 30_000_000
OPEN_SENDS: Final = 2_000
OPEN_BYTES: Final = 64 * 2**20
"""What all open batches may hold; a quarter of it is for small ones, so that large ones never stop them."""

IN_A_ROW: Final = 4
"""Batches that a destination may send under one lease while it catches up; then the others have a turn."""

_RESERVED: Final = BATCH_BYTES
_RESERVED_SMALL: Final = 256_000
_ENOUGH: Final = 1_000_000
"""Bytes after which what is built goes out before more is built."""

_TURNS: Final = 64
_BREATH_S: Final = 0.05
_MOMENT_S: Final = 0.01
T = TypeVar("T")
_log: Final = logging.getLogger(__name__)


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
        self._holder = holder
        self._clock = clock
        self._wake = wake
        self._lanes = Lanes(store)
        self._recorder = Recorder(self._lanes.outcomes, holder)
        self._flights = Flights()
        self._ahead: dict[int, Ahead] = {}
        self._small = Budget(OPEN_BYTES // 4)
        self._large = Budget(OPEN_BYTES * 3 // 4)
        self._turns = tuple(asyncio.Lock() for _ in range(_TURNS))
        self._served: set[int] = set()
        self._strays = Strays(self._lanes.claims, holder)
        self._stopping = False
        self._courier = Courier(
            sender,
            open_sends=OPEN_SENDS,
            too_big=self._builder.too_big,
            shrunk=self._builder.shrunk,
            stopping=lambda: self._stopping,
        )

    @property
    def in_flight(self) -> int:
        """Return how many destinations have a batch under way."""
        return len(self._flights.tasks)

    def gauges(self) -> dict[str, float]:
        """Return what is under way just now."""
        return {
            "in_flight_destinations": self.in_flight,
            "open_sends": self._courier.open,
            "open_bytes": self._small.used + self._large.used,
        }

    def take_ended(self) -> set[int] | None:
        """Return where a batch has ended since the last call and more may be due; None is anywhere."""
        return self._flights.take_ended()

    def in_air(self, workspace_ids: Collection[int]) -> set[int]:
        """Return those of the workspaces in which a batch is under way."""
        return self._flights.among(workspace_ids)

    # -- claiming ----------------------------------------------------------------------------------

    async def round(
        self, workspace_ids: Collection[int] | None = None, *, look_for_dead: bool = False
    ) -> int:
        """Claim and start sending, wherever something is due or in some workspaces; return how many it is."""
        if workspace_ids is None and not look_for_dead:
            workspace_ids = (await self.look()).workspace_ids
            if not workspace_ids:
                return 0
        claims = await self.claim(workspace_ids, look_for_dead=look_for_dead)
        await self.start(claims)
        return len(claims)

    async def claim(
        self, workspace_ids: Collection[int] | None, *, look_for_dead: bool = False
    ) -> list[Claim]:
        """Claim up to 64 destinations that something is due for, which the caller has to start."""
        self._flights.pass_by(workspace_ids)
        if not self._large.has_room(_RESERVED):
            # Any batch that ends makes room for a large one.
            self._flights.await_any()
        with self._strays.noting():
            claims = await self._lanes.claims.write(
                partial(self._claim, look_for_dead=look_for_dead, workspace_ids=workspace_ids)
            )
        self._flights.expect(claims)
        failpoints.reached("after_claim")
        return claims

    async def start(self, claims: Sequence[Claim]) -> None:
        """Build the batches of claims and start sending; it never waits for sends."""
        left = in_turn(claims)
        try:
            with self._builder.round(claims) as building:
                while left and not self._stopping and self._has_room(left[0]):
                    # A batch for which there is no memory is given back, and claimed again when there is.
                    same = [claim for claim in left if is_small(claim) == is_small(left[0])]
                    made = await self._build(building, same)
                    self._start_all(left[: len(made)], made)
                    left = left[len(made) :]
        finally:
            if left:
                self._flights.await_any()
                await self._give_back(left)

    def _has_room(self, claim: Claim) -> bool:
        return is_small(claim) or self._large.has_room(_RESERVED)

    def _budget(self, claim: Claim) -> Budget:
        return self._small if is_small(claim) else self._large

    async def look(self) -> leases.Look:
        """Look everywhere for what is due; nothing is claimed."""
        await self._strays.give_back(self._flights.destination_ids)
        self._flights.pass_by()
        return await asyncio.to_thread(self._look)

    def _look(self) -> leases.Look:
        with self._store.read() as conn:
            return leases.look(conn)

    def _claim(
        self, conn: Conn, *, look_for_dead: bool, workspace_ids: Collection[int] | None
    ) -> list[Claim]:
        return leases.claim(
            conn,
            holder=self._holder,
            limit=CLAIM,
            lease_us=LEASE_US,
            dead_holders=self._store.dead_holders(conn) if look_for_dead else (),
            most=2**62 if self._large.has_room(_RESERVED) else SMALL,
            workspace_ids=workspace_ids,
        )

    async def _give_back(self, claims: Sequence[Claim]) -> None:
        """Give back what was claimed at once, which is under one token."""
        ids, token = [claim.destination_id for claim in claims], claims[0].token
        try:
            with self._strays.noting():
                await self._lanes.outcomes.write(partial(leases.release, destination_ids=ids, token=token))
        finally:
            for claim in claims:
                self._flights.end(claim, None)

    async def _build(self, building: Round, claims: Sequence[Claim]) -> list[Built]:
        """Build the first few batches, in memory that was free for them; all are small, or none is."""
        budget = self._budget(claims[0])
        reserved = _RESERVED_SMALL if is_small(claims[0]) else _RESERVED
        await budget.take(reserved)
        made: list[Built] = []
        try:
            made = await asyncio.to_thread(building.build_some, claims, self._ahead, enough_bytes=_ENOUGH)
        finally:
            budget.give(reserved - sum(map(_size, made)))
        return made

    def _start_all(self, claims: Sequence[Claim], made: Sequence[Built]) -> None:
        for claim, one in zip(claims, made, strict=True):
            self._flights.begin(claim, asyncio.create_task(self._carry(claim, one)))
            self._served.add(claim.workspace_id)

    # -- keeping and ending --------------------------------------------------------------------------

    async def renew(self) -> None:
        """Prolong the leases of what is in flight; stop work on those that are no longer ours."""
        flying = dict(self._flights.tasks)
        if not flying:
            return
        ours = await self._lanes.outcomes.write(
            lambda conn: leases.renew(conn, self._holder, flying, LEASE_US)
        )
        for destination_id, task in flying.items():
            if destination_id not in ours and not task.done():
                _log.warning("action=lease_lost destination_id=%s", destination_id)
                task.cancel()

    async def drop_settled_contents(self) -> None:
        """Drop contents that no destination owes any more in workspaces served since the last call."""
        served, self._served = self._served, set()
        for workspace_id in await asyncio.to_thread(self._with_contents, served):
            more = True
            while more:
                dropped = await self.write(partial(drop_contents, workspace_id=workspace_id))
                more = dropped == AT_ONCE
                await asyncio.sleep(_BREATH_S if more else 0)

    def _with_contents(self, workspace_ids: Collection[int]) -> list[int]:
        """Most workspaces keep none: to find out what is owed in each of them would cost a query for each."""
        with self._store.read() as conn:
            return receipts.with_contents(conn, workspace_ids)

    async def write(self, change: Callable[[Conn], T]) -> T:
        """Run a chore's change, which no outcome and no claim waits for where writers are many."""
        return await self._lanes.chores.write(change)

    async def stop(self, timeout_s: float) -> None:
        """Let what is in flight finish within the time, then give up; no lease stays behind."""
        self._stopping = True
        flying = list(self._flights.tasks.values())
        if flying:
            await asyncio.wait(flying, timeout=timeout_s)
        late = [task for task in self._flights.tasks.values() if not task.done()]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await self._recorder.close()
        if late:
            # Without a database they end by themselves: the holder's lock goes with this process.
            with contextlib.suppress(Unavailable):
                await self._lanes.outcomes.write(partial(leases.release_all, holder=self._holder))

    # -- one batch -----------------------------------------------------------------------------------

    async def _carry(self, claim: Claim, made: Built) -> None:
        size = _size(made)
        budget = self._budget(claim)
        try:
            for left in reversed(range(IN_A_ROW)):
                following = await self._batch(claim, made, goes_on=left > 0)
                if following is None:
                    return
                claim = following
                budget.give(size)
                size, budget = 0, self._budget(claim)
                made = await self._next(claim)
                size = _size(made)
        except Unavailable:
            self._strays.note()
            _log.warning("action=not_recorded destination_id=%s", claim.destination_id)
        except Exception:  # noqa: BLE001 - logged
            # The lease ends by itself and the batch is tried again.
            _log.exception("action=not_recorded destination_id=%s", claim.destination_id)
        finally:
            budget.give(size)
            self._flights.end(claim, asyncio.current_task())
            self._wake()

    async def _next(self, claim: Claim) -> Built:
        """Build the next batch of a lease that was kept; give the lease back when that cannot be."""
        if self._stopping:
            return None
        try:
            # One workspace's batches one after the other: what one makes, the next one finds made.
            async with self._turns[claim.workspace_id % _TURNS]:
                with self._builder.round((claim,)) as building:
                    return (await self._build(building, (claim,)))[0]
        except Unavailable:
            await self._give_back((claim,))
            raise

    async def _batch(self, claim: Claim, made: Built, *, goes_on: bool) -> Claim | None:
        """Send one batch and record it; return the claim of the next one where the lease is kept for it."""
        if made is None:
            await self._give_back((claim,))
            return None
        jitter = random.uniform(-1, 1)  # noqa: S311 - it spreads retries and keeps no secret
        if isinstance(made, Unbuilt):
            await self._record(outcomes.unbuilt(made, jitter=jitter, now_us=self._clock()))
            return None
        parts = outcomes.parts(made)
        # The first request needs no task of its own, and most batches have no other.
        others = [asyncio.create_task(self._send(part)) for part in parts[1:]]
        before: Settlement | None = None
        try:
            for index, part in enumerate(parts):
                sent = await (others[index - 1] if index else self._send(part))
                one = outcomes.settlement(
                    structs.replace(part, claim=claim) if index else part,
                    sent,
                    more=index + 1 < len(parts),
                    goes_on=goes_on and not self._stopping,
                    jitter=jitter,
                    now_us=self._clock(),
                )
                settlement = one if before is None else before.followed_by(one)
                if one.goes_on:
                    claim = structs.replace(
                        claim, cursor_seq=one.advance_to, failures=0, doubts=0, probing=False
                    )
                if one.joins and index < len(others):
                    # What is known within a moment is recorded at once.
                    await asyncio.wait(others[index : index + 1], timeout=_MOMENT_S)
                    if others[index].done():
                        before = settlement
                        continue
                before = None
                if not settlement.goes_on:
                    # One batch in flight: the lease ends after the last request of it.
                    behind = [await send for send in others[index:]]
                    self._remember_ahead(made, settlement, (sent, *behind))
                if not (await self._record(settlement) and settlement.goes_on):
                    return None
        finally:
            for send in others:
                send.cancel()
        return claim

    async def _send(self, made: Prepared) -> Sent:
        try:
            return await self._courier.carry(made)
        except Exception as error:  # noqa: BLE001 - logged and recorded
            # Our own mistake must not end a destination silently: it waits and says so.
            _log.exception("action=delivery_failed destination=%s", made.stored.uid)
            reason = f"Sending failed unexpectedly ({type(error).__name__})."
            return Sent(fates={}, outcome=Outcome(verdict=Verdict.RETRYING, reason=reason))

    async def _record(self, settlement: Settlement) -> bool:
        kept = await self._recorder.record(settlement)
        claim = settlement.claim
        if settlement.advance_to < claim.head_seq or claim.replay_id is not None:
            self._flights.leave_more(claim)
        settlement.report(kept=kept)
        for _ in settlement.entries:
            self._builder.went(claim.destination_id, well=kept and settlement.failures == 0)
        return kept

    def _remember_ahead(self, made: Prepared, settlement: Settlement, sent: Sequence[Sent]) -> None:
        """Keep what arrived behind a request that failed, so that it is not sent again."""
        id_ = made.claim.destination_id
        before = self._ahead.pop(id_, None)
        if made.replay is not None:
            return
        same = before is not None and before.version == made.stored.version
        known = before.fates if before is not None and same else {}
        fates = outcomes.ahead(settlement.advance_to, known, *(one.fates for one in sent))
        if fates:
            self._ahead[id_] = Ahead(version=made.stored.version, fates=fates)


def _size(made: Built) -> int:
    return made.size_bytes if isinstance(made, Prepared) else 0
