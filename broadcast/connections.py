"""Configured destinations: test, save (only after a passed test), pause, resume, switch, delete, look at.

`workspace` is a `store.workspaces.Workspace`, `uid` a destination's outside id, `body` a mapping with the outside
names of CONTRACT section 2 (`type name enabled config sampling_rate privacy_mode privacy_level api_key_hashes
excluded_api_key_hashes filter_rules broadcast_generation_cost ..._identity ..._request_context`), `config` inside
it with camelCase names. Signatures:

    Connections(store, vault, types, policy, config)
    .test(workspace, body, *, uid=None, now_us) -> Report       body: type and config; uid = an edit, stored secrets
                                                                are merged in; never raises for wrong settings
    .create(workspace, user_id, body, *, fingerprint=None, now_us) -> StoredDestination
    .update(workspace, user_id, uid, body, *, fingerprint=None, expected_version=None, now_us) -> StoredDestination
    .delete(workspace, user_id, uid, *, now_us)    .pause(...)    .resume(...)      same arguments; pause, resume
                                                                                    return the StoredDestination
    .send_trace(workspace, user_id, uid, *, now_us) -> Report
    .set_broadcast(workspace, user_id, enabled, *, now_us)
    .get(workspace, uid) -> StoredDestination                   raises NotFound
    .overview(workspace, *, now_us=None) -> list[Listed]        .stored .cursor .state, by name
    .view(stored, workspace) -> dict                            the API's object, secrets masked
    .state(stored, cursor, head_seq, now_us, broadcast=True) -> State
    .ledger(workspace, uid) -> dict    .attempts(workspace, uid, *, limit=50, cursor=None) -> dict
    .delivery(workspace, receipt_row) -> list[dict]             one entry a destination: the fate of a receipt
    .add_demo_receiver(*, workspace_id, name, config, now_us)

`Report.fingerprint` is set when a test passed: the page sends it back with Save, in place of the secrets.
Raised: SettingsError, GateClosed (holds the report), SecretRequired, Conflict, NotFound.
"""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from broadcast import draft, genai, ledger
from broadcast.config import Config
from broadcast.destination import Destination
from broadcast.egress import Policy
from broadcast.errors import Conflict, NotFound, SecretRequired, SettingsError, VaultError
from broadcast.gate import Gate, opened
from broadcast.ledger import State
from broadcast.report import Report, fields_report
from broadcast.store import Conn, Store, audit, cursors, destinations, workspaces
from broadcast.store.cursors import Cursor
from broadcast.store.destinations import StoredDestination
from broadcast.store.receipts import ReceiptRow
from broadcast.store.workspaces import Workspace
from broadcast.times import rfc3339
from broadcast.vault import Vault

