"""Who changed what in a workspace, in pages, newest first."""

from collections.abc import Collection, Sequence

from broadcast import paging
from broadcast.store import Store, audit
from broadcast.store.audit import Entry
from broadcast.store.workspaces import Workspace


def entries(
    store: Store, workspace: Workspace, *, limit: int, cursor: str | None, only: Collection[str] | None = None
) -> tuple[Sequence[Entry], str | None]:
    """Return a page of entries, of all actions or of some, with an opaque cursor to the older ones."""
    paging.check(limit)
    with store.read() as conn:
        found = audit.list_for(conn, workspace.id, limit + 1, paging.before(cursor), only)
    return paging.cut(found, limit)
