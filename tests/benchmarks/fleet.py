"""Many workspaces and destinations, saved without ten thousand live tests, and real workers for them."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import insert, select

from broadcast import config
from broadcast.destination import Destination
from broadcast.runtime import Services, build
from broadcast.store import cursors, destinations, tables, workspaces
from broadcast.store.workspaces import Workspace
from broadcast.vault import new_key
from destinations import TYPES

PASSWORD: Final = "a password for benchmarks"
_READY_S: Final = 20.0


def environment(folder: Path, database_url: str | None = None) -> dict[str, str]:
    """Return the variables of one installation whose receivers are on this machine."""
    variables = {
        "BROADCAST_DATA_DIR": str(folder),
        "BROADCAST_EGRESS_ALLOW": "127.0.0.0/8",
        "BROADCAST_ENCRYPTION_KEYS": new_key(),
        "BROADCAST_SECRET_KEY": new_key(),
        "BROADCAST_LOG_LEVEL": "warning",
    }
    return variables if database_url is None else variables | {"BROADCAST_DATABASE_URL": database_url}


@contextlib.contextmanager
def installation(database_url: str | None = None) -> Iterator[tuple[Services, dict[str, str]]]:
    """Open a migrated installation with its ingest running; it and its folder go at the end."""
    with tempfile.TemporaryDirectory() as folder:
        variables = environment(Path(folder), database_url)
        services = build(config.load(variables), TYPES)
        services.store.migrate()
        services.ingest.start()
        try:
            yield services, variables
        finally:
            services.ingest.stop()
            services.store.close()


def add_workspaces(services: Services, count: int) -> list[Workspace]:
    """Make workspaces that one user owns, with Broadcast switched on."""
    now_us = services.clock()
    user = services.accounts.create_user(email="bench@example.com", password=PASSWORD, now_us=now_us)
    made = [
        services.accounts.create_workspace(name=f"Bench {number}", owner=user, now_us=now_us)
        for number in range(count)
    ]
    with services.store.write() as conn:
        for workspace in made:
            workspaces.set_broadcast(conn, workspace.id, enabled=True)
    return made


def add_destinations(services: Services, workspace: Workspace, endpoints: Sequence[str]) -> None:
    """Save collectors as `Connections` does after a passed test: one by its code, the others like it."""
    kind = TYPES["otel-collector"]
    first, *others = (
        kind.parse({"endpoint": endpoint, "headers": {"authorization": "Bearer bench"}})
        for endpoint in endpoints
    )
    now_us = services.clock()
    with services.store.write() as conn:
        head = workspaces.lock_head(conn, workspace.id)
        settings = _settings(services, workspace, first, number=0)
        id_ = destinations.insert(
            conn, workspace_id=workspace.id, type="otel-collector", now_us=now_us, **settings
        )
        cursors.start(conn, id_, workspace.id, head, now_us)
        if not others:
            return
        stored = conn.execute(select(tables.destinations).where(tables.destinations.c.id == id_)).one()
        cursor = conn.execute(select(tables.cursors).where(tables.cursors.c.destination_id == id_)).one()
        alike = [
            _copy(stored, **_settings(services, workspace, one, number=number))
            for number, one in enumerate(others, 1)
        ]
        for row in alike:
            del row["id"]
        made = conn.execute(insert(tables.destinations).returning(tables.destinations.c.id), alike).scalars()
        conn.execute(insert(tables.cursors), [_copy(cursor, destination_id=one) for one in made])


def _settings(services: Services, workspace: Workspace, made: Destination, *, number: int) -> dict[str, Any]:
    uid, address = destinations.new_uid(), tuple(made.address())
    return {
        "uid": uid,
        "name": f"sink {number}",
        "config": made.plain(),
        "masks": made.masks(),
        "sealed": services.vault.seal_secrets(
            made.secrets(), workspace=workspace.uid, destination=uid, address=address
        ),
        "address": address,
    }


def _copy(row: Any, **changes: Any) -> dict[str, Any]:
    copied = {**row._asdict(), **changes}
    if "name" in changes:
        copied["name_key"] = changes["name"]
    return copied


@dataclass(frozen=True, kw_only=True)
class Worker:
    """One worker process."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self.process.pid

    def told(self) -> str:
        """Return what it logged: warnings and worse."""
        return self.log.read_text(encoding="utf-8", errors="replace")


@contextlib.contextmanager
def workers(variables: Mapping[str, str], count: int) -> Iterator[list[Worker]]:
    """Run real worker processes until the block is left; stop when one of them ends by itself."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("BROADCAST_")}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as started:
        found = []
        for number in range(count):
            log = Path(folder) / f"worker-{number}.log"
            output = started.enter_context(log.open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", "broadcast", "worker"],
                env={**mine, **variables},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            started.callback(_end, process)
            found.append(Worker(process=process, log=log))
        yield found
        for worker in found:
            if worker.process.poll() is not None:
                raise SystemExit(f"A worker ended by itself:\n{worker.told()[-4_000:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process as it is: a clean stop would wait for destinations that never answer."""
    process.kill()
    process.wait()


def wait_until_up(services: Services, running: Sequence[Worker]) -> None:
    """Return when all workers are listed in the database."""
    give_up_at = time.monotonic() + _READY_S
    while True:
        with services.store.read() as conn:
            listed = conn.exec_driver_sql("SELECT count(*) FROM workers").scalar_one()
        if listed >= len(running):
            return
        if time.monotonic() > give_up_at:
            told = "".join(worker.told() for worker in running)
            raise SystemExit(f"Only {listed} of {len(running)} workers came up.\n{told[-4_000:]}")
        time.sleep(0.1)
