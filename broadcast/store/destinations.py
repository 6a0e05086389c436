"""Configured destinations: plain settings, masks to show, and secrets as the vault sealed them."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Text, cast, func, or_, select
from sqlalchemy import insert as _insert
from sqlalchemy import update as _update
from sqlalchemy.exc import IntegrityError

from broadcast import filters
from broadcast.errors import Conflict
from broadcast.store.among import among
from broadcast.store.direct import Statement
from broadcast.store.tables import destinations, workspaces


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredDestination:
    """A destination as stored; `sealed` opens only in the vault, for this `address`."""

    id: int
    uid: str
    workspace_id: int
    type: str
    name: str
    enabled: bool
    config: dict[str, Any]
    masks: dict[str, Any]
    sealed: bytes = field(repr=False)
    address: tuple[str, ...]
    version: int
    privacy_level: str
    sampling_rate: float
    api_key_hashes: tuple[str, ...] | None
    excluded_api_key_hashes: tuple[str, ...] | None
    filter_rules: dict[str, Any] | None
    broadcast_generation_cost: bool
    broadcast_generation_identity: bool
    broadcast_generation_request_context: bool
    origin: str
    paused_by: str | None
    pause_reason: str | None
    paused_at_us: int | None
    created_at_us: int
    updated_at_us: int
    broadcast_generation_cost_allocation: bool = False
    regions: tuple[str, ...] = ("global",)
    sampler: str | None = None
    resource_attributes: dict[str, Any] | None = None
    redaction_patterns: tuple[str, ...] | None = None
    tuning: dict[str, int] | None = None

    def follows(self, broadcast_enabled: bool) -> bool:
        """Whether it gets anything: the workspace's switch is for all but the operator's export."""
        return broadcast_enabled or self.origin == "operator"

    def tuned(self, limit: str, otherwise: int) -> int:
        """Return a limit as the operator tuned it, else as its type says."""
        return otherwise if self.tuning is None else self.tuning.get(limit, otherwise)


_TUPLES: Final = ("address", "api_key_hashes", "excluded_api_key_hashes", "regions", "redaction_patterns")
_COLUMNS: Final = tuple(destinations.c[name] for name in StoredDestination.__slots__)
_ALIVE: Final = destinations.c.deleted_at_us.is_(None)


def named(name: str) -> dict[str, str]:
    """Return the columns of a name: as it is shown, and as it is compared."""
    return {"name": name, "name_key": _key(name)}


def new_uid() -> str:
    """Return an outside id, for who must seal secrets under it before the row is there."""
    return str(uuid.uuid4())


def insert(
    conn: Connection,
    *,
    uid: str,
    workspace_id: int,
    type: str,  # noqa: A002 - the contract's word
    name: str,
    config: dict[str, Any],
    masks: dict[str, Any],
    sealed: bytes,
    address: tuple[str, ...],
    now_us: int,
    enabled: bool = True,
    privacy_level: str = "full",
    sampling_rate: float = 1.0,
    api_key_hashes: tuple[str, ...] | None = None,
    excluded_api_key_hashes: tuple[str, ...] | None = None,
    filter_rules: dict[str, Any] | None = None,
    broadcast_generation_cost: bool = False,
    broadcast_generation_identity: bool = False,
    broadcast_generation_request_context: bool = False,
    broadcast_generation_cost_allocation: bool = False,
    regions: tuple[str, ...] = ("global",),
    sampler: str | None = None,
    resource_attributes: dict[str, Any] | None = None,
    redaction_patterns: tuple[str, ...] | None = None,
    origin: str = "user",
    tuning: dict[str, int] | None = None,
) -> int:
    """Store a destination and return its inside id; raise `Conflict` where the name is taken.

    The caller holds the workspace's head, since what is kept of a receipt depends on who wants it.
    """
    values: dict[str, Any] = {
        "uid": uid,
        "workspace_id": workspace_id,
        "type": type,
        **named(name),
        "config": config,
        "masks": masks,
        "sealed": sealed,
        "address": list(address),
        "enabled": enabled,
        "privacy_level": privacy_level,
        "sampling_rate": sampling_rate,
        "api_key_hashes": _listed(api_key_hashes),
        "excluded_api_key_hashes": _listed(excluded_api_key_hashes),
        "filter_rules": filter_rules,
        "broadcast_generation_cost": broadcast_generation_cost,
        "broadcast_generation_identity": broadcast_generation_identity,
        "broadcast_generation_request_context": broadcast_generation_request_context,
        "broadcast_generation_cost_allocation": broadcast_generation_cost_allocation,
        "regions": list(regions),
        "sampler": sampler,
        "resource_attributes": resource_attributes,
        "redaction_patterns": _listed(redaction_patterns),
        "origin": origin,
        "tuning": tuning,
        "version": 1,
        "created_at_us": now_us,
        "updated_at_us": now_us,
    }
    try:
        return int(
            conn.execute(_insert(destinations).values(values).returning(destinations.c.id)).scalar_one()
        )
    except IntegrityError as error:
        raise _taken(error) from None


def update(
    conn: Connection, destination_id: int, expected_version: int, *, now_us: int, **changes: Any
) -> bool:
    """Change a destination and count its version up; False when it was changed by someone else meanwhile.

    The caller holds the workspace's head when `enabled` or `privacy_level` changes.
    """
    values = {key: list(value) if key in _TUPLES and value else value for key, value in changes.items()}
    if "name" in changes:
        values["name_key"] = _key(changes["name"])
    statement = (
        _update(destinations)
        .where(destinations.c.id == destination_id, destinations.c.version == expected_version, _ALIVE)
        .values(**values, version=expected_version + 1, updated_at_us=now_us)
    )
    try:
        return conn.execute(statement).rowcount == 1
    except IntegrityError as error:
        raise _taken(error) from None


def pause(conn: Connection, destination_id: int, *, by: str, reason: str | None, now_us: int) -> bool:
    """Hold a destination's receipts back; False when it is paused already.

    A person's pause replaces an answer's: nothing is tried any more until a person resumes.
    """
    running = destinations.c.paused_by.is_(None)
    before = or_(running, destinations.c.paused_by == "answer") if by == "person" else running
    statement = (
        _update(destinations)
        .where(destinations.c.id == destination_id, before, _ALIVE)
        .values(paused_by=by, pause_reason=reason, paused_at_us=now_us)
    )
    return conn.execute(statement).rowcount == 1


def lock(conn: Connection, destination_ids: Iterable[int]) -> None:
    """Keep several destinations' settings still until this transaction ends, in order of ids."""
    wanted = sorted(set(destination_ids))
    if wanted:
        query = select(destinations.c.id).where(destinations.c.id.in_(wanted)).order_by(destinations.c.id)
        conn.execute(query.with_for_update()).all()


