"""Sums of requests: read and replaced by period and group; how far each log has been added up."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, delete, exists, func, or_, select, text, true
from sqlalchemy.sql import ColumnElement

from broadcast import sketch
from broadcast.store.facets import names
from broadcast.store.periods import Period, Stretch, bounded, inside
from broadcast.store.rollup_tables import facets, rollup_places, rollups, sessions
from broadcast.store.tables import heads, receipts, workspaces
from broadcast.tally import FAILED, Group, Tally

_SUMS: Final = (
    *("requests", "unpriced", "spend_nano_usd"),
    *("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"),
)
_SKETCHES: Final = ("latency", "first_token")
_AT_ONCE: Final = 500


# -- how far ---------------------------------------------------------------------------------------------


def behind(conn: Connection, limit: int, *, least: int = 1, after_id: int = 0) -> list[int]:
    """Return the next workspaces whose logs have so much more than their sums; the caller locks each."""
    rolled = func.coalesce(rollup_places.c.rolled_seq, 0)
    query = (
        select(heads.c.workspace_id)
        .join(workspaces, workspaces.c.id == heads.c.workspace_id)
        .outerjoin(rollup_places, rollup_places.c.workspace_id == heads.c.workspace_id)
        # What is being forgotten is not added up once more.
        .where(heads.c.workspace_id > after_id, heads.c.head_seq >= rolled + least)
        .where(workspaces.c.deleted_at_us.is_(None))
        .order_by(heads.c.workspace_id)
        .limit(limit)
    )
    return list(conn.execute(query).scalars())


def lock_place(conn: Connection, workspace_id: int) -> int | None:
    """Lock a log's place and return it; None while another worker has it."""
    conn.execute(_BEGIN_PLACE, {"workspace_id": workspace_id})
    query = (
        select(rollup_places.c.rolled_seq)
        .where(rollup_places.c.workspace_id == workspace_id)
        .with_for_update(skip_locked=True)
    )
    found: int | None = conn.execute(query).scalar()
    return found


def place(conn: Connection, workspace_id: int) -> int:
    """Return up to which number a log has been added up."""
    query = select(rollup_places.c.rolled_seq).where(rollup_places.c.workspace_id == workspace_id)
    found: int | None = conn.execute(query).scalar()
    return found or 0


def move_place(conn: Connection, workspace_id: int, rolled_seq: int) -> None:
    """Say that a log has been added up to a number; the caller holds its place."""
    conn.execute(_MOVE_PLACE, {"workspace_id": workspace_id, "rolled_seq": rolled_seq})


_BEGIN_PLACE: Final = text(
    "INSERT INTO rollup_places (workspace_id, rolled_seq) VALUES (:workspace_id, 0)"
    " ON CONFLICT (workspace_id) DO NOTHING"
)
_MOVE_PLACE: Final = text(
    "UPDATE rollup_places SET rolled_seq = :rolled_seq WHERE workspace_id = :workspace_id"
)


# -- documents that are not in the sums --------------------------------------------------------------------


def documents_after(
    conn: Connection, workspace_id: int, after_seq: int, limit: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yield number and document of the receipts after a number, in order."""
    query = (
        select(receipts.c.seq, receipts.c.document)
        .where(receipts.c.workspace_id == workspace_id, receipts.c.seq > after_seq)
        .order_by(receipts.c.seq)
        .limit(limit)
    )
    for row in conn.execute(query):
        yield row[0], row[1]


def documents_within(
    conn: Connection, workspace_id: int, from_us: int, to_us: int, upto_seq: int
) -> Iterator[bytes]:
    """Yield the documents created in `[from_us, to_us)` up to a number: the ragged end of a window."""
    query = select(receipts.c.document).where(
        receipts.c.workspace_id == workspace_id,
        receipts.c.created_at_us >= from_us,
        receipts.c.created_at_us < to_us,
        receipts.c.seq <= upto_seq,
    )
    for row in conn.execute(query):
        yield row[0]


# -- sums of groups ----------------------------------------------------------------------------------------


def add(conn: Connection, workspace_id: int, made: Mapping[Period, Mapping[Group, Tally]]) -> None:
    """Add tallies to the sums; the caller holds the log's place, so that nobody else adds meanwhile."""
    rows = []
    for period, groups in made.items():
        known = _known(conn, workspace_id, period, [_key(group) for group in groups])
        for group, tally in groups.items():
            key = _key(group)
            if key in known:
                tally.add(known[key])
            rows.append(_row(workspace_id, period, group, key, tally))
    if rows:
        conn.execute(_PUT, rows)


def _known(
    conn: Connection, workspace_id: int, period: Period, keys: Collection[bytes]
) -> dict[bytes, Tally]:
    query = select(rollups.c.key, *_figures()).where(
        rollups.c.workspace_id == workspace_id,
        rollups.c.hours == period.hours,
        rollups.c.at_us == period.at_us,
        rollups.c.key.in_(list(keys)),
    )
    return {bytes(row[0]): _tally(row[1:]) for row in conn.execute(query)}


def _figures() -> tuple[ColumnElement[Any], ...]:
    return tuple(rollups.c[name] for name in (*_SUMS, *_SKETCHES))


def _tally(values: Any) -> Tally:
    made = Tally()
    for name, value in zip(_SUMS, values[: len(_SUMS)], strict=True):
        setattr(made, name, value)
    made.latency, made.first_token = map(sketch.unpack, values[len(_SUMS) :])
    return made


def _row(workspace_id: int, period: Period, group: Group, key: bytes, tally: Tally) -> dict[str, Any]:
    return {
        "workspace_id": workspace_id,
        **period._asdict(),
        "key": key,
        **group._asdict(),
        **bounded({name: getattr(tally, name) for name in _SUMS}),
        **{name: sketch.pack(getattr(tally, name)) for name in _SKETCHES},
    }


def _key(group: Group) -> bytes:
    return hashlib.blake2b("\0".join(group).encode(), digest_size=16).digest()


def _put(table: str, columns: Collection[str], key: Collection[str]) -> str:
    """Return an insert that replaces what is there under the same key."""
    changed = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
    marks = ", ".join(f":{name}" for name in columns)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - our own names
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changed}"
    )


