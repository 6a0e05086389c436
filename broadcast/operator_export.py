"""The operator's export: declared once, in every workspace as a destination that nobody changes there.

What is declared lies in the database, its secrets sealed, so that processes agree whatever each was started
with: the last one that was told says. A declaration is carried to workspaces in small transactions, which any
process takes up again where another one stopped; a workspace made meanwhile has it from the start.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from broadcast import additions, metric_counting
from broadcast.destination import Destination
from broadcast.egress import Policy
from broadcast.errors import AddressRefused, ConfigError, SettingsError, Unavailable, VaultError
from broadcast.fields import metrics_every_s
from broadcast.genai_names import SERVICE_NAME, SERVICE_VERSION
from broadcast.operator_declaration import Declaration
from broadcast.store import Conn, Store, destinations, operator_exports, workspaces
from broadcast.store.operator_exports import OperatorExport, Place
from broadcast.store.workspaces import Workspace
from broadcast.vault import Vault

NAME: Final = "Operator's export"
TYPE: Final = "otel-collector"
AT_ONCE: Final = 200
"""Workspaces in one transaction, whose logs stand still meanwhile."""

_BREATH_S: Final = 0.05
_TRIES: Final = 10
_OF_SERVICE: Final = (SERVICE_NAME, SERVICE_VERSION)
_SEALED_FOR: Final = "operator"
_FIELDS: Final = {
    "endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT or the file's endpoint",
    "attributes": "OTEL_RESOURCE_ATTRIBUTES or the file's resource_attributes",
    "headers": "OTEL_EXPORTER_OTLP_HEADERS or the file's headers",
    "metricsEndpoint": "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
}
_log: Final = logging.getLogger(__name__)


class OperatorExports:
    """The use cases of the operator's export."""

    def __init__(
        self, store: Store, vault: Vault, types: Mapping[str, type[Destination]], policy: Policy
    ) -> None:
        self._store = store
        self._vault = vault
        self._types = types
        self._policy = policy

    def bring_up_to_date(
        self,
        declaration: Declaration | None,
        clock: Callable[[], int],
        *,
        breathe: Callable[[], None] = lambda: time.sleep(_BREATH_S),
    ) -> int:
        """Declare, and carry it to every workspace; return how many have it.

        Raise `ConfigError` for an address that may not be dialled, or a header that cannot be sent.
        """
        self._declare(declaration, now_us=clock())
        left = _TRIES
        while left:
            try:
                if not self._carry_on(now_us=clock()):
                    break
            except Unavailable:
                left -= 1
                if not left:
                    raise
            # Ingest waits for the heads, and on SQLite for the one writer.
            breathe()
        with self._store.read() as conn:
            return operator_exports.count_all(conn)

    def is_current(self, declaration: Declaration | None) -> bool:
        """Whether every workspace has what is given; raise `ConfigError` as declaring it would."""
        destination = None if declaration is None else self._destination(declaration)
        settings = None if declaration is None or destination is None else _settings(declaration, destination)
        with self._store.read() as conn:
            current = operator_exports.get(conn)
        secrets = {} if destination is None else destination.secrets()
        return (
            current.done_workspace_id is None
            and current.settings == settings
            and self._secrets(current) == secrets
        )

    def _declare(self, declaration: Declaration | None, *, now_us: int) -> None:
        destination = None if declaration is None else self._destination(declaration)
        with self._store.write() as conn:
            current = operator_exports.lock(conn)
            if destination is None or declaration is None:
                if current.settings is not None:
                    operator_exports.declare(conn, settings=None, address=(), sealed=b"", now_us=now_us)
                    _log.info("action=operator_export_ended")
                return
            settings = _settings(declaration, destination)
            if current.settings == settings and self._secrets(current) == destination.secrets():
                return
            address = tuple(destination.address())
            sealed = self._vault.seal_secrets(
                destination.secrets(), workspace="", destination=_SEALED_FOR, address=address
            )
            operator_exports.declare(conn, settings=settings, address=address, sealed=sealed, now_us=now_us)
            _log.info("action=operator_export_declared endpoint=%s", destination.endpoint())

    def _destination(self, declaration: Declaration) -> Destination:
        added = {
            name: value for name, value in declaration.resource_attributes.items() if name not in _OF_SERVICE
        }
        try:
            additions.read_attributes(added)
        except ValueError as error:
            raise ConfigError(f"{_FIELDS['attributes']}: {error}") from None
        config = {
            "endpoint": declaration.endpoint,
            "encoding": declaration.encoding,
            "headers": dict(declaration.headers),
            "metrics": declaration.metrics,
            "metricsEndpoint": declaration.metrics_endpoint,
        }
        try:
            made = self._types[TYPE].parse(config)
        except SettingsError as error:
            said = "; ".join(f"{_FIELDS.get(name, name)}: {text}" for name, text in error.problems.items())
            raise ConfigError(f"The operator's export: {said}") from None
        for url in made.address():
            try:
                self._policy.check_url(url)
            except AddressRefused:
                raise ConfigError(
                    f"{_FIELDS['endpoint']}: private addresses, other ports and plain http need a permit. "
                    f"Set BROADCAST_EGRESS_ALLOW={urlsplit(url).netloc}"
                ) from None
        return made

    def _secrets(self, export: OperatorExport) -> dict[str, str] | None:
        try:
            return opened(self._vault, export)
        except VaultError:
            return None

    def _carry_on(self, *, now_us: int) -> bool:
        """Carry what is declared to the next workspaces; return False when all have it."""
        with self._store.write() as conn:
            export = operator_exports.lock(conn)
            if export.done_workspace_id is None:
                return False
            places = operator_exports.places_after(conn, export.done_workspace_id, AT_ONCE)
            heads = workspaces.lock_heads(conn, [place.workspace_id for place in places])
            self._carry(conn, export, places, heads, now_us)
            last = places[-1].workspace_id if len(places) == AT_ONCE else None
            operator_exports.reached(conn, last)
            self._store.notify(conn)
            return last is not None

    def _carry(
        self,
        conn: Conn,
        export: OperatorExport,
        places: Sequence[Place],
        heads: Mapping[int, int],
        now_us: int,
    ) -> None:
        if export.settings is None:
            operator_exports.withdraw(conn, places, now_us)
            return
        secrets = opened(self._vault, export)
        rows = [_row(self._vault, export, secrets, place) for place in places]
        new = {place.workspace_id for place in places if place.id is None}
        operator_exports.add(conn, [row for row in rows if row["workspace_id"] in new], heads, now_us)
        operator_exports.change(conn, [row for row in rows if row["workspace_id"] not in new], now_us)
        _measure(conn, export, heads, now_us)


