"""Accept receipts: parsed where they arrive, stored by one writer at a time, answered after the commit."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from broadcast import receipt_parser
from broadcast.errors import ReceiptError
from broadcast.ingest_writer import GROUP, Job, Prepared, WorkspaceGone, Writer
from broadcast.meters import Meters
from broadcast.receipt import KeyRef, Receipt
from broadcast.store import Store, workspaces
from broadcast.store.keys import ApiKey
from broadcast.store.receipts import NewReceipt
from broadcast.trace_context import ids_of
from broadcast.vault import ContentCipher, Vault

_log: Final = logging.getLogger(__name__)
_AHEAD: Final = 2
_CIPHERS_US: Final = 600_000_000
_CONTENT_TTL_US: Final = 72 * 3_600_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """Why one receipt was refused; `index` is its place in what was sent."""

    index: int
    id: str | None = None
    field: str
    message: str

    def view(self) -> dict[str, Any]:
        """Return the API's object."""
        named = {} if self.id is None else {"id": self.id}
        return {"index": self.index, **named, "field": self.field, "message": self.message}


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """What became of a submission, after its commit."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[Rejection] = field(default_factory=list)

    @property
    def status(self) -> int:
        """Return 202 when anything is stored now or was before, 422 when everything was refused."""
        return 422 if self.rejected and not self.accepted + self.duplicates else 202

    def view(self) -> dict[str, Any]:
        """Return the API's object."""
        return {
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "rejected": [item.view() for item in self.rejected],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class _Parsed:
    """What a submission holds: receipts, their places in it, and why others are refused."""

    receipts: Sequence[Receipt]
    places: Sequence[int]
    rejected: list[Rejection]


class Ingest:
    """The door of the log: every receipt comes through `accept`, `accept_body` or `offer`."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        clock: Callable[[], int],
        retention_us: int,
        content_ttl_us: int = _CONTENT_TTL_US,
        *,
        meters: Meters | None = None,
    ) -> None:
        self.meters = meters or Meters()
        self._store = store
        self._vault = vault
        self._clock = clock
        self._retention_us = retention_us
        self._writer = Writer(store, self.meters, content_ttl_us=content_ttl_us)
        self._ciphers: dict[int, ContentCipher] = {}
        self._ciphers_since_us = clock()

    def start(self) -> None:
        """Start the writer."""
        self._writer.start()

    def stop(self) -> None:
        """Store what waits, then end the writer."""
        self._writer.stop()

    def accept_body(
        self, workspace_id: int, key: ApiKey | None, body: bytes, content_type: str | None
    ) -> tuple[int, dict[str, Any]]:
        """Store the receipts of one request; raise `ReceiptError` when the body is not JSON at all."""
        now_us = self._clock()
        parsed = self._parsed(body, content_type, now_us)
        result = self._store_all(workspace_id, parsed, key, now_us)
        self.meters.receipts("rejected", len(result.rejected))
        return result.status, result.view()

    def _parsed(self, body: bytes, content_type: str | None, now_us: int) -> _Parsed:
        retention_us = self._retention_us
        together = receipt_parser.parse_lines(body, content_type, now_us=now_us, retention_us=retention_us)
        if together is not None:
            return _all_good(together)
        receipts: list[Receipt] = []
        places: list[int] = []
        rejected: list[Rejection] = []
        for index, item in enumerate(receipt_parser.split(body, content_type)):
            try:
                receipts.append(receipt_parser.parse(item, now_us=now_us, retention_us=retention_us))
                places.append(index)
            except ReceiptError as error:
                rejected.append(Rejection(index=index, id=error.id, field=error.field, message=error.message))
        return _Parsed(receipts=receipts, places=places, rejected=rejected)

    def accept(self, workspace_id: int, receipts: Sequence[Receipt], key: ApiKey | None) -> Accepted:
        """Store receipts and return after the durable commit; raise `Unavailable` when that cannot be."""
        return self._store_all(workspace_id, _all_good(receipts), key, self._clock())

    def offer(self, workspace_id: int, receipt: Receipt, key: ApiKey | None) -> None:
        """Store a receipt without waiting and without ever raising: its request has been answered already."""
        try:
            cipher = self._cipher(workspace_id)
            mended = receipt_parser.mended(receipt)
            prepared = [_prepared(mended, cipher, _key_suffix(key), key, self._clock())]
            size = _size(prepared)
            self._writer.put(
                Job(workspace_id=workspace_id, cipher=cipher, items=prepared, size=size, waits=False)
            )
        except Exception as error:  # noqa: BLE001 - logged by name; the answer has gone out already
            self.lose(receipt.id, error)

    def lose(self, receipt_id: str, error: Exception) -> None:
        """Count and name a receipt that cannot be stored: its request will not come again."""
        self.meters.receipts("lost")
        _log.error(
            "action=receipt_lost receipt=%s error=%s", receipt_id, type(error).__name__, exc_info=error
        )

    def _store_all(self, workspace_id: int, parsed: _Parsed, key: ApiKey | None, now_us: int) -> Accepted:
        if not parsed.receipts:
            return Accepted(rejected=parsed.rejected)
        with self.meters.ingesting():
            return self._commit_all(workspace_id, parsed, key, now_us)

    def _commit_all(self, workspace_id: int, parsed: _Parsed, key: ApiKey | None, now_us: int) -> Accepted:
        receipts, rejected = parsed.receipts, parsed.rejected
        cipher = self._cipher(workspace_id)
        suffix = _key_suffix(key)
        jobs: list[tuple[Job, int]] = []
        for start in range(0, len(receipts), GROUP):
            if len(jobs) >= _AHEAD:
                # One sender's long list must not fill the queue that all share.
                jobs[-_AHEAD][0].result()
            items = [
                _prepared(receipt, cipher, suffix, key, now_us) for receipt in receipts[start : start + GROUP]
            ]
            job = Job(workspace_id=workspace_id, cipher=cipher, items=items, size=_size(items))
            # What comes before the last is written while the next is prepared.
            hand_over = self._writer.put if start + GROUP < len(receipts) else self._writer.store
            hand_over(job)
            jobs.append((job, start))
        for job, start in jobs:
            job.result()
            rejected.extend(
                _conflict(parsed.places[start + at], receipts[start + at].id) for at in job.conflicts
            )
        return Accepted(
            accepted=sum(job.accepted for job, _ in jobs),
            duplicates=sum(job.duplicates for job, _ in jobs),
            rejected=sorted(rejected, key=lambda item: item.index),
        )

    def _cipher(self, workspace_id: int) -> ContentCipher:
        """Return the workspace's cipher; the key inside never changes, only what it is wrapped with."""
        now_us = self._clock()
        if now_us - self._ciphers_since_us > _CIPHERS_US:
            # The key of a workspace that is deleted is not to be kept for longer.
            self._ciphers, self._ciphers_since_us = {}, now_us
        cipher = self._ciphers.get(workspace_id)
        if cipher is None:
            with self._store.read() as conn:
                workspace = workspaces.by_id(conn, workspace_id)
            if workspace is None:
                raise WorkspaceGone
            cipher = self._ciphers[workspace_id] = self._vault.content_cipher(workspace.content_key)
        return cipher


def _all_good(receipts: Sequence[Receipt]) -> _Parsed:
    return _Parsed(receipts=receipts, places=range(len(receipts)), rejected=[])


def _prepared(
    receipt: Receipt, cipher: ContentCipher, key_suffix: bytes, key: ApiKey | None, now_us: int
) -> Prepared:
    """Encode a receipt once: for its fingerprint as it was sent, for the log with the key that posted it."""
    document, content = receipt_parser.stored(receipt)
    fingerprint = cipher.fingerprint(document if content is None else document + b"\n" + content)
    by: KeyRef | ApiKey | None = receipt.api_key
    if by is None and key is not None:
        # The document is a JSON object that is never empty: one member more costs no second encoding.
        by, document = key, document[:-1] + key_suffix
    usage, cost, timing = receipt.usage, receipt.cost, receipt.timing
    row = NewReceipt(
        receipt.id,
        fingerprint,
        receipt.created_at_us,
        now_us,
        receipt.status,
        receipt.model,
        receipt.duration_us,
        ids_of(receipt)[0],
        document,
        receipt.provider,
        receipt.provider_slug,
        receipt.streamed,
        usage.input_tokens if usage else None,
        usage.output_tokens if usage else None,
        usage.cache_read_tokens if usage else None,
        usage.reasoning_tokens if usage else None,
        cost.total_nano_usd if cost else None,
        timing.first_token_ms if timing else None,
        len(receipt.attempts),
        receipt.funding_source,
        receipt.user,
        receipt.session_id,
        receipt.request_id,
        by.hash if by is not None else None,
        by.name if by is not None else None,
    )
    return Prepared(row, content)


def _key_suffix(key: ApiKey | None) -> bytes:
    if key is None:
        return b"}"
    return b',"api_key":' + msgspec.json.encode(KeyRef(hash=key.hash, name=key.name)) + b"}"


def _size(items: list[Prepared]) -> int:
    documents = sum([len(item.row.document) for item in items])
    return documents + sum([len(item.content) for item in items if item.content is not None])


def _conflict(index: int, receipt_id: str) -> Rejection:
    return Rejection(
        index=index, id=receipt_id, field="id", message="This id is known already, with different content."
    )