_PUT: Final = text(
    _put(
        "rollups",
        ("workspace_id", "hours", "at_us", "key", *Group._fields, *_SUMS, *_SKETCHES),
        ("workspace_id", "hours", "at_us", "key"),
    )
)


def read(
    conn: Connection, workspace_id: int, stretch: Stretch, only: Mapping[str, str]
) -> Iterator[tuple[int, Group, Tally]]:
    """Yield the sums of a stretch's periods, of the groups that have all the values of `only`."""
    groups = (rollups.c[name] for name in Group._fields)
    query = select(rollups.c.at_us, *groups, *_figures()).where(*inside(rollups, workspace_id, stretch))
    for name, value in only.items():
        query = query.where(rollups.c[name] == value)
    width = 1 + len(Group._fields)
    for row in conn.execute(query):
        group, sums = Group(*row[1:width]), _tally(row[width:])
        # A group has one status, so this is kept with it.
        sums.errors = sums.requests if group.status in FAILED else 0
        yield row[0], group, sums


def first_at_us(conn: Connection, workspace_id: int) -> int | None:
    """Return when the first request began that is counted, or the day it was on."""
    summed = select(func.min(rollups.c.at_us)).where(
        rollups.c.workspace_id == workspace_id, rollups.c.hours == 24
    )
    single = select(func.min(receipts.c.created_at_us)).where(receipts.c.workspace_id == workspace_id)
    found = [at_us for query in (summed, single) if (at_us := conn.execute(query).scalar()) is not None]
    return min(found, default=None)


# -- what is let go ----------------------------------------------------------------------------------------


def aged(conn: Connection, after_id: int, before_us: int, limit: int) -> list[tuple[int, bool]]:
    """Return the next workspaces with sums, each with whether an hour or a session of it is too old."""
    here = rollup_places.c.workspace_id
    hour = exists().where(rollups.c.workspace_id == here, rollups.c.hours == 1, rollups.c.at_us < before_us)
    session = exists().where(sessions.c.workspace_id == here, sessions.c.last_at_us < before_us)
    query = select(here, or_(hour, session)).where(here > after_id).order_by(here).limit(limit)
    return [(row[0], bool(row[1])) for row in conn.execute(query)]


def drop_hours(conn: Connection, workspace_id: int, before_us: int, limit: int) -> int:
    """Delete the sums of the oldest hours, at most `limit` of them; return how many hours went.

    A facet's hour is a group's hour too, so the groups' index finds both.
    """
    of_hours = (rollups.c.workspace_id == workspace_id, rollups.c.hours == 1, rollups.c.at_us < before_us)
    query = select(rollups.c.at_us).where(*of_hours).distinct().order_by(rollups.c.at_us).limit(limit)
    gone = list(conn.execute(query).scalars())
    if gone:
        for table, named in ((facets, facets.c.name.in_(names(conn, workspace_id))), (rollups, true())):
            old = (table.c.workspace_id == workspace_id, table.c.hours == 1, table.c.at_us.in_(gone))
            conn.execute(delete(table).where(*old, named))
    return len(gone)
