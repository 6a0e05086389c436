"""What a try at a batch came to: judged, cut to the finished prefix, and what is to be recorded of it."""

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

import msgspec
from msgspec import structs

from broadcast import retry
from broadcast.batches import Prepared, Unbuilt
from broadcast.destination import Destination, Outcome, Remedy, Response, Verdict
from broadcast.fates import Fate
from broadcast.filling import LEFT_OUT, Mark
from broadcast.recorder import DeadOne, Entry, Replayed, Settlement
from broadcast.report import scrub

MAX_REJECTED: Final = 16
"""After so many rejected receipts in a row the destination is asked about, not the receipts."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What one try at a batch came to, by the numbers of its receipts."""

    fates: Mapping[int, Fate]
    dead: tuple[DeadOne, ...] = ()
    outcome: Outcome
    duration_ms: float = 0.0
    sent_bytes: int = 0


def judged(destination: Destination, response: Response, spans: int) -> Outcome:
    """Judge an answer; where every span was rejected, a success is a rejection."""
    outcome = destination.judge(response)
    if outcome.verdict is Verdict.PARTLY_DELIVERED and outcome.rejected_spans >= spans:
        outcome = replace(outcome, verdict=Verdict.REJECTED)
    return scrubbed(destination, response, outcome)


def scrubbed(destination: Destination, response: Response, outcome: Outcome) -> Outcome:
    """Return an outcome with the destination's own words where it took nothing, and without any secret."""
    words = outcome.reason
    if not outcome.delivered and response.body:
        words = f"{words}: {response.body[:4096].decode('utf-8', 'replace')}"
    reason = scrub(words, destination.secret_values())
    return outcome if reason == outcome.reason else replace(outcome, reason=reason)


def parts(made: Prepared) -> list[Prepared]:
    """Return a batch of several requests as one for each, so that each is settled when it is done."""
    if len(made.chunks) <= 1 or made.replay is not None:
        return [made]
    found: list[Prepared] = []
    start = 0
    for index, chunk in enumerate(made.chunks, start=1):
        last = index == len(made.chunks)
        end = len(made.numbers) if last else bisect_right(made.numbers, chunk.pieces[-1].seq)
        found.append(
            structs.replace(
                made, numbers=made.numbers[start:end], marks=made.marks[start:end], chunks=(chunk,)
            )
        )
        start = end
    return found


def settlement(
    made: Prepared, sent: Sent, *, more: bool, goes_on: bool, jitter: float, now_us: int
) -> Settlement:
    """Return what is to be recorded of a try: the finished prefix settled, the rest due again.

    The lease is kept where `more` of the batch is under way, and for another batch where it `goes_on`.
    """
    marks = _prefix(made, sent.fates)
    finished = len(marks) == len(made.marks)
    slowed = not finished and not sent.outcome.delivered
    arrived = Fate.DELIVERED in sent.fates.values()
    # Any success resets the back-off, also that of a part.
    failures = (0 if arrived else made.claim.failures) + 1 if slowed else 0
    doubts = _doubts(made, sent, slowed=slowed, arrived=arrived)
    attention = _attention(sent, doubts, slowed=slowed)
    fresh = made.replay is None
    fates = _fates(made, marks)
    advance_to = made.claim.cursor_seq + len(marks) if fresh else made.claim.cursor_seq
    waits = slowed or attention is not None
    pause_us = _pause_us(made, advance_to)
    return Settlement(
        claim=made.claim,
        name=made.stored.uid,
        advance_to=advance_to,
        fates=fates if fresh else (),
        entries=_entries(made, sent, marks, slowed=slowed),
        dead=_dead(made, sent, len(marks)),
        failures=failures,
        doubts=doubts,
        due_in_us=wait_us(max(failures, 1), sent.outcome, attention, jitter, now_us) if waits else pause_us,
        outcome=sent.outcome,
        sent=bool(made.chunks),
        attention=attention,
        resumes=made.claim.probing and arrived and attention is None,
        replay=None if made.replay is None else _replayed(made, marks),
        goes_on=(
            fresh
            and finished
            and attention is None
            and (more or not pause_us)
            and (more or (goes_on and sent.outcome.delivered and advance_to < made.claim.head_seq))
        ),
    )


def unbuilt(made: Unbuilt, *, jitter: float, now_us: int) -> Settlement:
    """Return what is to be recorded of a claim that could not become a batch."""
    verdict = Verdict.REFUSED if made.lasting else Verdict.RETRYING
    outcome = Outcome(verdict=verdict, reason=made.reason)
    failures = made.claim.failures + 1
    attention = made.reason if made.lasting else None
    entry = Entry(
        at_us=made.at_us,
        from_seq=made.claim.cursor_seq + 1,
        to_seq=max(made.claim.head_seq, made.claim.cursor_seq + 1),
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
        doubts=made.claim.doubts,
        due_in_us=wait_us(failures, outcome, attention, jitter, now_us),
        outcome=outcome,
        sent=True,
        attention=attention,
    )


def ahead(settled_upto: int, *known: Mapping[int, Fate]) -> dict[int, Fate]:
    """Return what arrived behind the finished prefix: it is not sent again while this worker lives."""
    return {
        seq: fate
        for fates in known
        for seq, fate in fates.items()
        if seq > settled_upto and fate is Fate.DELIVERED
    }


def batch_id(destination_uid: str, first_seq: int, last_seq: int) -> str:
    """Return an id that is the same when the same receipts are sent again."""
    text = f"{destination_uid}:{first_seq}-{last_seq}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


