"""Workspaces and the heads of their logs."""

import re
import unicodedata
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Boolean, Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from broadcast.errors import Conflict
from broadcast.store.among import among
from broadcast.store.direct import Statement
from broadcast.store.tables import heads, memberships, workspaces


@dataclass(frozen=True, kw_only=True, slots=True)
class Workspace:
    """A team's log, its destinations and its keys."""

    id: int
    uid: str
    slug: str
    name: str
    broadcast_enabled: bool
    demo: bool
    content_key: bytes = field(repr=False)
    created_at_us: int
    notify_email: bool = True
    notify_webhook: bytes | None = field(default=None, repr=False)
    notify_webhook_host: str | None = None
    description: str | None = None
    created_by: str | None = None
    updated_at_us: int | None = None


_COLUMNS: Final = tuple(workspaces.c[name] for name in Workspace.__slots__)
_ALIVE: Final = workspaces.c.deleted_at_us.is_(None)


def create(
    conn: Connection,
    *,
    name: str,
    content_key: bytes,
    demo: bool,
    now_us: int,
    slug: str | None = None,
    description: str | None = None,
    created_by: str | None = None,
) -> Workspace:
    """Make a workspace with an empty log; its slug, where none is asked for, comes from the name.

    `created_by` is a user's outside id. Raise `Conflict` where the slug is taken.
    """
    values: dict[str, Any] = {
        "uid": str(uuid.uuid4()),
        "slug": slug or _free_slug(conn, name),
        "name": name,
        "broadcast_enabled": False,
        "demo": demo,
        "content_key": content_key,
        "created_at_us": now_us,
        "description": description,
        "created_by": created_by,
    }
    try:
        id_ = conn.execute(insert(workspaces).values(values).returning(workspaces.c.id)).scalar_one()
    except IntegrityError as error:
        raise _taken(error) from None
    conn.execute(insert(heads).values(workspace_id=id_, head_seq=0))
    return Workspace(id=id_, **values)


def by_id(conn: Connection, workspace_id: int) -> Workspace | None:
    """Return a workspace by its inside id."""
    return _one(conn, workspaces.c.id == workspace_id)


def by_ids(conn: Connection, workspace_ids: Iterable[int]) -> list[Workspace]:
    """Return several workspaces by their inside ids."""
    return [_raw(row) for row in _BY_IDS.rows(conn, {"ids": list(workspace_ids)})]


def _raw(row: tuple[Any, ...]) -> Workspace:
    """Return a workspace of a row as the driver has it: SQLite has no truth values, but numbers."""
    values = dict(zip(Workspace.__slots__, row, strict=True))
    return Workspace(**{**values, **{name: bool(values[name]) for name in _TRUTHS}})


_BY_IDS: Final = Statement(select(*_COLUMNS).where(among(workspaces.c.id, "ids"), _ALIVE))
_TRUTHS: Final = tuple(column.name for column in _COLUMNS if isinstance(column.type, Boolean))


def by_uid(conn: Connection, uid: str) -> Workspace | None:
    """Return a workspace by its outside id."""
    return _one(conn, workspaces.c.uid == uid)


def by_slug(conn: Connection, slug: str) -> Workspace | None:
    """Return a workspace by its name in addresses."""
    return _one(conn, workspaces.c.slug == slug)


def for_user(conn: Connection, user_id: int) -> list[tuple[Workspace, str]]:
    """Return the workspaces a user is a member of, by name, each with the user's role."""
    query = (
        select(*_COLUMNS, memberships.c.role)
        .join(memberships, memberships.c.workspace_id == workspaces.c.id)
        .where(memberships.c.user_id == user_id, _ALIVE)
        .order_by(func.lower(workspaces.c.name), workspaces.c.id)
    )
    found = [row._asdict() for row in conn.execute(query)]
    return [(Workspace(**{key: row[key] for key in row if key != "role"}), row["role"]) for row in found]


