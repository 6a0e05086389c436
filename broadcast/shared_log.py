"""What destinations of a workspace have in common: receipts read, opened, encoded and compressed once.

Pages are kept from round to round while they are in use. All of it is bounded: what was not asked for since
half the room was filled is forgotten, and made again by whoever needs it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, Self

import msgspec

from broadcast.compression import gzip_fast
from broadcast.content import associated_data
from broadcast.fates import Fate
from broadcast.store import Conn, receipts
from broadcast.store.receipts import LogRow
from broadcast.store.workspaces import Workspace
from broadcast.vault import ContentCipher, Vault

HALF_BYTES: Final = 20 * 2**20
"""Half of what all that is shared may hold in memory: two whole batches and what these are made of.

Destinations that catch up side by side are seldom a batch apart, and what is forgotten is made once more.
"""

_PAGE_BITS: Final = 8
_READ: Final = 64
_READ_AT_MOST: Final = 512
_READ_BYTES: Final = 4_000_000
_CONTENTS: Final = 16

_number: Final = attrgetter("seq")
Variation = tuple[object, ...]


class Piece(msgspec.Struct, frozen=True, gc=False):
    """One receipt to send: its number, its encoded spans and how many these are."""

    seq: int
    receipt_id: str
    body: bytes
    spans: int


def all_delivered(pieces: Iterable[Piece]) -> dict[int, Fate]:
    """Return what is told of some receipts that have arrived, by their numbers."""
    return dict.fromkeys([piece.seq for piece in pieces], Fate.DELIVERED)


class Body:
    """The body of a request and its gzip, once somebody sends it so."""

    def __init__(self, plain: bytes) -> None:
        self.plain: Final = plain
        self.packed: bytes | None = None

    def pack(self) -> None:
        """Compress the body unless that was done."""
        if self.packed is None:
            self.packed = gzip_fast(self.plain)


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """What goes out as one request; `body` is shared with every destination that sends the same."""

    pieces: tuple[Piece, ...]
    bodies: tuple[bytes, ...]
    spans: int
    body: Body
    delivered: Mapping[int, Fate]
    """What is told once it has arrived, shared likewise."""

    @classmethod
    def of(cls, join: Callable[[tuple[bytes, ...]], bytes], pieces: tuple[Piece, ...]) -> Self:
        """Return the request of some pieces, joined as the destination's type joins them."""
        bodies = tuple([piece.body for piece in pieces])
        spans = sum([piece.spans for piece in pieces])
        body = Body(join(bodies))
        return cls(pieces=pieces, bodies=bodies, spans=spans, body=body, delivered=all_delivered(pieces))

    @property
    def size_bytes(self) -> int:
        """Return what the chunk holds in memory."""
        return len(self.body.plain)


class _Page:
    """Some receipts that follow each other, and what was made of them."""

    def __init__(self) -> None:
        self.rows: dict[int, LogRow] = {}
        self.contents: dict[int, bytes | None] = {}
        self.pieces: dict[Variation, dict[int, Piece]] = {}
        self.longest = 0
        self.size = 0


def near(seq: int) -> range:
    """Return the numbers that share a page with this one."""
    first = seq >> _PAGE_BITS << _PAGE_BITS
    return range(first, first + (1 << _PAGE_BITS))


class Pages:
    """The pages and chunks of every workspace that delivery works at, in two generations."""

    def __init__(self) -> None:
        self._young: dict[tuple[object, ...], Any] = {}
        self._old: dict[tuple[object, ...], Any] = {}
        self._bytes = 0

    def page(self, workspace_id: int, seq: int) -> _Page:
        """Return the page of a receipt."""
        key = (workspace_id, seq >> _PAGE_BITS)
        page: _Page | None = self._young.get(key)
        if page is None:
            page = self._old.pop(key, None) or _Page()
            self._young[key] = page
            self._bytes += page.size
        return page

    def grow(self, page: _Page, size: int) -> None:
        """Count what was added to a page."""
        page.size += size
        self._count(size)

    def chunk(self, key: tuple[object, ...]) -> Chunk | None:
        """Return a request that was made before."""
        found: Chunk | None = self._young.get(key) or self._old.get(key)
        return found

    def keep(self, key: tuple[object, ...], chunk: Chunk) -> None:
        """Keep a request for the next destination that sends the same."""
        self._young[key] = chunk
        self._count(chunk.size_bytes)

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > HALF_BYTES:
            self._old, self._young, self._bytes = self._young, {}, 0


