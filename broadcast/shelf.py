"""Configured destinations, looked at: what they are, what they do, what became of receipts there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from broadcast import draft, history, ledger, metric_status, specimen
from broadcast.destination import Destination
from broadcast.errors import NotFound, SettingsError, VaultError
from broadcast.fate_words import fate_view
from broadcast.fields import metrics_every_s
from broadcast.gate import opened
from broadcast.ledger import Owed, State
from broadcast.metric_status import MetricStatus
from broadcast.privacy import Privacy
from broadcast.receipt_parser import from_document
from broadcast.shared_log import Pages, SharedLog
from broadcast.store import Conn, Store, cursors, destinations, receipts, workspaces
from broadcast.store.cursors import Cursor
from broadcast.store.destinations import StoredDestination
from broadcast.store.receipts import LogRow, ReceiptRow
from broadcast.store.workspaces import Workspace
from broadcast.times import rfc3339
from broadcast.trace_context import trace_id_of
from broadcast.vault import Vault


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A destination with its cursor and what it is doing, its metrics included."""

    stored: StoredDestination
    cursor: Cursor | None
    state: State
    metrics: MetricStatus | None = None


class Shelf:
    """The reads of configured destinations."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        types: Mapping[str, type[Destination]],
        *,
        namespace: str,
        retention_us: int,
    ) -> None:
        self._store = store
        self._vault = vault
        self._types = types
        self._namespace = namespace
        self._retention_us = retention_us
        self._uids: dict[int, str] = {}

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
            owed = {item.id: self._owed(conn, item, cursor_of.get(item.id), head) for item in listed}
            measured = {item.id: metric_status.of(conn, item) for item in listed}
        on = fresh is not None and fresh.broadcast_enabled
        found = []
        for stored in listed:
            cursor = cursor_of.get(stored.id)
            state = ledger.state(
                stored, cursor, head, now, broadcast=stored.follows(on), owed=owed[stored.id]
            )
            found.append(Listed(stored=stored, cursor=cursor, state=state, metrics=measured[stored.id]))
        return sorted(found, key=lambda item: (item.stored.name.casefold(), item.stored.id))

    def state_of(self, workspace: Workspace, stored: StoredDestination) -> State:
        """Return what a destination of this workspace is doing."""
        with self._store.read() as conn:
            fresh = workspaces.by_id(conn, workspace.id)
            cursor, head = cursors.get(conn, stored.id), workspaces.head_seq(conn, workspace.id)
            return ledger.state(
                stored,
                cursor,
                head,
                self._store.now_us(conn),
                broadcast=stored.follows(fresh is not None and fresh.broadcast_enabled),
                owed=self._owed(conn, stored, cursor, head),
            )

    def ledger(self, workspace: Workspace, uid: str) -> dict[str, Any]:
        """Return the ledger of a destination as the API says it."""
        stored = self.get(workspace, uid)
        with self._store.read() as conn:
            cursor, head = cursors.get(conn, stored.id), workspaces.head_seq(conn, workspace.id)
            return ledger.view(cursor, head, self._owed(conn, stored, cursor, head))

    def attempts(
        self,
        workspace: Workspace,
        uid: str,
        *,
        limit: int = 50,
        cursor: str | None = None,
        verdict: str | None = None,
        from_us: int | None = None,
        to_us: int | None = None,
        seq: int | None = None,
    ) -> dict[str, Any]:
        """Return a page of attempts, newest first, as the API says it; see `history.attempts_page`."""
        stored = self.get(workspace, uid)
        with self._store.read() as conn:
            return history.attempts_page(
                conn,
                stored.id,
                limit=limit,
                cursor=cursor,
                verdict=verdict,
                from_us=from_us,
                to_us=to_us,
                seq=seq,
            )

    def dead_letters(
        self, workspace: Workspace, uid: str, *, limit: int = 50, cursor: str | None = None
    ) -> dict[str, Any]:
        """Return a page of dead letters, newest first, as the API says it."""
        stored = self.get(workspace, uid)
        with self._store.read() as conn:
            return history.dead_letters_page(conn, workspace.id, stored.id, limit=limit, cursor=cursor)

    def delivery(self, workspace: Workspace, row: ReceiptRow) -> list[dict[str, Any]]:
        """Return what became of a receipt at each destination of its workspace."""
        with self._store.read() as conn:
            cursor_of = {item.destination_id: item for item in cursors.list_for(conn, workspace.id)}
            return [
                fate_view(
                    conn,
                    stored,
                    cursor_of.get(stored.id),
                    row,
                    retention_us=self._retention_us,
                    max_age_s=self._max_age_s(stored),
                )
                | {"trace_url": self._trace_url(workspace, stored, row)}
                for stored in destinations.list_for(conn, workspace.id)
            ]

    def specimen(
        self, workspace: Workspace, uid: str, receipt_id: str | None, *, now_us: int
    ) -> dict[str, Any]:
        """Return exactly what would be sent for a receipt, the newest unless one is named; see `specimen`."""
        stored = self.get(workspace, uid)
        return self._specimen(workspace, stored, self.opened(workspace, stored), receipt_id, now_us=now_us)

    def imagined(
        self,
        workspace: Workspace,
        body: Mapping[str, Any],
        *,
        uid: str | None = None,
        receipt_id: str | None = None,
        now_us: int,
    ) -> dict[str, Any]:
        """Return what would be sent for a receipt by settings that are not saved; see `specimen`.

        Nothing is sent, so a new address asks for no secret, and what is not entered yet is shown as empty.
        """
        stored = self.get(workspace, uid) if uid is not None else None
        cls = self._types[stored.type] if stored is not None else self._type(body)
        config = draft.config_of(body, cls, workspace.uid)
        columns = draft.changes({**body, "name": body.get("name") or cls.title}, stored, cls)
        if stored is None:
            destination = cls.parse(config, secrets_required=False)
            stored = draft.unsaved(workspace.id, str(body["type"]), columns)
        else:
            destination = draft.merge(cls, stored, self._secrets(workspace, stored), config)
            stored = replace(stored, **columns)
        return self._specimen(workspace, stored, destination, receipt_id, now_us=now_us)

    def _specimen(
        self,
        workspace: Workspace,
        stored: StoredDestination,
        destination: Destination,
        receipt_id: str | None,
        *,
        now_us: int,
    ) -> dict[str, Any]:
        log = SharedLog(workspace, self._vault, Pages())
        with self._store.read() as conn:
            if receipt_id is None:
                head = workspaces.head_seq(conn, workspace.id)
                row: LogRow | None = next(iter(receipts.read_after(conn, workspace.id, head - 1, 1)), None)
                problem = "No receipt is kept here yet. Send one request first."
            else:
                row = receipts.by_id(conn, workspace.id, receipt_id)
                problem = "There is no such receipt in this workspace, or it is no longer kept."
            if row is None:
                raise SettingsError({"receipt_id": problem})
            return specimen.of(conn, stored, destination, log, row, namespace=self._namespace, now_us=now_us)

    def listed(self, workspace: Workspace) -> list[dict[str, Any]]:
        """Return the API's objects of every destination with what each is doing, by name."""
        return [self.view(item.stored, workspace) | item.state.view() for item in self.overview(workspace)]

    def shown(self, workspace: Workspace, stored: StoredDestination) -> dict[str, Any]:
        """Return the API's object of a destination with what it is doing."""
        return self.view(stored, workspace) | self.state_of(workspace, stored).view()

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
            "broadcast_generation_cost_allocation": stored.broadcast_generation_cost_allocation,
            "regions": list(stored.regions),
            "api_key_hashes": _listed(stored.api_key_hashes),
            "excluded_api_key_hashes": _listed(stored.excluded_api_key_hashes),
            "filter_rules": stored.filter_rules,
            "sampler": stored.sampler,
            "resource_attributes": stored.resource_attributes,
            "redaction_patterns": _listed(stored.redaction_patterns),
            "metrics": self._metrics(stored),
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

    def _metrics(self, stored: StoredDestination) -> dict[str, Any] | None:
        if metrics_every_s(stored.config) is None:
            return None
        with self._store.read() as conn:
            found = metric_status.of(conn, stored)
        return None if found is None else found.view()

    def _type(self, body: Mapping[str, Any]) -> type[Destination]:
        name = body.get("type")
        if not isinstance(name, str) or name not in self._types:
            raise SettingsError({"type": "Choose one of " + ", ".join(sorted(self._types)) + "."})
        return self._types[name]

    def _owed(
        self, conn: Conn, stored: StoredDestination, cursor: Cursor | None, head_seq: int
    ) -> Owed | None:
        max_age_s = self._max_age_s(stored)
        return ledger.owed(conn, cursor, head_seq, retention_us=self._retention_us, max_age_s=max_age_s)

    def _max_age_s(self, stored: StoredDestination) -> int | None:
        cls = self._types.get(stored.type)
        return None if cls is None else cls.max_age_s

    def _secrets(self, workspace: Workspace, stored: StoredDestination) -> dict[str, Any]:
        secrets = self._vault.open_secrets(
            stored.sealed, workspace=workspace.uid, destination=stored.uid, address=stored.address
        )
        return opened(self._types[stored.type], secrets)

    def _trace_url(self, workspace: Workspace, stored: StoredDestination, row: ReceiptRow) -> str | None:
        cls = self._types.get(stored.type)
        if cls is None:
            return None
        try:
            known = cls.parse(stored.config, secrets_required=False)
            receipt = self._privacy(workspace, stored).receipt(from_document(row.document))
        except (SettingsError, VaultError):
            return None
        return known.trace_url(trace_id_of(receipt), row.created_at_us)

    def _privacy(self, workspace: Workspace, stored: StoredDestination) -> Privacy:
        """Return what is let out there: the trace may have another id at the vendor than here."""
        log = SharedLog(workspace, self._vault, Pages())
        return Privacy(stored.privacy_level, digest=log.pseudonym, patterns=stored.redaction_patterns or ())

    def _workspace_uid(self, workspace_id: int) -> str:
        if workspace_id not in self._uids:
            with self._store.read() as conn:
                found = workspaces.by_id(conn, workspace_id)
            self._uids[workspace_id] = found.uid if found else ""
        return self._uids[workspace_id]


def _listed(value: tuple[str, ...] | None) -> list[str] | None:
    return None if value is None else list(value)
