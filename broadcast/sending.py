"""Sending one batch: its requests side by side, and a poison receipt found by halving.

What a destination rejects is halved until the poison receipt is alone: at most 2 log2 n more requests each.
What gets doubtful answers (408, 500, 501, 505 and above) is halved after three tries: an outage fails alike
in both halves, a poison receipt does not.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from msgspec import structs

from broadcast import failpoints, outcomes
from broadcast.batches import Prepared
from broadcast.destination import Batch, Outcome, Remedy, Request, Response, Verdict
from broadcast.errors import AddressRefused, SendFailed
from broadcast.fates import Fate
from broadcast.outcomes import Sent
from broadcast.recorder import DeadOne
from broadcast.shared_log import Chunk, Piece, all_delivered

MAX_DEAD_LETTERS: Final = 16
"""After so many rejected receipts in one batch its rest waits: then the fault is hardly the receipts'."""

TRIES: Final = 3
"""Doubtful answers in a row before a batch is halved."""

DEEP_TRIES: Final = 6
"""Doubtful answers in a row before also halves that fail alike are halved: they may hold a poison each."""

NOTHING: Final = Outcome(verdict=Verdict.DELIVERED, reason="Nothing in this range to send.")
_TOO_BIG: Final = 413
_CUTS: Final = 4


class Sender(Protocol):
    """What sends a request: the transport."""

    async def send(self, request: Request) -> Response:
        """Return the answer, or raise `AddressRefused` or `SendFailed`."""


@dataclass(kw_only=True)
class _Tally:
    """What is known of a batch while it is sent."""

    made: Prepared
    fates: Mapping[int, Fate] = field(default_factory=dict)
    dead: list[DeadOne] = field(default_factory=list)
    good: list[Outcome] = field(default_factory=list)
    rejecting: Outcome | None = None
    failed: dict[int, Outcome] = field(default_factory=dict)
    durations_ms: list[float] = field(default_factory=list)
    sent_bytes: int = 0

    @property
    def passed(self) -> bool:
        """Whether anything of the batch has arrived."""
        return bool(self.good)

    @property
    def full(self) -> bool:
        """Whether so much was rejected that the rest has to wait."""
        return len(self.dead) >= MAX_DEAD_LETTERS

    def take(self, fates: Mapping[int, Fate]) -> None:
        """Note what became of some receipts; what is told of a whole request is shared, and stays."""
        self.fates = {**self.fates, **fates} if self.fates else fates

    def fail(self, pieces: Sequence[Piece], outcome: Outcome) -> None:
        """Note why these pieces have to wait."""
        self.failed[pieces[0].seq] = outcome

    def reject(self, piece: Piece, outcome: Outcome) -> None:
        """Note that this receipt is a dead letter."""
        self.rejecting = self.rejecting or outcome
        self.take({piece.seq: Fate.REJECTED})
        self.dead.append(
            DeadOne(
                seq=piece.seq,
                receipt_id=piece.receipt_id,
                reason=outcome.reason,
                status_code=outcome.status_code,
            )
        )

    def sent(self, duration_ms: float) -> Sent:
        """Return what the whole batch came to."""
        if len(self.durations_ms) == 1:
            duration_ms = self.durations_ms[0]
        told = Sent(
            fates=self.fates,
            dead=tuple(self.dead),
            outcome=self._outcome(),
            duration_ms=duration_ms,
            sent_bytes=self.sent_bytes,
        )
        blamed = self.full or self.made.claim.probing
        if blamed and self.dead and not self.passed and self.rejecting is not None:
            # It takes nothing at all, so the fault is not the receipts': none of them is given up.
            reason = f"It rejected every receipt: {self.rejecting.reason}"
            refused = replace(self.rejecting, verdict=Verdict.REFUSED, reason=reason)
            return structs.replace(told, fates={}, dead=(), outcome=refused)
        return told

    def _outcome(self) -> Outcome:
        if self.failed:
            return self.failed[min(self.failed)]
        if self.rejecting is not None:
            return self.rejecting
        partly = [outcome for outcome in self.good if outcome.verdict is Verdict.PARTLY_DELIVERED]
        return partly[0] if partly else self.good[0]


