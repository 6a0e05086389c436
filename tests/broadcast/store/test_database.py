"""The store as a whole: its schema, its transactions, its clock, waking, and workers that die."""

import multiprocessing
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from broadcast.errors import Unavailable, Unstorable
from broadcast.store import Store, leases, users, workspaces
from broadcast.store.direct import Statement
from broadcast.store.tables import metadata
from tests.broadcast.store.rows import a_destination, a_workspace, append_some
from tests.databases import postgres_url

HOLD_AND_WAIT = """
import sys, time
from broadcast.store import Store, cursors, leases
store = Store.open(sys.argv[1])
with store.hold("victim"):
    with store.write() as conn:
        leases.claim(conn, holder="victim")
    print("held", flush=True)
    time.sleep(60)
"""


def _migrate(url: str) -> None:
    store = Store.open(url)
    store.migrate()
    store.close()


def test_the_migrations_make_exactly_the_tables(store: Store) -> None:
    with store.read() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []


def test_two_processes_may_migrate_at_once(empty_database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_migrate, args=(empty_database_url,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
    assert [process.exitcode for process in processes] == [0, 0]


def test_a_store_knows_whether_it_is_migrated(empty_database_url: str) -> None:
    store = Store.open(empty_database_url)
    assert "broadcast migrate" in str(store.schema_fault())
    store.migrate()
    store.migrate()
    assert store.schema_fault() is None
    store.close()


def test_migration_works_from_any_folder(empty_database_url: str, tmp_path: Path) -> None:
    script = "import sys; from broadcast.store import Store; Store.open(sys.argv[1]).migrate()"
    root = str(Path(__file__).parents[3])
    subprocess.run(
        [sys.executable, "-c", script, empty_database_url],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        check=True,
        timeout=60,
    )


def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises((DBAPIError, Unavailable)), store.read() as conn:
        a_workspace(conn)


def test_a_reader_sees_one_state(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
    with store.read() as conn:
        before = workspaces.head_seq(conn, home.id)
        with store.write() as other:
            append_some(other, home.id, 3)
        assert workspaces.head_seq(conn, home.id) == before


def test_a_glance_of_a_server_is_no_transaction(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
    with store.glance() as conn:
        before = workspaces.head_seq(conn, home.id)
        with store.write() as other:
            append_some(other, home.id, 3)
        seen = workspaces.head_seq(conn, home.id) - before

    assert seen == (3 if store.dialect == "postgresql" else 0)


@pytest.mark.parametrize("kind", ["read", "glance", "write"])
def test_a_server_that_goes_meanwhile_is_unavailable_and_no_fault_of_ours(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with postgres_url() as url:
        store = Store.open(url)

        def gone() -> None:
            with getattr(store, kind)() as conn:
                [(pid,)] = Statement(text("SELECT pg_backend_pid()")).rows(conn, {})
                with store.write() as other:
                    other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
                store.now_us(conn)

        with pytest.raises(Unavailable):
            gone()
        with store.glance() as conn:
            assert store.now_us(conn)
        store.close()

    assert not caplog.records


def test_the_database_s_clock_is_near_ours(store: Store) -> None:
    with store.read() as conn:
        assert abs(store.now_us(conn) - time.time_ns() // 1000) < 1_000_000


def test_a_commit_wakes_who_waits(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
    while store.wait_for_receipts(0.2):
        pass
    woken: list[float] = []
    begun = time.monotonic()

    def wait() -> None:
        if store.wait_for_receipts(10):
            woken.append(time.monotonic() - begun)

    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(0.1)
    with store.write() as conn:
        append_some(conn, home.id, 1)
        store.notify(conn)
    waiter.join(timeout=10)
    assert woken
    assert woken[0] < 2


def test_closing_wakes_who_waits(store: Store) -> None:
    while store.wait_for_receipts(0.1):
        pass
    waiter = threading.Thread(target=store.wait_for_receipts, args=(60,))
    waiter.start()
    store.close()
    waiter.join(timeout=5)
    assert not waiter.is_alive()


def test_a_killed_worker_is_dead_at_once_and_its_lease_is_free(store: Store, database_url: str) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        a_destination(conn, home.id)
        append_some(conn, home.id, 1)
    root = str(Path(__file__).parents[3])
    victim = subprocess.Popen(
        [sys.executable, "-c", HOLD_AND_WAIT, database_url],
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
    )
    try:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"held\n"
        with store.hold("survivor"), store.write() as conn:
            assert store.dead_holders(conn) == set()
            assert leases.claim(conn, holder="survivor") == []
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        if victim.stdout is not None:
            victim.stdout.close()
    # A server that has just begun calls nobody dead for ten seconds.
    deadline = time.monotonic() + 15
    dead: set[str] = set()
    while not dead and time.monotonic() < deadline:
        with store.write() as conn:
            dead = store.dead_holders(conn)
    assert dead == {"victim"}
    with store.write() as conn:
        assert leases.claim(conn, holder="survivor", dead_holders=dead)


def test_a_worker_that_leaves_gives_its_leases_back(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        a_destination(conn, home.id)
        append_some(conn, home.id, 1)
    with store.hold("worker-1") as hold:
        with store.write() as conn:
            leases.claim(conn, holder="worker-1")
        assert hold.keep()
    with store.write() as conn:
        assert store.dead_holders(conn) == set()
        assert leases.claim(conn, holder="worker-2")


@pytest.fixture
def many_files() -> Iterator[None]:
    """Have as many files open as a worker with many connections has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2_000), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1_100)]
    yield
    for file in opened:
        os.close(file)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_a_worker_with_a_thousand_connections_watches_over_its_lock() -> None:
    with postgres_url() as url:
        store = Store.open(url)
        # Its watcher is a thread: what goes wrong there is a warning, and each warning an error.
        with store.hold("busy") as hold:
            assert hold.keep()
        store.close()


def test_a_server_that_is_gone_is_unavailable() -> None:
    store = Store.open("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    with pytest.raises(Unavailable), store.read():
        pass
    store.close()


@pytest.mark.parametrize("given", ["\0", "ann\0@example.com"])
def test_a_giventhat_no_column_takes_is_told_apart_from_a_fault_of_the_database(given: str) -> None:
    with postgres_url() as url:
        store = Store.open(url)
        for transaction in (store.read, store.write):
            with pytest.raises(Unstorable), transaction() as conn:
                users.by_email(conn, given)
        with store.read() as conn:
            assert users.by_email(conn, "ann@example.com") is None
        store.close()


def test_the_embedded_database_is_durable_and_private(sqlite_store: Store) -> None:
    with sqlite_store.read() as conn:
        assert conn.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert conn.execute(text("PRAGMA synchronous")).scalar() == 2
        assert conn.execute(text("PRAGMA foreign_keys")).scalar() == 1
        path = conn.execute(text("PRAGMA database_list")).one()[2]
    assert stat.S_IMODE(Path(path).stat().st_mode) & 0o077 == 0


def test_an_embedded_database_needs_a_file() -> None:
    with pytest.raises(ValueError, match="file"):
        Store.open("sqlite://")


def test_a_database_in_a_folder_that_is_not_there_makes_the_folder(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a' / 'b' / 'broadcast.db'}"
    _migrate(url)
    assert Path(make_url(url).database or "").exists()
