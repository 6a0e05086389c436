"""Waiting for the next receipt: LISTEN on PostgreSQL, the data version on SQLite."""

import sqlite3
import threading
import time
from dataclasses import dataclass
from typing import Final, Protocol

import psycopg
from sqlalchemy import make_url

from broadcast.store.engines import BUSY_S, POSTGRESQL_PATIENCE, sqlite_path

CHANNEL: Final = "receipts"
MAX_PAYLOAD: Final = 7_900
"""Bytes; PostgreSQL refuses 8,000: https://www.postgresql.org/docs/15/sql-notify.html, read 2026-11-21."""

_POLL_S: Final = 0.05
_SLICE_S: Final = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Ring:
    """Something was committed: in the logs of these workspaces, or anywhere where there are none."""

    workspace_ids: frozenset[int] = frozenset()


class Bell(Protocol):
    """Something that rings when another connection commits."""

    def wait(self, timeout_s: float) -> Ring | None:
        """Block until it rang since the last call; return None when the time is over."""

    def close(self) -> None:
        """Wake who waits, and ring no more."""


def open_bell(url: str) -> Bell:
    """Return the bell of a database; it connects at the first wait."""
    if make_url(url).get_backend_name() == "sqlite":
        return _SqliteBell(url)
    return _PostgresqlBell(url)


class _SqliteBell:
    """Looks 20 times a second at `PRAGMA data_version`, which changes with every commit elsewhere."""

    def __init__(self, url: str) -> None:
        self._path = sqlite_path(url)
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._raw: sqlite3.Connection | None = None
        self._seen: int | None = None

    def wait(self, timeout_s: float) -> Ring | None:
        deadline = time.monotonic() + timeout_s
        with self._lock:
            while not self._closed.is_set():
                version = self._seen
                try:
                    version = self._version()
                except sqlite3.Error:
                    # A busy or broken moment is no ring: who waits looks once a second anyway.
                    self._drop()
                if version != self._seen:
                    self._seen = version
                    return Ring()
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._closed.wait(min(_POLL_S, left))
        return None

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    def _version(self) -> int:
        if self._raw is None:
            self._raw = sqlite3.connect(self._path, timeout=BUSY_S, check_same_thread=False)
        return int(self._raw.execute("PRAGMA data_version").fetchone()[0])


class _PostgresqlBell:
    """Listens on a connection of its own; a lost one counts as a ring: a notice may be missed."""

    def __init__(self, url: str) -> None:
        self._dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._raw: psycopg.Connection | None = None

    def wait(self, timeout_s: float) -> Ring | None:
        deadline = time.monotonic() + timeout_s
        with self._lock:
            while not self._closed.is_set():
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                try:
                    ring = Ring() if self._listen() else self._rang(min(left, _SLICE_S))
                    if ring is not None:
                        return ring
                except psycopg.Error:
                    self._drop()
                    self._closed.wait(min(max(left, 0.0), _SLICE_S))
        return None

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            self._drop()

    def _listen(self) -> bool:
        """Connect if need be; return whether notices may have been missed."""
        if self._raw is not None:
            return False
        self._raw = psycopg.connect(self._dsn, autocommit=True, **POSTGRESQL_PATIENCE)
        self._raw.execute(f"LISTEN {CHANNEL}")
        return True

    def _rang(self, timeout_s: float) -> Ring | None:
        if self._raw is None:
            return None
        told = [notice.payload for notice in self._raw.notifies(timeout=timeout_s, stop_after=1)]
        if not told:
            return None
        # Everything that waits in the socket is one ring; one notice without names is for all.
        named = [payload.split(",") for payload in told if payload]
        everywhere = len(named) < len(told)
        return (
            Ring() if everywhere else Ring(workspace_ids=frozenset(int(id_) for ids in named for id_ in ids))
        )

    def _drop(self) -> None:
        if self._raw is not None:
            self._raw.close()
            self._raw = None
