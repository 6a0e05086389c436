"""Take in what other programs report: stored as any receipt is, and never lost to an id that they repeat."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final

from msgspec import structs

from broadcast import receipt_parser
from broadcast.ingest import Accepted, Ingest, Rejection
from broadcast.receipt import Receipt
from broadcast.sources import litellm
from broadcast.store.keys import ApiKey

_DIGEST: Final = 16
_ROOM: Final = 128 - _DIGEST - 1


def accept_litellm(
    ingest: Ingest,
    workspace_id: int,
    key: ApiKey | None,
    body: bytes,
    content_type: str | None,
    *,
    now_us: int,
    retention_us: int,
) -> tuple[int, dict[str, Any]]:
    """Store what LiteLLM posted; the counts are of receipts. Raise `ReceiptError` for what is no JSON."""
    read, refused = litellm.read(body, content_type, now_us=now_us, retention_us=retention_us)
    stored = accept_all(ingest, workspace_id, key, [one.receipt for one in read])
    rejected = [
        Rejection(index=one.place, id=one.error.id, field=one.error.field, message=one.error.message)
        for one in refused
    ]
    rejected += [replace(item, index=place) for item in stored.rejected for place in read[item.index].places]
    result = Accepted(
        accepted=stored.accepted,
        duplicates=stored.duplicates,
        rejected=sorted(rejected, key=lambda item: item.index),
    )
    ingest.meters.receipts("rejected", len(rejected))
    return result.status, result.view()


def accept_all(
    ingest: Ingest, workspace_id: int, key: ApiKey | None, receipts: Sequence[Receipt]
) -> Accepted:
    """Store receipts; one whose id is known with other content is stored under an id made of both.

    The reporter reads no refusal, and what it reports twice is still known: equal content makes an equal id.
    """
    first = ingest.accept(workspace_id, receipts, key)
    if not first.rejected:
        return first
    at = [item.index for item in first.rejected]
    again = ingest.accept(workspace_id, [_renamed(receipts[index]) for index in at], key)
    return Accepted(
        accepted=first.accepted + again.accepted,
        duplicates=first.duplicates + again.duplicates,
        rejected=[replace(item, index=at[item.index]) for item in again.rejected],
    )


def _renamed(receipt: Receipt) -> Receipt:
    content = receipt_parser.content(receipt) or b""
    digest = sha256(receipt_parser.document(receipt) + content).hexdigest()[:_DIGEST]
    return structs.replace(receipt, id=f"{receipt.id[:_ROOM]}:{digest}")
