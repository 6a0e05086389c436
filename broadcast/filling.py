"""One destination's next batch, being filled: decide about each receipt, encode it, close a request in time.

Privacy comes first: no destination's code, and no encoder, ever sees what may not leave.
"""

import logging
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal

import msgspec

from broadcast import filters, sampling
from broadcast.destination import Destination
from broadcast.errors import ReceiptError, VaultError
from broadcast.fates import Fate
from broadcast.receipt_parser import from_document, with_content
from broadcast.shared_log import Chunk, Piece, SharedLog, near
from broadcast.store import Conn
from broadcast.store.destinations import StoredDestination
from broadcast.store.receipts import LogRow
from broadcast.variation import Variation

MAX_RUN: Final = 4096
"""The longest run of receipts that one batch may settle, most of them filtered or sampled out."""

LEFT_OUT: Final = "left_out"
"""A replay leaves out what was delivered before."""

Mark = Fate | Literal["left_out"] | None
_log: Final = logging.getLogger(__name__)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one batch may be: `requests` side by side, receipts to send, and bytes before compression."""

    requests: int
    receipts: int
    total_bytes: int
    request_bytes: int


class Unencodable(Exception):  # noqa: N818 - named by what it says
    """No receipt of a run could be encoded: the fault is ours, not a receipt's."""


