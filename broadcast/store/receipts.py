"""The log: receipts, numbered without gaps, and their sealed contents while a destination still owes them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any, Final

import msgspec
from msgspec import structs
from sqlalchemy import Connection, bindparam, delete, func, select, text, update

from broadcast.store import bulk
from broadcast.store.among import among
from broadcast.store.direct import Statement
from broadcast.store.tables import BLOCK_BITS, heads, receipts
from broadcast.store.tables import contents as _contents


class NewReceipt(msgspec.Struct, frozen=True, gc=False):
    """A receipt to append; the two fields of content come last, and `content` is sealed or None.

    Ingest fills it in this order: two dozen names in a call cost five times what the values do.
    """

    id: str
    fingerprint: bytes
    created_at_us: int
    received_at_us: int
    status: str
    model: str
    duration_us: int
    trace_id: str
    document: bytes
    provider: str | None = None
    provider_slug: str | None = None
    streamed: bool = False
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_nano_usd: int | None = None
    first_token_ms: float | None = None
    attempts: int = 0
    funding_source: str | None = None
    user: str | None = None
    session_id: str | None = None
    request_id: str | None = None
    api_key_hash: str | None = None
    api_key_name: str | None = None
    content: bytes | None = None
    content_expires_at_us: int = 0


class LogRow(msgspec.Struct, frozen=True, gc=False):
    """What delivery reads of a receipt; `document` is the canonical JSON of the receipt without content.

    Positional, because one is made of every row that is read, and no more than is needed: SQLite's driver
    lets go of the interpreter for each column. `has_content` is as the driver gives it: SQLite's truth is
    a number.
    """

    seq: int
    id: str
    created_at_us: int
    document: bytes
    has_content: int


class ReceiptRow(LogRow, frozen=True, gc=False):
    """A receipt as stored, with the instant when it came."""

    received_at_us: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Appending:
    """What one workspace gets in a transaction; `first_seq` is its locked head plus one."""

    workspace_id: int
    first_seq: int
    rows: Sequence[NewReceipt]


_ROW: Final = tuple(receipts.c[name] for name in ReceiptRow.__struct_fields__)


def existing(conn: Connection, workspace_id: int, ids: Iterable[str]) -> dict[str, bytes]:
    """Return the ids a workspace already knows, with their fingerprints; ask under the head's lock."""
    wanted = list(ids)
    if not wanted:
        return {}
    return dict(_KNOWN.rows(conn, {"workspace_id": workspace_id, "ids": wanted}))


_KNOWN: Final = Statement(
    select(receipts.c.id, receipts.c.fingerprint).where(
        receipts.c.workspace_id == bindparam("workspace_id"), among(receipts.c.id, "ids")
    )
)


def append(conn: Connection, workspace_id: int, first_seq: int, rows: Sequence[NewReceipt]) -> None:
    """Append to one workspace's log; the caller holds its head."""
    append_all(conn, (Appending(workspace_id=workspace_id, first_seq=first_seq, rows=rows),))


def append_all(conn: Connection, batches: Iterable[Appending]) -> None:
    """Append to several workspaces' logs, one statement a table; the caller holds their heads.

    The head moves here and nowhere else, from exactly the number before `first_seq`: a log has no gaps.
    """
    filled = [batch for batch in batches if batch.rows]
    if not filled:
        return
    moves = [
        {
            "of": batch.workspace_id,
            "before": batch.first_seq - 1,
            "head_seq": batch.first_seq + len(batch.rows) - 1,
        }
        for batch in filled
    ]
    if _MOVE_HEAD.run(conn, moves) != len(filled):
        raise RuntimeError("A log's head is not where the caller saw it: its lock was not held.")
    columns = _columns(filled)
    sealed, expires_at_us = columns.pop("content"), columns.pop("content_expires_at_us")
    bulk.insert_columns(conn, receipts, columns, alike=ALIKE)
    if any(columns["has_content"]):
        kept = [
            row
            for row in zip(columns["workspace_id"], columns["seq"], sealed, expires_at_us, strict=True)
            if row[2] is not None
        ]
        bulk.insert_rows(conn, _contents, ("workspace_id", "seq", "sealed", "expires_at_us"), kept)


ALIKE: Final = frozenset(
    {
        "workspace_id",
        "has_content",
        "received_at_us",
        "status",
        "streamed",
        "attempts",
        "api_key_hash",
        "api_key_name",
    }
)
"""Columns that are often the same in all receipts that are stored together."""


def _columns(batches: Sequence[Appending]) -> dict[str, Sequence[Any]]:
    """Return the values of all rows, numbered, by column: row by row that costs twice as much."""
    rows = [structs.astuple(row) for batch in batches for row in batch.rows]
    given = dict(zip(NewReceipt.__struct_fields__, zip(*rows, strict=True), strict=True))
    seqs = [seq for batch in batches for seq in range(batch.first_seq, batch.first_seq + len(batch.rows))]
    return {
        "workspace_id": [batch.workspace_id for batch in batches for _ in batch.rows],
        "seq": seqs,
        "block": [seq >> BLOCK_BITS for seq in seqs],
        "has_content": [content is not None for content in given["content"]],
        **given,
    }


_MOVE_HEAD: Final = Statement(
    update(heads)
    .where(heads.c.workspace_id == bindparam("of"), heads.c.head_seq == bindparam("before"))
    .values(head_seq=bindparam("head_seq"))
)


