"""What a destination is doing, what became of its receipts, and the proof that they are all accounted for."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from broadcast.errors import SettingsError
from broadcast.receipt_parser import from_document
from broadcast.store import Conn, attempts, cursors, receipts
from broadcast.store.attempts import Attempt
from broadcast.store.cursors import Cursor
from broadcast.store.destinations import StoredDestination
from broadcast.store.receipts import ReceiptRow
from broadcast.times import rfc3339, rfc3339_or_none
from broadcast.trace_context import trace_id_of

StateWord = Literal["delivering", "catching_up", "throttled", "retrying", "paused", "off"]

_CATCHING_UP_US: Final = 30_000_000


@dataclass(frozen=True, kw_only=True)
class State:
    """What a destination is doing; `next_try_at_us` and `reason` are set while it waits to try again."""

    word: StateWord
    backlog: int
    behind_s: float
    paused_by: str | None = None
    since_at_us: int | None = None
    next_try_at_us: int | None = None
    reason: str | None = None

    def view(self) -> dict[str, Any]:
        """Return the fields that the API adds to a destination."""
        return {
            "state": self.word,
            "state_since": rfc3339_or_none(self.since_at_us),
            "next_try_at": rfc3339_or_none(self.next_try_at_us),
            "backlog": self.backlog,
            "behind_s": self.behind_s,
            "last_reason": self.reason,
        }


def behind_us(conn: Conn, cursor: Cursor | None, head_seq: int, now_us: int) -> int:
    """Return how long the oldest receipt that is still owed has waited."""
    if cursor is None or cursor.ended_seq is not None or cursor.cursor_seq >= head_seq:
        return 0
    oldest = receipts.by_seqs(conn, cursor.workspace_id, (cursor.cursor_seq + 1,))
    return max(0, now_us - oldest[0].received_at_us) if oldest else 0


def state(
    stored: StoredDestination,
    cursor: Cursor | None,
    head_seq: int,
    now_us: int,
    *,
    broadcast: bool,
    behind_us: int,
) -> State:
    """Return the state of a destination; whatever waits for an answer is retrying until one delivers."""
    if cursor is None or not stored.enabled or not broadcast or cursor.ended_seq is not None:
        return State(word="off", backlog=0, behind_s=0.0, since_at_us=cursor.ended_at_us if cursor else None)
    backlog = max(0, head_seq - cursor.cursor_seq)
    behind_s = round(behind_us / 1e6, 3)
    if stored.paused_by is not None:
        return State(
            word="paused",
            backlog=backlog,
            behind_s=behind_s,
            paused_by=stored.paused_by,
            since_at_us=stored.paused_at_us,
            reason=stored.pause_reason,
        )
    if cursor.failures > 0:
        return State(
            word="throttled" if cursor.last_verdict == "throttled" else "retrying",
            backlog=backlog,
            behind_s=behind_s,
            since_at_us=cursor.last_delivered_at_us or cursor.since_at_us,
            next_try_at_us=max(cursor.due_at_us, now_us),
            reason=cursor.last_reason,
        )
    late = behind_us > _CATCHING_UP_US
    return State(
        word="catching_up" if late else "delivering",
        backlog=backlog,
        behind_s=behind_s,
        since_at_us=cursor.last_delivered_at_us or cursor.since_at_us,
    )


def view(cursor: Cursor | None, head_seq: int) -> dict[str, Any]:
    """Return the ledger as the API says it."""
    if cursor is None:
        names = ("appended", "delivered", "sampled_out", "filtered", "rejected", "expired", "pending")
        return dict.fromkeys(names, 0) | {
            "balanced": True,
            "since": None,
            "since_seq": head_seq,
            "head_seq": head_seq,
            "cursor": head_seq,
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
    }


def attempt_view(attempt: Attempt) -> dict[str, Any]:
    """Return one attempt as the API says it."""
    return {
        "id": attempt.uid,
        "at": rfc3339(attempt.at_us),
        "from_seq": attempt.from_seq,
        "to_seq": attempt.to_seq,
        "delivered": attempt.delivered,
        "rejected": attempt.rejected,
        "skipped": attempt.skipped,
        "verdict": attempt.verdict,
        "status_code": attempt.status_code,
        "reason": attempt.reason,
        "duration_ms": attempt.duration_ms,
        "bytes": attempt.bytes,
    }


def attempts_page(conn: Conn, destination_id: int, *, limit: int, cursor: str | None) -> dict[str, Any]:
    """Return a page of attempts, newest first, with an opaque cursor to the older ones."""
    if not 1 <= limit <= 100:
        raise SettingsError({"limit": "Enter a whole number from 1 to 100."})
    found = attempts.list_for(conn, destination_id, limit + 1, _before(cursor))
    page = found[:limit]
    more = _mark(page[-1].id) if len(found) > limit else None
    return {"data": [attempt_view(attempt) for attempt in page], "next_cursor": more}


def _mark(attempt_id: int) -> str:
    return base64.urlsafe_b64encode(str(attempt_id).encode()).decode().rstrip("=")


def _before(cursor: str | None) -> int | None:
    if not cursor:
        return None
    try:
        return int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        raise SettingsError({"cursor": "This cursor is not one of ours."}) from None


def fate_view(
    conn: Conn, stored: StoredDestination, cursor: Cursor | None, row: ReceiptRow, head_seq: int
) -> dict[str, Any]:
    """Return what became of a receipt at one destination, when, and why."""
    del head_seq
    entry: dict[str, Any] = {
        "destination_id": stored.uid,
        "name": stored.name,
        "type": stored.type,
        "fate": "not_sent",
        "at": None,
        "attempt_id": None,
        "reason": None,
    }
    settled = attempts.fate_of(conn, stored.id, row.seq)
    if settled is not None:
        fate, attempt = settled
        words = _REASONS.get(fate.value, attempt.reason)
        return entry | {
            "fate": fate.value,
            "at": rfc3339(attempt.at_us),
            "attempt_id": attempt.uid,
            "reason": words,
        }
    if cursor is None or row.seq <= cursor.since_seq:
        return entry | {"reason": "It came before this destination was switched on."}
    if cursor.ended_seq is not None:
        return entry | {"reason": "The destination, or Broadcast, was off."}
    if stored.paused_by is not None:
        return entry | {"fate": "held", "reason": stored.pause_reason or "The destination is paused."}
    return entry | {"fate": "waiting", "reason": cursor.last_reason if cursor.failures else None}


_REASONS: Final[Mapping[str, str]] = {
    "sampled_out": "Its session is not in this destination's sample.",
    "filtered": "This destination's key or rule filters leave it out.",
    "expired": "It was older than the destination accepts.",
}


def trace_id(row: ReceiptRow) -> str:
    """Return the trace id of a stored receipt."""
    return trace_id_of(from_document(row.document))
