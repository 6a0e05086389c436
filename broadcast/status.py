"""What every destination is doing, for the `status` command."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from broadcast.shelf import Listed
from broadcast.store import Conn, replays, workspaces
from broadcast.times import rfc3339_or_none

if TYPE_CHECKING:
    from broadcast.runtime import Services


@dataclass(frozen=True, kw_only=True)
class RunningReplay:
    """A replay under way: how many of its receipts are settled."""

    id: str
    source: str
    position: int
    total: int


@dataclass(frozen=True, kw_only=True)
class DestinationStatus:
    """One destination: where it sends, what it is doing, and how far behind it is."""

    workspace: str
    id: str
    name: str
    type: str
    endpoint: str
    state: str
    paused_by: str | None
    cursor: int
    backlog: int
    lag_s: float
    last_reason: str | None
    next_try_at: str | None
    held_until: str | None
    sampling_rate: float
    in_flight: bool
    replay: RunningReplay | None

    def view(self) -> dict[str, Any]:
        """Return the JSON object."""
        return asdict(self)

    def line(self) -> str:
        """Return the same in one line, for people."""
        words = [
            f"{self.workspace}/{self.name}",
            self.type,
            self.endpoint,
            f"paused by {self.paused_by}" if self.paused_by else self.state.replace("_", " "),
            f"cursor #{self.cursor}",
            f"{self.backlog} waiting" + (f", {self.lag_s:.0f} s behind" if self.backlog else ""),
            f"sampling {self.sampling_rate:.0%}" if self.sampling_rate < 1 else "",
            "sending now" if self.in_flight else "",
            f"replay {self.replay.position} of {self.replay.total}" if self.replay else "",
            self.last_reason if self.last_reason and self.state not in {"delivering", "off"} else "",
            f"next try {self.next_try_at}" if self.next_try_at else "",
            f"kept until {self.held_until}" if self.held_until and self.state == "paused" else "",
        ]
        return "  ".join(filter(None, words))


def statuses(services: "Services") -> list[DestinationStatus]:
    """Return every destination of every workspace, by workspace and name."""
    with services.store.read() as conn:
        now_us = services.store.now_us(conn)
        every = workspaces.all(conn)
    found = []
    for workspace in every:
        listed = services.connections.overview(workspace, now_us=now_us)
        with services.store.read() as conn:
            found += [_status(conn, workspace.slug, item, now_us) for item in listed]
    return sorted(found, key=lambda item: (item.workspace, item.name.casefold()))


def _status(conn: Conn, workspace: str, listed: Listed, now_us: int) -> DestinationStatus:
    stored, cursor, state = listed.stored, listed.cursor, listed.state
    return DestinationStatus(
        workspace=workspace,
        id=stored.uid,
        name=stored.name,
        type=stored.type,
        endpoint=stored.address[0] if stored.address else "",
        state=state.word,
        paused_by=state.paused_by,
        cursor=cursor.cursor_seq if cursor else 0,
        backlog=state.backlog,
        lag_s=state.behind_s,
        last_reason=state.reason or (cursor.last_reason if cursor else None),
        next_try_at=rfc3339_or_none(state.next_try_at_us),
        held_until=rfc3339_or_none(state.held_until_us),
        sampling_rate=stored.sampling_rate,
        in_flight=cursor is not None and cursor.lease_until_us > now_us,
        replay=_running(conn, cursor.replay_id if cursor else None),
    )


def _running(conn: Conn, replay_id: int | None) -> RunningReplay | None:
    found = None if replay_id is None else replays.by_id(conn, replay_id)
    if found is None or found.state != "running":
        return None
    return RunningReplay(id=found.uid, source=found.source, position=found.position, total=found.total)