def resume(conn: Connection, destination_id: int, *, paused_by: str | None = None) -> bool:
    """Let a paused destination send again; False when it was not paused, or not by `paused_by`."""
    paused = destinations.c.paused_by
    statement = (
        _update(destinations)
        .where(
            destinations.c.id == destination_id,
            paused.is_not(None) if paused_by is None else paused == paused_by,
            _ALIVE,
        )
        .values(paused_by=None, pause_reason=None, paused_at_us=None)
    )
    return conn.execute(statement).rowcount == 1


def delete(conn: Connection, destination_id: int, *, now_us: int) -> bool:
    """Delete a destination: its history stays, its secrets go, its name is free; False when it was gone."""
    statement = (
        _update(destinations)
        .where(destinations.c.id == destination_id, _ALIVE)
        .values(deleted_at_us=now_us, updated_at_us=now_us, enabled=False, sealed=b"", masks={})
    )
    return conn.execute(statement).rowcount == 1


def by_uid(conn: Connection, workspace_id: int, uid: str) -> StoredDestination | None:
    """Return a workspace's destination by its outside id; another workspace's is not found."""
    return _one(conn, (destinations.c.workspace_id == workspace_id) & (destinations.c.uid == uid))


def by_id(conn: Connection, destination_id: int) -> StoredDestination | None:
    """Return a destination by its inside id, which never comes from outside."""
    return _one(conn, destinations.c.id == destination_id)


def by_ids(
    conn: Connection, destination_ids: Iterable[int], known: Mapping[int, StoredDestination] | None = None
) -> dict[int, StoredDestination]:
    """Return several destinations by their inside ids; what is `known` is read again once it has changed."""
    before = known or {}
    found: dict[int, StoredDestination] = {}
    changed: list[int] = []
    for id_, version, paused_by in _STANDING.rows(conn, {"ids": list(destination_ids)}):
        one = before.get(id_)
        if one is not None and (one.version, one.paused_by) == (version, paused_by):
            found[id_] = one
        else:
            changed.append(id_)
    if changed:
        found |= {row.id: _record(row) for row in conn.execute(_BY_IDS, {"ids": changed}).all()}
    return found