# -- the parts of it -------------------------------------------------------------------------------


def _prefix(made: Prepared, decided: Mapping[int, Fate]) -> tuple[Mark, ...]:
    """Return what became of the receipts from the first on, up to the first of which nothing is known."""
    if made.chunks and decided is made.chunks[0].delivered and len(decided) == len(made.marks):
        # One request of all there was, and it arrived, as nearly every one does.
        return (Fate.DELIVERED,) * len(decided)
    if made.marks.count(None) == len(made.marks):
        found: tuple[Mark, ...] = tuple(map(decided.get, made.numbers))
    else:
        pairs = zip(made.numbers, made.marks, strict=True)
        found = tuple(decided.get(seq) if mark is None else mark for seq, mark in pairs)
    return found if all(found) else found[: found.index(None)]


def _fates(made: Prepared, marks: tuple[Mark, ...]) -> tuple[Fate, ...]:
    """Return the fates among some marks; without a replay they are nothing else."""
    if made.replay is None:
        return cast(tuple[Fate, ...], marks)
    return tuple(mark for mark in marks if isinstance(mark, Fate))


def _pause_us(made: Prepared, advance_to: int) -> int:
    """Return how long to gather receipts before the next batch; a whole request of them never waits."""
    full = made.stored.tuned("max_spans", made.destination.max_spans)
    if made.claim.head_seq - advance_to >= full:
        return 0
    return made.stored.tuned("every_ms", 0) * 1000


def _doubts(made: Prepared, sent: Sent, *, slowed: bool, arrived: bool) -> int:
    """Count doubtful answers, and rejected receipts, in a row."""
    if slowed and sent.outcome.remedy is Remedy.DOUBT:
        return (0 if arrived else made.claim.doubts) + 1
    if sent.dead and not arrived:
        return made.claim.doubts + len(sent.dead)
    return made.claim.doubts if slowed and not arrived else 0


def _attention(sent: Sent, doubts: int, *, slowed: bool) -> str | None:
    """Return why the destination needs a person, None where it does not."""
    if slowed and sent.outcome.remedy is Remedy.ATTEND:
        return sent.outcome.reason
    if sent.outcome.verdict is Verdict.REJECTED and doubts >= MAX_REJECTED and sent.dead:
        return f"The last {doubts} receipts were all rejected: {sent.outcome.reason}"
    return None


def wait_us(failures: int, outcome: Outcome, attention: str | None, jitter: float, now_us: int) -> int:
    """Return how long to wait before the next try; who needs a person is tried seldom."""
    if attention is not None:
        return retry.probe_us(failures, jitter=jitter)
    return retry.delay_us(
        failures,
        jitter=jitter,
        retry_after=outcome.retry_after,
        answered_at=outcome.answered_at,
        now_us=now_us,
    )


def _entries(made: Prepared, sent: Sent, marks: tuple[Mark, ...], *, slowed: bool) -> tuple[Entry, ...]:
    entries = []
    done = len(marks)
    if any(isinstance(mark, Fate) for mark in marks):
        entries.append(_entry(made, sent, made.numbers[0], made.numbers[done - 1], _map(made, marks)))
    if slowed:
        entries.append(_entry(made, sent, made.numbers[done], made.numbers[-1], ()))
    return tuple(entries)


def _entry(made: Prepared, sent: Sent, from_seq: int, to_seq: int, fates: tuple[Fate | None, ...]) -> Entry:
    return Entry(
        at_us=made.at_us,
        from_seq=from_seq,
        to_seq=to_seq,
        fates=fates,
        outcome=sent.outcome,
        duration_ms=sent.duration_ms,
        sent_bytes=sent.sent_bytes,
        config_version=made.stored.version,
    )


def _map(made: Prepared, marks: tuple[Mark, ...]) -> tuple[Fate | None, ...]:
    """Return the fates by number, None for numbers in between that this attempt says nothing of.

    Only a replay leaves any out.
    """
    if made.replay is None:
        return _fates(made, marks)
    known = {
        seq: mark
        for seq, mark in zip(made.numbers[: len(marks)], marks, strict=True)
        if isinstance(mark, Fate)
    }
    return tuple(known.get(seq) for seq in range(made.numbers[0], made.numbers[len(marks) - 1] + 1))


def _dead(made: Prepared, sent: Sent, done: int) -> tuple[DeadOne, ...]:
    """Return the dead letters among what is settled: rejected there, or not encodable here."""
    if not (sent.dead or made.broken):
        return ()
    broken = tuple(
        DeadOne(seq=seq, receipt_id=receipt_id, reason=reason, status_code=None)
        for seq, receipt_id, reason in made.broken
    )
    settled = set(made.numbers[:done])
    return tuple(one for one in (*sent.dead, *broken) if one.seq in settled)


def _replayed(made: Prepared, marks: tuple[Mark, ...]) -> Replayed:
    if made.replay is None:
        raise RuntimeError("Only a replay's batch has a place in a replay.")
    counted = Counter(mark if mark == LEFT_OUT else Fate(mark).value for mark in marks if mark is not None)
    arrived = [seq for seq, mark in zip(made.numbers, marks, strict=False) if mark is Fate.DELIVERED]
    return Replayed(
        replay_id=made.replay.id,
        position=made.replay.position,
        counts=dict(counted),
        arrived=tuple(arrived),
    )
