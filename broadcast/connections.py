"""Configured destinations: test, save (only after a passed test), pause, resume, switch, delete.

`workspace` is a `store.workspaces.Workspace`, `uid` a destination's outside id. A `body` has the outside
names of the HTTP API (`type name enabled config sampling_rate privacy_mode privacy_level ...`), camelCase
inside `config`. `Report.fingerprint` is set when a test passed: a page sends it back with Save, in place of
the secrets.

Raised: SettingsError, GateClosed (holds the report), SecretRequired, Conflict, NotFound.
"""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from broadcast import draft, genai, metric_counting
from broadcast.config import Config
from broadcast.destination import Destination
from broadcast.egress import Policy
from broadcast.errors import Conflict, NotFound, SecretRequired, SettingsError, VaultError
from broadcast.gate import Gate
from broadcast.report import Report, fields_report
from broadcast.shelf import Shelf
from broadcast.store import Conn, Store, audit, cursors, destinations, workspaces
from broadcast.store.destinations import StoredDestination
from broadcast.store.workspaces import Workspace
from broadcast.vault import Vault

MAX_OF_A_TYPE: Final = 5
UNREADABLE: Final = "The stored secret cannot be opened. Enter it again."


class Connections(Shelf):
    """Every use case of a configured destination."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        types: Mapping[str, type[Destination]],
        policy: Policy,
        config: Config,
    ) -> None:
        super().__init__(store, vault, types, namespace=config.service_name, retention_us=config.retention_us)
        self._gate = Gate(store, vault, policy, config)

    # -- test --------------------------------------------------------------------------------------

    def test(
        self, workspace: Workspace, body: Mapping[str, Any], *, uid: str | None = None, now_us: int
    ) -> Report:
        """Send one marked span to what a body describes; a pass is remembered for ten minutes."""
        try:
            destination = self._described(workspace, body, uid)
        except SettingsError as error:
            return fields_report(error.problems)
        found = self._gate.probe(destination, now_us=now_us)
        if not found.ok:
            return found
        return replace(found, fingerprint=self._gate.remember(workspace, destination, now_us=now_us))

    def send_trace(self, workspace: Workspace, user_id: int | None, uid: str, *, now_us: int) -> Report:
        """Send one generated request, outside the ledger, to a saved destination."""
        stored = self.get(workspace, uid)
        try:
            destination = self.opened(workspace, stored)
        except VaultError:
            return fields_report({"config": UNREADABLE})
        spans = genai.sample_generation(now_us, self._namespace)
        found = self._gate.send(destination, spans, now_us=now_us, test=False)
        with self._store.write() as conn:
            audit.of_destination(conn, stored, user_id, "destination.trace_sent", {"ok": found.ok}, now_us)
        return found

    # -- save --------------------------------------------------------------------------------------

    def create(
        self,
        workspace: Workspace,
        user_id: int | None,
        body: Mapping[str, Any],
        *,
        fingerprint: str | None = None,
        now_us: int,
    ) -> StoredDestination:
        """Save a new destination after a passed test, and begin its ledger at the head."""
        cls = self._type(body)
        columns = draft.changes(body, None, cls)
        config = draft.config_of(body, cls, workspace.uid)
        destination = self._recalled(workspace, cls, config, fingerprint, now_us=now_us)
        if destination is None:
            destination = cls.parse(config)
            self._check_room(workspace.id, str(body["type"]), columns["name"])
            self._gate.require_passed(destination, now_us=now_us)
        uid = self._insert(workspace, user_id, str(body["type"]), destination, columns, now_us=now_us)
        return self.get(workspace, uid)

    def update(
        self,
        workspace: Workspace,
        user_id: int | None,
        uid: str,
        body: Mapping[str, Any],
        *,
        fingerprint: str | None = None,
        expected_version: int | None = None,
        now_us: int,
    ) -> StoredDestination:
        """Change a destination: a new `config`, or switching on, needs a passed test; the rest does not."""
        stored = self.get(workspace, uid)
        if expected_version is not None and expected_version != stored.version:
            raise Conflict("These settings changed meanwhile. Reload.", reason="stale")
        _require_editable(stored)
        columns = draft.changes(body, stored, self._types.get(stored.type))
        destination = self._edited(workspace, stored, body, fingerprint, now_us=now_us)
        if destination is not None:
            columns |= self._sealed(workspace, stored.uid, destination)
        if "name" in columns:
            self._check_name(workspace.id, columns["name"], stored.id)
        with self._store.write() as conn:
            head = workspaces.lock_head(conn, workspace.id)
            if not destinations.update(conn, stored.id, stored.version, now_us=now_us, **columns):
                raise Conflict("These settings changed meanwhile. Reload.", reason="stale")
            self._switch(conn, workspace, stored, columns.get("enabled", stored.enabled), head, now_us)
            metric_counting.keep(conn, workspace.id, head, now_us)
            if destination is not None:
                # What an answer paused is worth another try with settings that passed their test.
                if destinations.resume(conn, stored.id, paused_by="answer"):
                    audit.of_destination(conn, stored, user_id, "destination.resumed", {}, now_us)
                cursors.make_due(conn, stored.id)
                self._store.notify(conn)
            audit.of_destination(
                conn, stored, user_id, "destination.updated", {"fields": sorted(body)}, now_us
            )
        return self.get(workspace, uid)

    def delete(self, workspace: Workspace, user_id: int | None, uid: str, *, now_us: int) -> None:
        """Delete a destination: its secrets go, its ledger ends, its history stays."""
        stored = self.get(workspace, uid)
        _require_editable(stored)
        with self._store.write() as conn:
            head = workspaces.lock_head(conn, workspace.id)
            cursors.end(conn, stored.id, head, now_us)
            destinations.delete(conn, stored.id, now_us=now_us)
            metric_counting.keep(conn, workspace.id, head, now_us)
            audit.of_destination(conn, stored, user_id, "destination.deleted", {}, now_us)

    def pause(self, workspace: Workspace, user_id: int | None, uid: str, *, now_us: int) -> StoredDestination:
        """Hold a destination's receipts back until it is resumed; none is lost meanwhile."""
        stored = self.get(workspace, uid)
        _require_editable(stored)
        with self._store.write() as conn:
            workspaces.lock_head(conn, workspace.id)
            if destinations.pause(conn, stored.id, by="person", reason=None, now_us=now_us):
                audit.of_destination(conn, stored, user_id, "destination.paused", {}, now_us)
        return self.get(workspace, uid)

    def resume(
        self, workspace: Workspace, user_id: int | None, uid: str, *, now_us: int
    ) -> StoredDestination:
        """Let a paused destination send what it held, from where it stopped."""
        stored = self.get(workspace, uid)
        _require_editable(stored)
        with self._store.write() as conn:
            workspaces.lock_head(conn, workspace.id)
            if destinations.resume(conn, stored.id):
                cursors.make_due(conn, stored.id)
                self._store.notify(conn)
                audit.of_destination(conn, stored, user_id, "destination.resumed", {}, now_us)
        return self.get(workspace, uid)

    def set_broadcast(self, workspace: Workspace, user_id: int | None, enabled: bool, *, now_us: int) -> None:
        """Switch Broadcast: off ends every ledger at the head, on begins new ones there.

        The operator's export goes on: the switch belongs to the workspace.
        """
        with self._store.write() as conn:
            head = workspaces.lock_head(conn, workspace.id)
            current = workspaces.by_id(conn, workspace.id)
            if current is None or current.broadcast_enabled == enabled:
                return
            workspaces.set_broadcast(conn, workspace.id, enabled)
            for stored in destinations.list_for(conn, workspace.id):
                if stored.origin == "operator":
                    continue
                if not enabled:
                    cursors.end(conn, stored.id, head, now_us)
                elif stored.enabled:
                    cursors.start(conn, stored.id, workspace.id, head, now_us)
            metric_counting.keep(conn, workspace.id, head, now_us)
            action = "broadcast.switched_on" if enabled else "broadcast.switched_off"
            audit.record(
                conn,
                workspace_id=workspace.id,
                user_id=user_id,
                action=action,
                target=workspace.uid,
                detail={},
                now_us=now_us,
            )

    def add_demo_receiver(
        self, *, workspace_id: int, name: str, config: Mapping[str, Any], now_us: int
    ) -> None:
        """Give the demo's workspace its receiver, switched on; untested, since nothing is served yet."""
        with self._store.read() as conn:
            workspace = workspaces.by_id(conn, workspace_id)
        if workspace is None:
            raise NotFound("There is no such workspace.")
        body = {"name": name, "privacy_level": "full"}
        destination = self._types["otel-collector"].parse(config)
        columns = draft.changes(body, None) | {"origin": "demo"}
        self._insert(workspace, None, "otel-collector", destination, columns, now_us=now_us)
        self.set_broadcast(workspace, None, enabled=True, now_us=now_us)

    # -- inside ------------------------------------------------------------------------------------

    def _described(self, workspace: Workspace, body: Mapping[str, Any], uid: str | None) -> Destination:
        """Return what a test's body describes, stored secrets merged in for an edit."""
        if uid is None:
            cls = self._type(body)
            return cls.parse(draft.config_of(body, cls, workspace.uid))
        stored = self.get(workspace, uid)
        patch = draft.config_of(body, self._types[stored.type], workspace.uid)
        return self._merged(workspace, stored, patch)

    def _merged(
        self, workspace: Workspace, stored: StoredDestination, patch: Mapping[str, Any]
    ) -> Destination:
        cls = self._types[stored.type]
        draft.require_fresh_secrets(cls, stored, patch)
        try:
            secrets = self._secrets(workspace, stored)
        except VaultError:
            # A lost key must not lock its owner out: whatever was stored has to be entered again.
            missing = tuple(sorted(stored.masks.keys() - patch.keys()))
            if missing:
                raise SecretRequired(missing) from None
            secrets = {}
        return draft.merge(cls, stored, secrets, patch)

    def _edited(
        self,
        workspace: Workspace,
        stored: StoredDestination,
        body: Mapping[str, Any],
        fingerprint: str | None,
        *,
        now_us: int,
    ) -> Destination | None:
        """Return the tested destination where a test is needed, None where nothing has to be sealed."""
        switched_on = body.get("enabled") is True and not stored.enabled
        if "config" not in body and not switched_on:
            return None
        cls = self._types[stored.type]
        patch = draft.config_of(body, cls, workspace.uid)
        tested = self._recalled(workspace, cls, _plain_after(stored, patch), fingerprint, now_us=now_us)
        if tested is not None:
            return tested
        merged = self._merged(workspace, stored, patch)
        if switched_on or self._differs(workspace, stored, merged):
            self._gate.require_passed(merged, now_us=now_us)
            return merged
        return None

    def _differs(self, workspace: Workspace, stored: StoredDestination, merged: Destination) -> bool:
        try:
            return merged != self.opened(workspace, stored)
        except (VaultError, SettingsError):
            return True

    def _recalled(
        self,
        workspace: Workspace,
        cls: type[Destination],
        config: Mapping[str, Any],
        fingerprint: str | None,
        *,
        now_us: int,
    ) -> Destination | None:
        if fingerprint is None:
            return None
        secret = {spec.outside for spec in cls.specs() if spec.secret}
        plain = {name: value for name, value in config.items() if name not in secret}
        tested = self._gate.recall(workspace, cls, plain, fingerprint, now_us=now_us)
        # Another secret than the tested one has not passed, whatever fingerprint comes with it.
        return tested if tested is None or draft.same_secrets(tested, config) else None

    def _sealed(self, workspace: Workspace, uid: str, destination: Destination) -> dict[str, Any]:
        """Return the columns that hold settings."""
        address = tuple(destination.address())
        return {
            "config": destination.plain(),
            "masks": destination.masks(),
            "sealed": self._vault.seal_secrets(
                destination.secrets(), workspace=workspace.uid, destination=uid, address=address
            ),
            "address": address,
        }

    def _insert(
        self,
        workspace: Workspace,
        user_id: int | None,
        slug: str,
        destination: Destination,
        columns: Mapping[str, Any],
        *,
        now_us: int,
    ) -> str:
        uid = str(uuid.uuid4())
        settings = self._sealed(workspace, uid, destination)
        with self._store.write() as conn:
            head = workspaces.lock_head(conn, workspace.id)
            if columns.get("origin", "user") == "user":
                _require_room(conn, workspace.id, slug)
            _require_free_name(conn, workspace.id, columns["name"])
            id_ = destinations.insert(
                conn, uid=uid, workspace_id=workspace.id, type=slug, now_us=now_us, **settings, **columns
            )
            current = workspaces.by_id(conn, workspace.id)
            cursors.start(conn, id_, workspace.id, head, now_us)
            if not columns["enabled"] or current is None or not current.broadcast_enabled:
                cursors.end(conn, id_, head, now_us)
            metric_counting.keep(conn, workspace.id, head, now_us)
            audit.record(
                conn,
                workspace_id=workspace.id,
                user_id=user_id,
                action="destination.created",
                target=uid,
                detail={"type": slug, "name": columns["name"]},
                now_us=now_us,
            )
        return uid

    def _switch(  # noqa: PLR0917 - private, called once
        self,
        conn: Conn,
        workspace: Workspace,
        stored: StoredDestination,
        enabled: bool,
        head: int,
        now_us: int,
    ) -> None:
        """End or begin the ledger of what was switched, at the locked head."""
        current = workspaces.by_id(conn, workspace.id)
        if stored.enabled and not enabled:
            cursors.end(conn, stored.id, head, now_us)
        elif enabled and not stored.enabled and current is not None and current.broadcast_enabled:
            cursors.start(conn, stored.id, workspace.id, head, now_us)

    def _check_room(self, workspace_id: int, slug: str, name: str) -> None:
        """Refuse before the test what the save would refuse after it."""
        with self._store.read() as conn:
            _require_room(conn, workspace_id, slug)
            _require_free_name(conn, workspace_id, name)

    def _check_name(self, workspace_id: int, name: str, besides_id: int) -> None:
        with self._store.read() as conn:
            _require_free_name(conn, workspace_id, name, besides_id=besides_id)


def _plain_after(stored: StoredDestination, patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**stored.config, **patch}
    return {name: value for name, value in merged.items() if value is not None}


def _require_editable(stored: StoredDestination) -> None:
    if stored.origin == "operator":
        raise Conflict(
            "The operator declared this destination for every workspace; it cannot be changed here.",
            reason="read_only",
        )


def _require_room(conn: Conn, workspace_id: int, slug: str) -> None:
    if destinations.count_of_type(conn, workspace_id, slug) >= MAX_OF_A_TYPE:
        raise Conflict(
            f"A workspace has at most {MAX_OF_A_TYPE} destinations of a type.", field="type", reason="limit"
        )


def _require_free_name(conn: Conn, workspace_id: int, name: str, *, besides_id: int | None = None) -> None:
    if destinations.name_taken(conn, workspace_id, name, besides_id=besides_id):
        raise Conflict("A destination with this name exists.", field="name", reason="name_taken")
