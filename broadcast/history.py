"""What happened at a destination, in pages, newest first: its attempts and its dead letters."""

from typing import Any, Final

from broadcast import paging
from broadcast.destination import Verdict
from broadcast.errors import SettingsError
from broadcast.store import Conn, attempts, dead_letters, receipts
from broadcast.store.attempts import Attempt, Only
from broadcast.store.dead_letters import DeadLetter
from broadcast.times import rfc3339

_VERDICTS: Final = tuple(verdict.value for verdict in Verdict)


def attempts_page(
    conn: Conn,
    destination_id: int,
    *,
    limit: int,
    cursor: str | None,
    verdict: str | None = None,
    from_us: int | None = None,
    to_us: int | None = None,
    seq: int | None = None,
) -> dict[str, Any]:
    """Return a page of attempts with an opaque cursor to the older ones.

    All of them, or those of one verdict, of a time (`to_us` not included), or at one receipt.
    """
    paging.check(limit)
    if verdict is not None and verdict not in _VERDICTS:
        raise SettingsError({"verdict": "Choose one of " + ", ".join(_VERDICTS) + "."})
    only = Only(verdict=verdict, from_us=from_us, to_us=to_us, seq=seq)
    found = attempts.list_for(conn, destination_id, limit + 1, paging.before(cursor), only)
    page, older = paging.cut(found, limit)
    uids = attempts.replay_uids(conn, page)
    return {
        "data": [attempt_view(item, uids.get(item.replay_id or 0)) for item in page],
        "next_cursor": older,
    }


def attempt_view(attempt: Attempt, replay_uid: str | None = None) -> dict[str, Any]:
    """Return one attempt as the API says it; `count` is how many receipts it was about."""
    settled = attempt.delivered + attempt.rejected + attempt.skipped
    return {
        "id": attempt.uid,
        "at": rfc3339(attempt.at_us),
        "from_seq": attempt.from_seq,
        "to_seq": attempt.to_seq,
        "count": settled or attempt.to_seq - attempt.from_seq + 1,
        "delivered": attempt.delivered,
        "rejected": attempt.rejected,
        "skipped": attempt.skipped,
        "verdict": attempt.verdict,
        "status_code": attempt.status_code,
        "reason": attempt.reason,
        "duration_ms": attempt.duration_ms,
        "bytes": attempt.bytes,
        "replay_id": replay_uid,
    }


def dead_letters_page(
    conn: Conn, workspace_id: int, destination_id: int, *, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Return a page of dead letters; `replayable` says that the receipt is still kept."""
    paging.check(limit)
    found = dead_letters.list_for(conn, destination_id, limit + 1, paging.before(cursor))
    page, older = paging.cut(found, limit)
    uids = attempts.uids(conn, (item.attempt_id for item in page if item.attempt_id is not None))
    oldest = receipts.oldest_seq(conn, workspace_id)
    return {
        "data": [_letter_view(item, uids.get(item.attempt_id or 0), oldest) for item in page],
        "next_cursor": older,
    }


def _letter_view(letter: DeadLetter, attempt_uid: str | None, oldest_seq: int | None) -> dict[str, Any]:
    return {
        "receipt_id": letter.receipt_id,
        "seq": letter.seq,
        "at": rfc3339(letter.at_us),
        "status_code": letter.status_code,
        "reason": letter.reason,
        "attempt_id": attempt_uid,
        "replayable": oldest_seq is not None and letter.seq >= oldest_seq,
    }
