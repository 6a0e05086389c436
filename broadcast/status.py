"""What every destination is doing, for the `status` command and for the API."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from broadcast.destination import Destination
from broadcast.errors import SettingsError
from broadcast.genai_names import SERVICE_NAME
from broadcast.operator_declaration import ENCODINGS
from broadcast.shelf import Listed
from broadcast.store import Conn, attempts, replays, workspaces
from broadcast.store.destinations import StoredDestination
from broadcast.store.workspaces import Workspace
from broadcast.times import rfc3339, rfc3339_or_none

if TYPE_CHECKING:
    from broadcast.runtime import Services

OWN_API: Final = "api"
_PROTOCOL_OF: Final = {encoding: protocol for protocol, encoding in ENCODINGS.items()}


@dataclass(frozen=True, kw_only=True)
class RunningReplay:
    """A replay under way: how many of its receipts are settled."""

    id: str
    source: str
    position: int
    total: int


@dataclass(frozen=True, kw_only=True)
class LastError:
    """The newest attempt, of the last thousand, that did not deliver everything."""

    at: str
    verdict: str
    status_code: int | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class DestinationStatus:
    """One destination: where and as what it sends, what it is doing, how far behind it is, what it gave up.

    `protocol` is one of OTLP's, `api` where a vendor has its own, None where the type is not known here.
    """

    workspace: str
    id: str
    name: str
    type: str
    endpoint: str
    protocol: str | None
    header_count: int
    service_name: str
    resource_attribute_count: int
    state: str
    paused_by: str | None
    cursor: int
    backlog: int
    lag_s: float
    last_reason: str | None
    last_error: LastError | None
    next_try_at: str | None
    held_until: str | None
    sampler: str
    sampling_rate: float
    in_flight: bool
    delivered: int
    sampled_out: int
    filtered: int
    rejected: int
    expired: int
    replay: RunningReplay | None
    metrics: dict[str, Any] | None

    def view(self) -> dict[str, Any]:
        """Return the JSON object."""
        return asdict(self)


def statuses(
    services: "Services", asked: Iterable[Workspace] | None = None, *, now_us: int | None = None
) -> list[DestinationStatus]:
    """Return every destination of some workspaces, or of all of them, by workspace and name."""
    with services.store.read() as conn:
        now = services.store.now_us(conn) if now_us is None else now_us
        every = workspaces.all(conn) if asked is None else asked
    found = []
    for workspace in every:
        listed = services.connections.overview(workspace, now_us=now)
        with services.store.read() as conn:
            found += [_status(services, conn, workspace.slug, item, now) for item in listed]
    return sorted(found, key=lambda item: (item.workspace, item.name.casefold()))


def _status(
    services: "Services", conn: Conn, workspace: str, listed: Listed, now_us: int
) -> DestinationStatus:
    stored, cursor, state = listed.stored, listed.cursor, listed.state
    attributes = stored.resource_attributes or {}
    return DestinationStatus(
        workspace=workspace,
        id=stored.uid,
        name=stored.name,
        type=stored.type,
        endpoint=stored.address[0] if stored.address else "",
        protocol=_protocol(services.types.get(stored.type), stored),
        header_count=len(stored.masks.get("headers") or {}),
        service_name=str(attributes.get(SERVICE_NAME, services.config.service_name)),
        resource_attribute_count=len(attributes),
        state=state.word,
        paused_by=state.paused_by,
        cursor=cursor.cursor_seq if cursor else 0,
        backlog=state.backlog,
        lag_s=state.behind_s,
        last_reason=state.reason or (cursor.last_reason if cursor else None),
        last_error=_last_error(conn, stored.id),
        next_try_at=rfc3339_or_none(state.next_try_at_us),
        held_until=rfc3339_or_none(state.held_until_us),
        sampler=stored.sampler or ("always_on" if stored.sampling_rate >= 1 else "ratio"),
        sampling_rate=stored.sampling_rate,
        in_flight=cursor is not None and cursor.lease_until_us > now_us,
        delivered=cursor.delivered if cursor else 0,
        sampled_out=cursor.sampled_out if cursor else 0,
        filtered=cursor.filtered if cursor else 0,
        rejected=cursor.rejected if cursor else 0,
        expired=cursor.expired if cursor else 0,
        replay=_running(conn, cursor.replay_id if cursor else None),
        metrics=None if listed.metrics is None else listed.metrics.view(),
    )


def _protocol(kind: type[Destination] | None, stored: StoredDestination) -> str | None:
    if kind is None:
        return None
    if kind.has_own_api():
        return OWN_API
    try:
        encoding = kind.parse(stored.config, secrets_required=False).encoding
    except SettingsError:
        # Saved by a version that knew other settings.
        return None
    return _PROTOCOL_OF[encoding]


def _last_error(conn: Conn, destination_id: int) -> LastError | None:
    found = attempts.last_error(conn, destination_id)
    if found is None:
        return None
    at = rfc3339(found.at_us)
    return LastError(at=at, verdict=found.verdict, status_code=found.status_code, reason=found.reason)


def _running(conn: Conn, replay_id: int | None) -> RunningReplay | None:
    found = None if replay_id is None else replays.by_id(conn, replay_id)
    if found is None or found.state != "running":
        return None
    return RunningReplay(id=found.uid, source=found.source, position=found.position, total=found.total)
