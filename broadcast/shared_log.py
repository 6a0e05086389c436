"""What the destinations of a workspace share in one round: receipts read, encoded and compressed once."""

import logging
from collections.abc import Sequence
from typing import Any, Final

from broadcast.compression import gzip_fast
from broadcast.content import associated_data
from broadcast.destination import Encoding, envelope
from broadcast.receipt import Receipt
from broadcast.receipt_parser import from_document
from broadcast.store import Conn, receipts
from broadcast.store.receipts import ReceiptRow
from broadcast.store.workspaces import Workspace
from broadcast.vault import ContentCipher, Vault

MAX_BYTES: Final = 16 * 2**20
"""What a round keeps of one workspace in the hope that another destination wants the same."""

_READ: Final = 64
_READ_AT_MOST: Final = 512
_READ_BYTES: Final = 4_000_000
_CONTENTS: Final = 16
_log: Final = logging.getLogger(__name__)

Variation = tuple[Any, ...]


class Body:
    """An export request and its gzip, made when first asked for."""

    def __init__(self, encoding: Encoding, pieces: tuple[bytes, ...]) -> None:
        self.plain: Final = envelope(encoding, pieces)
        self._packed: bytes | None = None

    def packed(self) -> bytes:
        """Return the body compressed."""
        if self._packed is None:
            self._packed = gzip_fast(self.plain)
        return self._packed


class SharedLog:
    """One workspace's receipts as read in this round, and what was made of them."""

    def __init__(self, workspace: Workspace, vault: Vault) -> None:
        self.workspace: Final = workspace
        self._vault = vault
        self._cipher: ContentCipher | None = None
        self._read = _READ
        self._chunks: dict[int, list[ReceiptRow]] = {}
        self._receipts: dict[int, Receipt] = {}
        self._contents: dict[int, bytes | None] = {}
        self._window = range(0)
        self._sealed: dict[int, bytes] = {}
        self._encoded: dict[Variation, dict[int, tuple[bytes, int]]] = {}
        self._bodies: dict[tuple[Any, ...], Body] = {}
        self._bytes = 0

    def after(self, conn: Conn, seq: int) -> list[ReceiptRow]:
        """Return the next receipts: few at first, then as many as their size allows."""
        rows = self._chunks.get(seq)
        if rows is None:
            rows = self._chunks[seq] = receipts.read_after(conn, self.workspace.id, seq, self._read)
            longest = max((len(row.document) for row in rows), default=0)
            self._read = max(_READ, min(_READ_AT_MOST - _READ, _READ_BYTES // (longest + 1)))
            self._keep(longest * len(rows))
        return rows

    def among(self, conn: Conn, numbers: Sequence[int]) -> dict[int, ReceiptRow]:
        """Return some receipts by their numbers; those that are gone are left out."""
        return {row.seq: row for row in receipts.by_seqs(conn, self.workspace.id, numbers)}

    def receipt(self, row: ReceiptRow) -> Receipt:
        """Return a stored receipt, without content."""
        receipt = self._receipts.get(row.seq)
        if receipt is None:
            receipt = self._receipts[row.seq] = from_document(row.document)
        return receipt

    def encoded(self, variation: Variation, seq: int) -> tuple[bytes, int] | None:
        """Return what was made of a receipt in one variation, its bytes and how many spans these are."""
        return self._encoded.setdefault(variation, {}).get(seq)

    def keep(self, variation: Variation, seq: int, made: tuple[bytes, int]) -> None:
        """Keep what was made of a receipt for the next destination."""
        self._encoded.setdefault(variation, {})[seq] = made
        self._keep(len(made[0]))

    def body(self, variation: Variation, encoding: Encoding, seqs: tuple[int, ...], pieces: Any) -> Body:
        """Return the export request of some receipts in one variation, made once."""
        key = (variation, seqs)
        body = self._bodies.get(key)
        if body is None:
            body = self._bodies[key] = Body(encoding, tuple(piece.body for piece in pieces))
            self._keep(len(body.plain))
        return body

    def content(self, conn: Conn, row: ReceiptRow) -> bytes | None:
        """Return a receipt's content, None where it is gone; raise `VaultError` when it does not open."""
        if row.seq not in self._contents:
            if row.seq not in self._window:
                self._window = range(row.seq, row.seq + _CONTENTS)
                self._sealed = receipts.contents(conn, self.workspace.id, self._window)
            sealed = self._sealed.get(row.seq)
            opened = None if sealed is None else self._open(sealed, row.id)
            self._contents[row.seq] = opened
            self._keep(len(opened or b""))
        return self._contents[row.seq]

    def _open(self, sealed: bytes, receipt_id: str) -> bytes:
        if self._cipher is None:
            self._cipher = self._vault.content_cipher(self.workspace.content_key)
        return self._cipher.open(sealed, aad=associated_data(receipt_id))

    def _keep(self, size: int) -> None:
        """Forget everything when it has become too much: whoever needs it again makes it again."""
        self._bytes += size
        if self._bytes > MAX_BYTES:
            self._bytes = size
            for kept in (self._chunks, self._receipts, self._contents, self._encoded, self._bodies):
                kept.clear()
