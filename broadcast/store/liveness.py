"""Locks that die with a worker: a session advisory lock on PostgreSQL, `flock` beside the file on SQLite."""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import psycopg
from sqlalchemy import Connection, delete, insert, make_url, select, text, update

from broadcast.store.clock import NowUs
from broadcast.store.engines import BUSY_S, sqlite_path
from broadcast.store.tables import cursors, workers

if TYPE_CHECKING:
    from broadcast.store.database import Store


class Hold(Protocol):
    """A worker's own lock."""

    def keep(self) -> bool:
        """Return whether the lock is still ours, taking it again where its connection was lost."""

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
        finally:
            lock.drop()


def seen(conn: Connection, holder: str) -> None:
    """Note that a worker is alive, for `status` and the pages; nothing is decided by it."""
    conn.execute(update(workers).where(workers.c.holder == holder).values(seen_at_us=NowUs()))


def last_seen_us(conn: Connection) -> int | None:
    """Return when any worker was last seen."""
    return conn.execute(select(workers.c.seen_at_us).order_by(workers.c.seen_at_us.desc()).limit(1)).scalar()


def dead_holders(conn: Connection, url: str) -> set[str]:
    """Return the listed workers whose lock is free."""
    listed = set(conn.execute(select(workers.c.holder)).scalars())
    if not listed:
        return set()
    if conn.dialect.name == "sqlite":
        return {holder for holder in listed if _is_free(_lock_file(url, holder))}
    held = set(conn.execute(_HELD).scalars())
    return {holder for holder in listed if _key(holder) not in held}


def _bury(conn: Connection, holders: set[str]) -> None:
    if holders:
        conn.execute(
            update(cursors)
            .where(cursors.c.lease_holder.in_(holders))
            .values(lease_holder=None, lease_until_us=0, lease_token=0)
        )
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


def _key(holder: str) -> int:
    return int.from_bytes(hashlib.sha256(holder.encode()).digest()[:8], "big", signed=True)


class _Session:
    """A session advisory lock on a connection of its own; the server lets go of it when the session ends."""

    def __init__(self, url: str, holder: str) -> None:
        self._dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._key = _key(holder)
        self._raw = self._lock()

    def keep(self) -> bool:
        try:
            self._raw.execute("SELECT 1")
        except psycopg.OperationalError:
            self._raw.close()
            try:
                self._raw = self._lock()
            except psycopg.OperationalError:
                return False
        return True

    def drop(self) -> None:
        self._raw.close()

    def _lock(self) -> psycopg.Connection:
        raw = psycopg.connect(self._dsn, autocommit=True, connect_timeout=BUSY_S)
        raw.execute("SELECT pg_advisory_lock(%s)", (self._key,))
        return raw