def all(conn: Connection) -> list[Workspace]:  # noqa: A001 - reads as workspaces.all
    """Return every workspace, oldest first."""
    query = select(*_COLUMNS).where(_ALIVE).order_by(workspaces.c.id)
    return [Workspace(**row._asdict()) for row in conn.execute(query)]


def count(conn: Connection) -> int:
    """Return the number of workspaces."""
    return conn.execute(select(func.count()).select_from(workspaces).where(_ALIVE)).scalar_one()


def change(conn: Connection, workspace_id: int, *, now_us: int, **changes: str | None) -> None:
    """Change name, slug or description; raise `Conflict` where the slug is taken."""
    statement = update(workspaces).where(workspaces.c.id == workspace_id)
    try:
        conn.execute(statement.values(**changes, updated_at_us=now_us))
    except IntegrityError as error:
        raise _taken(error) from None


def set_broadcast(conn: Connection, workspace_id: int, enabled: bool) -> None:
    """Switch Broadcast for a workspace; the caller holds the head and starts or ends the ledgers."""
    conn.execute(update(workspaces).where(workspaces.c.id == workspace_id).values(broadcast_enabled=enabled))


def set_notify_email(conn: Connection, workspace_id: int, enabled: bool) -> None:
    """Switch the mail about destinations that need attention."""
    conn.execute(update(workspaces).where(workspaces.c.id == workspace_id).values(notify_email=enabled))


def set_webhook(conn: Connection, workspace_id: int, sealed: bytes | None, host: str | None) -> None:
    """Replace the sealed address that the workspace is told at, and the host shown of it; None removes it."""
    values = {"notify_webhook": sealed, "notify_webhook_host": host}
    conn.execute(update(workspaces).where(workspaces.c.id == workspace_id).values(values))


def reseal(conn: Connection, workspace_id: int, content_key: bytes) -> None:
    """Replace the sealed content key by itself wrapped anew."""
    conn.execute(update(workspaces).where(workspaces.c.id == workspace_id).values(content_key=content_key))


def head_seq(conn: Connection, workspace_id: int) -> int:
    """Return the number of the newest receipt, 0 for an empty log."""
    query = select(heads.c.head_seq).where(heads.c.workspace_id == workspace_id)
    return int(conn.execute(query).scalar_one())


def lock_head(conn: Connection, workspace_id: int) -> int:
    """Return the number of the newest receipt and keep the log still until this transaction ends."""
    return lock_heads(conn, (workspace_id,))[workspace_id]


def lock_heads(conn: Connection, workspace_ids: Iterable[int]) -> dict[int, int]:
    """Return the newest numbers of several logs and keep these still until this transaction ends.

    Locked in the order of ids, before anything else: so no two transactions can wait for each other, and the
    order of numbers is the order of commits.
    """
    return dict(_LOCK_HEADS.rows(conn, {"ids": list(workspace_ids)}))


_LOCK_HEADS: Final = Statement(
    select(heads.c.workspace_id, heads.c.head_seq)
    .where(among(heads.c.workspace_id, "ids"))
    .order_by(heads.c.workspace_id)
    .with_for_update()
)


def _one(conn: Connection, condition: Any) -> Workspace | None:
    row = conn.execute(select(*_COLUMNS).where(condition, _ALIVE)).one_or_none()
    return Workspace(**row._asdict()) if row else None


def _taken(error: IntegrityError) -> Exception:
    """Return the conflict, or the error itself where it is another one."""
    if "slug" in str(error.orig):
        return Conflict("A workspace with this slug exists.", field="slug", reason="slug_taken")
    return error


def _free_slug(conn: Connection, name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:48] or "workspace"
    query = select(workspaces.c.slug).where(workspaces.c.slug.like(f"{slug}%"))
    taken = set(conn.execute(query).scalars())
    number = 2
    free = slug
    while free in taken:
        free, number = f"{slug}-{number}", number + 1
    return free
