"""Take in an OTLP export: requests to models are stored as receipts, other spans are told why not."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
from msgspec import structs

from broadcast import receipt_parser
from broadcast.errors import ReceiptError, Unavailable
from broadcast.ingest import Ingest
from broadcast.receipt import Receipt
from broadcast.receipt_size import fitted
from broadcast.sources import otlp_reader, span_trees
from broadcast.sources.span_trees import Tree
from broadcast.store.keys import ApiKey

_LARGE_BYTES: Final = 1024 * 1024
_LARGE_AT_ONCE: Final = 2
_PATIENCE_S: Final = 10
_MOST_REASONS: Final = 8
_LONGEST_REASON: Final = 200

_large: Final = threading.BoundedSemaphore(_LARGE_AT_ONCE)
"""A large body unpacks into many times its size: few are unpacked at once, the next ones wait."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the sender hears: how many spans were not stored and why; a message alone is a warning."""

    rejected: int
    message: str


def accept_export(
    ingest: Ingest, key: ApiKey, body: bytes, *, is_json: bool, now_us: int, retention_us: int
) -> Outcome:
    """Store the receipts of one export; raise `ReceiptError` when the body cannot be decoded."""
    with _room(len(body)):
        found = span_trees.harvest(otlp_reader.read(body, is_json=is_json), key_hash=key.hash)
    refused = found.refused.copy()
    cut = 0
    fit: list[Tree] = []
    for tree in found.trees:
        try:
            receipt = _fit(tree.receipt, now_us=now_us, retention_us=retention_us)
        except ReceiptError as error:
            refused[error.message.rstrip(".")] += tree.spans
        else:
            cut += receipt is not tree.receipt
            fit.append(structs.replace(tree, receipt=receipt))
    conflicts = _store(ingest, key, fit, refused)
    ingest.meters.receipts("rejected", len(found.trees) - len(fit) + conflicts)
    return Outcome(rejected=refused.total(), message=_words(refused, cut))


@contextmanager
def _room(size: int) -> Iterator[None]:
    if size <= _LARGE_BYTES:
        yield
        return
    if not _large.acquire(timeout=_PATIENCE_S):
        raise Unavailable("Too many large exports are being read. Send this one again.", retry_after_s=5)
    try:
        yield
    finally:
        _large.release()


def _fit(receipt: Receipt, *, now_us: int, retention_us: int) -> Receipt:
    """Return a receipt that can be stored: content that is too large is cut, and the receipt says so."""
    receipt_parser.check_created_at(receipt.created_at_us, now_us=now_us, retention_us=retention_us)
    if len(receipt_parser.document(receipt)) > receipt_parser.MAX_ITEM_BYTES:
        raise ReceiptError("a span's facts without its messages are larger than a receipt may be")
    return fitted(receipt)


def _store(ingest: Ingest, key: ApiKey, trees: list[Tree], refused: Counter[str]) -> int:
    """Store what fits; return how many receipts are known already with other content."""
    if not trees:
        return 0
    stored = ingest.accept(key.workspace_id, [tree.receipt for tree in trees], key)
    for conflict in stored.rejected:
        refused["this span is stored already, with different content"] += trees[conflict.index].spans
    return len(stored.rejected)


def _words(refused: Counter[str], cut: int) -> str:
    """Return the reasons with their counts, the commonest first: names of fields, never what one holds."""
    told = [f"{count} x {reason[:_LONGEST_REASON]}" for reason, count in refused.most_common(_MOST_REASONS)]
    if len(refused) > _MOST_REASONS:
        told.append(f"{len(refused) - _MOST_REASONS} other reasons")
    words = f"Spans not stored: {'; '.join(told)}." if told else ""
    if cut:
        note = f"Messages too large for a receipt were cut in {cut} of the stored requests."
        words = f"{words} {note}".strip()
    return words
