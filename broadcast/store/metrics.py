"""Metrics of destinations: how far each has been counted, what it came to, and when it was sent."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, text, update
from sqlalchemy.sql import ColumnElement

from broadcast.series import OTHER, Series
from broadcast.store.metric_tables import metric_places, metric_series


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricPlace:
    """A destination's metrics: since when, up to which number of the log, and how sending went."""

    destination_id: int
    workspace_id: int
    every_s: int
    since_at_us: int
    counted_seq: int
    due_at_us: int
    failures: int
    last_sent_at_us: int | None
    last_error_at_us: int | None
    last_error_status_code: int | None
    last_error_reason: str | None


_PLACE: Final = select(*(metric_places.c[name] for name in MetricPlace.__slots__))
_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Series).decode


# -- on and off; the caller holds the workspace's head -------------------------------------------------


def keep(conn: Connection, workspace_id: int, wanted: Mapping[int, int], head_seq: int, now_us: int) -> None:
    """Let the destinations that `wanted` names by their intervals in seconds have metrics, and no others.

    What is new begins after the locked head, from nothing; what was on goes on.
    """
    here = metric_places.c.workspace_id == workspace_id
    query = select(metric_places.c.destination_id, metric_places.c.every_s).where(here)
    known = {row[0]: row[1] for row in conn.execute(query)}
    for destination_id in known.keys() - wanted.keys():
        end(conn, destination_id)
    for destination_id, every_s in wanted.items():
        if destination_id not in known:
            conn.execute(
                insert(metric_places).values(
                    destination_id=destination_id,
                    workspace_id=workspace_id,
                    every_s=every_s,
                    since_at_us=now_us,
                    counted_seq=head_seq,
                    due_at_us=now_us,
                    failures=0,
                )
            )
        elif known[destination_id] != every_s:
            _set(conn, _of(destination_id), every_s=every_s, due_at_us=now_us)


def end(conn: Connection, destination_id: int) -> None:
    """Forget a destination's metrics; switched on again they begin from nothing."""
    # The place first: whoever counts holds it, and what they add must be seen here.
    conn.execute(delete(metric_places).where(_of(destination_id)))
    conn.execute(delete(metric_series).where(metric_series.c.destination_id == destination_id))


# -- places --------------------------------------------------------------------------------------------


def get(conn: Connection, destination_id: int) -> MetricPlace | None:
    """Return a destination's place, None where its metrics are off."""
    return _one(conn, destination_id)


def due(conn: Connection, now_us: int, limit: int) -> list[MetricPlace]:
    """Return the metrics to look at now, the longest due first."""
    query = _PLACE.where(metric_places.c.due_at_us <= now_us).order_by(metric_places.c.due_at_us)
    return [MetricPlace(**row._asdict()) for row in conn.execute(query.limit(limit))]


def hold(conn: Connection, place: MetricPlace, until_us: int) -> MetricPlace | None:
    """Keep metrics from everyone else until then; None when they are due at another time than we know."""
    held = _set(conn, _taken(place), due_at_us=until_us)
    return replace(place, due_at_us=until_us) if held else None


def lock(conn: Connection, destination_id: int) -> MetricPlace | None:
    """Lock a destination's place until this transaction ends; None while somebody counts there."""
    row = conn.execute(_PLACE.where(_of(destination_id)).with_for_update(skip_locked=True)).one_or_none()
    return MetricPlace(**row._asdict()) if row else None


def move(conn: Connection, destination_id: int, counted_seq: int) -> None:
    """Say that metrics have been counted up to a number; the caller holds the place's lock."""
    _set(conn, _of(destination_id), counted_seq=counted_seq)


def record(
    conn: Connection,
    place: MetricPlace,
    *,
    now_us: int,
    due_at_us: int,
    failures: int,
    sent: bool,
    status_code: int | None = None,
    error: str | None = None,
) -> bool:
    """Record what a try came to; False where somebody else has taken the metrics since."""
    values: dict[str, int | str | None] = {"due_at_us": due_at_us, "failures": failures}
    if sent:
        values["last_sent_at_us"] = now_us
    if error is not None:
        values |= {
            "last_error_at_us": now_us,
            "last_error_status_code": status_code,
            "last_error_reason": error,
        }
    return _set(conn, _taken(place), **values)


def any_before(conn: Connection, workspace_id: int, seq: int) -> bool:
    """Return whether any metrics of a workspace have not been counted up to a number."""
    query = select(metric_places.c.destination_id).where(
        metric_places.c.workspace_id == workspace_id, metric_places.c.counted_seq < seq
    )
    return conn.execute(query.limit(1)).first() is not None


# -- series --------------------------------------------------------------------------------------------


def known(conn: Connection, destination_id: int, keys: Collection[bytes]) -> list[Series]:
    """Return the series of some keys, of those that there are."""
    return _series(conn, destination_id, metric_series.c.key.in_(list(keys)))


def every(conn: Connection, destination_id: int) -> list[Series]:
    """Return all series of a destination, in an order that stays."""
    return _series(conn, destination_id)


def count(conn: Connection, destination_id: int) -> int:
    """Return how many sets of labels a destination's metrics tell apart."""
    query = select(func.count()).where(
        metric_series.c.destination_id == destination_id, metric_series.c.key != OTHER.key
    )
    return conn.execute(query).scalar_one()


def put(conn: Connection, destination_id: int, changed: Iterable[Series]) -> None:
    """Replace series; the caller holds the place's lock, so that nobody else adds meanwhile."""
    rows = [
        {"destination_id": destination_id, "key": one.labels.key, "document": _encode(one)} for one in changed
    ]
    if rows:
        conn.execute(_PUT, rows)


_PUT: Final = text(
    "INSERT INTO metric_series (destination_id, key, document) VALUES (:destination_id, :key, :document)"
    " ON CONFLICT (destination_id, key) DO UPDATE SET document = excluded.document"
)


# -- inside --------------------------------------------------------------------------------------------


def _of(destination_id: int) -> ColumnElement[bool]:
    return metric_places.c.destination_id == destination_id


def _taken(place: MetricPlace) -> ColumnElement[bool]:
    return _of(place.destination_id) & (metric_places.c.due_at_us == place.due_at_us)


def _one(conn: Connection, destination_id: int) -> MetricPlace | None:
    row = conn.execute(_PLACE.where(_of(destination_id))).one_or_none()
    return MetricPlace(**row._asdict()) if row else None


def _set(conn: Connection, where: ColumnElement[bool], **values: int | str | None) -> bool:
    return conn.execute(update(metric_places).where(where).values(values)).rowcount == 1


def _series(conn: Connection, destination_id: int, *only: ColumnElement[bool]) -> list[Series]:
    query = (
        select(metric_series.c.document)
        .where(metric_series.c.destination_id == destination_id, *only)
        .order_by(metric_series.c.key)
    )
    return [_decode(document) for document in conn.execute(query).scalars()]
