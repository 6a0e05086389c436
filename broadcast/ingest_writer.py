"""One writer at a time: takes what waits, up to a thousand receipts, as one durable transaction.

Where several come at once it is a thread of its own. Whoever comes while nobody writes does it by itself: to
hand receipts to another thread, and so to another core, costs a tenth of storing them.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import structs

from broadcast import failpoints
from broadcast.content import associated_data
from broadcast.errors import BroadcastError, NotFound, Unavailable
from broadcast.meters import Meters
from broadcast.store import Conn, Store, destinations, receipts, workspaces
from broadcast.store.receipts import Appending, NewReceipt
from broadcast.vault import ContentCipher

_log: Final = logging.getLogger(__name__)

GROUP: Final = 1000
"""Receipts in one transaction; a larger submission comes as several jobs."""

_MAX_WAITING: Final = 50_000
_MAX_WAITING_BYTES: Final = 96 * 2**20
_PATIENCE_S: Final = 30.0
_OFFER_TRIES: Final = 5
_OFFER_PAUSE_S: Final = 0.5


class WorkspaceGone(NotFound):
    """The workspace was deleted after its key had been looked at."""

    def __init__(self) -> None:
        super().__init__("The workspace of this key was deleted: send with the key of another one.")


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """One receipt, ready to be numbered: its row, and its content until somebody is known to want it."""

    row: NewReceipt
    content: bytes | None


@dataclass(kw_only=True, slots=True)
class Job:
    """What one request hands to the writer, and what it gets back; `conflicts` are indexes into `items`."""

    workspace_id: int
    cipher: ContentCipher
    items: list[Prepared]
    size: int
    waits: bool = True
    tries: int = 0
    accepted: int = 0
    duplicates: int = 0
    conflicts: list[int] = field(default_factory=list)
    error: Exception | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def result(self) -> None:
        """Wait for the commit; raise what went wrong."""
        if not self.done.wait(_PATIENCE_S):
            raise Unavailable("The receipts were not stored in time. Send them again.", retry_after_s=5)
        if self.error is not None:
            raise self.error


class Writer:
    """A thread and its bounded queue; both are passed by while nobody else writes."""

    def __init__(self, store: Store, meters: Meters, *, content_ttl_us: int) -> None:
        self._store = store
        self._content_ttl_us = content_ttl_us
        self._waiting: deque[Job] = deque()
        self._ready = threading.Condition()
        self._count = 0
        self._bytes = 0
        self._open = False
        self._writing = False
        self._thread: threading.Thread | None = None
        self._meters = meters
        meters.watch_waiting(lambda: self._count, lambda: self._bytes)

    def start(self) -> None:
        """Begin to write."""
        with self._ready:
            if self._thread is not None:
                return
            self._open = True
            self._thread = threading.Thread(target=self._run, name="ingest-writer", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Write what waits, then end; nothing more is taken."""
        with self._ready:
            thread, self._thread, self._open = self._thread, None, False
            self._ready.notify_all()
        if thread is not None:
            thread.join()

    def store(self, job: Job) -> None:
        """Write a job at once where nobody writes and nothing waits, else queue it as `put` does."""
        with self._ready:
            alone = self._open and not (self._writing or self._waiting)
            self._writing = self._writing or alone
        if not alone:
            self.put(job)
            return
        try:
            self._write([job])
        finally:
            self._release()

    def put(self, job: Job) -> None:
        """Queue a job; raise `Unavailable` when too much waits already: whoever offered it counts it lost."""
        try:
            self._queue(job)
        except Unavailable:
            if job.waits:
                self._meters.receipts("not_stored", len(job.items))
            raise

    def _queue(self, job: Job) -> None:
        with self._ready:
            if not self._open:
                raise Unavailable("This server is stopping.", retry_after_s=2)
            if self._count and (
                self._count + len(job.items) > _MAX_WAITING or self._bytes + job.size > _MAX_WAITING_BYTES
            ):
                raise Unavailable("More receipts are coming in than can be stored. Send these again.")
            self._waiting.append(job)
            self._count += len(job.items)
            self._bytes += job.size
            self._ready.notify_all()

    # -- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        while group := self._next_group():
            try:
                self._write(group)
            finally:
                self._release()

    def _release(self) -> None:
        with self._ready:
            self._writing = False
            if self._waiting or not self._open:
                self._ready.notify_all()

    def _next_group(self) -> list[Job]:
        """Return what waits, in order, up to the size of a group; empty when it is time to end."""
        with self._ready:
            self._ready.wait_for(lambda: not self._writing and (self._waiting or not self._open))
            self._writing = bool(self._waiting)
            group: list[Job] = []
            count = 0
            while self._waiting and (not group or count + len(self._waiting[0].items) <= GROUP):
                job = self._waiting.popleft()
                group.append(job)
                count += len(job.items)
                self._bytes -= job.size
            self._count -= count
            return group

    def _write(self, group: list[Job]) -> None:
        """Commit a group; one job's mistake is found by writing each alone, so that it is nobody else's."""
        try:
            there = self._commit(group)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            if isinstance(error, Unavailable) or len(group) == 1:
                self._fail(group, error)
                return
            for job in group:
                self._write([job])
            return
        for job in group:
            self._settle(job, None if job.workspace_id in there else WorkspaceGone())

    def _commit(self, group: list[Job]) -> Collection[int]:
        """One durable transaction: lock the heads in id order, drop what is known, number, insert, wake.

        Return the workspaces that are there: one may have been deleted since its key was looked at.
        """
        with self._store.write() as conn:
            heads = workspaces.lock_heads(conn, {job.workspace_id for job in group})
            wanting = destinations.any_wants_content(conn, heads.keys())
            batches = []
            for workspace_id, head_seq in heads.items():
                jobs = [job for job in group if job.workspace_id == workspace_id]
                fresh = _unknown(conn, workspace_id, jobs)
                rows = [item.row for item in fresh]
                if workspace_id in wanting:
                    rows = [
                        item.row
                        if item.content is None
                        else self._with_content(item.row, item.content, jobs[0].cipher)
                        for item in fresh
                    ]
                if rows:
                    batches.append(Appending(workspace_id=workspace_id, first_seq=head_seq + 1, rows=rows))
            if batches:
                receipts.append_all(conn, batches)
                self._store.notify(conn, (batch.workspace_id for batch in batches))
            failpoints.reached("ingest_before_commit")
        failpoints.reached("ingest_after_commit")
        return heads.keys()

    def _with_content(self, row: NewReceipt, content: bytes, cipher: ContentCipher) -> NewReceipt:
        return structs.replace(
            row,
            content=cipher.seal(content, aad=associated_data(row.id)),
            content_expires_at_us=row.received_at_us + self._content_ttl_us,
        )

    def _fail(self, group: list[Job], error: Exception) -> None:
        """Tell those who wait; try again what nobody waits for: its request will not come again."""
        if not isinstance(error, BroadcastError):
            _log.error("action=ingest_failed error=%s", type(error).__name__, exc_info=error)
        for job in group:
            job.tries += 1
            if job.waits or job.tries >= _OFFER_TRIES or not isinstance(error, Unavailable):
                self._settle(job, error)
        again = [job for job in group if not job.done.is_set()]
        if again:
            time.sleep(_OFFER_PAUSE_S)
            with self._ready:
                self._waiting.extendleft(reversed(again))
                self._count += sum(len(job.items) for job in again)
                self._bytes += sum(job.size for job in again)

    def _settle(self, job: Job, error: Exception | None) -> None:
        if error is None:
            self._meters.receipts("accepted", job.accepted)
            self._meters.receipts("duplicate", job.duplicates)
        else:
            self._meters.receipts(_lost(job), len(job.items))
        job.error = error
        job.done.set()
        if error is not None and not job.waits:
            _log.error(
                "action=receipt_lost receipt=%s error=%s",
                ",".join(item.row.id for item in job.items),
                type(error).__name__,
            )


def _lost(job: Job) -> str:
    """Return what a failure means: whoever waits hears of it and sends again, nobody does the others."""
    return "not_stored" if job.waits else "lost"


def _unknown(conn: Conn, workspace_id: int, jobs: list[Job]) -> list[Prepared]:
    """Return what is new, in order; the same id again is a duplicate when its fingerprint is the same."""
    known = receipts.existing(conn, workspace_id, [item.row.id for job in jobs for item in job.items])
    fresh: list[Prepared] = []
    for job in jobs:
        job.duplicates = 0
        job.conflicts.clear()
        before = len(fresh)
        for index, item in enumerate(job.items):
            row = item.row
            found = known.get(row.id)
            if found is None:
                known[row.id] = row.fingerprint
                fresh.append(item)
            elif found == row.fingerprint:
                job.duplicates += 1
            else:
                job.conflicts.append(index)
        job.accepted = len(fresh) - before
    return fresh
