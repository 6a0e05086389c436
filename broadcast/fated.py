"""The receipts behind each term of a destination's ledger, newest first."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from broadcast import fates
from broadcast.fates import Fate
from broadcast.receipt_parser import from_document
from broadcast.store import Conn, Store, attempts, cursors, dead_letters, receipts, workspaces
from broadcast.store.attempts import Attempt
from broadcast.store.cursors import Cursor
from broadcast.store.destinations import StoredDestination

TERMS: Final = ("delivered", "sampled_out", "filtered", "rejected", "expired", "pending")
PAGE: Final = 50
_AT_ONCE: Final = 200
_SEARCHED: Final = 4_000
"""How many attempts one page looks through; a rarer fate goes on with the next page."""

Place = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Item:
    """One receipt of a term."""

    seq: int
    id: str
    created_at_us: int
    model: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Items:
    """A page of them; `gone` were there and are no longer kept, `older` is the mark of what comes next."""

    rows: tuple[Item, ...]
    gone: int
    older: str | None


def items(store: Store, stored: StoredDestination, term: str | None, mark: str | None) -> Items:
    """Return a page of the receipts that a term counts, of all that were appended for None."""
    with store.read() as conn:
        cursor = cursors.get(conn, stored.id)
        if cursor is None:
            return Items(rows=(), gone=0, older=None)
        head = workspaces.head_seq(conn, stored.workspace_id)
        seqs, place = _seqs(conn, cursor, head, term, _place(mark))
        found = {row.seq: row for row in receipts.by_seqs(conn, stored.workspace_id, seqs)}
    rows = []
    for seq in seqs:
        if seq in found:
            receipt = from_document(found[seq].document)
            rows.append(
                Item(
                    seq=seq,
                    id=receipt.id,
                    created_at_us=receipt.created_at_us,
                    model=receipt.model,
                    status=receipt.status,
                )
            )
    return Items(rows=tuple(rows), gone=len(seqs) - len(rows), older=None if place is None else _mark(place))


def _seqs(
    conn: Conn, cursor: Cursor, head: int, term: str | None, place: Place | None
) -> tuple[list[int], Place | None]:
    """Return the numbers of a page, and where the next one begins."""
    end = head if cursor.ended_seq is None else cursor.ended_seq
    if term is None or term == "pending":
        return _in_a_row(end, cursor.since_seq if term is None else cursor.cursor_seq, place)
    if term == "rejected":
        return _rejected(conn, cursor, place)
    return _settled(conn, cursor, Fate(term), place)


def _in_a_row(end: int, after: int, place: Place | None) -> tuple[list[int], Place | None]:
    first = min(end, place[1] - 1) if place else end
    last = max(after, first - PAGE)
    return list(range(first, last, -1)), (0, last + 1) if last > after else None


def _rejected(conn: Conn, cursor: Cursor, place: Place | None) -> tuple[list[int], Place | None]:
    before_id = place[0] if place else None
    letters = dead_letters.list_for(conn, cursor.destination_id, PAGE + 1, before_id)
    own = [item for item in letters[:PAGE] if item.seq > cursor.since_seq and item.replay_id is None]
    older = (letters[PAGE - 1].id, 0) if len(letters) > PAGE else None
    return [letter.seq for letter in own], older


def _settled(conn: Conn, cursor: Cursor, fate: Fate, place: Place | None) -> tuple[list[int], Place | None]:
    """Walk back through the attempts at fresh receipts, whose maps say what became of each."""
    seqs: list[int] = []
    before_id, below = (place[0] + 1, place[1]) if place else (None, 2**62)
    for _ in range(_SEARCHED // _AT_ONCE):
        page = attempts.list_for(conn, cursor.destination_id, _AT_ONCE, before_id)
        for attempt in page:
            before_id = attempt.id
            for seq in _of_fate(conn, attempt, fate):
                if cursor.since_seq < seq < below:
                    seqs.append(seq)
                if len(seqs) == PAGE:
                    return seqs, (attempt.id, seq)
        if len(page) < _AT_ONCE or (page[-1].replay_id is None and page[-1].to_seq <= cursor.since_seq):
            return seqs, None
    return seqs, None if before_id is None else (before_id - 1, 2**62)


def _of_fate(conn: Conn, attempt: Attempt, fate: Fate) -> Iterable[int]:
    """Return an attempt's receipts of a fate, the last first; a replay counts for itself, so it has none.

    What was rejected and is no dead letter any more was delivered by a replay.
    """
    held = attempt.delivered + attempt.rejected if fate is Fate.DELIVERED else attempt.skipped
    if not held or attempt.replay_id is not None:
        return
    mended = fate is Fate.DELIVERED and attempt.rejected > 0
    dead = (
        dead_letters.counted(conn, attempt.destination_id, attempt.from_seq, attempt.to_seq) if mended else ()
    )
    for seq in range(attempt.to_seq, attempt.from_seq - 1, -1):
        told = fates.fate_at(attempt.fates, seq - attempt.from_seq)
        if told is fate or (mended and told is Fate.REJECTED and seq not in dead):
            yield seq


def _mark(place: Place) -> str:
    return base64.urlsafe_b64encode(f"{place[0]}.{place[1]}".encode()).decode().rstrip("=")


def _place(mark: str | None) -> Place | None:
    """Return the place a mark stands for; one that is not ours means the newest page."""
    if not mark:
        return None
    try:
        id_, _, seq = base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4)).decode().partition(".")
        place = int(id_), int(seq)
    except (binascii.Error, ValueError):
        return None
    return place if all(0 <= number <= 2**62 for number in place) else None
