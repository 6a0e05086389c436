"""Reads for the Activity page and the usage API; a request's columns lie beside its document."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from sqlalchemy import CTE, Connection, Row, Select, and_, func, or_, select, tuple_
from sqlalchemy.sql import ColumnElement

from broadcast.store import narrowing
from broadcast.store.documents import TraceText
from broadcast.store.tables import receipts


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestRow:
    """A request as the list shows it."""

    seq: int
    id: str
    created_at_us: int
    status: str
    model: str
    provider: str | None
    streamed: bool
    input_tokens: int | None
    output_tokens: int | None
    cost_nano_usd: int | None
    duration_us: int
    funding_source: str | None
    session_id: str | None
    user: str | None
    api_key_name: str | None
    first_token_ms: float | None
    attempts: int
    trace_id: str
    request_id: str | None


class Place(NamedTuple):
    """Where a page ends: the next one begins with what is older."""

    created_at_us: int
    seq: int


_COLUMNS: Final = tuple(receipts.c[name] for name in RequestRow.__slots__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Only:
    """Which requests: those that began in `[from_us, to_us)`, and are equal in whatever else is given.

    A provider is asked for as it is shown, by slug before name; a request without an id of its own has the
    receipt's.
    """

    from_us: int | None = None
    to_us: int | None = None
    status: str | None = None
    model: str | None = None
    provider: str | None = None
    provider_name: str | None = None
    session_id: str | None = None
    user: str | None = None
    api_key_name: str | None = None
    api_key_hash: str | None = None
    funding_source: str | None = None
    request_id: str | None = None
    streamed: bool | None = None
    trace: tuple[tuple[str, str], ...] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what is given as conditions."""
        given = {name: getattr(self, name) for name in self.__slots__ if getattr(self, name) is not None}
        return [_CONDITIONS[name](value) for name, value in given.items()]


_CONDITIONS: Final[Mapping[str, Callable[[Any], ColumnElement[bool]]]] = {
    **{name: receipts.c[name].__eq__ for name in Only.__slots__ if name in receipts.c},
    "from_us": lambda at_us: receipts.c.created_at_us >= at_us,
    "to_us": lambda at_us: receipts.c.created_at_us < at_us,
    "provider": lambda shown: func.coalesce(receipts.c.provider_slug, receipts.c.provider) == shown,
    "provider_name": lambda shown: func.coalesce(receipts.c.provider, "") == shown,
    "trace": lambda pairs: and_(*(TraceText(receipts.c.document, key) == value for key, value in pairs)),
    "request_id": lambda shown: or_(receipts.c.request_id == shown, receipts.c.id == shown),
}
EVERY: Final = Only()
_END_US: Final = 2**63


def page(
    conn: Connection,
    workspace_id: int,
    *,
    before: tuple[int, int] | None = None,
    limit: int = 50,
    only: Only = EVERY,
) -> list[RequestRow]:
    """Return requests, newest first by their start, ties by number; a page stays valid while rows arrive."""
    rows = _newest(conn, workspace_id, _COLUMNS, only=only, before=before, limit=limit)
    return [RequestRow(**row._asdict()) for row in rows]


def arrived(
    conn: Connection, workspace_id: int, *, after: int, up_to: int, limit: int, only: Only = EVERY
) -> list[int]:
    """Return the numbers in `(after, up_to]` of the requests that a filter lets through, in order."""
    query = select(receipts.c.seq).where(
        receipts.c.workspace_id == workspace_id,
        receipts.c.seq > after,
        receipts.c.seq <= up_to,
        *only.conditions(),
    )
    return list(conn.execute(query.order_by(receipts.c.seq).limit(limit)).scalars())


def documents(
    conn: Connection, workspace_id: int, only: Only, limit: int, *, before: Place | None = None
) -> list[tuple[Place, bytes]]:
    """Return the documents of requests with their places, newest first by their start."""
    columns = (receipts.c.created_at_us, receipts.c.seq, receipts.c.document)
    rows = _newest(conn, workspace_id, columns, only=only, before=before, limit=limit)
    return [(Place(row.created_at_us, row.seq), row.document) for row in rows]