def join(conn: Conn, vault: Vault, workspace: Workspace, now_us: int) -> None:
    """Give a workspace that is being made what is declared for all."""
    export = operator_exports.lock(conn)
    if export.settings is None:
        return
    place = Place(workspace_id=workspace.id, workspace_uid=workspace.uid, id=None, uid=None)
    row = _row(vault, export, opened(vault, export), place)
    heads = workspaces.lock_heads(conn, (workspace.id,))
    operator_exports.add(conn, [row], heads, now_us)
    _measure(conn, export, heads, now_us)


def _measure(conn: Conn, export: OperatorExport, heads: Mapping[int, int], now_us: int) -> None:
    """Begin metrics at the locked heads where they are declared; where not, their next turn ends them."""
    if metrics_every_s((export.settings or {}).get("config", {})) is not None:
        for workspace_id, head_seq in heads.items():
            metric_counting.keep(conn, workspace_id, head_seq, now_us)


def opened(vault: Vault, export: OperatorExport) -> dict[str, str]:
    """Return what is declared and secret; raise `VaultError` where it does not open."""
    if export.settings is None:
        return {}
    return vault.open_secrets(export.sealed, workspace="", destination=_SEALED_FOR, address=export.address)


def rewrap(conn: Conn, vault: Vault) -> int:
    """Wrap what is declared with the first encryption key; return how many sealed values that were."""
    export = operator_exports.lock(conn)
    if export.settings is None:
        return 0
    operator_exports.reseal(conn, vault.rewrap(export.sealed))
    return 1


def _settings(declaration: Declaration, destination: Destination) -> dict[str, Any]:
    """Return the columns of each workspace's destination, all but its secrets."""
    tuning = {
        "max_attribute_bytes": declaration.content_max_bytes,
        "max_spans": declaration.max_spans,
        "every_ms": declaration.every_ms,
    }
    return {
        "type": TYPE,
        "name": NAME,
        "config": destination.plain(),
        "masks": destination.masks(),
        "enabled": True,
        "privacy_level": "full" if declaration.content else "metadata",
        "sampler": declaration.sampler,
        "sampling_rate": declaration.sampler_arg if declaration.sampler.endswith("traceidratio") else 1.0,
        "resource_attributes": dict(declaration.resource_attributes) or None,
        "tuning": {name: value for name, value in tuning.items() if value is not None},
        "broadcast_generation_cost": False,
        "broadcast_generation_identity": False,
        "broadcast_generation_request_context": False,
        "broadcast_generation_cost_allocation": False,
        "regions": ["global"],
    }


def _row(vault: Vault, export: OperatorExport, secrets: Mapping[str, str], place: Place) -> dict[str, Any]:
    """Return a workspace's destination; its secrets open there alone."""
    uid = place.uid or destinations.new_uid()
    sealed = vault.seal_secrets(
        secrets, workspace=place.workspace_uid, destination=uid, address=export.address
    )
    own = {"uid": uid, "workspace_id": place.workspace_id, "address": list(export.address), "sealed": sealed}
    return {**(export.settings or {}), **own}
