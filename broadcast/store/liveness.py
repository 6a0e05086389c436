"""Locks that die with a worker: a session advisory lock on PostgreSQL, `flock` beside the file on SQLite."""

import contextlib
import fcntl
import hashlib
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from select import POLLIN, poll
from typing import TYPE_CHECKING, Final, Protocol

import psycopg
from sqlalchemy import Connection, delete, insert, make_url, select, text, update

from broadcast.errors import Unavailable
from broadcast.store import worker_counters
from broadcast.store.clock import NowUs
from broadcast.store.engines import POSTGRESQL_PATIENCE, sqlite_path
from broadcast.store.side_tables import workers
from broadcast.store.tables import cursors

if TYPE_CHECKING:
    from broadcast.store.database import Store

_log: Final = logging.getLogger(__name__)


class Hold(Protocol):
    """A worker's own lock."""

    def keep(self) -> bool:
        """Return whether the lock is ours just now; one that was lost is taken again by itself."""

    def drop(self) -> None:
        """Let go of the lock."""


@contextlib.contextmanager
def hold(store: "Store", url: str, holder: str) -> Iterator[Hold]:
    """Hold the lock of `holder` and be listed among the workers; at the end its leases are given back.

    Lock first, row second: a worker that is listed and whose lock is free is dead.
    """
    lock: Hold = _File(url, holder) if store.dialect == "sqlite" else _Session(url, holder)
    try:
        with store.write() as conn:
            _bury(conn, dead_holders(conn, url))
            conn.execute(insert(workers).values(holder=holder, started_at_us=NowUs(), seen_at_us=NowUs()))
        yield lock
    finally:
        try:
            with store.write() as conn:
                _bury(conn, {holder})
        except Unavailable as error:
            # Whoever looks next sees that the lock is free, and buries it.
            _log.warning("action=leases_left holder=%s reason=%s", holder, error)
        finally:
            lock.drop()


def listed(conn: Connection) -> set[str]:
    """Return every worker that has not been buried."""
    return set(conn.execute(select(workers.c.holder)).scalars())


def dead_holders(conn: Connection, url: str) -> set[str]:
    """Return the listed workers whose lock is free."""
    known = listed(conn)
    if not known:
        return set()
    if conn.dialect.name == "sqlite":
        return {holder for holder in known if _is_free(_lock_file(url, holder))}
    if not conn.execute(_SETTLED).scalar_one():
        return set()
    held = set(conn.execute(_HELD).scalars())
    return {holder for holder in known if _key(holder) not in held}


def _bury(conn: Connection, holders: set[str]) -> None:
    if holders:
        conn.execute(
            update(cursors)
            .where(cursors.c.lease_holder.in_(holders))
            .values(lease_holder=None, lease_until_us=0, lease_token=0)
        )
        worker_counters.fold(conn, holders)
        conn.execute(delete(workers).where(workers.c.holder.in_(holders)))


# -- SQLite ------------------------------------------------------------------------------------------


def _lock_file(url: str, holder: str) -> Path:
    path = sqlite_path(url)
    return path.with_name(f"{path.name}.worker-{hashlib.sha256(holder.encode()).hexdigest()[:16]}")


def _is_free(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    path.unlink(missing_ok=True)
    return True


class _File:
    """An exclusive `flock`; the kernel lets go of it when the process ends, however it ends."""

    def __init__(self, url: str, holder: str) -> None:
        self._path = _lock_file(url, holder)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def keep(self) -> bool:
        return True

    def drop(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._fd)


# -- PostgreSQL --------------------------------------------------------------------------------------

_HELD = text(
    "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks"
    " WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
# A restarted server has forgotten every lock: those who live get a moment to take theirs again.
_SETTLED = text("SELECT clock_timestamp() > pg_postmaster_start_time() + interval '10 seconds'")
_AGAIN_S: Final = 0.2
_LOOK_S: Final = 5.0


def _key(holder: str) -> int:
    return int.from_bytes(hashlib.sha256(holder.encode()).digest()[:8], "big", signed=True)


class _Session:
    """A session advisory lock on a connection of its own; the server lets go of it when the session ends.

    A thread waits on that connection, so that a lost lock is taken again before a neighbour takes the
    leases. The lock is a shared one: a new session never waits for the old one that the server still knows.
    """

    def __init__(self, url: str, holder: str) -> None:
        self._dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._key = _key(holder)
        try:
            self._raw: psycopg.Connection | None = self._lock()
        except psycopg.Error as error:
            raise Unavailable("The database is not available.") from error
        self._ending, self._end = os.pipe2(os.O_CLOEXEC)
        self._watcher = threading.Thread(target=self._watch, name="worker-lock", daemon=True)
        self._watcher.start()

    def keep(self) -> bool:
        return self._raw is not None

    def drop(self) -> None:
        os.write(self._end, b"1")
        self._watcher.join()
        os.close(self._ending)
        os.close(self._end)
        if self._raw is not None:
            self._raw.close()

    def _watch(self) -> None:
        while not self._ended(self._raw):
            raw, self._raw = self._raw, None
            try:
                if raw is None:
                    raw = self._lock()
                raw.execute("SELECT 1")
                self._raw = raw
            except psycopg.Error:
                if raw is not None:
                    raw.close()

    def _ended(self, raw: psycopg.Connection | None) -> bool:
        """Sleep until the session says something, which is most often its end; return whether we end."""
        # Not `select`, which knows the first 1,024 files of a process only.
        told = poll()
        told.register(self._ending, POLLIN)
        if raw is not None:
            told.register(raw.pgconn.socket, POLLIN)
        found = told.poll((_AGAIN_S if raw is None else _LOOK_S) * 1000)
        return self._ending in {source for source, _ in found}

    def _lock(self) -> psycopg.Connection:
        raw = psycopg.connect(self._dsn, autocommit=True, **POSTGRESQL_PATIENCE)
        raw.execute("SELECT pg_advisory_lock_shared(%s)", (self._key,))
        return raw
