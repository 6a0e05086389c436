"""The list of requests as the API says it: newest first, or in the order of arrival for whoever follows.

A page is asked for by the texts of a query, so that the API and the command line ask alike. A page in order
of arrival begins after `arrived_after`: `now`, `start`, or the `next_cursor` of the page before. Receipts get
their numbers as they are committed, one after the other, so that such a reader sees each of them once and
misses none, however late it tells of its request.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any, Final, get_args

import msgspec

from broadcast import generation, query_text
from broadcast.errors import SettingsError
from broadcast.receipt import Status
from broadcast.shelf import Shelf
from broadcast.store import Store, activity, receipts, workspaces
from broadcast.store.activity import Only
from broadcast.store.workspaces import Workspace

STATUSES: Final[tuple[str, ...]] = get_args(Status)
NOW: Final = "now"
START: Final = "start"
_Whole = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_PLACE: Final = msgspec.json.Decoder(tuple[_Whole, _Whole])
_NUMBER: Final = msgspec.json.Decoder(tuple[_Whole])
_EQUAL: Final = {
    "status": "status",
    "model_id": "model",
    "provider_id": "provider",
    "funding_source": "funding_source",
    "api_key_name": "api_key_name",
    "api_key_hash": "api_key_hash",
    "session_id": "session_id",
    "user": "user",
    "request_id": "request_id",
}
"""The fields of a row that a list can be of, and what the store calls them."""

NAMES: Final = ("cursor", "limit", "arrived_after", "from", "to", "since", "streamed", *_EQUAL)
"""What a query may hold."""


def page(store: Store, workspace: Workspace, asked: Mapping[str, str], *, limit: int) -> dict[str, Any]:
    """Return a page of requests and where the next one begins; an order of arrival has no end."""
    only = _only(asked)
    if "arrived_after" in asked:
        return _arrived(store, workspace, asked, only, limit)
    before = _read(_PLACE, "cursor", asked["cursor"]) if "cursor" in asked else None
    data, following = generation.request_page(store, workspace, before=before, limit=limit, only=only)
    return {"data": data, "next_cursor": None if following is None else _written(following)}


def one(store: Store, shelf: Shelf, workspace: Workspace, receipt_id: str) -> dict[str, Any]:
    """Return one request, its receipt, and what became of it at each destination."""
    row, receipt = generation.find(store, workspace, receipt_id)
    return {
        **generation.request_view(row.id, receipt),
        "receipt": msgspec.Raw(row.document),
        "delivery": shelf.delivery(workspace, row),
    }


def _arrived(
    store: Store, workspace: Workspace, asked: Mapping[str, str], only: Only, limit: int
) -> dict[str, Any]:
    if "cursor" in asked:
        raise SettingsError({"cursor": "Leave this out, or `arrived_after`: both say where to begin."})
    place = asked["arrived_after"]
    (after,) = (0,) if place in {START, NOW} else _read(_NUMBER, "arrived_after", place)
    with store.read() as conn:
        # The head comes first: whatever is committed after this read belongs to the next page.
        head = workspaces.head_seq(conn, workspace.id)
        if place == NOW:
            return {"data": [], "next_cursor": _written((head,))}
        found = activity.arrived(conn, workspace.id, after=after, up_to=head, limit=limit, only=only)
        rows = list(receipts.by_seqs(conn, workspace.id, found))
    last = found[-1] if len(found) == limit else max(after, head)
    return {"data": [generation.row_view(row) for row in rows], "next_cursor": _written((last,))}


def _only(asked: Mapping[str, str]) -> Only:
    """Return which requests are asked for; `since` is `from` for whoever comes back for what is new."""
    begins = [name for name in ("from", "since") if name in asked]
    if len(begins) > 1:
        raise SettingsError({"since": "Leave this out, or `from`: both say where to begin."})
    if asked.get("status") not in {None, *STATUSES}:
        raise SettingsError({"status": "Choose one of " + ", ".join(STATUSES) + "."})
    from_us = query_text.instant(asked, begins[0]) if begins else None
    to_us = query_text.instant(asked, "to")
    if from_us is not None and to_us is not None and to_us <= from_us:
        raise SettingsError({"to": "Enter a time after the beginning: what begins at `to` is not included."})
    equal: dict[str, Any] = {of: asked.get(name) for name, of in _EQUAL.items()}
    return Only(from_us=from_us, to_us=to_us, streamed=query_text.flag(asked, "streamed"), **equal)


def _written(place: tuple[int, ...]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _read(decoder: Any, name: str, cursor: str) -> Any:
    try:
        return decoder.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise SettingsError({name: "This cursor is not one of ours."}) from None
