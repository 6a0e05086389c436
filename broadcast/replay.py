"""Replay and backfill: receipts sent to one destination once more, with the ids they had.

A replay has its own place and its own counters, runs behind fresh traffic, goes by today's filters and
sampling, and leaves out what was delivered unless asked. Delivery advances it; here it is counted
beforehand, begun, looked at and stopped.

Raised: SettingsError, NothingToReplay, Conflict, NotFound.
"""

from collections.abc import Mapping
from typing import Any

from broadcast import paging
from broadcast.destination import Destination
from broadcast.errors import Conflict, NotFound, SettingsError
from broadcast.preview import Preview, preview
from broadcast.selection import NothingToReplay, Selection, require_some, selected
from broadcast.store import (
    Conn,
    Store,
    audit,
    cursors,
    destinations,
    replays,
    workspaces,
)
from broadcast.store.cursors import Cursor
from broadcast.store.destinations import StoredDestination
from broadcast.store.replays import COUNTERS, Replay
from broadcast.store.workspaces import Workspace
from broadcast.times import rfc3339, rfc3339_or_none
from broadcast.wanted import Wanted, instant_us, wanted_from

__all__ = ("NothingToReplay", "Preview", "Replays", "Wanted", "instant_us", "view", "wanted_from")


class Replays:
    """Every use case of a replay."""

    def __init__(self, store: Store, types: Mapping[str, type[Destination]] | None = None) -> None:
        self._store = store
        self._types = types or {}

    def preview(self, workspace: Workspace, uid: str, wanted: Wanted, *, now_us: int) -> Preview:
        """Count and weigh what a replay would send, and send nothing."""
        with self._store.read() as conn:
            stored, cursor = _running(conn, workspace, uid)
            selection = selected(conn, stored, cursor, wanted)
            return preview(conn, stored, self._types.get(stored.type), selection, now_us=now_us)

    def start(
        self, workspace: Workspace, user_id: int | None, uid: str, wanted: Wanted, *, now_us: int
    ) -> Replay:
        """Begin a replay; a paused destination runs it after it resumes."""
        # Receipts never change their numbers: what is wanted is found before the log is held still.
        with self._store.read() as conn:
            stored, cursor = _running(conn, workspace, uid)
            selection = selected(conn, stored, cursor, wanted)
            require_some(conn, stored, selection)
        with self._store.write() as conn:
            workspaces.lock_head(conn, workspace.id)
            stored, _ = _running(conn, workspace, uid)
            begun = _begin(conn, stored, selection, user_id, now_us)
            detail = {
                "replay_id": begun.uid,
                "source": begun.source,
                "receipts": begun.total,
                "from_seq": begun.from_seq,
                "to_seq": begun.to_seq,
                "include_delivered": begun.include_delivered,
            }
            audit.of_destination(conn, stored, user_id, "destination.replay_started", detail, now_us)
            self._store.notify(conn)
        return begun

    def stop(
        self, workspace: Workspace, user_id: int | None, uid: str, replay_uid: str, *, now_us: int
    ) -> Replay:
        """Stop a replay, or leave an ended one as it is; what is under way may still arrive."""
        with self._store.write() as conn:
            workspaces.lock_head(conn, workspace.id)
            stored = _stored(conn, workspace, uid)
            if replays.stop(conn, _replay(conn, stored, replay_uid), now_us=now_us):
                detail = {"replay_id": replay_uid}
                audit.of_destination(conn, stored, user_id, "destination.replay_stopped", detail, now_us)
            return _replay(conn, stored, replay_uid)

    def get(self, workspace: Workspace, uid: str, replay_uid: str) -> Replay:
        """Return one replay of a destination."""
        with self._store.read() as conn:
            return _replay(conn, _stored(conn, workspace, uid), replay_uid)

    def list(
        self, workspace: Workspace, uid: str, *, limit: int = 50, cursor: str | None = None
    ) -> dict[str, Any]:
        """Return a page of a destination's replays, newest first, as the API says it."""
        paging.check(limit)
        with self._store.read() as conn:
            stored = _stored(conn, workspace, uid)
            found = replays.list_for(conn, stored.id, limit + 1, paging.before(cursor))
        page, more = paging.cut(found, limit)
        return {"data": [view(replay) for replay in page], "next_cursor": more}

    # -- a new destination that starts from the past --------------------------------------------------

    def backfill_from(self, workspace: Workspace, body: Mapping[str, Any]) -> int:
        """Return where a new destination's past begins; raise before anything is saved where it cannot."""
        from_us = instant_us(body.get("backfill_from"))
        if from_us is None:
            raise SettingsError(
                {"backfill_from": "Enter a time with its zone, such as 2026-11-20T02:00:00Z."}
            )
        if body.get("enabled") is False:
            raise SettingsError(
                {"backfill_from": "A destination that is off gets nothing. Leave `enabled` out."}
            )
        with self._store.read() as conn:
            _require_broadcast(conn, workspace)
        return from_us

    def backfill(
        self, workspace: Workspace, user_id: int | None, uid: str, from_us: int, *, now_us: int
    ) -> Replay | None:
        """Send a new destination what was created from an instant up to its start; None if nothing was."""
        try:
            return self.start(workspace, user_id, uid, Wanted(from_us=from_us, backfill=True), now_us=now_us)
        except NothingToReplay:
            return None


