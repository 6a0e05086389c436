"""Backup while everything runs, and restore, by the commands of docs/operate.md."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.chaos.program import ROOT, Program, eventually, program
from tests.databases import own_postgres
from tests.receiver import Receiver, spans_of

OPERATE = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")


def commands(title: str) -> str:
    """Return the commands that stand below a heading of the page on operation."""
    found = re.search(rf"^#+ {re.escape(title)}$.*?^```sh\n(.*?)^```$", OPERATE, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


@dataclass
class Stream:
    """Receipts posted one after the other until it is told to stop; `acknowledged` are those with 202."""

    made: Program
    acknowledged: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def post(self) -> None:
        number = 0
        while not self.stopping.is_set():
            ids = [f"backup-{number}-{one}" for one in range(5)]
            if self.made.post(ids).status_code == 202:
                self.acknowledged += ids
                number += 1

    @contextmanager
    def running(self) -> Iterator["Stream"]:
        thread = threading.Thread(target=self.post)
        thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            thread.join()


@dataclass(frozen=True, kw_only=True)
class Place:
    """A database that can be saved and restored."""

    kind: str
    made: Program
    variables: dict[str, str]

    def run(self, title: str) -> None:
        path = os.pathsep.join((str(Path(sys.executable).parent), self.variables["PATH"]))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands(title)],
            env=self.made.environment | self.variables | {"PATH": path},
            cwd=self.made.folder,
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def place(request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver) -> Iterator[Place]:
    egress = f"127.0.0.1:{receiver.port}"
    if request.param == "SQLite":
        with program(tmp_path, None, egress=egress) as made:
            yield Place(kind="SQLite", made=made, variables={"PATH": os.environ["PATH"]})
        return
    with own_postgres() as server:
        url = make_url(server.url).set(drivername="postgresql")
        restored = url.set(database="broadcast_restored").render_as_string(hide_password=False)
        path = os.pathsep.join((str(server._program.parent), os.environ["PATH"]))
        with program(tmp_path, url.render_as_string(hide_password=False), egress=egress) as made:
            yield Place(kind="PostgreSQL", made=made, variables={"PATH": path, "RESTORED_URL": restored})


def arrivals(receiver: Receiver) -> list[str]:
    """Return the receipts that came, as often as they came."""
    spans = [span for seen in list(receiver.requests) for span in spans_of(seen.otlp())]
    return [str(span.resource["openrouter.trace.id"]) for span in spans if span.kind == 3]


def test_what_was_acknowledged_before_the_backup_is_there_after_the_restore(
    place: Place, receiver: Receiver
) -> None:
    made = place.made
    made.bootstrap()
    for name in ("web-1", "worker-1"):
        made.start(name)
    made.wait_until_ready()
    made.switch_on()
    destination = made.connect("Ours", receiver.url("/ok"))

    with Stream(made).running() as stream:
        assert eventually(lambda: len(stream.acknowledged) >= 20, 45)
        safe = list(stream.acknowledged)
        place.run(f"Back up {place.kind}")
        ended = len(stream.acknowledged)
        assert eventually(lambda: len(stream.acknowledged) > ended, 45)
    assert eventually(lambda: made.ledger(destination)["pending"] == 0, 45)
    for name in ("worker-1", "web-1"):
        assert made.terminate(name) == 0

    place.run(f"Restore {place.kind}")
    if place.kind == "PostgreSQL":
        made.environment["BROADCAST_DATABASE_URL"] = place.variables["RESTORED_URL"]
    for name in ("web-1", "worker-1"):
        made.start(name)
    made.wait_until_ready()

    for receipt_id in safe:
        assert made.ask("GET", f"/requests/{receipt_id}")["id"] == receipt_id
    new = ["after-the-restore"]
    assert made.post(new).status_code == 202
    assert eventually(lambda: made.ledger(destination)["pending"] == 0, 45)
    assert made.ledger(destination)["balanced"]
    assert set(arrivals(receiver)) == {*stream.acknowledged, *new}
    assert made.doctor() == []


def test_a_backup_of_another_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with program(tmp_path, None, egress="") as made:
        made.bootstrap()
        stamp = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()"
        file = str(tmp_path / "var" / "broadcast.db")
        change = "UPDATE alembic_version SET version_num = '0100'"
        subprocess.run([sys.executable, "-c", stamp, file, change], check=True)

        for command in ("web", "worker", "migrate", "status"):
            done = made.ran(command)
            told = done.stderr.decode()
            assert done.returncode == 1, command
            assert "its schema is 0100" in told
            assert "Install the version that made it, or restore a backup" in told
            assert "Traceback" not in told
        assert [finding["subject"] for finding in made.doctor()] == ["database"]
