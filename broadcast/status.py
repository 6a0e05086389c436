"""What every destination is doing, for the `status` command."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from broadcast.shelf import Listed
from broadcast.store import workspaces

if TYPE_CHECKING:
    from broadcast.runtime import Services


@dataclass(frozen=True, kw_only=True)
class DestinationStatus:
    """One destination: where it sends, what it is doing, and how far behind it is."""

    workspace: str
    id: str
    name: str
    type: str
    endpoint: str
    state: str
    cursor: int
    backlog: int
    lag_s: float
    last_reason: str | None
    sampling_rate: float
    in_flight: bool

    def view(self) -> dict[str, Any]:
        """Return the JSON object."""
        return asdict(self)


def statuses(services: "Services") -> list[DestinationStatus]:
    """Return every destination of every workspace, by workspace and name."""
    with services.store.read() as conn:
        now_us = services.store.now_us(conn)
        every = workspaces.all(conn)
    found = [
        _status(workspace.slug, listed, now_us)
        for workspace in every
        for listed in services.connections.overview(workspace, now_us=now_us)
    ]
    return sorted(found, key=lambda item: (item.workspace, item.name.casefold()))


def _status(workspace: str, listed: Listed, now_us: int) -> DestinationStatus:
    stored, cursor, state = listed.stored, listed.cursor, listed.state
    return DestinationStatus(
        workspace=workspace,
        id=stored.uid,
        name=stored.name,
        type=stored.type,
        endpoint=stored.address[0] if stored.address else "",
        state=state.word,
        cursor=cursor.cursor_seq if cursor else 0,
        backlog=state.backlog,
        lag_s=state.behind_s,
        last_reason=cursor.last_reason if cursor else None,
        sampling_rate=stored.sampling_rate,
        in_flight=cursor is not None and cursor.lease_until_us > now_us,
    )