class Courier:
    """Carries batches to destinations, over one transport."""

    def __init__(
        self,
        sender: Sender,
        *,
        open_sends: int,
        too_big: Callable[[Prepared, int], None],
        shrunk: Callable[[Prepared, Piece, int], Piece | None],
        stopping: Callable[[], bool],
    ) -> None:
        self._sender = sender
        self._sends = asyncio.Semaphore(open_sends)
        self._too_big = too_big
        self._shrunk = shrunk
        self._stopping = stopping
        self.open: int = 0
        """Requests that wait for an answer."""

    async def carry(self, made: Prepared) -> Sent:
        """Send a batch and return what became of each receipt; raises only for our own mistakes."""
        if not made.chunks:
            return Sent(fates={}, outcome=NOTHING)
        tally = _Tally(made=made)
        started = asyncio.get_running_loop().time()
        if len(made.chunks) == 1:
            await self._chunk(tally, made.chunks[0])
        else:
            await asyncio.gather(*(self._chunk(tally, chunk) for chunk in made.chunks))
        return tally.sent((asyncio.get_running_loop().time() - started) * 1000)

    async def _chunk(self, tally: _Tally, chunk: Chunk) -> None:
        outcome = await self._once(tally, chunk.pieces, chunk)
        tries = tally.made.claim.doubts + 1
        if outcome.remedy is Remedy.DOUBT and tries >= TRIES:
            await self._isolate(tally, chunk.pieces, outcome, deep=tries >= DEEP_TRIES)
        else:
            await self._go_on(tally, chunk.pieces, outcome)

    async def _go_on(self, tally: _Tally, pieces: Sequence[Piece], outcome: Outcome) -> None:
        if outcome.remedy is Remedy.SPLIT:
            await self._split(tally, pieces, outcome)
        elif not outcome.delivered:
            tally.fail(pieces, outcome)

    async def _split(self, tally: _Tally, pieces: Sequence[Piece], outcome: Outcome) -> None:
        """Halve what was rejected until the poison receipt is alone; one that is too big is cut."""
        if len(pieces) == 1:
            if outcome.status_code == _TOO_BIG:
                outcome = await self._cut(tally, pieces[0], outcome)
            if outcome.remedy is Remedy.SPLIT:
                tally.reject(pieces[0], outcome)
            elif not outcome.delivered:
                tally.fail(pieces, outcome)
            return
        for half in _halves(pieces):
            if tally.full or self._stopping():
                tally.fail(half, outcome)
                return
            answer = await self._once(tally, half)
            await self._go_on(tally, half, answer)
            if half[0].seq in tally.failed:
                return

    async def _cut(self, tally: _Tally, piece: Piece, outcome: Outcome) -> Outcome:
        """Send a receipt that is too big with ever shorter content; return the last answer."""
        size = len(piece.body)
        for _ in range(_CUTS):
            size //= 2
            smaller = await asyncio.to_thread(self._shrunk, tally.made, piece, size)
            if smaller is None:
                break
            outcome = await self._once(tally, (smaller,))
            if outcome.status_code != _TOO_BIG:
                break
        return outcome

    async def _isolate(self, tally: _Tally, pieces: Sequence[Piece], outcome: Outcome, *, deep: bool) -> None:
        """Halve what got doubtful answers; where nothing at all passes it is an outage, and all waits."""
        if len(pieces) == 1 and tally.passed:
            words = f"{outcome.reason}, while its neighbours were taken"
            tally.reject(pieces[0], replace(outcome, verdict=Verdict.REJECTED, reason=words))
            return
        if len(pieces) == 1 or tally.full or self._stopping():
            tally.fail(pieces, outcome)
            return
        halves = _halves(pieces)
        answers = [await self._once(tally, half) for half in halves]
        if not tally.passed and not deep:
            tally.fail(pieces, outcome)
            return
        for half, answer in zip(halves, answers, strict=True):
            if answer.remedy is Remedy.DOUBT:
                await self._isolate(tally, half, answer, deep=deep)
            else:
                await self._go_on(tally, half, answer)
            if half[0].seq in tally.failed:
                return

    async def _once(self, tally: _Tally, pieces: Sequence[Piece], chunk: Chunk | None = None) -> Outcome:
        """Send one request; what it delivers is noted, what it does not is the caller's matter."""
        made = tally.made
        request = made.destination.request(_batch(made, pieces, chunk))
        started = asyncio.get_running_loop().time()
        failpoints.reached("before_send")
        try:
            async with self._sends:
                response = await self._answered(request)
        except AddressRefused as error:
            outcome = Outcome(verdict=Verdict.REFUSED, reason=str(error))
        except SendFailed as error:
            outcome = Outcome(verdict=Verdict.NO_ANSWER, reason=str(error))
        else:
            failpoints.reached("after_answer")
            spans = sum(piece.spans for piece in pieces) if chunk is None else chunk.spans
            outcome = outcomes.judged(made.destination, response, spans)
            tally.sent_bytes += response.sent_bytes
        tally.durations_ms.append((asyncio.get_running_loop().time() - started) * 1000)
        if outcome.delivered:
            tally.good.append(outcome)
            tally.take(all_delivered(pieces) if chunk is None else chunk.delivered)
        elif outcome.status_code == _TOO_BIG and len(pieces) > 1:
            self._too_big(made, len(request.body))
        return outcome

    async def _answered(self, request: Request) -> Response:
        self.open += 1
        try:
            return await self._sender.send(request)
        finally:
            self.open -= 1


def _batch(made: Prepared, pieces: Sequence[Piece], chunk: Chunk | None) -> Batch:
    """Return what one request holds; a chunk's body is joined and compressed once for all who send it."""
    id_ = outcomes.batch_id(made.stored.uid, pieces[0].seq, pieces[-1].seq)
    if chunk is None:
        return Batch(id=id_, at_us=made.at_us, pieces=tuple(piece.body for piece in pieces))
    return Batch(
        id=id_,
        at_us=made.at_us,
        pieces=chunk.bodies,
        joined=chunk.body.plain,
        packed=chunk.body.packed,
    )


def _halves(pieces: Sequence[Piece]) -> tuple[Sequence[Piece], Sequence[Piece]]:
    middle = len(pieces) // 2
    return pieces[:middle], pieces[middle:]
