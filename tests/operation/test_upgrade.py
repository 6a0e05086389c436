"""Two versions on one database: the next one migrates and starts while the one before goes on."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.program import ROOT, Program, eventually, program
from tests.databases import postgres_url, sqlite_url
from tests.receiver import Receiver

NEXT = '''
"""Whatever a next version may add."""

import sqlalchemy as sa
from alembic import op

revision = "0099"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("receipts", sa.Column("of_the_next", sa.Text()))
    op.add_column("cursors", sa.Column("of_the_next", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("attempts", sa.Column("of_the_next", sa.Text(), nullable=False, server_default="none"))
    op.create_table("of_the_next", sa.Column("id", sa.Integer(), primary_key=True))
    op.create_index("ix_of_the_next", "attempts", ["of_the_next"])
'''


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def next_version(tmp_path: Path) -> Path:
    """Make the next version: this program with one migration more."""
    folder = tmp_path / "next"
    shutil.copytree(ROOT / "migrations", folder / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    versions = folder / "migrations" / "versions"
    head = max(path.stem[:4] for path in versions.glob("[0-9]*.py"))
    (versions / "0099_next.py").write_text(NEXT.format(head=head))
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def made(request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver) -> Iterator[Program]:
    """Return this version at work, with a web process and a worker."""
    folder = tmp_path / "run"
    folder.mkdir()
    with (
        (sqlite_url if request.param == "sqlite" else postgres_url)() as url,
        program(folder, url, egress=f"127.0.0.1:{receiver.port}") as running,
    ):
        running.bootstrap()
        for name in ("web-1", "worker-1"):
            running.start(name)
        running.wait_until_ready()
        running.switch_on()
        yield running


def test_the_version_before_goes_on_while_the_next_one_takes_over(
    made: Program, receiver: Receiver, next_version: Path
) -> None:
    destination = made.connect("Ours", receiver.url("/ok"))

    def arrive(*ids: str) -> None:
        assert made.post(list(ids)).status_code == 202
        assert eventually(lambda: made.ledger(destination)["pending"] == 0, 45), made.ledger(destination)

    before = dict(made.environment)
    after = before | {"PYTHONPATH": os.pathsep.join((str(next_version), str(ROOT)))}
    arrive("both-old")

    made.environment = after
    migrated = made.ran("migrate")
    assert migrated.returncode == 0, migrated.stderr
    arrive("old-processes-on-the-next-schema")

    made.start("worker-2")
    made.wait_until_at_work("worker-2")
    assert made.terminate("worker-1") == 0
    arrive("old-web-next-worker")

    assert made.terminate("web-1") == 0
    made.start("web-1")
    made.wait_until_ready()
    arrive("both-next")

    # And back again: the version before also starts on what the next one has made.
    made.environment = before
    assert made.terminate("worker-2") == 0
    assert made.terminate("web-1") == 0
    assert made.ran("migrate").returncode == 0
    made.start("web-1")
    made.start("worker-3")
    made.wait_until_ready()
    arrive("both-old-again")

    ledger = made.ledger(destination)
    assert (ledger["balanced"], ledger["delivered"]) == (True, 5)
    assert made.doctor() == []
    assert made.complaints() == []