def read_after(conn: Connection, workspace_id: int, after_seq: int, limit: int) -> list[LogRow]:
    """Return the next receipts of a log, in order, at most `limit` and one at least while there are any."""
    wanted = {"workspace_id": workspace_id, "after": after_seq, "upto": after_seq + limit, "count": limit}
    # Beyond a gap, which only retention makes, there is no bound to name.
    found = _WITHIN.rows(conn, wanted) or _AFTER.rows(conn, wanted)
    return list(starmap(LogRow, found))


# With both bounds a planner that knows nothing of the table yet does not sort a whole backlog.
_SELECT: Final = f"SELECT {', '.join(LogRow.__struct_fields__)} FROM receipts"  # noqa: S608 - our own names
_WITHIN: Final = Statement(
    text(f"{_SELECT} WHERE workspace_id = :workspace_id AND seq > :after AND seq <= :upto ORDER BY seq")
)
_AFTER: Final = Statement(
    text(f"{_SELECT} WHERE workspace_id = :workspace_id AND seq > :after ORDER BY seq LIMIT :count")
)


def read_after_each(conn: Connection, places: Mapping[int, int], limit: int) -> dict[int, list[LogRow]]:
    """Return the next receipts of several logs, by workspace, as far as they follow the numbers given.

    Where there is a gap there are none: `read_after` finds what comes behind it.
    """
    if conn.dialect.name == "sqlite":
        return {of: read_after(conn, of, after, limit) for of, after in places.items()}
    found: dict[int, list[LogRow]] = {of: [] for of in places}
    wanted = {"ids": list(places), "places": list(places.values()), "count": limit}
    for of, *row in _AFTER_EACH.rows(conn, wanted) if places else ():
        found[of].append(LogRow(*row))
    return found


# One round trip for as many logs as there are; within the process of SQLite there is nothing to save.
_AFTER_EACH: Final = Statement(
    text(
        "SELECT log.id, found.*"  # noqa: S608 - likewise
        " FROM unnest(CAST(:ids AS bigint[]), CAST(:places AS bigint[])) AS log (id, place)"
        f" CROSS JOIN LATERAL ({_SELECT} WHERE workspace_id = log.id"
        " AND seq > log.place AND seq <= log.place + :count ORDER BY seq) AS found"
        " ORDER BY log.id, found.seq"
    )
)


def by_id(conn: Connection, workspace_id: int, id: str) -> ReceiptRow | None:  # noqa: A002 - the contract's word
    """Return a workspace's receipt by its id."""
    query = select(*_ROW).where(receipts.c.workspace_id == workspace_id, receipts.c.id == id)
    row = conn.execute(query).one_or_none()
    return ReceiptRow(*row) if row else None


def by_seqs(conn: Connection, workspace_id: int, seqs: Iterable[int]) -> list[ReceiptRow]:
    """Return a workspace's receipts by their numbers, in order; numbers that are gone are left out."""
    query = (
        select(*_ROW)
        .where(receipts.c.workspace_id == workspace_id, receipts.c.seq.in_(list(seqs)))
        .order_by(receipts.c.seq)
    )
    return [ReceiptRow(*row) for row in conn.execute(query)]


def contents(conn: Connection, workspace_id: int, seqs: Iterable[int]) -> dict[int, bytes]:
    """Return the sealed contents that are still there, by number."""
    query = select(_contents.c.seq, _contents.c.sealed).where(
        _contents.c.workspace_id == workspace_id, _contents.c.seq.in_(list(seqs))
    )
    return {row.seq: bytes(row.sealed) for row in conn.execute(query)}


def with_contents(conn: Connection, workspace_ids: Iterable[int]) -> list[int]:
    """Return those of some workspaces that keep any content."""
    kept = select(_contents.c.seq).where(_contents.c.workspace_id == heads.c.workspace_id).exists()
    query = select(heads.c.workspace_id).where(heads.c.workspace_id.in_(list(workspace_ids)), kept)
    return list(conn.execute(query.order_by(heads.c.workspace_id)).scalars())


def drop_contents(conn: Connection, workspace_id: int, upto_seq: int) -> int:
    """Delete the contents that no destination owes any more, up to and with `upto_seq`; return how many."""
    statement = delete(_contents).where(_contents.c.workspace_id == workspace_id, _contents.c.seq <= upto_seq)
    return conn.execute(statement).rowcount


def drop_expired_contents(conn: Connection, now_us: int, limit: int) -> int:
    """Delete at most `limit` contents whose time is over, owed or not; return how many."""
    due = (
        select(_contents.c.workspace_id, _contents.c.seq)
        .where(_contents.c.expires_at_us <= now_us)
        .limit(limit)
    )
    gone = [{"of": row.workspace_id, "number": row.seq} for row in conn.execute(due)]
    if gone:
        one = delete(_contents).where(
            _contents.c.workspace_id == bindparam("of"), _contents.c.seq == bindparam("number")
        )
        conn.execute(one, gone)
    return len(gone)


def oldest_seq(conn: Connection, workspace_id: int) -> int | None:
    """Return the number of the oldest receipt that is still kept."""
    query = select(func.min(receipts.c.seq)).where(receipts.c.workspace_id == workspace_id)
    oldest: int | None = conn.execute(query).scalar_one()
    return oldest
