"""Which receipts a replay is about: found by time, by id or by dead letter, less those still on their way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from broadcast.errors import BroadcastError, SettingsError
from broadcast.runs import Run, Runs
from broadcast.store import Conn, replays, selections
from broadcast.store.cursors import Cursor
from broadcast.store.destinations import StoredDestination
from broadcast.store.replays import Source
from broadcast.wanted import Wanted

MAX_PIECES: Final = 250_000
_NAMED: Final = 5
_WINDOW: Final = 1 << 20


class NothingToReplay(BroadcastError):  # noqa: N818 - named by what happens next, as all of these are
    """422: no receipt is left to send; the text says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The receipts of a replay, `runs`; besides them those that wait for fresh delivery, and those gone."""

    source: Source
    runs: Runs
    include_delivered: bool
    waiting: int = 0
    gone: int = 0


def selected(conn: Conn, stored: StoredDestination, cursor: Cursor, wanted: Wanted) -> Selection:
    """Return the receipts meant; those beyond the cursor are on their way without a replay."""
    found, gone = _found(conn, stored, wanted)
    runs = found.upto(cursor.since_seq if wanted.backfill else cursor.cursor_seq)
    return Selection(
        source=wanted.source,
        runs=runs,
        include_delivered=wanted.include_delivered,
        waiting=0 if wanted.backfill else len(found) - len(runs),
        gone=gone,
    )


def _found(conn: Conn, stored: StoredDestination, wanted: Wanted) -> tuple[Runs, int]:
    if wanted.dead_letters:
        letters = selections.of_dead_letters(conn, stored.id, MAX_PIECES)
        if letters is None:
            message = f"There are more than {MAX_PIECES:,}. Replay a range of time instead."
            raise SettingsError({"dead_letters": message})
        return letters
    if wanted.receipt_ids is not None:
        return _listed(conn, stored.workspace_id, wanted.receipt_ids), 0
    from_us = wanted.from_us or 0
    runs = selections.between(conn, stored.workspace_id, from_us, wanted.to_us, MAX_PIECES)
    if runs is None:
        raise SettingsError({"from": "This range is too large for one replay. Choose a shorter one."})
    return runs, 0


def _listed(conn: Conn, workspace_id: int, ids: Sequence[str]) -> Runs:
    numbers = selections.numbers(conn, workspace_id, ids)
    unknown = [each for each in ids if each not in numbers]
    if unknown:
        rest = f" and {len(unknown) - _NAMED:,} more" if len(unknown) > _NAMED else ""
        message = f"Not in this workspace, or no longer kept: {', '.join(unknown[:_NAMED])}{rest}."
        raise SettingsError({"receipt_ids": message})
    return Runs.of(numbers.values())


def require_some(conn: Conn, stored: StoredDestination, selection: Selection) -> None:
    """Raise `NothingToReplay`, with the reason, when no receipt is left to send."""
    if not selection.runs and selection.waiting:
        raise NothingToReplay("These receipts wait for their first delivery and need no replay.")
    if not selection.runs and selection.source == "dead_letters":
        gone = " Their receipts are no longer kept." if selection.gone else ""
        raise NothingToReplay(f"There are no dead letters to replay.{gone}")
    if not selection.runs:
        raise NothingToReplay("No receipt was created in this time. Choose another range.")
    if not selection.include_delivered and not undelivered(conn, stored.id, selection.runs):
        raise NothingToReplay("All of these were delivered. Ask for delivered ones too to send them again.")


def undelivered(conn: Conn, destination_id: int, runs: Runs) -> Runs:
    """Return the receipts that no attempt has delivered to a destination."""
    left: list[Run] = []
    for window in _windows(runs):
        begin = window[0][0]
        marks = replays.delivered(conn, destination_id, begin, window[-1][1])
        for first, last in window:
            left += _unmarked(marks, begin, first, last)
    return Runs(left)


def _windows(runs: Runs) -> list[list[Run]]:
    """Part the runs so that what is read at once has a bound."""
    windows: list[list[Run]] = []
    for first, last in runs.pairs:
        for begin in range(first, last + 1, _WINDOW):
            run = (begin, min(last, begin + _WINDOW - 1))
            if windows and run[1] - windows[-1][0][0] < _WINDOW:
                windows[-1].append(run)
            else:
                windows.append([run])
    return windows


def _unmarked(marks: bytearray, begin: int, first: int, last: int) -> list[Run]:
    found = []
    place, behind = first - begin, last - begin + 1
    while (place := marks.find(0, place, behind)) >= 0:
        end = marks.find(1, place, behind)
        end = behind if end < 0 else end
        found.append((begin + place, begin + end - 1))
        place = end
    return found
