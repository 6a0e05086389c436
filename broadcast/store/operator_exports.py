"""The operator's export, declared once and carried to every workspace, some hundred in a transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, insert, select, text, update

from broadcast.store import cursors
from broadcast.store.among import among
from broadcast.store.destinations import named
from broadcast.store.operator_tables import operator_exports
from broadcast.store.side_tables import audit_log
from broadcast.store.tables import destinations, workspaces

ORIGIN: Final = "operator"


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatorExport:
    """What was declared last; `sealed` opens only in the vault, for this `address`."""

    settings: dict[str, Any] | None
    address: tuple[str, ...]
    sealed: bytes = field(repr=False)
    done_workspace_id: int | None
    reloads: int
    declared_at_us: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A workspace's destination of the operator's, None where there is none yet."""

    workspace_id: int
    workspace_uid: str
    id: int | None
    uid: str | None


_NOTHING: Final = OperatorExport(
    settings=None, address=(), sealed=b"", done_workspace_id=None, reloads=0, declared_at_us=0
)
_ONE: Final = operator_exports.c.id == 1
_OF_OPERATOR: Final = (destinations.c.origin == ORIGIN) & destinations.c.deleted_at_us.is_(None)


def get(conn: Connection) -> OperatorExport:
    """Return what is declared."""
    row = conn.execute(_GET).one_or_none()
    return _record(row)


def lock(conn: Connection) -> OperatorExport:
    """Return what is declared, and keep it so until this transaction ends."""
    conn.execute(_FIRST, {"address": [], "sealed": b""})
    row = conn.execute(_GET.with_for_update()).one_or_none()
    return _record(row)


# Whoever comes first makes the row, for there is none that could be locked.
_FIRST: Final = text(
    "INSERT INTO operator_exports (id, address, sealed, reloads, declared_at_us)"
    " VALUES (1, :address, :sealed, 0, 0) ON CONFLICT (id) DO NOTHING"
).bindparams(
    bindparam("address", type_=operator_exports.c.address.type),
    bindparam("sealed", type_=operator_exports.c.sealed.type),
)
_GET: Final = select(*(operator_exports.c[name] for name in OperatorExport.__slots__)).where(_ONE)


def declare(
    conn: Connection,
    *,
    settings: Mapping[str, Any] | None,
    address: Sequence[str],
    sealed: bytes,
    now_us: int,
) -> None:
    """Replace what is declared; every workspace has to get it from now on."""
    _set(
        conn,
        settings=None if settings is None else dict(settings),
        address=list(address),
        sealed=sealed,
        done_workspace_id=0,
        declared_at_us=now_us,
    )


def reached(conn: Connection, workspace_id: int | None) -> None:
    """Remember up to which workspace it was carried; None for all."""
    _set(conn, done_workspace_id=workspace_id)


def reseal(conn: Connection, sealed: bytes) -> None:
    """Replace sealed secrets that were only wrapped anew."""
    _set(conn, sealed=sealed)


def count_reload(conn: Connection) -> None:
    """Ask every process to read its files again."""
    lock(conn)
    _set(conn, reloads=operator_exports.c.reloads + 1)


def _set(conn: Connection, **values: Any) -> None:
    conn.execute(update(operator_exports).where(_ONE).values(values))


# -- carried to workspaces; the caller has locked the declaration, then their heads ------------------


def places_after(conn: Connection, workspace_id: int, limit: int) -> list[Place]:
    """Return the next workspaces by id, each with its destination of the operator's."""
    query = (
        select(workspaces.c.id, workspaces.c.uid, destinations.c.id, destinations.c.uid)
        .outerjoin(destinations, (destinations.c.workspace_id == workspaces.c.id) & _OF_OPERATOR)
        .where(workspaces.c.id > workspace_id, workspaces.c.deleted_at_us.is_(None))
        .order_by(workspaces.c.id)
        .limit(limit)
    )
    return [
        Place(workspace_id=row[0], workspace_uid=row[1], id=row[2], uid=row[3]) for row in conn.execute(query)
    ]


def count_all(conn: Connection) -> int:
    """Return how many workspaces have it."""
    return conn.execute(select(func.count()).select_from(destinations).where(_OF_OPERATOR)).scalar_one()