def view(replay: Replay) -> dict[str, Any]:
    """Return a replay as the API says it; `settled` of `total` are done."""
    return {
        "id": replay.uid,
        "source": replay.source,
        "state": replay.state,
        "include_delivered": replay.include_delivered,
        "from_seq": replay.from_seq,
        "to_seq": replay.to_seq,
        "total": replay.total,
        "settled": replay.position,
        **{name: getattr(replay, name) for name in COUNTERS},
        "created_at": rfc3339(replay.created_at_us),
        "ended_at": rfc3339_or_none(replay.ended_at_us),
    }


# -- inside ----------------------------------------------------------------------------------------------


def _stored(conn: Conn, workspace: Workspace, uid: str) -> StoredDestination:
    stored = destinations.by_uid(conn, workspace.id, uid)
    if stored is None:
        raise NotFound("There is no such destination in this workspace.")
    return stored


def _replay(conn: Conn, stored: StoredDestination, replay_uid: str) -> Replay:
    found = replays.by_uid(conn, stored.id, replay_uid)
    if found is None:
        raise NotFound("There is no such replay at this destination.")
    return found


def _running(conn: Conn, workspace: Workspace, uid: str) -> tuple[StoredDestination, Cursor]:
    """Return a destination whose ledger runs; raise `Conflict` with the way out for one that is off."""
    stored = _stored(conn, workspace, uid)
    _require_broadcast(conn, workspace)
    cursor = cursors.get(conn, stored.id)
    if not stored.enabled or cursor is None or cursor.ended_seq is not None:
        raise Conflict("This destination is off. Switch it on, then replay.", reason="destination_off")
    return stored, cursor


def _require_broadcast(conn: Conn, workspace: Workspace) -> None:
    current = workspaces.by_id(conn, workspace.id)
    if current is None or not current.broadcast_enabled:
        message = "Broadcast is off in this workspace. Switch it on, then send the past."
        raise Conflict(message, reason="broadcast_off")


def _begin(
    conn: Conn, stored: StoredDestination, selection: Selection, user_id: int | None, now_us: int
) -> Replay:
    runs = selection.runs
    return replays.start(
        conn,
        workspace_id=stored.workspace_id,
        destination_id=stored.id,
        source=selection.source,
        from_seq=runs[0],
        to_seq=runs[-1],
        seqs=runs if len(runs.pairs) > 1 else None,
        include_delivered=selection.include_delivered,
        requested_by=user_id,
        now_us=now_us,
    )
