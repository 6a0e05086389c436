"""How the two databases are opened."""

import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from select import POLLIN, poll
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from broadcast.store.direct import driver

BUSY_S: Final = 5
_SQLITE_PRAGMAS: Final = (
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={BUSY_S * 1000}",
    "PRAGMA cache_size=-16384",
    # A page of an index is written home once for many commits.
    "PRAGMA wal_autocheckpoint=4000",
    "PRAGMA mmap_size=67108864",
    "PRAGMA temp_store=MEMORY",
)
# What waits for a server that is gone without a word: no statement's own limit counts there.
POSTGRESQL_PATIENCE: Final[dict[str, Any]] = {
    "connect_timeout": BUSY_S,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_POSTGRESQL_OPTIONS: Final = (
    "-c statement_timeout=5000 -c lock_timeout=2000 -c idle_in_transaction_session_timeout=10000"
    " -c synchronous_commit=on -c timezone=UTC"
)

# What the driver does not know by heart costs it a failed search a value, more than storing the value does.
_NOTHING: Final[dict[None, None]] = {}
sqlite3.register_adapter(bytes, bytes)
sqlite3.register_adapter(bool, int)
sqlite3.register_adapter(type(None), _NOTHING.get)


def open_engines(url: str) -> tuple[Engine, Engine]:
    """Return the engines of readers and of writers."""
    if make_url(url).get_backend_name() == "sqlite":
        return _sqlite(url)
    return _postgresql(url)


def sqlite_path(url: str) -> Path:
    """Return the database's file; SQLite in memory has none: readers could not share it."""
    name = make_url(url).database
    if not name or name == ":memory:":
        raise ValueError("The embedded database needs a file: sqlite:///path/to/broadcast.db")
    return Path(name)


def _sqlite(url: str) -> tuple[Engine, Engine]:
    path = sqlite_path(url)
    _prepare_file(path)
    readers = create_engine(url, pool_size=8, max_overflow=56, pool_timeout=BUSY_S)
    # One writer at a time is SQLite's own rule: waiting for it in the pool is fair, waiting in SQLite is not.
    writers = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=BUSY_S)
    _on_connect(readers, (*_SQLITE_PRAGMAS, "PRAGMA query_only=ON"))
    _on_connect(writers, _SQLITE_PRAGMAS)
    event.listen(readers, "begin", _begin("BEGIN"))
    event.listen(writers, "begin", _begin("BEGIN IMMEDIATE"))
    return readers, writers


def _prepare_file(path: Path) -> None:
    """Make the file, readable by its owner alone, and switch it to WAL; one process at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        raw = sqlite3.connect(path, timeout=BUSY_S)
        try:
            raw.execute("PRAGMA page_size=8192")
            raw.execute("PRAGMA journal_mode=WAL")
        finally:
            raw.close()
    finally:
        os.close(lock)


def _on_connect(engine: Engine, pragmas: tuple[str, ...]) -> None:
    def prepare(raw: Any, record: ConnectionPoolEntry) -> None:
        del record
        raw.isolation_level = (
            None  # We say BEGIN ourselves: the driver's own begins too late and as a reader.
        )
        for pragma in pragmas:
            raw.execute(pragma).close()

    event.listen(engine, "connect", prepare)


def _begin(statement: str) -> Callable[[Connection], None]:
    def begin(conn: Connection) -> None:
        with driver(conn, statement) as raw:
            raw.execute(statement).close()

    return begin


def _refuse_a_dead_one(raw: Any, record: ConnectionPoolEntry, proxy: Any) -> None:
    """Have a connection replaced that its server has closed: that is all an idle one ever has to say.

    A ping would find out as much, and cost a round trip for every transaction.
    """
    del record, proxy
    waiting = poll()
    waiting.register(raw.fileno(), POLLIN)
    if waiting.poll(0):
        raise DisconnectionError


def _postgresql(url: str) -> tuple[Engine, Engine]:
    writers = create_engine(
        url,
        pool_size=10,
        max_overflow=20,
        pool_timeout=BUSY_S,
        # The connection used last: it has the plans of what is asked all the time.
        pool_use_lifo=True,
        connect_args={"options": _POSTGRESQL_OPTIONS, **POSTGRESQL_PATIENCE},
    )
    event.listen(writers, "checkout", _refuse_a_dead_one)
    # A page reads several tables: a snapshot keeps its figures consistent, as SQLite's readers have anyway.
    readers = writers.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return readers, writers
