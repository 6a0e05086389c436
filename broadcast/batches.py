"""Batches: what a destination gets next, from its cursor on, as encoded spans.

Privacy comes first: no destination's code, and no encoder, ever sees what may not leave. Destinations of a
workspace that want the same variation of a receipt share its spans and bytes within one round.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from broadcast import filters, sampling
from broadcast.content import associated_data
from broadcast.destination import Destination
from broadcast.errors import BroadcastError, ReceiptError, VaultError
from broadcast.fates import Fate
from broadcast.gate import opened
from broadcast.receipt import Receipt
from broadcast.receipt_parser import from_document, with_content
from broadcast.store import Conn, Store, destinations, receipts, workspaces
from broadcast.store.cursors import Claim
from broadcast.store.destinations import StoredDestination
from broadcast.store.receipts import ReceiptRow
from broadcast.store.workspaces import Workspace
from broadcast.variation import Variation
from broadcast.vault import ContentCipher, Vault

MAX_RUN: Final = 4096
"""The longest run of receipts that one batch may settle, most of them filtered or sampled out."""

_READ: Final = 64
_READ_AT_MOST: Final = 512
_READ_BYTES: Final = 4_000_000
_CONTENTS: Final = 16
_log: Final = logging.getLogger(__name__)


class Piece(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One receipt to send: its place in the batch's run, its encoded spans and how many these are."""

    index: int
    seq: int
    receipt_id: str
    body: bytes
    spans: int


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A batch ready to send: `fates` has an entry a receipt, None where a piece decides."""

    claim: Claim
    stored: StoredDestination
    destination: Destination
    at_us: int
    fates: tuple[Fate | None, ...]
    pieces: tuple[Piece, ...]
    broken: tuple[tuple[int, str, str], ...] = ()

    @property
    def from_seq(self) -> int:
        """Return the number of the first receipt of the run."""
        return self.claim.cursor_seq + 1

    @property
    def size_bytes(self) -> int:
        """Return what the batch holds in memory."""
        return sum(len(piece.body) for piece in self.pieces)


@dataclass(frozen=True, kw_only=True)
class Unbuilt:
    """A claim that could not become a batch; `reason` is a sentence without secrets."""

    claim: Claim
    config_version: int
    name: str
    at_us: int
    reason: str


class Builder:
    """Builds the batches of one round of claims."""

    def __init__(
        self, store: Store, vault: Vault, types: Mapping[str, type[Destination]], *, namespace: str
    ) -> None:
        self._store = store
        self._vault = vault
        self._types = types
        self._namespace = namespace

    @contextlib.contextmanager
    def round(self) -> Iterator["Round"]:
        """Begin a round; what its destinations share is forgotten at its end."""
        yield Round(self._store, self._vault, self._types, self._namespace)


class Round:
    """One round's shared work; used by one thread at a time."""

    def __init__(
        self, store: Store, vault: Vault, types: Mapping[str, type[Destination]], namespace: str
    ) -> None:
        self._store = store
        self._vault = vault
        self._types = types
        self._namespace = namespace
        self._log: _Log | None = None

    def build(self, claim: Claim, *, now_us: int) -> Prepared | Unbuilt | None:
        """Return a claim's next batch, None when it is gone or switched off; only the database raises."""
        with self._store.read() as conn:
            stored = destinations.by_ids(conn, (claim.destination_id,)).get(claim.destination_id)
            workspace = workspaces.by_id(conn, claim.workspace_id)
            if stored is None or workspace is None or not _wanted(stored, workspace):
                return None
            if self._log is None or self._log.workspace.id != workspace.id:
                self._log = _Log(workspace, self._vault)
            try:
                return self._prepare(conn, claim, workspace, stored, now_us)
            except _UnencodableError as error:
                reason = str(error)
            except VaultError:
                reason = "A stored secret or content cannot be opened. Check BROADCAST_ENCRYPTION_KEYS."
            except KeyError:
                reason = f"This version does not know the destination type {stored.type}."
            except BroadcastError as error:
                reason = f"The stored settings are not valid: {error}"
        return Unbuilt(
            claim=claim, config_version=stored.version, name=stored.uid, at_us=now_us, reason=reason
        )

    def _prepare(
        self, conn: Conn, claim: Claim, workspace: Workspace, stored: StoredDestination, now_us: int
    ) -> Prepared:
        cls = self._types[stored.type]
        secrets = self._vault.open_secrets(
            stored.sealed, workspace=workspace.uid, destination=stored.uid, address=stored.address
        )
        destination = cls.parse({**stored.config, **opened(cls, secrets)})
        if self._log is None:
            raise RuntimeError("A round has no log yet.")
        run = _Run(conn, claim, stored, destination, self._log, self._namespace, now_us)
        run.fill()
        return run.prepared()