class Filling:
    """A run of receipts: `marks` has an entry for each, in order, None where a piece decides."""

    def __init__(  # noqa: PLR0917 - private, called once
        self,
        conn: Conn,
        stored: StoredDestination,
        destination: Destination,
        shared: SharedLog,
        limits: Limits,
        namespace: str,
        now_us: int,
    ) -> None:
        self._conn = conn
        self._stored = stored
        self._destination = destination
        self._shared = shared
        self._limits = limits
        self.marks: list[Mark] = []
        self.chunks: list[Chunk] = []
        self.broken: list[tuple[int, str, str]] = []
        self._pieces: list[Piece] = []
        self._fault = ""
        self._sending = 0
        # What the request that is being filled still has room for.
        self._spans_left = self._bytes_left = self._pieces_left = 0
        self._total = 0
        self._variation = Variation(stored, destination, namespace, shared.pseudonym)
        self._max_spans = stored.tuned("max_spans", destination.max_spans)
        self._max_receipts = destination.max_receipts()
        self._packs = destination.packs()
        max_age_s = destination.max_age_s
        self._oldest_us = None if max_age_s is None else now_us - max_age_s * 1_000_000
        self._near = range(0)
        self._known: dict[int, Piece] = {}
        self._grown = 0
        self._judges_content = filters.needs_content(stored.filter_rules)
        # Most destinations want everything: then a receipt is asked for nothing but its region.
        self._chooses = bool(
            "global" not in stored.regions
            or stored.api_key_hashes
            or stored.excluded_api_key_hashes
            or stored.filter_rules
            or not sampling.keeps_all(stored.sampling_rate, stored.sampler)
        )
        self._judges = self._chooses or self._oldest_us is not None

    # -- which receipts ----------------------------------------------------------------------------

    def fill_after(self, seq: int, head_seq: int, done: dict[int, Fate]) -> None:
        """Read on from a cursor until the batch is full, the log ends, or the run is long enough.

        `done` holds what arrived already ahead of an earlier request that failed.
        """
        at = seq
        while at < head_seq and len(self.marks) < MAX_RUN:
            if (last := self._take_whole(at, head_seq, done)) is not None:
                at = last
                continue
            if not (self._judges or self._pieces or self._has_room()):
                # What comes next could only be read for nothing.
                break
            rows = self._shared.after(self._conn, at)
            if not rows:
                self._gone(at + 1, head_seq)
                break
            if not self._take_all(rows, at, done):
                break
            at = rows[-1].seq
        self._close()

    def _take_whole(self, at: int, head_seq: int, done: dict[int, Fate]) -> int | None:
        """Take a request as another destination sends it; return its last number, None where none fits."""
        if self._judges or done or self._pieces:
            return None
        chunk = self._shared.chunk(self._variation.key, at + 1, self._limits.request_bytes)
        if chunk is None or chunk.pieces[-1].seq > head_seq:
            return None
        if not self._has_room() or self._sending + len(chunk.pieces) > self._limits.receipts:
            return None
        self._keep(chunk)
        self.marks.extend([None] * len(chunk.pieces))
        return chunk.pieces[-1].seq

    def fill_from(self, numbers: Sequence[int], delivered: set[int]) -> None:
        """Take the given receipts, in order, until the batch is full; `delivered` ones are left out."""
        wanted = [seq for seq in _together(numbers) if seq not in delivered]
        rows = self._shared.among(self._conn, wanted)
        for seq in _together(numbers):
            if seq in delivered:
                self.marks.append(LEFT_OUT)
            elif (row := rows.get(seq)) is None:
                self.marks.append(Fate.EXPIRED)
            elif not self._take(row, None):
                break
        self._close()

    def _gone(self, first: int, last: int) -> None:
        """Count what retention has deleted as expired."""
        self.marks += [Fate.EXPIRED] * min(last - first + 1, MAX_RUN - len(self.marks))

    # -- one receipt -------------------------------------------------------------------------------

    def _take_all(self, rows: Sequence[LogRow], at: int, done: dict[int, Fate]) -> bool:
        """Decide about receipts in order; return False when the batch is full and one of them has to wait."""
        for row in rows:
            if row.seq != at + 1:
                self._gone(at + 1, row.seq - 1)
            at = row.seq
            if len(self.marks) >= MAX_RUN or not self._take(row, done.get(at)):
                return False
        return True

    def _take(self, row: LogRow, done: Fate | None) -> bool:
        """Decide about one receipt; return False when the batch is full and it has to wait."""
        if done is None and self._judges:
            done = self._skipped(row)
        made = self._made(row) if done is None else done
        if isinstance(made, Piece):
            return self._add(made)
        self.marks.append(made)
        return True

    def _add(self, piece: Piece) -> bool:
        size = len(piece.body)
        if piece.spans > self._spans_left or size > self._bytes_left or not self._pieces_left:
            self._close()
        if not (self._pieces or self._begin()):
            return False
        self._pieces.append(piece)
        self.marks.append(None)
        self._spans_left -= piece.spans
        self._bytes_left -= size + 1
        self._pieces_left -= 1
        return True

    def _begin(self) -> bool:
        """Make room for a request, whose first receipt may be of any size; return whether one may follow."""
        self._spans_left = self._max_spans
        self._bytes_left = self._limits.request_bytes
        self._pieces_left = min(self._max_receipts, self._limits.receipts - self._sending)
        return self._pieces_left > 0 and self._has_room()

    def _has_room(self) -> bool:
        """Whether the batch may have one more request; it ends with a whole one, so that others share it."""
        return len(self.chunks) < self._limits.requests and self._total < self._limits.total_bytes

    def _close(self) -> None:
        """End the current request."""
        self._tell()
        if self._pieces:
            key, limit = self._variation.key, self._limits.request_bytes
            self._keep(self._shared.request(key, limit, tuple(self._pieces), self._destination.join))
            self._pieces = []

    def _keep(self, chunk: Chunk) -> None:
        """Add a request, compressed here, where its bytes are at hand: the event loop has others to serve."""
        if self._packs:
            chunk.body.pack()
        self.chunks.append(chunk)
        self._sending += len(chunk.pieces)
        self._total += chunk.size_bytes

    def _reject(self, row: LogRow, reason: str) -> Fate:
        self.broken.append((row.seq, row.id, reason))
        return Fate.REJECTED

    def check(self) -> None:
        """Raise `Unencodable` when our own code failed at everything there was to send."""
        if self._fault and not self.chunks:
            raise Unencodable(self._fault)

    def _skipped(self, row: LogRow) -> Fate | None:
        if self._oldest_us is not None and row.created_at_us < self._oldest_us:
            return Fate.EXPIRED
        if not self._chooses:
            return None
        try:
            receipt = seen = from_document(row.document)
        except msgspec.DecodeError:
            # Whoever makes its spans says so.
            return None
        if row.has_content and self._judges_content:
            seen = with_content(receipt, self._shared.content(self._conn, row))
        wanted = filters.decide(
            seen,
            api_key_hashes=self._stored.api_key_hashes,
            excluded_api_key_hashes=self._stored.excluded_api_key_hashes,
            filter_rules=self._stored.filter_rules,
            regions=self._stored.regions,
        )
        if not wanted:
            return Fate.FILTERED
        kept = sampling.keep(self._stored.uid, receipt, self._stored.sampling_rate, self._stored.sampler)
        return None if kept else Fate.SAMPLED_OUT

    def _made(self, row: LogRow) -> Piece | Fate:
        """Return what is sent of a receipt, or why nothing is."""
        if row.seq not in self._near:
            self._tell()
            self._near = near(row.seq)
            self._known = self._shared.pieces(self._variation.key, row.seq)
        if (piece := self._known.get(row.seq)) is not None:
            return piece
        # A database that fails, or a key that is missing, is no fault of the receipt.
        wanted = row.has_content and self._variation.sends_content
        content = self._shared.content(self._conn, row) if wanted else None
        try:
            receipt = from_document(row.document)
            if receipt.region is not None and filters.region_of(receipt) not in self._stored.regions:
                return Fate.FILTERED
            body, spans = self._variation.encoded(receipt, content, had_content=row.has_content != 0)
        except VaultError:
            raise
        except ReceiptError as error:
            return self._reject(row, error.message)
        except Exception as error:  # noqa: BLE001 - see below
            # One receipt that our own code cannot encode must not stop the others, nor pass unseen.
            _log.exception("action=encode_failed receipt=%s", row.id)
            self._fault = f"Encoding failed ({type(error).__name__})."
            return self._reject(row, self._fault)
        piece = self._known[row.seq] = Piece(row.seq, row.id, body, spans)
        self._grown += len(body)
        return piece

    def _tell(self) -> None:
        """Say how much was made, once for many receipts."""
        if self._grown:
            self._shared.grown(self._near.start, self._grown)
            self._grown = 0


def _together(numbers: Sequence[int]) -> Sequence[int]:
    """Return the first of some numbers, so near each other that one map holds their fates."""
    numbers = numbers[:MAX_RUN]
    for index, (one, other) in enumerate(pairwise(numbers), start=1):
        if other - one > MAX_RUN or other - numbers[0] > _MAX_SPREAD:
            return numbers[:index]
    return numbers


_MAX_SPREAD: Final = 32_768