MAX_OF_A_TYPE: Final = 5
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A destination with its cursor and what it is doing."""

    stored: StoredDestination
    cursor: Cursor | None
    state: State


class Connections:
    """Every use case of a configured destination."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        types: Mapping[str, type[Destination]],
        policy: Policy,
        config: Config,
    ) -> None:
        self._store = store
        self._vault = vault
        self._types = types
        self._namespace = config.service_name
        self._gate = Gate(store, vault, policy, config)
        self._uids: dict[int, str] = {}

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
            return fields_report({"config": "The stored secret cannot be opened. Enter it again."})
        spans = genai.sample_generation(now_us, self._namespace)
        found = self._gate.send(destination, spans, now_us=now_us, test=False)
        with self._store.write() as conn:
            _audit(conn, stored, user_id, "destination.trace_sent", {"ok": found.ok}, now_us)
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
        columns = draft.changes(body, None)
        config = draft.config_of(body)
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
        """Change a destination: a changed `config`, or switching on, needs a passed test; the rest saves at once."""
        stored = self.get(workspace, uid)
        if expected_version is not None and expected_version != stored.version:
            raise Conflict("These settings changed meanwhile. Reload.", reason="stale")
        _require_editable(stored)
        columns = draft.changes(body, stored)
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
            if destination is not None:
                cursors.make_due(conn, stored.id)
                self._store.notify(conn)
            _audit(conn, stored, user_id, "destination.updated", {"fields": sorted(body)}, now_us)
        return self.get(workspace, uid)

    def delete(self, workspace: Workspace, user_id: int | None, uid: str, *, now_us: int) -> None:
        """Delete a destination: its secrets go, its ledger ends, its history stays."""
        stored = self.get(workspace, uid)
        _require_editable(stored)
        with self._store.write() as conn:
            head = workspaces.lock_head(conn, workspace.id)
            cursors.end(conn, stored.id, head, now_us)
            destinations.delete(conn, stored.id, now_us=now_us)
            _audit(conn, stored, user_id, "destination.deleted", {}, now_us)

    def pause(self, workspace: Workspace, user_id: int | None, uid: str, *, now_us: int) -> StoredDestination:
        """Hold a destination's receipts back until it is resumed; none is lost meanwhile."""
        stored = self.get(workspace, uid)
        with self._store.write() as conn:
            workspaces.lock_head(conn, workspace.id)
            if destinations.pause(conn, stored.id, by="person", reason=None, now_us=now_us):
                _audit(conn, stored, user_id, "destination.paused", {}, now_us)
        return self.get(workspace, uid)

    def resume(
        self, workspace: Workspace, user_id: int | None, uid: str, *, now_us: int
    ) -> StoredDestination:
        """Let a paused destination send what it held, from where it stopped."""
        stored = self.get(workspace, uid)
        with self._store.write() as conn:
            workspaces.lock_head(conn, workspace.id)
            if destinations.resume(conn, stored.id):
                cursors.make_due(conn, stored.id)
                self._store.notify(conn)
                _audit(conn, stored, user_id, "destination.resumed", {}, now_us)
        return self.get(workspace, uid)

    def set_broadcast(self, workspace: Workspace, user_id: int | None, enabled: bool, *, now_us: int) -> None:
        """Switch Broadcast: off ends every ledger at the head, on begins new ones there."""
        with self._store.write() as conn:
            head = workspaces.lock_head(conn, workspace.id)
            current = workspaces.by_id(conn, workspace.id)
            if current is None or current.broadcast_enabled == enabled:
                return
            workspaces.set_broadcast(conn, workspace.id, enabled)
            for stored in destinations.list_for(conn, workspace.id):
                if not enabled:
                    cursors.end(conn, stored.id, head, now_us)
                elif stored.enabled:
                    cursors.start(conn, stored.id, workspace.id, head, now_us)
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

    # -- look --------------------------------------------------------------------------------------

    def get(self, workspace: Workspace, uid: str) -> StoredDestination:
        """Return a destination of this workspace; another workspace's does not exist here."""
        with self._store.read() as conn:
            stored = destinations.by_uid(conn, workspace.id, uid)
        if stored is None:
            raise NotFound("There is no such destination in this workspace.")
        return stored

    def overview(self, workspace: Workspace, *, now_us: int | None = None) -> list[Listed]:
        """Return every destination with cursor and state, by name."""
        with self._store.read() as conn:
            now = self._store.now_us(conn) if now_us is None else now_us
            fresh = workspaces.by_id(conn, workspace.id)
            head = workspaces.head_seq(conn, workspace.id)
            cursor_of = {item.destination_id: item for item in cursors.list_for(conn, workspace.id)}
            listed = destinations.list_for(conn, workspace.id)
            behind = {item.id: ledger.behind_us(conn, cursor_of.get(item.id), head, now) for item in listed}
        on = fresh is not None and fresh.broadcast_enabled
        found = []
        for stored in listed:
            cursor = cursor_of.get(stored.id)
            state = ledger.state(stored, cursor, head, now, broadcast=on, behind_us=behind[stored.id])
            found.append(Listed(stored=stored, cursor=cursor, state=state))
        return sorted(found, key=lambda item: (item.stored.name.casefold(), item.stored.id))

    def state(
        self,
        stored: StoredDestination,
        cursor: Cursor | None,
        head_seq: int,
        now_us: int,
        broadcast: bool = True,
    ) -> State:
        """Return what a destination is doing."""
        with self._store.read() as conn:
            behind = ledger.behind_us(conn, cursor, head_seq, now_us)
        return ledger.state(stored, cursor, head_seq, now_us, broadcast=broadcast, behind_us=behind)

    def ledger(self, workspace: Workspace, uid: str) -> dict[str, Any]:
        """Return the ledger of a destination as the API says it."""
        stored = self.get(workspace, uid)
        with self._store.read() as conn:
            return ledger.view(cursors.get(conn, stored.id), workspaces.head_seq(conn, workspace.id))

    def attempts(
        self, workspace: Workspace, uid: str, *, limit: int = 50, cursor: str | None = None
    ) -> dict[str, Any]:
        """Return a page of attempts, newest first, as the API says it."""
        stored = self.get(workspace, uid)
        with self._store.read() as conn:
            return ledger.attempts_page(conn, stored.id, limit=limit, cursor=cursor)

    def delivery(self, workspace: Workspace, row: ReceiptRow) -> list[dict[str, Any]]:
        """Return what became of a receipt at each destination of its workspace."""
        with self._store.read() as conn:
            head = workspaces.head_seq(conn, workspace.id)
            cursor_of = {item.destination_id: item for item in cursors.list_for(conn, workspace.id)}
            return [
                ledger.fate_view(conn, stored, cursor_of.get(stored.id), row, head)
                | {"trace_url": self._trace_url(stored, row)}
                for stored in destinations.list_for(conn, workspace.id)
            ]

    def view(self, stored: StoredDestination, workspace: Workspace | None = None) -> dict[str, Any]:
        """Return the API's object: OpenRouter's names and ours, secrets masked."""
        return {
            "id": stored.uid,
            "type": stored.type,
            "name": stored.name,
            "workspace_id": workspace.uid if workspace else self._workspace_uid(stored.workspace_id),
            "enabled": stored.enabled,
            "config": {**stored.config, **stored.masks},
            "sampling_rate": stored.sampling_rate,
            "privacy_mode": stored.privacy_level == "metadata",
            "privacy_level": stored.privacy_level,
            "broadcast_generation_cost": stored.broadcast_generation_cost,
            "broadcast_generation_identity": stored.broadcast_generation_identity,
            "broadcast_generation_request_context": stored.broadcast_generation_request_context,
            "api_key_hashes": _listed(stored.api_key_hashes),
            "excluded_api_key_hashes": _listed(stored.excluded_api_key_hashes),
            "filter_rules": stored.filter_rules,
            "origin": stored.origin,
            "paused_by": stored.paused_by,
            "pause_reason": stored.pause_reason,
            "created_at": rfc3339(stored.created_at_us),
            "updated_at": rfc3339(stored.updated_at_us),
        }

    def opened(self, workspace: Workspace, stored: StoredDestination) -> Destination:
        """Return the configured destination with its secrets; raise `VaultError` when these do not open."""
        cls = self._types[stored.type]
        return cls.parse({**stored.config, **self._secrets(workspace, stored)})

    # -- inside ------------------------------------------------------------------------------------

    def _secrets(self, workspace: Workspace, stored: StoredDestination) -> dict[str, Any]:
        secrets = self._vault.open_secrets(
            stored.sealed, workspace=workspace.uid, destination=stored.uid, address=stored.address
        )
        return opened(self._types[stored.type], secrets)

    def _type(self, body: Mapping[str, Any]) -> type[Destination]:
        name = body.get("type")
        if not isinstance(name, str) or name not in self._types:
            raise SettingsError({"type": "Choose one of " + ", ".join(sorted(self._types)) + "."})
        return self._types[name]

    def _described(self, workspace: Workspace, body: Mapping[str, Any], uid: str | None) -> Destination:
        """Return what a test's body describes, stored secrets merged in for an edit."""
        config = draft.config_of(body)
        if uid is None:
            return self._type(body).parse(config)
        return self._merged(workspace, self.get(workspace, uid), config)

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
        """Return the tested destination where the gate asks for a test, None where nothing has to be sealed."""
        switched_on = body.get("enabled") is True and not stored.enabled
        if "config" not in body and not switched_on:
            return None
        patch = draft.config_of(body)
        tested = self._recalled(
            workspace, self._types[stored.type], _plain_after(stored, patch), fingerprint, now_us=now_us
        )
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
        return self._gate.recall(workspace, cls, plain, fingerprint, now_us=now_us)

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

    def _switch(
        self,
        conn: Conn,
        workspace: Workspace,
        stored: StoredDestination,
        enabled: bool,
        head: int,
        now_us: int,
    ) -> None:
        """End the ledger of what was switched off and begin one for what was switched on, at the locked head."""
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

    def _trace_url(self, stored: StoredDestination, row: ReceiptRow) -> str | None:
        cls = self._types.get(stored.type)
        if cls is None:
            return None
        try:
            known = cls.parse(stored.config, secrets_required=False)
        except SettingsError:
            return None
        return known.trace_url(ledger.trace_id(row), row.created_at_us)

    def _workspace_uid(self, workspace_id: int) -> str:
        if workspace_id not in self._uids:
            with self._store.read() as conn:
                found = workspaces.by_id(conn, workspace_id)
            self._uids[workspace_id] = found.uid if found else ""
        return self._uids[workspace_id]


