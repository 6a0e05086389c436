"""A specimen: the one request that a destination would get for a receipt, made as delivery makes it."""

from collections.abc import Iterable
from typing import Any, Final

from broadcast import outcomes
from broadcast.destination import Batch, Destination, Request
from broadcast.fates import Fate
from broadcast.filling import Filling, Limits
from broadcast.shared_log import SharedLog
from broadcast.store import Conn
from broadcast.store.destinations import StoredDestination
from broadcast.store.receipts import ReceiptRow

HIDDEN: Final = "[secret]"
_LONG: Final = 8
_REASONS: Final = {
    Fate.FILTERED: "Its keys, regions or filter rules leave this receipt out.",
    Fate.SAMPLED_OUT: "This receipt is not in its sample.",
    Fate.EXPIRED: "This receipt is older than it takes.",
}


def of(
    conn: Conn,
    stored: StoredDestination,
    destination: Destination,
    log: SharedLog,
    row: ReceiptRow,
    *,
    namespace: str,
    now_us: int,
) -> dict[str, Any]:
    """Return the request of one receipt by today's settings, or why there is none; secrets are hidden."""
    most = destination.max_bytes
    limits = Limits(requests=1, receipts=1, total_bytes=most, request_bytes=most)
    filling = Filling(conn, stored, destination, log, limits, namespace, now_us)
    filling.fill_from((row.seq,), set())
    if not filling.chunks:
        fate = next(mark for mark in filling.marks if isinstance(mark, Fate))
        broken = next((words for _, _, words in filling.broken), "")
        return _view(row, fate, _REASONS.get(fate, broken), None)
    [chunk] = filling.chunks
    request = destination.request(
        Batch(
            id=outcomes.batch_id(stored.uid, row.seq, row.seq),
            at_us=now_us,
            pieces=chunk.bodies,
            joined=chunk.body.plain,
        )
    )
    return _view(row, None, None, _request(request, destination.secret_values()))


def _view(
    row: ReceiptRow, fate: Fate | None, reason: str | None, request: dict[str, Any] | None
) -> dict[str, Any]:
    return {
        "receipt_id": row.id,
        "would_send": request is not None,
        "fate": None if fate is None else fate.value,
        "reason": reason,
        "request": request,
    }


def _request(request: Request, secrets: Iterable[str]) -> dict[str, Any]:
    hidden = tuple(secrets)
    try:
        # A short secret may be any word: hidden here, it would change what is shown.
        body: str | None = _without(request.body.decode(), [one for one in hidden if len(one) >= _LONG])
    except UnicodeDecodeError:
        body = None
    return {
        "method": request.method,
        "url": request.url,
        "headers": {name: _header(name, value, hidden) for name, value in request.headers.items()},
        "compression": "gzip" if request.compress else None,
        "bytes": len(request.body),
        "body": body,
        # Protobuf and whatever else is no text.
        "body_hex": request.body.hex() if body is None else None,
    }


def _header(name: str, value: str, secrets: Iterable[str]) -> str:
    """Return a header's value without secrets; a credential made for this request alone is one, too."""
    shown = _without(value, secrets)
    scheme, space, _ = shown.partition(" ")
    return f"{scheme} {HIDDEN}" if name == "authorization" and space else shown


def _without(text: str, secrets: Iterable[str]) -> str:
    """Return a text with every secret hidden, the longest first: some vendors want their key in the body."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text