def add(conn: Connection, rows: Sequence[Mapping[str, Any]], heads: Mapping[int, int], now_us: int) -> None:
    """Store a destination for each of several workspaces, and begin its ledger at the locked head."""
    if not rows:
        return
    taken = _names(conn, [row["workspace_id"] for row in rows])
    whole = [
        {**row, **named(_free(row["name"], taken.get(row["workspace_id"], set())))}
        | {"origin": ORIGIN, "version": 1, "created_at_us": now_us, "updated_at_us": now_us}
        for row in rows
    ]
    conn.execute(insert(destinations), whole)
    made = select(destinations.c.id, destinations.c.workspace_id).where(
        _OF_OPERATOR, among(destinations.c.workspace_id, "ids")
    )
    found = conn.execute(made, {"ids": list(heads)}).all()
    new = {row["workspace_id"] for row in rows}
    begun = {row.id: (row.workspace_id, heads[row.workspace_id]) for row in found if row.workspace_id in new}
    cursors.start_new(conn, begun, now_us)
    _audit(conn, rows, "destination.created", now_us)


def change(conn: Connection, rows: Sequence[Mapping[str, Any]], now_us: int) -> None:
    """Change several destinations, each named by `uid`, and let them try again at once."""
    if not rows:
        return
    columns = [name for name in rows[0] if name not in {"uid", "workspace_id", "name"}]
    statement = (
        update(destinations)
        .where(destinations.c.uid == bindparam("of_uid"))
        .values(
            {name: bindparam(f"new_{name}", type_=destinations.c[name].type) for name in columns}
            | {"version": destinations.c.version + 1, "updated_at_us": now_us}
        )
    )
    conn.execute(
        statement, [{"of_uid": row["uid"], **{f"new_{name}": row[name] for name in columns}} for row in rows]
    )
    changed = select(destinations.c.id).where(_OF_OPERATOR, among(destinations.c.workspace_id, "ids"))
    found = conn.execute(changed, {"ids": [row["workspace_id"] for row in rows]}).scalars()
    cursors.make_all_due(conn, list(found))
    _audit(conn, rows, "destination.updated", now_us)


def withdraw(conn: Connection, places: Sequence[Place], now_us: int) -> None:
    """End several ledgers at the locked heads; the history stays, the secrets go."""
    gone = [place for place in places if place.id is not None]
    if not gone:
        return
    ids = [place.id for place in gone if place.id is not None]
    cursors.end_all(conn, ids, now_us)
    conn.execute(
        update(destinations)
        .where(among(destinations.c.id, "ids"))
        .values(deleted_at_us=now_us, updated_at_us=now_us, enabled=False, sealed=b"", masks={}),
        {"ids": ids},
    )
    listed = [{"uid": place.uid, "workspace_id": place.workspace_id} for place in gone]
    _audit(conn, listed, "destination.deleted", now_us)


def _names(conn: Connection, workspace_ids: Iterable[int]) -> dict[int, set[str]]:
    query = select(destinations.c.workspace_id, destinations.c.name_key).where(
        among(destinations.c.workspace_id, "ids"), destinations.c.deleted_at_us.is_(None)
    )
    found: dict[int, set[str]] = {}
    for workspace_id, key in conn.execute(query, {"ids": list(workspace_ids)}):
        found.setdefault(workspace_id, set()).add(key)
    return found


def _free(name: str, taken: set[str]) -> str:
    """Return a name that nobody's destination has here: a person may have called theirs the same."""
    number = 2
    free = name
    while named(free)["name_key"] in taken:
        free, number = f"{name} ({number})", number + 1
    return free


def _audit(conn: Connection, rows: Sequence[Mapping[str, Any]], action: str, now_us: int) -> None:
    entries = [
        {
            "workspace_id": row["workspace_id"],
            "user_id": None,
            "at_us": now_us,
            "action": action,
            "target": row["uid"],
            "detail": {"origin": ORIGIN},
        }
        for row in rows
    ]
    conn.execute(insert(audit_log), entries)


def _record(row: Any) -> OperatorExport:
    if row is None:
        return _NOTHING
    values = row._asdict()
    return OperatorExport(**{**values, "address": tuple(values["address"])})
