"""Contents that nobody owes any more are dropped: content is a guest."""

from broadcast import privacy
from broadcast.store import Conn, cursors, destinations, receipts, workspaces


def drop_contents(conn: Conn, workspace_id: int) -> int:
    """Drop the contents that every destination which sends content has passed; return how many.

    The head is read first: whoever starts to want content later starts at or after it.
    """
    upto = workspaces.head_seq(conn, workspace_id)
    cursor_of = {cursor.destination_id: cursor for cursor in cursors.list_for(conn, workspace_id)}
    for stored in destinations.list_for(conn, workspace_id):
        cursor = cursor_of.get(stored.id)
        owes = cursor is not None and cursor.ended_seq is None and stored.enabled
        if cursor is not None and owes and privacy.wants_content(stored.privacy_level):
            upto = min(upto, cursor.cursor_seq)
    return receipts.drop_contents(conn, workspace_id, upto)
