"""What tries at a batch came to: judged, joined after a bisection, and cut to the finished prefix."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from broadcast.batches import Piece, Prepared
from broadcast.destination import Destination, Outcome, Response, Verdict
from broadcast.fates import Fate
from broadcast.recorder import DeadOne, Entry
from broadcast.report import scrub


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What one try at some pieces came to; `fates` covers the finished ones, in order."""

    fates: tuple[Fate, ...]
    dead: tuple[DeadOne, ...] = ()
    outcome: Outcome
    duration_ms: float = 0.0
    sent_bytes: int = 0


def judged(destination: Destination, response: Response, pieces: Sequence[Piece]) -> Sent:
    """Judge an answer; where every span was rejected, a success is a rejection."""
    outcome = destination.judge(response)
    spans = sum(piece.spans for piece in pieces)
    if outcome.verdict is Verdict.PARTLY_DELIVERED and outcome.rejected_spans >= spans:
        outcome = replace(outcome, verdict=Verdict.REJECTED)
    secrets = destination.secret_values()
    words = outcome.reason
    if not outcome.delivered and response.body:
        words = f"{words}: {response.body[:4096].decode('utf-8', 'replace')}"
    fates = (Fate.DELIVERED,) * len(pieces) if outcome.delivered else ()
    return Sent(
        fates=fates,
        outcome=replace(outcome, reason=scrub(words, secrets)),
        duration_ms=response.duration_ms,
        sent_bytes=response.sent_bytes,
    )


def joined(first: Sent, *parts: Sent) -> Sent:
    """Return several tries at one batch as one; the last part says whether the rest has to wait."""
    last = parts[-1]
    verdict = first.outcome if last.outcome.delivered else last.outcome
    return Sent(
        fates=tuple(fate for part in parts for fate in part.fates),
        dead=tuple(dead for part in parts for dead in part.dead),
        outcome=verdict,
        duration_ms=first.duration_ms + sum(part.duration_ms for part in parts),
        sent_bytes=first.sent_bytes + sum(part.sent_bytes for part in parts),
    )


def prefix(made: Prepared, decided: Sequence[Fate]) -> tuple[Fate, ...]:
    """Return the fates of the finished receipts from the cursor on, up to the first that has none yet."""
    rest = iter(decided)
    found: list[Fate] = []
    for known in made.fates:
        fate = known if known is not None else next(rest, None)
        if fate is None:
            break
        found.append(fate)
    return tuple(found)


def entry(made: Prepared, sent: Sent, fates: tuple[Fate, ...], *, from_seq: int | None = None) -> Entry:
    """Return the attempt to record: of finished receipts, or of those from `from_seq` on that must wait."""
    begin = made.from_seq if from_seq is None else from_seq
    return Entry(
        at_us=made.at_us,
        from_seq=begin,
        to_seq=begin + len(fates) - 1 if fates else made.claim.cursor_seq + len(made.fates),
        fates=fates,
        outcome=sent.outcome,
        duration_ms=sent.duration_ms,
        sent_bytes=sent.sent_bytes,
        config_version=made.stored.version,
    )


def batch_id(made: Prepared, pieces: Sequence[Piece]) -> str:
    """Return an id that is the same when the same receipts are sent again."""
    text = f"{made.stored.uid}:{pieces[0].seq}-{pieces[-1].seq}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