class SharedLog:
    """One workspace's log as its destinations read it."""

    def __init__(self, workspace: Workspace, vault: Vault, pages: Pages) -> None:
        self.workspace: Final = workspace
        self._vault = vault
        self._pages = pages
        self._cipher: ContentCipher | None = None

    def put(self, rows: Sequence[LogRow]) -> None:
        """Take in receipts, in order, that were read for several workspaces at once."""
        at = 0
        while at < len(rows):
            numbers = near(rows[at].seq)
            end = bisect_left(rows, numbers.stop, lo=at, key=_number)
            page = self._pages.page(self.workspace.id, numbers.start)
            fresh = {row.seq: row for row in rows[at:end] if row.seq not in page.rows}
            page.rows |= fresh
            sizes = [len(row.document) for row in fresh.values()]
            page.longest = max(page.longest, *sizes, 0)
            self._pages.grow(page, sum(sizes))
            at = end

    def after(self, conn: Conn, seq: int) -> list[LogRow]:
        """Return the next receipts: few at first, then as many as the size of those before allows."""
        known = self._known_after(seq)
        if known:
            return known
        longest = self._pages.page(self.workspace.id, seq).longest
        most = max(_READ, min(_READ_AT_MOST, _READ_BYTES // longest)) if longest else _READ
        rows = receipts.read_after(conn, self.workspace.id, seq, most)
        self.put(rows)
        return rows

    def _known_after(self, seq: int) -> list[LogRow]:
        rows = self._pages.page(self.workspace.id, seq + 1).rows
        found = []
        while (row := rows.get(seq := seq + 1)) is not None:
            found.append(row)
        return found

    def among(self, conn: Conn, numbers: Sequence[int]) -> Mapping[int, LogRow]:
        """Return some receipts by their numbers; those that are gone are left out."""
        return {row.seq: row for row in receipts.by_seqs(conn, self.workspace.id, numbers)}

    def pieces(self, variation: Variation, seq: int) -> dict[int, Piece]:
        """Return what was made of the receipts `near` this one in one variation, by number."""
        return self._pages.page(self.workspace.id, seq).pieces.setdefault(variation, {})

    def grown(self, seq: int, size: int) -> None:
        """Count what was added to `pieces`."""
        self._pages.grow(self._pages.page(self.workspace.id, seq), size)

    def chunk(self, variation: Variation, first_seq: int, request_bytes: int) -> Chunk | None:
        """Return the request that begins with this receipt and holds all that follow, where one was made."""
        return self._pages.chunk((self.workspace.id, variation, first_seq, request_bytes))

    def request(
        self,
        variation: Variation,
        request_bytes: int,
        pieces: tuple[Piece, ...],
        join: Callable[[tuple[bytes, ...]], bytes],
    ) -> Chunk:
        """Return the request of some pieces: another destination's, where one made the same meanwhile.

        Only what leaves out no receipt between its first and its last is shared.
        """
        first, last = pieces[0].seq, pieces[-1].seq
        if last - first != len(pieces) - 1:
            return Chunk.of(join, pieces)
        known = self.chunk(variation, first, request_bytes)
        if known is not None and known.pieces[-1].seq == last:
            return known
        made = Chunk.of(join, pieces)
        self._pages.keep((self.workspace.id, variation, first, request_bytes), made)
        return made

    def content(self, conn: Conn, row: LogRow) -> bytes | None:
        """Return a receipt's content, None where it is gone; raise `VaultError` when it does not open."""
        page = self._pages.page(self.workspace.id, row.seq)
        if row.seq not in page.contents:
            following = range(row.seq, row.seq + _CONTENTS)
            sealed = receipts.contents(conn, self.workspace.id, following)
            for seq in following:
                other = page.rows.get(seq)
                if seq == row.seq or other is not None:
                    receipt_id = row.id if other is None else other.id
                    page.contents[seq] = self._opened(sealed.get(seq), receipt_id)
                    self._pages.grow(page, len(page.contents[seq] or b""))
        return page.contents[row.seq]

    def pseudonym(self, value: bytes) -> bytes:
        """Return what stands for a value in this workspace; raise `VaultError` when its key does not open."""
        return self._opened_cipher().pseudonym(value)

    def _opened(self, sealed: bytes | None, receipt_id: str) -> bytes | None:
        if sealed is None:
            return None
        return self._opened_cipher().open(sealed, aad=associated_data(receipt_id))

    def _opened_cipher(self) -> ContentCipher:
        if self._cipher is None:
            self._cipher = self._vault.content_cipher(self.workspace.content_key)
        return self._cipher
