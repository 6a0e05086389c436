"""Retention: what is too old goes, in steps so small that ingest never waits for one.

Invariants. A receipt is deleted only behind every running cursor: where one still stands before it, the
cursor passes it first, as expired, with an attempt that says why. A destination that somebody has a lease
on is left alone until the next round. An attempt stays as long as a receipt whose fate it tells. Every step
is one transaction, holds no head and changes at most a few hundred rows (an expiry moves one cursor).
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from broadcast import failpoints, fates, guests, privacy, rollup
from broadcast.destination import Verdict
from broadcast.fates import Fate
from broadcast.store import (
    Conn,
    attempts,
    departures,
    metrics,
    receipts,
    retention,
    rollups,
    session_sums,
    sweeps,
    worker_counters,
    workspaces,
)
from broadcast.store.retention import Place
from broadcast.store.sweeps import Mark
from broadcast.tally import DAY_US

AT_ONCE: Final = 500
EXPIRE_AT_ONCE: Final = 4096
_WORKSPACES: Final = 200
_HOURS: Final = 4
_CHORES: Final = 16
"""Chores that a step may find already done before it ends; each costs a look or two."""

AUDIT_US: Final = 400 * DAY_US
SUMS_US: Final = 400 * DAY_US
"""How long requests are told apart by the hour, and sessions are listed; sums by the day stay."""
DEPARTED_US: Final = 10 * 60_000_000
"""Longer than a send, a lease, a remembered key and the patience of ingest together."""

_CONTENT_LEVELS: Final = tuple(filter(privacy.wants_content, privacy.LEVELS))
_log: Final = logging.getLogger(__name__)

Chore = Callable[[Conn, int], bool]
"""A bounded piece of work; True says that it did some and wants to be called again."""


class Retention:
    """Rounds of small steps; `step` is called, each time in a transaction of its own, until it returns False.

    Where the round stands is kept in memory alone: a step that was rolled back is done again by the next
    round, and so is everything after a crash.
    """

    def __init__(self, *, retention_us: int, holder: str) -> None:
        self._retention_us = retention_us
        # Hours and sessions tell where to look for receipts, so they stay as long as these: a request may
        # have begun a retention before its receipt arrived.
        self._sums_us = max(SUMS_US, 2 * retention_us + 2 * DAY_US)
        self._holder = holder
        self._chores: deque[Chore] = deque()

    def step(self, conn: Conn, now_us: int) -> bool:
        """Do one small step; return False when the round is over and nothing is left to do for now."""
        if not retention.alone(conn):
            return bool(self._chores)
        if not self._chores:
            self._begin()
        for _ in range(_CHORES):
            if not self._chores:
                break
            chore = self._chores.popleft()
            if chore(conn, now_us):
                self._chores.appendleft(chore)
                break
        failpoints.reached("retention_before_commit")
        return bool(self._chores)

    def _begin(self) -> None:
        """Line up a round: logs first, since attempts and replays go after the receipts they tell of."""
        self._chores.extend(
            (
                self._logs(),
                self._contents(),
                self._walk(sweeps.attempts_before),
                self._walk(sweeps.replayed_dead_letters_before),
                self._walk(sweeps.replays_before),
                self._small,
                self._sums(),
                _departed,
            )
        )

    # -- the log -----------------------------------------------------------------------------------

    def _logs(self) -> Chore:
        """Look through the workspaces, and line up the work on each log that begins too long ago."""
        after_id = 0

        def look(conn: Conn, now_us: int) -> bool:
            nonlocal after_id
            found = retention.received_by_workspace(conn, after_id, _WORKSPACES)
            for workspace_id, oldest_us in found:
                after_id = workspace_id
                if oldest_us is not None and oldest_us < now_us - self._retention_us:
                    self._chores.extendleft((self._deletion(workspace_id), self._expiry(workspace_id)))
            return len(found) == _WORKSPACES

        return look

    def _expiry(self, workspace_id: int) -> Chore:
        held: set[int] = set()

        def expire(conn: Conn, now_us: int) -> bool:
            horizon_us = now_us - self._retention_us
            while owing := retention.next_owing(conn, workspace_id, horizon_us, besides=held):
                place = retention.lock_free(conn, owing)
                if place is not None and self._expire(conn, place, now_us):
                    return True
                held.add(owing)
            return False

        return expire

    def _expire(self, conn: Conn, place: Place, now_us: int) -> bool:
        """Pass what is too old, as expired; False when its holder has been there meanwhile."""
        upto = retention.older_upto(
            conn, place.workspace_id, place.cursor_seq, now_us - self._retention_us, EXPIRE_AT_ONCE
        )
        if upto is None and retention.instants(conn, place.workspace_id, place.cursor_seq + 1) is None:
            # Not one of the next numbers is kept, and what is gone cannot be sent.
            upto = min(place.cursor_seq + EXPIRE_AT_ONCE, place.head_seq)
        if upto is None or upto <= place.cursor_seq:
            return False
        count = upto - place.cursor_seq
        attempts.insert(
            conn,
            destination_id=place.destination_id,
            at_us=now_us,
            from_seq=place.cursor_seq + 1,
            to_seq=upto,
            verdict=Verdict.REFUSED.value,
            reason=f"Kept for {days(self._retention_us)}, then expired before it was delivered.",
            config_version=place.config_version,
            skipped=count,
            fates=fates.pack((Fate.EXPIRED,) * count),
        )
        retention.expire(conn, place, upto)
        counted = {
            f"{worker_counters.ATTEMPTS}{Verdict.REFUSED.value}": 1,
            f"{worker_counters.SETTLED}{Fate.EXPIRED.value}": count,
        }
        worker_counters.add(conn, self._holder, counted)
        _log.warning(
            "action=expired destination=%s from=%s to=%s holder=%s",
            place.destination_uid,
            place.cursor_seq + 1,
            upto,
            self._holder,
        )
        return True

    def _deletion(self, workspace_id: int) -> Chore:
        def forget(conn: Conn, now_us: int) -> bool:
            oldest_seq = receipts.oldest_seq(conn, workspace_id)
            # What goes has been added up, or nobody could ever count it again.
            if oldest_seq is None or not rollup.reach(conn, workspace_id, oldest_seq + AT_ONCE):
                return False
            # Metrics are counted at their interval, paused or not; what they have not seen waits for it.
            upto = min(oldest_seq + AT_ONCE, workspaces.head_seq(conn, workspace_id))
            if metrics.any_before(conn, workspace_id, upto):
                return False
            horizon_us = now_us - self._retention_us
            return retention.delete_receipts(conn, workspace_id, horizon_us, AT_ONCE)

        return forget

    # -- what belongs to it ------------------------------------------------------------------------

    def _contents(self) -> Chore:
        """Look for contents that nobody owes where no delivery would find them: after a pause, say."""
        after_id = 0

        def look(conn: Conn, now_us: int) -> bool:
            nonlocal after_id
            del now_us
            found = retention.contents_by_workspace(conn, after_id, _CONTENT_LEVELS, _WORKSPACES)
            for workspace_id, unowed in found:
                after_id = workspace_id
                if unowed:
                    self._chores.appendleft(_guests(workspace_id))
            return len(found) == _WORKSPACES

        return look

    def _sums(self) -> Chore:
        """Look through the workspaces, and let go of hours and sessions of long ago."""
        after_id = 0

        def look(conn: Conn, now_us: int) -> bool:
            nonlocal after_id
            found = rollups.aged(conn, after_id, now_us - self._sums_us, _WORKSPACES)
            for workspace_id, old in found:
                after_id = workspace_id
                if old:
                    self._chores.appendleft(_old_sums(workspace_id, self._sums_us))
            return len(found) == _WORKSPACES

        return look

    def _walk(self, delete: Callable[[Conn, Mark, int, int], Mark | None]) -> Chore:
        mark: Mark | None = Mark()

        def walk(conn: Conn, now_us: int) -> bool:
            nonlocal mark
            if mark is not None:
                mark = delete(conn, mark, now_us - self._retention_us, AT_ONCE)
            return mark is not None

        return walk

    def _small(self, conn: Conn, now_us: int) -> bool:
        count = sweeps.small_tables_before(
            conn,
            horizon_us=now_us - self._retention_us,
            audit_horizon_us=now_us - AUDIT_US,
            now_us=now_us,
            limit=AT_ONCE // 4,
        )
        return count > 0


def _departed(conn: Conn, now_us: int) -> bool:
    """Take a step with a deleted workspace, once nobody can be in the middle of something there."""
    workspace_id = departures.departed_before(conn, now_us - DEPARTED_US)
    if workspace_id is None:
        return False
    departures.forget(conn, workspace_id, AT_ONCE)
    return True


def _guests(workspace_id: int) -> Chore:
    def drop(conn: Conn, now_us: int) -> bool:
        del now_us
        return guests.drop_contents(conn, workspace_id) > 0

    return drop


def _old_sums(workspace_id: int, kept_us: int) -> Chore:
    def drop(conn: Conn, now_us: int) -> bool:
        before_us = now_us - kept_us
        hours = rollups.drop_hours(conn, workspace_id, before_us, _HOURS)
        return hours + session_sums.drop(conn, workspace_id, before_us, AT_ONCE) > 0

    return drop


def days(length_us: int) -> str:
    """Return a length of time in words, in days where it has some."""
    if length_us < DAY_US:
        return f"{length_us // 3_600_000_000} hours"
    count = length_us // DAY_US
    return f"{count} day" if count == 1 else f"{count} days"
