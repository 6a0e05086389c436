"""What a destination is doing, and the proof that all of its receipts are accounted for."""

from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from broadcast.store import Conn, cursors, retention
from broadcast.store.cursors import Cursor
from broadcast.store.destinations import StoredDestination
from broadcast.store.receipts import ReceiptRow
from broadcast.store.retention import Instants
from broadcast.times import rfc3339, rfc3339_or_none

StateWord = Literal["delivering", "catching_up", "throttled", "retrying", "paused", "off"]

_CATCHING_UP_US: Final = 30_000_000


@dataclass(frozen=True, kw_only=True)
class Owed:
    """The oldest receipt that a destination is still owed: when it arrived, and until when it is kept."""

    received_at_us: int
    held_until_us: int


@dataclass(frozen=True, kw_only=True)
class State:
    """What a destination is doing.

    `next_try_at_us` and `reason` are set while it waits to try again, on its own or after an answer paused
    it; `held_until_us` says when the oldest receipt that it is owed expires.
    """

    word: StateWord
    backlog: int
    behind_s: float
    paused_by: str | None = None
    since_at_us: int | None = None
    next_try_at_us: int | None = None
    reason: str | None = None
    held_until_us: int | None = None

    def view(self) -> dict[str, Any]:
        """Return the fields that the API adds to a destination."""
        return {
            "state": self.word,
            "state_since": rfc3339_or_none(self.since_at_us),
            "next_try_at": rfc3339_or_none(self.next_try_at_us),
            "backlog": self.backlog,
            "behind_s": self.behind_s,
            "last_reason": self.reason,
            "held_until": rfc3339_or_none(self.held_until_us),
        }


def owed(
    conn: Conn, cursor: Cursor | None, head_seq: int, *, retention_us: int, max_age_s: int | None
) -> Owed | None:
    """Return the oldest receipt that is still owed; it is kept for the retention or the type's `max_age`."""
    if cursor is None or cursor.ended_seq is not None or cursor.cursor_seq >= head_seq:
        return None
    found = retention.instants(conn, cursor.workspace_id, cursor.cursor_seq + 1)
    if found is None:
        return None
    until = kept_until_us(found, retention_us=retention_us, max_age_s=max_age_s)
    return Owed(received_at_us=found.received_at_us, held_until_us=until)


def kept_until_us(found: Instants | ReceiptRow, *, retention_us: int, max_age_s: int | None) -> int:
    """Return when a receipt expires at a destination, if it is still owed by then."""
    until = found.received_at_us + retention_us
    return until if max_age_s is None else min(until, found.created_at_us + max_age_s * 1_000_000)


def word(*, on: bool, paused: bool, failures: int, last_verdict: str | None, behind_us: int) -> StateWord:
    """Return the state of a destination in a word; `on` where it has a ledger that runs."""
    if not on:
        return "off"
    if paused:
        return "paused"
    if failures > 0:
        return "throttled" if last_verdict == "throttled" else "retrying"
    return "catching_up" if behind_us > _CATCHING_UP_US else "delivering"


def state(
    stored: StoredDestination,
    cursor: Cursor | None,
    head_seq: int,
    now_us: int,
    *,
    broadcast: bool,
    owed: Owed | None,
) -> State:
    """Return the state of a destination; whatever waits for an answer is retrying until one delivers."""
    if cursor is None or not stored.enabled or not broadcast or cursor.ended_seq is not None:
        return State(word="off", backlog=0, behind_s=0.0, since_at_us=cursor.ended_at_us if cursor else None)
    behind_us = max(0, now_us - owed.received_at_us) if owed else 0
    found = State(
        word=word(
            on=True,
            paused=stored.paused_by is not None,
            failures=cursor.failures,
            last_verdict=cursor.last_verdict,
            behind_us=behind_us,
        ),
        backlog=max(0, head_seq - cursor.cursor_seq),
        behind_s=round(behind_us / 1e6, 3),
        since_at_us=cursor.last_delivered_at_us or cursor.since_at_us,
        held_until_us=owed.held_until_us if owed else None,
    )
    next_try_at_us = max(cursor.due_at_us, now_us)
    if stored.paused_by is not None:
        return replace(
            found,
            paused_by=stored.paused_by,
            since_at_us=stored.paused_at_us,
            # An answer is asked again whether it has changed; a person says when to go on.
            next_try_at_us=next_try_at_us if stored.paused_by == "answer" else None,
            reason=stored.pause_reason,
        )
    if cursor.failures > 0:
        return replace(found, next_try_at_us=next_try_at_us, reason=cursor.last_reason)
    return found


def view(cursor: Cursor | None, head_seq: int, owed: Owed | None = None) -> dict[str, Any]:
    """Return the ledger as the API says it; `held_until` is when the oldest pending receipt expires."""
    if cursor is None:
        names = ("appended", "delivered", "sampled_out", "filtered", "rejected", "expired", "pending")
        return dict.fromkeys(names, 0) | {
            "balanced": True,
            "since": None,
            "since_seq": head_seq,
            "head_seq": head_seq,
            "cursor": head_seq,
            "held_until": None,
        }
    found = cursors.ledger(cursor, head_seq)
    return {
        "appended": found.appended,
        "delivered": found.delivered,
        "sampled_out": found.sampled_out,
        "filtered": found.filtered,
        "rejected": found.rejected,
        "expired": found.expired,
        "pending": found.pending,
        "balanced": found.balanced,
        "since": rfc3339(cursor.since_at_us),
        "since_seq": cursor.since_seq,
        "head_seq": head_seq if cursor.ended_seq is None else cursor.ended_seq,
        "cursor": cursor.cursor_seq,
        "held_until": rfc3339(owed.held_until_us) if owed and found.pending > 0 else None,
    }
