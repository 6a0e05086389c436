"""Which receipts a replay is about, and what they are like; read before the head is locked."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, and_, func, select
from sqlalchemy.sql import ColumnElement

from broadcast.runs import Run, Runs
from broadcast.store.tables import contents, dead_letters, receipts

_CHUNK: Final = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """One receipt looked at; `content_bytes` is None where its content is gone, or it never had one."""

    seq: int
    created_at_us: int
    document: bytes
    has_content: bool
    content_bytes: int | None


def between(conn: Connection, workspace_id: int, from_us: int, to_us: int | None, limit: int) -> Runs | None:
    """Return the receipts created from `from_us` up to, not including, `to_us`; None beyond `limit` runs.

    Requests end in another order than they begin, so the ends of a range in time have gaps in numbers.
    Read slice by slice: no statement may take as long as a month of receipts does.
    """
    pairs: list[Run] = []
    begin: int | None = from_us
    while begin is not None:
        following = _slice_end(conn, workspace_id, begin, to_us)
        pairs += _runs(conn, workspace_id, begin, to_us if following is None else following)
        begin = following
        if len(pairs) > limit:
            # Most runs of a slice go on in the next one.
            pairs = list(Runs.joined(pairs).pairs)
            if len(pairs) > limit:
                return None
    return Runs.joined(pairs)


SLICE: Final = 200_000


def _slice_end(conn: Connection, workspace_id: int, from_us: int, to_us: int | None) -> int | None:
    """Return where the next slice begins, None where the rest is one."""
    query = (
        select(receipts.c.created_at_us)
        .where(_created(workspace_id, from_us, to_us))
        .order_by(receipts.c.created_at_us, receipts.c.seq)
        .offset(SLICE)
        .limit(1)
    )
    at: int | None = conn.execute(query).scalar()
    # What was created in one microsecond stays together.
    return None if at is None else max(at, from_us + 1)


def _runs(conn: Connection, workspace_id: int, from_us: int, to_us: int | None) -> list[Run]:
    place = receipts.c.seq - func.row_number().over(order_by=receipts.c.seq)
    found = (
        select(receipts.c.seq, place.label("run")).where(_created(workspace_id, from_us, to_us)).subquery()
    )
    query = select(func.min(found.c.seq), func.max(found.c.seq)).group_by(found.c.run)
    return [(int(row[0]), int(row[1])) for row in conn.execute(query)]


def _created(workspace_id: int, from_us: int, to_us: int | None) -> ColumnElement[bool]:
    inside = and_(receipts.c.workspace_id == workspace_id, receipts.c.created_at_us >= from_us)
    return inside if to_us is None else and_(inside, receipts.c.created_at_us < to_us)


def numbers(conn: Connection, workspace_id: int, ids: Sequence[str]) -> dict[str, int]:
    """Return the numbers of receipts by their ids; those that are not there are left out."""
    found: dict[str, int] = {}
    for chunk in _chunks(ids):
        query = select(receipts.c.id, receipts.c.seq).where(
            receipts.c.workspace_id == workspace_id, receipts.c.id.in_(chunk)
        )
        found.update((row.id, row.seq) for row in conn.execute(query))
    return found


def of_dead_letters(conn: Connection, destination_id: int, limit: int) -> tuple[Runs, int] | None:
    """Return the dead letters whose receipts are still kept, and how many are gone; None beyond `limit`."""
    query = (
        select(dead_letters.c.seq, receipts.c.seq.label("kept"))
        .outerjoin(receipts, _its_receipt())
        .where(dead_letters.c.destination_id == destination_id)
        .limit(limit + 1)
    )
    rows = conn.execute(query).all()
    kept = [row.kept for row in rows if row.kept is not None]
    return None if len(rows) > limit else (Runs.of(kept), len(rows) - len(kept))


def look(conn: Connection, workspace_id: int, seqs: Sequence[int]) -> Iterator[Looked]:
    """Yield some receipts with the sizes of the contents that are still kept."""
    for chunk in _chunks(seqs):
        query = (
            select(
                receipts.c.seq,
                receipts.c.created_at_us,
                receipts.c.document,
                receipts.c.has_content,
                func.length(contents.c.sealed).label("content_bytes"),
            )
            .outerjoin(
                contents,
                (contents.c.workspace_id == receipts.c.workspace_id) & (contents.c.seq == receipts.c.seq),
            )
            .where(receipts.c.workspace_id == workspace_id, receipts.c.seq.in_(chunk))
            .order_by(receipts.c.seq)
        )
        for row in conn.execute(query):
            yield Looked(**row._asdict())


def oldest_at_us(conn: Connection, workspace_id: int) -> int | None:
    """Return when the oldest receipt that is still kept was created."""
    query = select(func.min(receipts.c.created_at_us)).where(receipts.c.workspace_id == workspace_id)
    oldest: int | None = conn.execute(query).scalar_one()
    return oldest


def _its_receipt() -> Any:
    return (receipts.c.workspace_id == dead_letters.c.workspace_id) & (receipts.c.seq == dead_letters.c.seq)


def _chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield lists short enough for one statement's parameters."""
    rest = iter(values)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
