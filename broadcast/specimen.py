"""A specimen: the one request that a destination would get for a receipt, made as delivery makes it.

Beside it stands in words what was withheld of the receipt.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from broadcast import outcomes, privacy
from broadcast.destination import Batch, Destination, Request
from broadcast.fates import Fate
from broadcast.filling import Filling, Limits
from broadcast.privacy import Privacy
from broadcast.receipt_parser import from_document
from broadcast.shared_log import SharedLog
from broadcast.store import Conn
from broadcast.store.destinations import StoredDestination
from broadcast.store.receipts import LogRow

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
    row: LogRow,
    *,
    namespace: str,
    now_us: int,
) -> dict[str, Any]:
    """Return the request of one receipt by today's settings, or why there is none; secrets are hidden."""
    most = destination.max_bytes
    limits = Limits(requests=1, receipts=1, total_bytes=most, request_bytes=most)
    filling = Filling(conn, stored, destination, log, limits, namespace, now_us)
    filling.fill_from((row.seq,), set())
    withheld = _withheld(conn, stored, log, row)
    if not filling.chunks:
        fate = next(mark for mark in filling.marks if isinstance(mark, Fate))
        broken = next((words for _, _, words in filling.broken), "")
        return _view(row, withheld, fate, _REASONS.get(fate, broken), None)
    [chunk] = filling.chunks
    request = destination.request(
        Batch(
            id=outcomes.batch_id(stored.uid, row.seq, row.seq),
            at_us=now_us,
            pieces=chunk.bodies,
            joined=chunk.body.plain,
        )
    )
    return _view(row, withheld, None, None, _request(request, destination.secret_values()))


def _withheld(conn: Conn, stored: StoredDestination, log: SharedLog, row: LogRow) -> list[str]:
    """Return in sentences what of this receipt does not leave, or not as it is."""
    level, receipt = stored.privacy_level, from_document(row.document)
    content = log.content(conn, row) if row.has_content and privacy.wants_content(level) else None
    said = []
    if row.has_content and level == "metadata":
        said.append("Messages, completions and tool calls are withheld.")
    if row.has_content and level != "metadata" and content is None:
        said.append("Its content is no longer kept, so none is sent.")
    if level == "hashed":
        said.append(
            "Messages, tool calls, user, session and trace values are keyed hashes of this workspace."
        )
    if level == "redacted":
        rules = Privacy(level, patterns=stored.redaction_patterns or ())
        rules.with_content(rules.receipt(receipt), content)
        found = [f"{count:,} {_FORMS[label][count != 1]}" for label, count in rules.replaced().items()]
        said.append(
            f"Replaced: {', '.join(found)}." if found else "Nothing was found that had to be replaced."
        )
    vendors = [receipt.error, *(one.error_message for one in receipt.attempts)]
    if level in {"metadata", "hashed"} and any(vendors):
        said.append("Error texts are withheld; their types are sent.")
    if level == "full" and (content is not None or not row.has_content):
        said.append("Nothing is withheld. Images and files are sent as a short description.")
    return said


_FORMS: Final[Mapping[str, tuple[str, str]]] = {
    "key": ("key or token", "keys or tokens"),
    "email": ("e-mail address", "e-mail addresses"),
    "iban": ("IBAN", "IBANs"),
    "card": ("payment card", "payment cards"),
    "phone": ("phone number", "phone numbers"),
    "redacted": ("match of your own patterns", "matches of your own patterns"),
}


def _view(
    row: LogRow,
    withheld: list[str],
    fate: Fate | None,
    reason: str | None,
    request: dict[str, Any] | None,
) -> dict[str, Any]:
    return {
        "receipt_id": row.id,
        "withheld": withheld,
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
    scheme, space, credential = value.partition(" ")
    if name == "authorization" and space:
        return f"{scheme} {hidden(credential)}"
    return _without(value, secrets)


def _without(text: str, secrets: Iterable[str]) -> str:
    """Return a text with every secret hidden, the longest first: some vendors want their key in the body."""
    for secret in secrets:
        text = text.replace(secret, hidden(secret))
    return text


def hidden(secret: str) -> str:
    """Return what is shown of a secret: how long it is."""
    return f"[secret, {len(secret)} characters]"
