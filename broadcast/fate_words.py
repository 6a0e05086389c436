"""What became of one receipt at one destination, when, and why, in words."""

from bisect import bisect_left
from typing import Any, Final

from broadcast.destination import Verdict
from broadcast.fates import Fate
from broadcast.ledger import kept_until_us
from broadcast.store import Conn, attempts, dead_letters, replays
from broadcast.store.attempts import Attempt
from broadcast.store.cursors import Cursor
from broadcast.store.destinations import StoredDestination
from broadcast.store.receipts import ReceiptRow
from broadcast.times import rfc3339

_FILTERED: Final = "This destination's key or rule filters leave it out."
_SAMPLED_OUT: Final = "Its session is not in this destination's sample."
_TOO_OLD: Final = "It was older than this destination accepts."
_NO_LONGER_KEPT: Final = "It was no longer kept when its turn came."


def fate_view(
    conn: Conn,
    stored: StoredDestination,
    cursor: Cursor | None,
    row: ReceiptRow,
    *,
    retention_us: int,
    max_age_s: int | None,
) -> dict[str, Any]:
    """Return the fate of a receipt at a destination as the API says it."""
    told = attempts.told_of(conn, stored.id, row.seq)
    if told:
        fate, attempt = next((item for item in told if item[0] is Fate.DELIVERED), told[0])
        return _view(
            stored,
            fate.value,
            _settled_words(conn, stored, row, told, (fate, attempt), max_age_s),
            at=rfc3339(attempt.at_us),
            attempt_id=attempt.uid,
        )
    if cursor is not None and _comes_again(conn, cursor, row.seq):
        return _view(stored, "waiting", "A replay that runs now sends it.")
    absent = _absent_words(stored, cursor, row)
    if cursor is None or absent is not None:
        return _view(stored, "not_sent", absent or _CAME_WHILE_OFF)
    if stored.paused_by is not None:
        until = kept_until_us(row, retention_us=retention_us, max_age_s=max_age_s)
        return _view(stored, "held", _held_words(stored, cursor, until))
    return _view(stored, "waiting", _waiting_words(cursor, row.seq))


def _absent_words(stored: StoredDestination, cursor: Cursor | None, row: ReceiptRow) -> str | None:
    """Return why a receipt is in no ledger of a destination, None where it is owed."""
    if cursor is None or row.seq <= cursor.since_seq:
        return _CAME_BEFORE if row.received_at_us < stored.created_at_us else _CAME_WHILE_OFF
    if cursor.ended_seq is not None:
        return _WAITED_UNTIL_OFF if row.seq <= cursor.ended_seq else _CAME_WHILE_OFF
    return None if row.seq > cursor.cursor_seq else "The attempt that settled it is no longer kept."


_CAME_BEFORE: Final = "It came before this destination was set up."
_CAME_WHILE_OFF: Final = "It came while this destination, or Broadcast, was off."
_WAITED_UNTIL_OFF: Final = "It was still waiting when this destination, or Broadcast, was switched off."


def _view(
    stored: StoredDestination, fate: str, reason: str, *, at: str | None = None, attempt_id: str | None = None
) -> dict[str, Any]:
    return {
        "destination_id": stored.uid,
        "name": stored.name,
        "type": stored.type,
        "fate": fate,
        "at": at,
        "attempt_id": attempt_id,
        "reason": reason,
    }


# -- settled -----------------------------------------------------------------------------------------


def _settled_words(  # noqa: PLR0917 - private, called once
    conn: Conn,
    stored: StoredDestination,
    row: ReceiptRow,
    told: list[tuple[Fate, Attempt]],
    last: tuple[Fate, Attempt],
    max_age_s: int | None,
) -> str:
    fate, attempt = last
    words = _fate_words(conn, stored, row, fate, attempt, max_age_s)
    if attempt.replay_id is None:
        return words
    before = next((earlier for earlier, made in told if made.id < attempt.id), None)
    if before is Fate.REJECTED and fate is Fate.DELIVERED:
        return f"Rejected at first, then delivered by a replay: {words}"
    if before is Fate.DELIVERED:
        return f"Delivered once more by a replay: {words}"
    return f"By a replay: {words}"


def _fate_words(  # noqa: PLR0917 - private, called once
    conn: Conn,
    stored: StoredDestination,
    row: ReceiptRow,
    fate: Fate,
    attempt: Attempt,
    max_age_s: int | None,
) -> str:
    if fate is Fate.SAMPLED_OUT:
        return _SAMPLED_OUT
    if fate is Fate.FILTERED:
        return _FILTERED
    if fate is Fate.EXPIRED:
        if attempt.verdict == Verdict.REFUSED.value:
            return attempt.reason
        return _NO_LONGER_KEPT if max_age_s is None else _TOO_OLD
    if fate is Fate.REJECTED:
        letter = dead_letters.by_seq(conn, stored.id, row.seq)
        return letter.reason if letter is not None else attempt.reason
    return attempt.reason


# -- not settled yet -----------------------------------------------------------------------------------


def _comes_again(conn: Conn, cursor: Cursor, seq: int) -> bool:
    replay = None if cursor.replay_id is None else replays.by_id(conn, cursor.replay_id)
    if replay is None or replay.state != "running" or not replay.from_seq <= seq <= replay.to_seq:
        return False
    if replay.seqs is None:
        return seq >= replay.from_seq + replay.position
    place = bisect_left(replay.seqs, seq)
    return place >= replay.position and replay.seqs[place] == seq


def _held_words(stored: StoredDestination, cursor: Cursor, until_us: int) -> str:
    words = [
        _sentence(stored.pause_reason) or "This destination is paused.",
        f"Kept until {_clock(until_us)}.",
    ]
    if stored.paused_by == "answer":
        words.append(f"Next try {_clock(cursor.due_at_us)}." if cursor.due_at_us else "Tried again now.")
    return " ".join(words)


def _waiting_words(cursor: Cursor, seq: int) -> str:
    before = seq - cursor.cursor_seq - 1
    place = "Next in line." if before == 0 else f"{before:,} {'is' if before == 1 else 'are'} before it."
    if not cursor.failures:
        return place
    again = f"Next try {_clock(cursor.due_at_us)}." if cursor.due_at_us else "Tried again now."
    return " ".join(filter(None, (_sentence(cursor.last_reason), again, place)))


def _sentence(words: str | None) -> str:
    return "" if not words else words if words.endswith((".", "!", "?")) else f"{words}."


def _clock(at_us: int) -> str:
    return f"{rfc3339(at_us)[:19].replace('T', ' ')} UTC"
