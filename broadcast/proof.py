"""The proof that nothing is lost: ledgers against attempts, dead letters and the log itself.

Each part reads in one transaction, so that cursors and attempts are of one moment also while workers write.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from broadcast import fates, guests
from broadcast.fates import Fate
from broadcast.store import Conn, Store, attempts, checks, cursors, dead_letters, receipts, workspaces
from broadcast.store.attempts import Attempt
from broadcast.store.cursors import Cursor
from broadcast.store.workspaces import Workspace

_ATTEMPTS: Final = 200
_RECEIPTS: Final = 50_000
_COUNTED: Final = 1_000
_DROPPED_WITHIN_US: Final = 300_000_000
"""Contents that nobody owes any more may lie there this long: a worker comes by every minute."""

REPORT: Final = (
    "Keep a copy of the database and report this with the output of: broadcast doctor --json. "
    "Delivery goes on meanwhile."
)
_RESTORE: Final = (
    "Receipts were deleted by something other than Broadcast, or storage failed. Keep a copy of the "
    "database, check the disk, and take the receipts from a backup."
)
_WORKER: Final = "Start a worker: broadcast worker, or broadcast serve."


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that is not as it must be, and what to do."""

    subject: str
    message: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was looked at, and what was wrong."""

    ledgers: int
    receipts: int
    faults: tuple[Fault, ...]


def prove(store: Store) -> Proof:
    """Look at every log and every ledger."""
    with store.read() as conn:
        every = workspaces.all(conn)
    ledgers = counted = 0
    faults: list[Fault] = []
    for workspace in every:
        with store.read() as conn:
            log = _log(conn, workspace)
            counted += log.receipts
            faults += log.faults
            listed = cursors.list_for(conn, workspace.id)
        for cursor in listed:
            ledgers += 1
            faults += _ledger_faults(store, workspace, cursor.destination_id)
    with store.read() as conn:
        faults += _content_faults(conn, every, store.now_us(conn))
        faults += _lease_faults(conn, store.dead_holders(conn))
    return Proof(ledgers=ledgers, receipts=counted, faults=tuple(faults))


# -- the log -------------------------------------------------------------------------------------------


def _log(conn: Conn, workspace: Workspace) -> Proof:
    """Count the receipts from the oldest kept to the head: as many as there are numbers."""
    head = workspaces.head_seq(conn, workspace.id)
    oldest = receipts.oldest_seq(conn, workspace.id)
    at = head if oldest is None else oldest - 1
    count, faults = 0, []
    while found := checks.stretch(conn, workspace.id, at, _RECEIPTS):
        if found.count != found.last_seq - at:
            first, last = checks.first_gap(conn, workspace.id, at, found.last_seq)
            faults.append(
                _fault("log", workspace.slug, f"Receipts #{first} to #{last} are missing.", _RESTORE)
            )
        count, at = count + found.count, found.last_seq
    if at != head:
        message = f"The log ends at #{at}, but its head says #{head}."
        faults.append(_fault("log", workspace.slug, message, _RESTORE))
    return Proof(ledgers=0, receipts=count, faults=tuple(faults))


# -- one ledger ----------------------------------------------------------------------------------------


@dataclass
class _Told:
    """What the attempts of a ledger tell, added up in the order of the log."""

    told_to: int
    tally: Counter[Fate] = field(default_factory=Counter)
    moved: int = 0
    complete: bool = True
    wrong: list[str] = field(default_factory=list)


def _ledger_faults(store: Store, workspace: Workspace, destination_id: int) -> Iterator[Fault]:
    with store.read() as conn:
        cursor = cursors.get(conn, destination_id)
        if cursor is None:
            return
        wrong = [
            *_unbalanced(cursor, workspaces.head_seq(conn, workspace.id)),
            *_untrue(conn, cursor, receipts.oldest_seq(conn, workspace.id)),
        ]
        name = checks.names(conn, workspace.id).get(destination_id, "?")
    for message in wrong:
        yield _fault("ledger", f"{workspace.slug}/{name}", message, REPORT)


def _unbalanced(cursor: Cursor, head: int) -> Iterator[str]:
    found = cursors.ledger(cursor, head)
    if not found.balanced:
        settled = found.appended - found.pending
        told = sum(getattr(found, fate.value) for fate in Fate)
        yield (
            f"Off by {abs(settled - told) or abs(found.pending)}: {found.appended} appended, {told} settled, "
            f"{found.pending} pending."
        )


def _untrue(conn: Conn, cursor: Cursor, oldest_seq: int | None) -> list[str]:
    """Compare the counters with the maps of the attempts that are still kept.

    Exact where these reach back to the ledger's start; retention takes the oldest, and then the counters
    are at least what is left.
    """
    told = _Told(told_to=cursor.since_seq)
    # The fate of whatever is still kept must still be told.
    kept_from = cursor.cursor_seq + 1 if oldest_seq is None else oldest_seq
    at = cursor.since_seq
    while page := attempts.settled_after(conn, cursor.destination_id, at, _ATTEMPTS):
        for attempt in page:
            _add(conn, told, attempt, kept_from)
        at = page[-1].from_seq
        if told.wrong:
            return told.wrong
    _skip(told, cursor.cursor_seq + 1, kept_from)
    if told.told_to > cursor.cursor_seq:
        told.wrong.append(
            f"Attempts settle up to #{told.told_to}, the cursor stands at #{cursor.cursor_seq}."
        )
    return told.wrong or list(_different(cursor, told))


def _add(conn: Conn, told: _Told, attempt: Attempt, kept_from: int) -> None:
    if attempt.from_seq <= told.told_to:
        told.wrong.append(f"Two attempts settle #{attempt.from_seq}.")
    _skip(told, attempt.from_seq, kept_from)
    told.told_to = max(told.told_to, attempt.to_seq)
    codes = [fates.fate_at(attempt.fates, place) for place in range(attempt.to_seq - attempt.from_seq + 1)]
    told.tally.update(code for code in codes if code is not None)
    if None in codes:
        seq = attempt.from_seq + codes.index(None)
        told.wrong.append(f"The attempt that settled #{seq} does not say how.")
    rejected = {attempt.from_seq + place for place, code in enumerate(codes) if code is Fate.REJECTED}
    _add_rejected(conn, told, attempt, rejected)


def _add_rejected(conn: Conn, told: _Told, attempt: Attempt, rejected: set[int]) -> None:
    """Every rejected receipt is a dead letter, unless a replay has delivered it since."""
    letters = dead_letters.counted(conn, attempt.destination_id, attempt.from_seq, attempt.to_seq)
    for seq in sorted(rejected - letters):
        found = attempts.fate_of(conn, attempt.destination_id, seq)
        if found is not None and found[0] is Fate.DELIVERED:
            told.moved += 1
        else:
            told.wrong.append(f"#{seq} was rejected, and no dead letter tells of it.")
    for seq in sorted(letters - rejected):
        told.wrong.append(f"#{seq} is a dead letter, but no attempt rejected it.")


def _skip(told: _Told, next_seq: int, kept_from: int) -> None:
    """Note that no attempt tells what became of the receipts before `next_seq`."""
    if next_seq <= told.told_to + 1:
        return
    told.complete = False
    if next_seq > kept_from:
        first = max(told.told_to + 1, kept_from)
        told.wrong.append(f"No attempt tells what became of #{first} to #{next_seq - 1}.")


def _different(cursor: Cursor, told: _Told) -> Iterator[str]:
    expected = {fate: told.tally[fate] for fate in Fate}
    expected[Fate.DELIVERED] += told.moved
    expected[Fate.REJECTED] -= told.moved
    for fate, number in expected.items():
        counted = getattr(cursor, fate.value)
        if counted != number if told.complete else counted < number:
            word = fate.value.replace("_", " ")
            yield f"It counts {counted} as {word}, the attempts tell of {number}."


# -- contents and leases -------------------------------------------------------------------------------


def _content_faults(conn: Conn, every: list[Workspace], now_us: int) -> Iterator[Fault]:
    for workspace in every:
        upto = guests.unowed_upto(conn, workspace.id)
        count = checks.stale_contents(conn, workspace.id, upto, now_us - _DROPPED_WITHIN_US, _COUNTED)
        if count:
            message = f"It keeps prompts and completions of {_many(count)} that no destination is owed."
            yield _fault("contents", workspace.slug, message, f"{_WORKER} It drops them within a minute.")
    count = checks.overdue_contents(conn, now_us - _DROPPED_WITHIN_US, _COUNTED)
    if count:
        message = f"Prompts and completions of {_many(count)} are older than BROADCAST_CONTENT_TTL_HOURS."
        yield Fault(subject="contents", message=message, fix=f"{_WORKER} It drops them within a minute.")


def _many(count: int) -> str:
    if count >= _COUNTED:
        return f"{count} receipts or more"
    return f"{count} receipt" if count == 1 else f"{count} receipts"


def _lease_faults(conn: Conn, dead: set[str]) -> Iterator[Fault]:
    for lease in checks.leases(conn):
        if not lease.listed or lease.holder in dead:
            name = f"{lease.workspace}/{lease.name}"
            message = "It is leased to a worker that has died."
            yield _fault("lease", name, message, f"{_WORKER} It takes over at once.")


def _fault(subject: str, name: str, message: str, fix: str) -> Fault:
    return Fault(subject=subject, message=f"{name}: {message}", fix=fix)
