"""Batches: what a destination gets next, from its cursor or its replay on, as requests ready to send."""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from broadcast.destination import Destination
from broadcast.errors import BroadcastError, ReceiptError, VaultError
from broadcast.fates import Fate
from broadcast.filling import Filling, Limits, Mark, Unencodable
from broadcast.gate import opened
from broadcast.receipt_parser import from_document
from broadcast.shared_log import Chunk, Pages, Piece, SharedLog
from broadcast.store import Conn, Store, destinations, receipts, replays, workspaces
from broadcast.store.destinations import StoredDestination
from broadcast.store.leases import Claim
from broadcast.store.replays import Replay
from broadcast.store.workspaces import Workspace
from broadcast.variation import Variation
from broadcast.vault import Vault

REQUESTS: Final = 8
"""Requests of one batch that are open at once, once several batches in a row have gone well."""

SINGLE_REQUESTS: Final = 16
"""The same where each receipt is a request of its own."""

BATCH_BYTES: Final = 4_000_000
_SUSPECT_RECEIPTS: Final = 64
_SUSPECT_BYTES: Final = 128_000
_OPENED: Final = 16_384
"""Destinations that are kept open: to open one costs more than to send to it."""

_LONGEST_STREAK: Final = 8
_log: Final = logging.getLogger(__name__)


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A batch ready to send: `marks` has an entry for each of `numbers`, None where a piece decides."""

    claim: Claim
    stored: StoredDestination
    destination: Destination
    at_us: int
    numbers: Sequence[int]
    marks: tuple[Mark, ...]
    chunks: tuple[Chunk, ...]
    broken: tuple[tuple[int, str, str], ...] = ()
    replay: Replay | None = None

    @property
    def size_bytes(self) -> int:
        """Return what the batch holds in memory."""
        return sum(chunk.size_bytes for chunk in self.chunks)


@dataclass(frozen=True, kw_only=True)
class Unbuilt:
    """A claim that could not become a batch; `reason` is a sentence without secrets.

    `lasting` says that waiting alone will not mend it.
    """

    claim: Claim
    config_version: int
    name: str
    at_us: int
    reason: str
    lasting: bool


Built = Prepared | Unbuilt | None


class Builder:
    """Builds the batches of claims; keeps destinations opened while their settings do not change."""

    def __init__(
        self, store: Store, vault: Vault, types: Mapping[str, type[Destination]], *, namespace: str
    ) -> None:
        self.store: Final = store
        self.vault: Final = vault
        self.types: Final = types
        self.namespace: Final = namespace
        self.pages: Final = Pages()
        self._stored: dict[int, StoredDestination] = {}
        self._opened: dict[tuple[int, int], Destination] = {}
        self._fits: dict[tuple[int, int], int] = {}
        self._streaks: dict[int, int] = {}

    @contextlib.contextmanager
    def round(self, claims: Sequence[Claim]) -> Iterator["Round"]:
        """Begin a round; what its destinations share is forgotten at its end."""
        yield Round(self, claims)

    def stored(self, conn: Conn, destination_ids: Sequence[int]) -> dict[int, StoredDestination]:
        """Return the settings of destinations as they are now; what has not changed is not read again."""
        found = destinations.by_ids(conn, destination_ids, self._stored)
        if len(self._stored) >= _OPENED:
            self._stored.clear()
        self._stored |= found
        return found

    def open(self, workspace: Workspace, stored: StoredDestination) -> Destination:
        """Return a configured destination with its secrets; raise what opening or parsing raises."""
        key = (stored.id, stored.version)
        known = self._opened.get(key)
        if known is None:
            cls = self.types[stored.type]
            secrets = self.vault.open_secrets(
                stored.sealed, workspace=workspace.uid, destination=stored.uid, address=stored.address
            )
            known = cls.parse({**stored.config, **opened(cls, secrets)})
            if len(self._opened) >= _OPENED:
                self._opened.clear()
            self._opened[key] = known
        return known

    def limits(self, claim: Claim, stored: StoredDestination, destination: Destination) -> Limits:
        """Return how much a batch may be: little where the last answer was none, and for a probe."""
        fits = self._fits.get((stored.id, stored.version), destination.max_bytes)
        if claim.failures or claim.probing:
            few = min(_SUSPECT_BYTES, fits)
            return Limits(requests=1, receipts=_SUSPECT_RECEIPTS, total_bytes=few, request_bytes=few)
        most = REQUESTS if destination.max_receipts() > 1 else SINGLE_REQUESTS
        requests = min(most, 1 << self._streaks.get(claim.destination_id, 0))
        return Limits(
            requests=requests, receipts=1_000_000, total_bytes=max(BATCH_BYTES, fits), request_bytes=fits
        )

    def went(self, destination_id: int, *, well: bool) -> None:
        """Note how a request went: the next batch may be twice as many after one that went well.

        So what a killed worker had open, and is sent again, is little where kills are many.
        """
        if well:
            self._streaks[destination_id] = min(_LONGEST_STREAK, self._streaks.get(destination_id, 0) + 1)
        else:
            self._streaks.pop(destination_id, None)

    def shrunk(self, made: Prepared, piece: Piece, max_bytes: int) -> Piece | None:
        """Return a receipt's piece cut to fewer bytes, content first; None where that cannot be."""
        with self.store.read() as conn:
            rows = receipts.by_seqs(conn, made.claim.workspace_id, (piece.seq,))
            workspace = workspaces.by_id(conn, made.claim.workspace_id)
            if not rows or workspace is None:
                return None
            log = SharedLog(workspace, self.vault, Pages())
            variation = Variation(
                made.stored, made.destination, self.namespace, log.pseudonym, max_bytes=max_bytes
            )
            wanted = rows[0].has_content and variation.sends_content
            content = log.content(conn, rows[0]) if wanted else None
        try:
            body, spans = variation.encoded(
                from_document(rows[0].document), content, had_content=bool(rows[0].has_content)
            )
        except ReceiptError:
            return None
        return Piece(seq=piece.seq, receipt_id=piece.receipt_id, body=body, spans=spans)

    def too_big(self, made: Prepared, size_bytes: int) -> None:
        """Remember that a destination refused so many bytes at once."""
        if len(self._fits) >= _OPENED:
            self._fits.clear()
        self._fits[made.stored.id, made.stored.version] = max(1_000, size_bytes // 2)


class Round:
    """One round's shared work; used by one thread at a time."""

    def __init__(self, builder: Builder, claims: Sequence[Claim]) -> None:
        self._builder = builder
        self._claims = claims
        self._stored: dict[int, StoredDestination] | None = None
        self._logs: dict[int, SharedLog] = {}

    def build_some(
        self, claims: Sequence[Claim], done: Mapping[int, "Ahead"], *, enough_bytes: int
    ) -> list[Built]:
        """Return the batches of the first claims, as many as `enough_bytes` allow and one at least."""
        found: list[Built] = []
        size = 0
        with self._builder.store.glance() as conn:
            self._load(conn)
            # What is too old for a destination is too old by the clock that all workers share.
            now_us = self._builder.store.now_us(conn)
            for claim in claims:
                ahead = done.get(claim.destination_id)
                made = self._build(conn, claim, ahead, now_us=now_us)
                found.append(made)
                size += made.size_bytes if isinstance(made, Prepared) else 0
                if size >= enough_bytes:
                    break
        return found

    def _build(self, conn: Conn, claim: Claim, ahead: "Ahead | None", *, now_us: int) -> Built:
        """Return a claim's next batch, None when it is gone, paused or off; only the database raises."""
        stored = (self._stored or {}).get(claim.destination_id)
        log = self._logs.get(claim.workspace_id)
        if stored is None or log is None or not _wanted(stored, log.workspace):
            return None
        lasting = True
        try:
            return self._prepare(conn, claim, log, stored, ahead, now_us)
        except Unencodable as error:
            reason, lasting = str(error), False
        except VaultError:
            reason = "A stored secret or content cannot be opened. Check BROADCAST_ENCRYPTION_KEYS."
        except KeyError:
            reason = f"This version does not know the destination type {stored.type}."
        except BroadcastError as error:
            reason = f"The stored settings are not valid: {error}"
        return Unbuilt(
            claim=claim,
            config_version=stored.version,
            name=stored.uid,
            at_us=now_us,
            reason=reason,
            lasting=lasting,
        )

    def _prepare(  # noqa: PLR0917 - private, called once
        self,
        conn: Conn,
        claim: Claim,
        log: SharedLog,
        stored: StoredDestination,
        ahead: "Ahead | None",
        now_us: int,
    ) -> Prepared | None:
        destination = self._builder.open(log.workspace, stored)
        limits = self._builder.limits(claim, stored, destination)
        filling = Filling(conn, stored, destination, log, limits, self._builder.namespace, now_us)
        replay = None
        numbers: Sequence[int]
        if claim.cursor_seq < claim.head_seq:
            done = ahead.fates if ahead is not None and ahead.version == stored.version else {}
            filling.fill_after(claim.cursor_seq, claim.head_seq, done)
            numbers = range(claim.cursor_seq + 1, claim.cursor_seq + 1 + len(filling.marks))
        else:
            replay = replays.by_id(conn, claim.replay_id) if claim.replay_id is not None else None
            if replay is None or replay.state != "running":
                return None
            numbers = self._replay(conn, filling, replay)[: len(filling.marks)]
        if replay is None:
            filling.check()
        return Prepared(
            claim=claim,
            stored=stored,
            destination=destination,
            at_us=now_us,
            numbers=numbers,
            marks=tuple(filling.marks),
            chunks=tuple(filling.chunks),
            broken=tuple(filling.broken),
            replay=replay,
        )

    def _replay(self, conn: Conn, filling: Filling, replay: Replay) -> Sequence[int]:
        """Fill in a replay's next receipts and return their numbers, also of those that had no room."""
        numbers = replay.numbers(_REPLAYED)
        delivered: set[int] = set()
        if not replay.include_delivered:
            delivered = replays.delivered_among(conn, replay.destination_id, numbers)
        filling.fill_from(numbers, delivered)
        return numbers

    def _load(self, conn: Conn) -> None:
        """Read once what all claims of the round need: settings, workspaces, and each log's next receipts."""
        if self._stored is not None:
            return
        self._stored = self._builder.stored(conn, [claim.destination_id for claim in self._claims])
        places: dict[int, int] = {}
        for claim in self._claims:
            if claim.cursor_seq < claim.head_seq:
                place = places.get(claim.workspace_id, claim.cursor_seq)
                places[claim.workspace_id] = min(place, claim.cursor_seq)
        for workspace in workspaces.by_ids(conn, {claim.workspace_id for claim in self._claims}):
            self._logs[workspace.id] = SharedLog(workspace, self._builder.vault, self._builder.pages)
        if len(places) <= 1:
            # Where there is one log alone, it is read as far as nothing was made of it yet.
            return
        for workspace_id, rows in receipts.read_after_each(conn, places, _FIRST_READ).items():
            if workspace_id in self._logs:
                self._logs[workspace_id].put(rows)


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """What arrived ahead of an earlier request that failed, under one version of the settings."""

    version: int
    fates: dict[int, Fate]


_FIRST_READ: Final = 64
_REPLAYED: Final = 512
"""Receipts of a replay that one batch takes, so that fresh ones soon have their turn again."""


def _wanted(stored: StoredDestination, workspace: Workspace) -> bool:
    """Ask again: since it was claimed somebody may have paused it or switched it off."""
    return stored.enabled and stored.paused_by != "person" and stored.follows(workspace.broadcast_enabled)
