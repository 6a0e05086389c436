"""Many workspaces and destinations, saved without ten thousand live tests, and real workers for them."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Table, select

from broadcast import config
from broadcast.destination import Destination
from broadcast.runtime import Services, build
from broadcast.store import Conn, bulk, cursors, destinations, tables, workspaces
from broadcast.store.workspaces import Workspace
from broadcast.vault import new_key
from destinations import TYPES

PASSWORD: Final = "a password for benchmarks"
_READY_S: Final = 60.0


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
            services.close()


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
    first, *others = endpoints
    made = TYPES["otel-collector"].parse({"endpoint": first, "headers": {"authorization": "Bearer bench"}})
    sealed = partial(_sealed, services, workspace, made.secrets())
    now_us = services.clock()
    with services.store.write() as conn:
        head = workspaces.lock_head(conn, workspace.id)
        id_ = destinations.insert(
            conn,
            workspace_id=workspace.id,
            type="otel-collector",
            name="sink 0",
            config=made.plain(),
            masks=made.masks(),
            now_us=now_us,
            **sealed(made),
        )
        cursors.start(conn, id_, workspace.id, head, now_us)
        if not others:
            return
        model = conn.execute(select(tables.destinations).where(tables.destinations.c.id == id_)).one()
        cursor = conn.execute(select(tables.cursors).where(tables.cursors.c.destination_id == id_)).one()
        _append(
            conn,
            tables.destinations,
            [
                {
                    **model._asdict(),
                    "id": id_ + number,
                    "name": f"sink {number}",
                    "name_key": f"sink {number}",
                    "config": {**model.config, "endpoint": endpoint},
                    **sealed(_at(made, endpoint)),
                }
                for number, endpoint in enumerate(others, 1)
            ],
        )
        ids = range(id_ + 1, id_ + len(endpoints))
        _append(conn, tables.cursors, [{**cursor._asdict(), "destination_id": one} for one in ids])
        if services.store.dialect == "postgresql":
            conn.exec_driver_sql("SELECT setval('destinations_id_seq', (SELECT max(id) FROM destinations))")


def _append(conn: Conn, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    names = [column.name for column in table.columns]
    bulk.insert_rows(conn, table, names, [tuple(_plain(row[name]) for name in names) for row in rows])


def _plain(value: Any) -> Any:
    """Return a value as the driver takes it: the columns that hold JSON get its text."""
    return json.dumps(value) if isinstance(value, dict | list | tuple) else value


def _at(made: Destination, endpoint: str) -> Destination:
    """Return the same collector at another address, which costs no parsing."""
    other = copy(made)
    object.__setattr__(other, "endpoint_url", endpoint)
    return other


def _sealed(
    services: Services, workspace: Workspace, secrets: Mapping[str, str], made: Destination
) -> dict[str, Any]:
    uid, address = destinations.new_uid(), tuple(made.address())
    seal = services.vault.seal_secrets
    return {
        "uid": uid,
        "sealed": seal(secrets, workspace=workspace.uid, destination=uid, address=address),
        "address": address,
    }


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
