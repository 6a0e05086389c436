"""A workspace from its making to its end: who makes it owns it, and only an owner deletes it."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from broadcast import metric_counting, operator_export
from broadcast.errors import Forbidden, NotFound, SettingsError
from broadcast.members import MANAGING, Members
from broadcast.store import Store, audit, cursors, departures, destinations, users, workspaces
from broadcast.store.keys import ApiKey
from broadcast.store.users import User
from broadcast.store.workspaces import Workspace
from broadcast.vault import Vault

_SLUG: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LONGEST_SLUG: Final = 48
_LONGEST_DESCRIPTION: Final = 500


class Workspaces(Members):
    """The use cases of workspaces; each opens and closes its own transactions."""

    def __init__(self, store: Store, secret_key: bytes, vault: Vault, clock: Callable[[], int]) -> None:
        super().__init__(store, secret_key, clock)
        self._vault = vault

    def create_workspace(
        self,
        *,
        name: str,
        owner: User,
        now_us: int,
        demo: bool = False,
        slug: str | None = None,
        description: str | None = None,
    ) -> Workspace:
        """Make a workspace that belongs to the user; raise `Conflict` where the slug is taken."""
        given = {"name": name, "description": description, **({} if slug is None else {"slug": slug})}
        columns = _checked(given)
        with self._store.write() as conn:
            made = workspaces.create(
                conn,
                **columns,
                content_key=self._vault.new_content_key(),
                demo=demo,
                created_by=owner.uid,
                now_us=now_us,
            )
            users.add_member(conn, workspace_id=made.id, user_id=owner.id, role="owner")
            if owner.last_workspace_id is None:
                # So that even the first log-in is written down somewhere.
                users.set_last_workspace(conn, owner.id, made.id)
            operator_export.join(conn, self._vault, made, now_us)
            audit.record(
                conn,
                workspace_id=made.id,
                user_id=owner.id,
                action="workspace_created",
                target=made.uid,
                detail={"name": made.name},
                now_us=now_us,
            )
            return made

    def change_workspace(
        self, workspace: Workspace, user_id: int, changes: Mapping[str, str | None], *, now_us: int
    ) -> Workspace:
        """Change `name`, `slug` or `description`; raise `Conflict` where the slug is taken."""
        columns = _checked(changes)
        with self._store.write() as conn:
            if columns:
                workspaces.change(conn, workspace.id, now_us=now_us, **columns)
                audit.record(
                    conn,
                    workspace_id=workspace.id,
                    user_id=user_id,
                    action="workspace_renamed" if "name" in columns else "workspace_changed",
                    target=workspace.uid,
                    detail=columns,
                    now_us=now_us,
                )
            return workspaces.by_id(conn, workspace.id) or workspace

    def delete_workspace(self, workspace: Workspace, user_id: int, *, now_us: int) -> None:
        """Delete a workspace with everything it owns, for an owner.

        At once nothing of it can be reached, sent or opened any more: its keys end, its secrets and the key
        of its content are gone. Its rows follow in small steps (`retention`), so that ingest never waits.
        """
        with self._store.write() as conn:
            head = workspaces.lock_head(conn, workspace.id)
            if workspaces.by_id(conn, workspace.id) is None:
                raise NotFound("There is no such workspace.")
            if users.role_of(conn, workspace.id, user_id) != "owner":
                raise Forbidden("Only an owner deletes a workspace.")
            for stored in destinations.list_for(conn, workspace.id):
                cursors.end(conn, stored.id, head, now_us)
                destinations.delete(conn, stored.id, now_us=now_us)
            metric_counting.keep(conn, workspace.id, head, now_us)
            departures.depart(conn, workspace.id, now_us=now_us)
            # Not the workspace's own entry, which goes with it.
            audit.record(
                conn,
                workspace_id=None,
                user_id=user_id,
                action="workspace_deleted",
                target=workspace.uid,
                detail={"name": workspace.name},
                now_us=now_us,
            )
        self._forget(lambda known: known.workspace_id == workspace.id)

    def managed_by(self, user_id: int) -> list[Workspace]:
        """Return the workspaces where a user is owner or admin, by name."""
        with self._store.read() as conn:
            return [found for found, role in workspaces.for_user(conn, user_id) if role in MANAGING]

    def user_of(self, key: ApiKey) -> User:
        """Return the user for whom a management key acts."""
        with self._store.read() as conn:
            found = users.by_id(conn, key.user_id)
        if found is None:
            raise NotFound("Whoever made this key is gone.")
        return found

    def workspace_of(self, key: ApiKey, ref: str | None = None) -> Workspace:
        """Return the workspace a key acts in: its own, or with a management key another of its maker's.

        `ref` is an outside id or a slug. A management key acts for the user who made it, so it ends where
        they are no longer owner or admin.
        """
        with self._store.read() as conn:
            home = workspaces.by_id(conn, key.workspace_id)
            target = home
            if ref is not None:
                target = workspaces.by_uid(conn, ref) or workspaces.by_slug(conn, ref)
            if target is None or (key.kind != "management" and target.id != key.workspace_id):
                raise NotFound("There is no such workspace.")
            role = users.role_of(conn, target.id, key.user_id) if key.kind == "management" else "owner"
        if role in MANAGING:
            return target
        if target.id == key.workspace_id:
            raise Forbidden("Whoever made this management key no longer manages the workspace.")
        raise NotFound("There is no such workspace.")


def _checked(given: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the columns; raise `SettingsError` by field for what is wrong."""
    found: dict[str, Any] = dict(given)
    problems = {}
    if "name" in found:
        found["name"] = (found["name"] or "").strip()
        if not 1 <= len(found["name"]) <= 100 or not found["name"].isprintable():
            problems["name"] = "Enter a name of 1 to 100 characters."
    if "slug" in found and not _is_slug(found["slug"]):
        problems["slug"] = (
            f"Enter at most {_LONGEST_SLUG} lower-case letters and digits, with single hyphens between them."
        )
    if "description" in found:
        found["description"] = (found["description"] or "").strip() or None
        if len(found["description"] or "") > _LONGEST_DESCRIPTION:
            problems["description"] = f"Enter at most {_LONGEST_DESCRIPTION} characters."
    if problems:
        raise SettingsError(problems)
    return found


def _is_slug(text: str | None) -> bool:
    return text is not None and len(text) <= _LONGEST_SLUG and _SLUG.fullmatch(text) is not None