class _UnencodableError(Exception):
    """No receipt of a run could be encoded: the fault is ours, not a receipt's."""


class _Log:
    """One workspace's receipts as read in this round, and the variations made of them."""

    def __init__(self, workspace: Workspace, vault: Vault) -> None:
        self.workspace = workspace
        self._vault = vault
        self._cipher: ContentCipher | None = None
        self._chunks: dict[int, list[ReceiptRow]] = {}
        self._receipts: dict[int, Receipt] = {}
        self._contents: dict[int, bytes | None] = {}
        self._window = range(0)
        self._sealed: dict[int, bytes] = {}
        self._encoded: dict[tuple[Any, ...], dict[int, tuple[bytes, int]]] = {}
        self._read = _READ

    def after(self, conn: Conn, seq: int) -> list[ReceiptRow]:
        """Return the next receipts: few at first, then as many as their size allows."""
        rows = self._chunks.get(seq)
        if rows is None:
            rows = self._chunks[seq] = receipts.read_after(conn, self.workspace.id, seq, self._read)
            longest = max((len(row.document) for row in rows), default=0)
            self._read = max(_READ, min(_READ_AT_MOST - _READ, _READ_BYTES // (longest + 1)))
        return rows

    def receipt(self, row: ReceiptRow) -> Receipt:
        """Return a stored receipt, without content."""
        receipt = self._receipts.get(row.seq)
        if receipt is None:
            receipt = self._receipts[row.seq] = from_document(row.document)
        return receipt

    def encoded(self, variation: tuple[Any, ...]) -> dict[int, tuple[bytes, int]]:
        """Return what was made in one variation, by number: its bytes and how many spans these are."""
        return self._encoded.setdefault(variation, {})

    def content(self, conn: Conn, row: ReceiptRow) -> bytes | None:
        """Return a receipt's content, None where it is gone."""
        if row.seq not in self._contents:
            if row.seq not in self._window:
                self._window = range(row.seq, row.seq + _CONTENTS)
                self._sealed = receipts.contents(conn, self.workspace.id, self._window)
            sealed = self._sealed.get(row.seq)
            self._contents[row.seq] = None if sealed is None else self._open(sealed, row.id)
        return self._contents[row.seq]

    def _open(self, sealed: bytes, receipt_id: str) -> bytes:
        if self._cipher is None:
            self._cipher = self._vault.content_cipher(self.workspace.content_key)
        return self._cipher.open(sealed, aad=associated_data(receipt_id))


class _Run:
    """One destination's run of receipts, being filled."""

    def __init__(  # noqa: PLR0917 - private, called once
        self,
        conn: Conn,
        claim: Claim,
        stored: StoredDestination,
        destination: Destination,
        log: _Log,
        namespace: str,
        now_us: int,
    ) -> None:
        self._conn = conn
        self._claim = claim
        self._stored = stored
        self._destination = destination
        self._shared = log
        self._now_us = now_us
        self._fates: list[Fate | None] = []
        self._pieces: list[Piece] = []
        self._broken: list[tuple[int, str, str]] = []
        self._fault = ""
        self._spans = 0
        self._bytes = 0
        self._variation = Variation(stored, destination, namespace)
        self._encoded = log.encoded(self._variation.key)
        max_age_s = destination.max_age_s
        self._oldest_us = None if max_age_s is None else now_us - max_age_s * 1_000_000
        self._judges_content = filters.needs_content(stored.filter_rules)
        # Most destinations want everything: then nothing is asked of a receipt.
        self._chooses = bool(
            stored.api_key_hashes
            or stored.excluded_api_key_hashes
            or stored.filter_rules
            or stored.sampling_rate < 1
        )

    def fill(self) -> None:
        """Read on until the batch is full, the log ends, or the run is long enough."""
        while not self._full() and (next_seq := self._next_seq()) <= self._claim.head_seq:
            rows = self._shared.after(self._conn, next_seq - 1)
            if not rows:
                self._gone(self._claim.head_seq)
                return
            for row in rows:
                self._gone(row.seq - 1)
                if self._full() or not self._add(row):
                    return

    def _full(self) -> bool:
        return self._spans >= self._destination.max_spans or len(self._fates) >= MAX_RUN

    def prepared(self) -> Prepared:
        """Return the batch; raise `_UnencodableError` when nothing at all could be encoded."""
        if self._fault and not self._pieces:
            raise _UnencodableError(self._fault)
        for index, _, _ in self._broken:
            self._fates[index] = Fate.REJECTED
        return Prepared(
            claim=self._claim,
            stored=self._stored,
            destination=self._destination,
            at_us=self._now_us,
            fates=tuple(self._fates),
            pieces=tuple(self._pieces),
            broken=tuple(self._broken),
        )

    def _next_seq(self) -> int:
        return self._claim.cursor_seq + 1 + len(self._fates)

    def _gone(self, upto_seq: int) -> None:
        """Count what retention has deleted as expired."""
        missing = upto_seq - self._next_seq() + 1
        if missing > 0:
            self._fates += [Fate.EXPIRED] * min(missing, MAX_RUN - len(self._fates))

    def _add(self, row: ReceiptRow) -> bool:
        """Decide about one receipt; return False when the batch is full and it has to wait."""
        receipt = self._shared.receipt(row)
        skipped = self._skipped(row, receipt)
        if skipped is not None:
            self._fates.append(skipped)
            return True
        try:
            made = self._encoded.get(row.seq)
            if made is None:
                made = self._encoded[row.seq] = self._make(row, receipt)
        except VaultError:
            raise
        except ReceiptError as error:
            return self._break(row, error.message)
        except Exception as error:  # noqa: BLE001 - see below
            # One receipt that our own code cannot encode must not stop the others, nor pass unseen.
            _log.exception("action=encode_failed receipt=%s", row.id)
            self._fault = f"Encoding failed ({type(error).__name__})."
            return self._break(row, self._fault)
        body, spans = made
        full = self._spans + spans > self._destination.max_spans
        if self._pieces and (full or self._bytes + len(body) > self._destination.max_bytes):
            return False
        self._pieces.append(
            Piece(index=len(self._fates), seq=row.seq, receipt_id=row.id, body=body, spans=spans)
        )
        self._fates.append(None)
        self._spans += spans
        self._bytes += len(body) + 1
        return True

    def _break(self, row: ReceiptRow, reason: str) -> bool:
        self._broken.append((len(self._fates), row.id, reason))
        self._fates.append(None)
        return True

    def _skipped(self, row: ReceiptRow, receipt: Receipt) -> Fate | None:
        if self._oldest_us is not None and receipt.created_at_us < self._oldest_us:
            return Fate.EXPIRED
        if not self._chooses:
            return None
        seen = receipt
        if row.has_content and self._judges_content:
            seen = with_content(receipt, self._shared.content(self._conn, row))
        wanted = filters.decide(
            seen,
            api_key_hashes=self._stored.api_key_hashes,
            excluded_api_key_hashes=self._stored.excluded_api_key_hashes,
            filter_rules=self._stored.filter_rules,
        )
        if not wanted:
            return Fate.FILTERED
        kept = sampling.keep(self._stored.uid, receipt, self._stored.sampling_rate)
        return None if kept else Fate.SAMPLED_OUT

    def _make(self, row: ReceiptRow, receipt: Receipt) -> tuple[bytes, int]:
        wanted = row.has_content and self._variation.full
        content = self._shared.content(self._conn, row) if wanted else None
        return self._variation.encoded(receipt, content, had_content=row.has_content)


def _wanted(stored: StoredDestination, workspace: Workspace) -> bool:
    """Ask again: between two batches of one claim somebody may have paused it or switched it off."""
    return stored.enabled and stored.paused_by is None and workspace.broadcast_enabled
