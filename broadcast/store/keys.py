"""API keys and management keys: the public hash and a peppered verifier, never the key."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, select, update

from broadcast.store.tables import api_keys, users


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiKey:
    """A key as stored; `kind` is api or management."""

    id: int
    workspace_id: int
    user_id: int
    kind: str
    hash: str
    verifier: bytes = field(repr=False)
    name: str
    label: str
    scopes: tuple[str, ...]
    created_at_us: int
    expires_at_us: int | None
    last_used_at_us: int | None
    revoked_at_us: int | None
    disabled: bool = False
    updated_at_us: int | None = None

    def expired(self, now_us: int) -> bool:
        """Whether its end has come."""
        return self.expires_at_us is not None and now_us >= self.expires_at_us

    def works(self, now_us: int) -> bool:
        """Whether it opens anything: not revoked, not switched off, not past its end."""
        return self.revoked_at_us is None and not self.disabled and not self.expired(now_us)


def create(
    conn: Connection,
    *,
    workspace_id: int,
    user_id: int,
    kind: str,
    hash: str,  # noqa: A002 - the contract's word
    verifier: bytes,
    name: str,
    label: str,
    scopes: tuple[str, ...],
    now_us: int,
    expires_at_us: int | None = None,
) -> ApiKey:
    """Store a key."""
    values: dict[str, Any] = {
        "workspace_id": workspace_id,
        "user_id": user_id,
        "kind": kind,
        "hash": hash,
        "verifier": verifier,
        "name": name,
        "label": label,
        "created_at_us": now_us,
        "expires_at_us": expires_at_us,
        "last_used_at_us": None,
        "revoked_at_us": None,
        "disabled": False,
        "updated_at_us": None,
    }
    statement = insert(api_keys).values(**values, scopes=" ".join(scopes)).returning(api_keys.c.id)
    return ApiKey(id=conn.execute(statement).scalar_one(), scopes=scopes, **values)


def by_verifier(conn: Connection, verifier: bytes) -> ApiKey | None:
    """Return the key with this verifier, revoked and expired ones included: the caller judges."""
    return _one(conn, api_keys.c.verifier == verifier)


def by_hash(conn: Connection, workspace_id: int, hash: str) -> ApiKey | None:  # noqa: A002
    """Return a workspace's key by its public hash."""
    return _one(conn, (api_keys.c.workspace_id == workspace_id) & (api_keys.c.hash == hash))


def list_for(conn: Connection, workspace_id: int) -> list[ApiKey]:
    """Return a workspace's keys that are not revoked, newest first."""
    query = (
        select(api_keys)
        .where(api_keys.c.workspace_id == workspace_id, api_keys.c.revoked_at_us.is_(None))
        .order_by(api_keys.c.id.desc())
    )
    return [_record(row) for row in conn.execute(query)]


def hashes_made_by(conn: Connection, workspace_id: int, maker_uid: str) -> set[str]:
    """Return the public hashes of the keys that a user made in a workspace, ended ones included."""
    query = (
        select(api_keys.c.hash)
        .join(users, users.c.id == api_keys.c.user_id)
        .where(api_keys.c.workspace_id == workspace_id, users.c.uid == maker_uid)
    )
    return set(conn.execute(query).scalars())


def makers(conn: Connection, found: Iterable[ApiKey]) -> dict[int, str]:
    """Return the outside ids of the users who made some keys, by inside id."""
    wanted = {key.user_id for key in found}
    rows = conn.execute(select(users.c.id, users.c.uid).where(users.c.id.in_(wanted)))
    return {row.id: row.uid for row in rows}


def revoke(conn: Connection, workspace_id: int, key_id: int, now_us: int) -> bool:
    """End a key; return whether it was in use."""
    statement = (
        update(api_keys)
        .where(
            api_keys.c.id == key_id,
            api_keys.c.workspace_id == workspace_id,
            api_keys.c.revoked_at_us.is_(None),
        )
        .values(revoked_at_us=now_us)
    )
    return conn.execute(statement).rowcount > 0


def revoke_management_of(conn: Connection, workspace_id: int, user_id: int, now_us: int) -> int:
    """End the management keys a leaving member made in a workspace; return how many."""
    statement = (
        update(api_keys)
        .where(
            api_keys.c.workspace_id == workspace_id,
            api_keys.c.user_id == user_id,
            api_keys.c.kind == "management",
            api_keys.c.revoked_at_us.is_(None),
        )
        .values(revoked_at_us=now_us)
    )
    return conn.execute(statement).rowcount


def change(conn: Connection, workspace_id: int, key_id: int, *, now_us: int, **changes: Any) -> bool:
    """Change name, end or use of a key that is not revoked; return whether there is such a key."""
    statement = (
        update(api_keys)
        .where(
            api_keys.c.id == key_id,
            api_keys.c.workspace_id == workspace_id,
            api_keys.c.revoked_at_us.is_(None),
        )
        .values(**changes, updated_at_us=now_us)
    )
    return conn.execute(statement).rowcount > 0


def touch_last_used(conn: Connection, key_id: int, now_us: int) -> None:
    """Note a use; never inside the transaction that stores receipts."""
    conn.execute(update(api_keys).where(api_keys.c.id == key_id).values(last_used_at_us=now_us))


def _one(conn: Connection, condition: Any) -> ApiKey | None:
    row = conn.execute(select(api_keys).where(condition)).one_or_none()
    return _record(row) if row else None


def _record(row: Any) -> ApiKey:
    values = row._asdict()
    return ApiKey(**{**values, "scopes": tuple(values["scopes"].split())})
