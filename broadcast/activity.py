"""What the pages show of a workspace: its requests, one request with its spans, members, attempts.

Each function opens one read transaction and returns records; only a last visit is ever written.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from broadcast import genai, receipt_parser
from broadcast.errors import NotFound
from broadcast.receipt import Receipt
from broadcast.span import ResourceSpans
from broadcast.store import (
    Conn,
    Store,
    attempts,
    cursors,
    destinations,
    receipts,
    users,
    workspaces,
)
from broadcast.store import activity as reads
from broadcast.store.activity import Only, RequestRow
from broadcast.store.cursors import Cursor
from broadcast.store.destinations import StoredDestination
from broadcast.store.receipts import ReceiptRow
from broadcast.store.users import User
from broadcast.store.workspaces import Workspace

PAGE: Final = 50
_NEWER_AT_MOST: Final = 99
_DOCUMENTS: Final = 500
_SPAN_OPTIONS: Final = genai.SpanOptions(
    content=False, total_cost_attributes=True, prompt_attributes=False, extra={}, max_attribute_bytes=65_536
)


@dataclass(frozen=True, kw_only=True)
class Requests:
    """One page of the request log; `fates` holds one word a destination, in the order of `destinations`."""

    rows: tuple[RequestRow, ...]
    receipts: dict[int, Receipt]
    destinations: tuple[StoredDestination, ...]
    fates: dict[int, tuple[str, ...]]
    older: tuple[int, int] | None


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request: its receipt as stored and as read, its list row, and the spans made from it."""

    stored: ReceiptRow
    row: RequestRow
    receipt: Receipt
    spans: ResourceSpans


def workspaces_of(store: Store, user_id: int) -> list[tuple[Workspace, str]]:
    """Return a user's workspaces with the roles there, by name."""
    with store.read() as conn:
        return workspaces.for_user(conn, user_id)


def paused_count(store: Store, workspace_id: int) -> int:
    """Return how many destinations wait for a person because an answer paused them."""
    with store.read() as conn:
        return sum(
            found.paused_by == "answer" and found.enabled
            for found in destinations.list_for(conn, workspace_id)
        )


def remember_workspace(store: Store, user: User, workspace: Workspace) -> None:
    """Keep where `/` leads, written only when it changes."""
    if user.last_workspace_id != workspace.id:
        with store.write() as conn:
            users.set_last_workspace(conn, user.id, workspace.id)


def requests_page(
    store: Store, workspace: Workspace, *, before: tuple[int, int] | None, only: Only
) -> Requests:
    """Return one page of the requests that a filter lets through, with what became of each everywhere."""
    with store.read() as conn:
        found = reads.page(conn, workspace.id, before=before, limit=PAGE + 1, only=only)
        rows = tuple(found[:PAGE])
        listed = tuple(
            sorted(destinations.list_for(conn, workspace.id), key=lambda item: item.name.casefold())
        )
        places = {cursor.destination_id: cursor for cursor in cursors.list_for(conn, workspace.id)}
        words = _words(conn, rows, listed, places)
        older = (rows[-1].created_at_us, rows[-1].seq) if len(found) > PAGE else None
        documents = receipts.by_seqs(conn, workspace.id, [row.seq for row in rows])
        return Requests(
            rows=rows,
            receipts={row.seq: receipt_parser.from_document(row.document) for row in documents},
            destinations=listed,
            fates=words,
            older=older,
        )


def documents(store: Store, workspace: Workspace, only: Only, limit: int) -> Iterator[bytes]:
    """Yield the receipts of the requests that a filter lets through, newest first, a page at a time."""
    before = None
    while limit > 0:
        with store.read() as conn:
            found = reads.documents(conn, workspace.id, only, min(limit, _DOCUMENTS), before=before)
        yield from (document for _, document in found)
        limit = limit - len(found) if len(found) == _DOCUMENTS else 0
        before = found[-1][0] if found else None


def count_newer(store: Store, workspace: Workspace, after_seq: int) -> int:
    """Return how many receipts arrived after a number, at most 99."""
    with store.read() as conn:
        return min(_NEWER_AT_MOST, workspaces.head_seq(conn, workspace.id) - after_seq)


def head_seq(store: Store, workspace: Workspace) -> int:
    """Return the number of the newest receipt."""
    with store.read() as conn:
        return workspaces.head_seq(conn, workspace.id)


def find(store: Store, workspace: Workspace, text: str) -> str | None:
    """Return the id of the receipt that a request or trace id names."""
    with store.read() as conn:
        return reads.find(conn, workspace.id, text)


def request(store: Store, workspace: Workspace, receipt_id: str, *, namespace: str) -> Request:
    """Return one request with the spans that are made from it."""
    with store.read() as conn:
        stored = receipts.by_id(conn, workspace.id, receipt_id)
        row = reads.by_id(conn, workspace.id, receipt_id)
    if stored is None or row is None:
        raise NotFound("There is no such request in this workspace, or it is older than what is kept.")
    receipt = receipt_parser.from_document(stored.document)
    spans = genai.spans(receipt, namespace=namespace, content=None, options=_SPAN_OPTIONS)
    return Request(stored=stored, row=row, receipt=receipt, spans=spans)


def members_of(store: Store, workspace: Workspace) -> list[tuple[User, str]]:
    """Return a workspace's members with their roles."""
    with store.read() as conn:
        return users.members(conn, workspace.id)


# -- fates of a page -----------------------------------------------------------------------------


def _words(
    conn: Conn, rows: Iterable[RequestRow], listed: Iterable[StoredDestination], places: dict[int, Cursor]
) -> dict[int, tuple[str, ...]]:
    """Return each row's fate at each destination; one attempt is read once, however many rows it covers."""
    seqs = [row.seq for row in rows]
    columns = [_column(conn, stored, places.get(stored.id), seqs) for stored in listed]
    return {seq: tuple(column[seq] for column in columns) for seq in seqs}


def _column(conn: Conn, stored: StoredDestination, cursor: Cursor | None, seqs: list[int]) -> dict[int, str]:
    told = attempts.fates_at(conn, stored.id, seqs)
    return {
        seq: told[seq].value if seq in told else _unsettled(stored, cursor, seq) or "not_sent" for seq in seqs
    }


def _unsettled(stored: StoredDestination, cursor: Cursor | None, seq: int) -> str:
    """Return the word for a receipt that no attempt has settled, empty when one has to be looked up."""
    if cursor is None or seq <= cursor.since_seq:
        return "not_sent"
    if seq <= cursor.cursor_seq:
        return ""
    if cursor.ended_seq is not None and seq > cursor.ended_seq:
        return "not_sent"
    return "held" if stored.paused_by else "waiting"