def _plain_after(stored: StoredDestination, patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**stored.config, **patch}
    return {name: value for name, value in merged.items() if value is not None}


def _require_editable(stored: StoredDestination) -> None:
    if stored.origin == "operator":
        raise Conflict(
            "The operator declared this destination; it cannot be changed here.", reason="read_only"
        )


def _require_room(conn: Conn, workspace_id: int, slug: str) -> None:
    if destinations.count_of_type(conn, workspace_id, slug) >= MAX_OF_A_TYPE:
        raise Conflict(
            f"A workspace has at most {MAX_OF_A_TYPE} destinations of a type.", field="type", reason="limit"
        )


def _require_free_name(conn: Conn, workspace_id: int, name: str, *, besides_id: int | None = None) -> None:
    if destinations.name_taken(conn, workspace_id, name, besides_id=besides_id):
        raise Conflict("A destination with this name exists.", field="name", reason="name_taken")


def _audit(
    conn: Conn,
    stored: StoredDestination,
    user_id: int | None,
    action: str,
    detail: dict[str, Any],
    now_us: int,
) -> None:
    audit.record(
        conn,
        workspace_id=stored.workspace_id,
        user_id=user_id,
        action=action,
        target=stored.uid,
        detail=detail,
        now_us=now_us,
    )


def _listed(value: tuple[str, ...] | None) -> list[str] | None:
    return None if value is None else list(value)