def _newest(
    conn: Connection,
    workspace_id: int,
    columns: Sequence[ColumnElement[Any]],
    *,
    only: Only,
    before: tuple[int, int] | None,
    limit: int,
) -> list[Row[Any]]:
    """Return requests, newest first, looked for where the sums say that they are."""
    at_us, seq = receipts.c.created_at_us, receipts.c.seq
    of_log = select(*columns).where(receipts.c.workspace_id == workspace_id)
    newest = of_log.where(*only.conditions()).order_by(at_us.desc(), seq.desc()).limit(limit)
    if before is not None:
        newest = newest.where(tuple_(at_us, seq) < tuple_(*before))
    where = narrowing.places(
        conn,
        workspace_id,
        user=only.user,
        session_id=only.session_id,
        # One of several is enough to know where to look; there the others are asked for as well.
        trace=only.trace[0] if only.trace else None,
        from_us=only.from_us,
        to_us=only.to_us if before is None else before[0] + 1,
        at_once=limit,
    )
    if where is None:
        return list(conn.execute(newest))
    # What is named by number is not asked for by time too: the database would read the log in that order.
    named = of_log.where(*replace(only, from_us=None, to_us=None).conditions())
    found: list[Row[Any]] = []
    for place in where.fresh:
        found += _within(only, before, conn.execute(named.where(place.condition)).all())
    enough = len(found) + limit
    for place in where.older:
        if len(found) >= enough:
            break
        rows = conn.execute((named if place.named else newest).where(place.condition)).all()
        found += _within(only, before, rows)
    return sorted(found, key=_place, reverse=True)[:limit]


def _within(only: Only, before: tuple[int, int] | None, rows: Iterable[Row[Any]]) -> list[Row[Any]]:
    """Return the rows of the time that is asked for."""
    from_us, to_us = only.from_us or 0, only.to_us or _END_US
    return [
        row
        for row in rows
        if from_us <= row.created_at_us < to_us and (before is None or _place(row) < before)
    ]


def _place(row: Row[Any]) -> tuple[int, int]:
    return row.created_at_us, row.seq


def by_id(conn: Connection, workspace_id: int, id: str) -> RequestRow | None:  # noqa: A002
    """Return a workspace's request by its receipt's id."""
    query = select(*_COLUMNS).where(receipts.c.workspace_id == workspace_id, receipts.c.id == id)
    row = conn.execute(query).one_or_none()
    return RequestRow(**row._asdict()) if row else None


def find(conn: Connection, workspace_id: int, text: str) -> str | None:
    """Return the id of the receipt with this receipt id, request id or trace id; the newest of several."""
    wanted = text.strip()
    for query in (
        _last(workspace_id, receipts.c.id == wanted),
        _of_trace(workspace_id, wanted.lower()),
        _last(workspace_id, receipts.c.request_id == wanted),
    ):
        # One question an index: all in one would read the whole log.
        found = conn.execute(query).scalar()
        if found is not None:
            return found
    return None


def _last(workspace_id: int, *conditions: ColumnElement[bool]) -> Select[str]:
    """Return the id of the newest receipt that meets conditions; an index by number would read the log."""
    query = select(receipts.c.id).where(receipts.c.workspace_id == workspace_id, *conditions)
    return query.order_by((receipts.c.seq + 0).desc()).limit(1)


def _of_trace(workspace_id: int, trace_id: str) -> Select[str]:
    """Return the id of a trace's newest receipt, asked of each block: a join may begin with the whole log."""
    blocks = _blocks(workspace_id)
    conditions = (receipts.c.block == blocks.c.block, receipts.c.trace_id == trace_id)
    found = _last(workspace_id, *conditions).correlate(blocks).scalar_subquery().label("id")
    by_block = select(blocks.c.block, found).subquery()
    query = select(by_block.c.id).where(by_block.c.id.is_not(None))
    return query.order_by(by_block.c.block.desc()).limit(1)


def _blocks(workspace_id: int) -> CTE:
    """Return the blocks of a log, oldest to newest."""
    # One question each: SQLite finds the ends of an index at once, but not both together.
    oldest, newest = (
        select(end(receipts.c.block)).where(receipts.c.workspace_id == workspace_id).scalar_subquery()
        for end in (func.min, func.max)
    )
    blocks = select(oldest.label("block"), newest.label("newest")).cte("blocks", recursive=True)
    following = select(blocks.c.block + 1, blocks.c.newest).where(blocks.c.block < blocks.c.newest)
    return blocks.union_all(following)
