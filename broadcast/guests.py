"""Contents that nobody owes any more are dropped: content is a guest."""

from typing import Final

from broadcast import filters, privacy
from broadcast.fields import metrics_every_s
from broadcast.store import Conn, cursors, destinations, metrics, replays, retention, workspaces
from broadcast.store.cursors import Cursor
from broadcast.store.destinations import StoredDestination

AT_ONCE: Final = 500
"""Contents that one call drops at most; whoever gets this number back calls again, after a pause."""


def drop_contents(conn: Conn, workspace_id: int, *, limit: int = AT_ONCE) -> int:
    """Drop the oldest contents that nobody owes any more, at most `limit`; return how many."""
    return retention.delete_contents(conn, workspace_id, unowed_upto(conn, workspace_id), limit)


def unowed_upto(conn: Conn, workspace_id: int) -> int:
    """Return the number up to which every destination that sends content, and every replay there, has come.

    The head is read first: whoever starts to want content later starts at or after it.
    """
    upto = workspaces.head_seq(conn, workspace_id)
    cursor_of = {cursor.destination_id: cursor for cursor in cursors.list_for(conn, workspace_id)}
    for stored in destinations.list_for(conn, workspace_id):
        cursor = cursor_of.get(stored.id)
        owes = cursor is not None and cursor.ended_seq is None and stored.enabled
        if cursor is not None and owes and _uses_content(stored):
            upto = min(upto, cursor.cursor_seq, _replayed_upto(conn, cursor, upto))
            upto = min(upto, _measured_upto(conn, stored, upto))
    return upto


def _uses_content(stored: StoredDestination) -> bool:
    """Whether a destination sends content, or chooses receipts by it."""
    return privacy.wants_content(stored.privacy_level) or filters.needs_content(stored.filter_rules)


def _measured_upto(conn: Conn, stored: StoredDestination, otherwise: int) -> int:
    """Return the number up to which metrics are counted, where they are chosen by content."""
    if metrics_every_s(stored.config) is None or not filters.needs_content(stored.filter_rules):
        return otherwise
    place = metrics.get(conn, stored.id)
    return otherwise if place is None else place.counted_seq


def _replayed_upto(conn: Conn, cursor: Cursor, otherwise: int) -> int:
    """Return the number before the next one that a running replay sends."""
    replay = None if cursor.replay_id is None else replays.by_id(conn, cursor.replay_id)
    following = replay.numbers(1) if replay is not None and replay.state == "running" else ()
    return following[0] - 1 if following else otherwise