_STANDING: Final = Statement(
    select(destinations.c.id, destinations.c.version, destinations.c.paused_by).where(
        among(destinations.c.id, "ids"), _ALIVE
    )
)
_BY_IDS: Final = select(*_COLUMNS).where(among(destinations.c.id, "ids"), _ALIVE)


def list_for(conn: Connection, workspace_id: int) -> list[StoredDestination]:
    """Return a workspace's destinations, oldest first."""
    query = (
        select(*_COLUMNS)
        .where(destinations.c.workspace_id == workspace_id, _ALIVE)
        .order_by(destinations.c.id)
    )
    return [_record(row) for row in conn.execute(query)]


def all_ids(conn: Connection) -> list[int]:
    """Return the inside ids of every destination, for the rotation of keys."""
    return list(conn.execute(select(destinations.c.id).where(_ALIVE).order_by(destinations.c.id)).scalars())


def count_of_type(conn: Connection, workspace_id: int, type: str) -> int:  # noqa: A002
    """Return how many destinations of a type a workspace has, the demo's and the operator's not counted."""
    query = (
        select(func.count())
        .select_from(destinations)
        .where(
            destinations.c.workspace_id == workspace_id,
            destinations.c.type == type,
            destinations.c.origin == "user",
            _ALIVE,
        )
    )
    return conn.execute(query).scalar_one()


def name_taken(conn: Connection, workspace_id: int, name: str, *, besides_id: int | None = None) -> bool:
    """Return whether another destination of the workspace has this name, without regard to case."""
    query = select(destinations.c.id).where(
        destinations.c.workspace_id == workspace_id, destinations.c.name_key == _key(name), _ALIVE
    )
    return any(found != besides_id for found in conn.execute(query).scalars())


def any_wants_content(conn: Connection, workspace_ids: Iterable[int]) -> set[int]:
    """Return the workspaces where an enabled destination sends content, or chooses by it.

    Read under the heads' locks.
    """
    found = _WANTING_CONTENT.rows(conn, {"ids": list(workspace_ids)})
    return {
        workspace_id
        for workspace_id, level, rules in found
        if level != "metadata" or filters.needs_content(msgspec.json.decode(rules))
    }


_WANTING_CONTENT: Final = Statement(
    select(destinations.c.workspace_id, destinations.c.privacy_level, cast(destinations.c.filter_rules, Text))
    .join(workspaces, workspaces.c.id == destinations.c.workspace_id)
    .where(
        among(destinations.c.workspace_id, "ids"),
        or_(workspaces.c.broadcast_enabled, destinations.c.origin == "operator"),
        destinations.c.enabled,
        or_(destinations.c.privacy_level != "metadata", destinations.c.filter_rules.is_not(None)),
        _ALIVE,
    )
)


def reseal(conn: Connection, destination_id: int, expected_version: int, sealed: bytes) -> bool:
    """Replace sealed secrets that were only wrapped anew; False when the destination changed meanwhile."""
    statement = _update(destinations).where(
        destinations.c.id == destination_id, destinations.c.version == expected_version, _ALIVE
    )
    return conn.execute(statement.values(sealed=sealed)).rowcount == 1


def _one(conn: Connection, condition: Any) -> StoredDestination | None:
    row = conn.execute(select(*_COLUMNS).where(condition, _ALIVE)).one_or_none()
    return _record(row) if row else None


def _record(row: Any) -> StoredDestination:
    values = row._asdict()
    for name in _TUPLES:
        values[name] = None if values[name] is None else tuple(values[name])
    return StoredDestination(**values)


def _key(name: str) -> str:
    return name.strip().casefold()


def _listed(value: Iterable[str] | None) -> list[str] | None:
    return None if value is None else list(value)


def _taken(error: IntegrityError) -> Exception:
    """Return the conflict, or the error itself where it is another one."""
    if "name_key" in str(error.orig):
        return Conflict("A destination with this name exists.", field="name", reason="name_taken")
    return error
