"""Disk full, database gone, no connection to be had: 503 and never 202, nothing sent unrecorded."""

import resource
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import requests

from broadcast.store import Store
from tests.chaos.program import Program, eventually, program
from tests.databases import OwnPostgres, own_postgres
from tests.faults.scene import Scene
from tests.receiver import Receiver

RECOVER_S = 10


# Each starts several processes, on whatever machine this is.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def embedded_program(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Program]:
    """Start a web process on an embedded database for all cases of this module."""
    with program(tmp_path_factory.mktemp("embedded"), None, egress=f"127.0.0.1:{receiver.port}") as made:
        yield started(made)


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    with own_postgres() as running:
        yield running


@pytest.fixture(scope="module")
def server_program(
    server: OwnPostgres, tmp_path_factory: pytest.TempPathFactory, receiver: Receiver
) -> Iterator[Program]:
    """Start a web process on a PostgreSQL of its own for all cases of this module."""
    folder = tmp_path_factory.mktemp("served")
    with program(folder, server.url, egress=f"127.0.0.1:{receiver.port}") as made:
        yield started(made)


def started(made: Program) -> Program:
    made.bootstrap()
    made.start("web-1")
    made.wait_until_ready()
    made.switch_on()
    return made


@pytest.fixture
def embedded(embedded_program: Program, receiver: Receiver) -> Iterator[Scene]:
    scene = Scene(program=embedded_program, receiver=receiver)
    scene.begin()
    yield scene
    scene.end()


@pytest.fixture
def served_by(server_program: Program, receiver: Receiver) -> Iterator[Scene]:
    scene = Scene(program=server_program, receiver=receiver)
    scene.begin()
    yield scene
    scene.end()


def refused(scene: Scene, answer: requests.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json()["error"]["metadata"]["reason"] == "unavailable"


def posted_again(scene: Scene, ids: list[str], timeout_s: float = RECOVER_S) -> None:
    """Post what was refused until it is acknowledged."""
    assert eventually(lambda: scene.program.post(ids).status_code == 202, timeout_s, every_s=0.2)
    scene.posted += ids


# -- disk full -----------------------------------------------------------------------------------------


def limit_files(scene: Scene, name: str, size: int) -> None:
    """Let no file of a process, or of its children, grow beyond a size, as on a disk that is full."""
    root = scene.program.running[name].pid
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            group = int((folder / "stat").read_text().rpartition(")")[2].split()[2])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if group == root:
            resource.prlimit(int(folder.name), resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_full_disk_is_answered_with_503_until_there_is_room(embedded: Scene) -> None:
    embedded.program.start("worker-1")
    embedded.post(2)
    assert embedded.settled()
    limit_files(embedded, "web-1", 4096)
    ids = embedded.ids(3)
    for _ in range(3):
        refused(embedded, embedded.program.post(ids))
    limit_files(embedded, "web-1", resource.RLIM_INFINITY)
    posted_again(embedded, ids)
    embedded.check()


def test_a_worker_sends_nothing_that_it_could_not_record(embedded: Scene) -> None:
    embedded.program.start("worker-1")
    embedded.program.wait_until_at_work("worker-1")
    limit_files(embedded, "worker-1", 4096)
    embedded.post(3)
    assert eventually(lambda: "action=store_unavailable" in embedded.program.log("worker-1"), 30)
    time.sleep(1)
    assert embedded.requests() == []
    limit_files(embedded, "worker-1", resource.RLIM_INFINITY)
    embedded.check()


# -- the database is gone --------------------------------------------------------------------------------


def test_web_and_worker_recover_from_a_killed_database(server: OwnPostgres, served_by: Scene) -> None:
    served_by.program.start("worker-1")
    served_by.post(2)
    assert served_by.settled()
    server.kill()
    ids = served_by.ids(3)
    refused(served_by, served_by.program.post(ids))
    assert requests.get(f"{served_by.program.url()}/readyz", timeout=10).status_code == 503
    server.start()
    posted_again(served_by, ids)
    assert served_by.settled(RECOVER_S)
    # The worker is the same one: its lock is its own again, and it stops as if nothing had been.
    assert served_by.program.log("worker-1").count("action=worker_started") == 1
    assert served_by.program.terminate("worker-1") == 0
    served_by.check()


def test_an_answer_that_came_while_the_database_was_gone_is_recorded_and_not_sent_again(
    server: OwnPostgres, server_program: Program, receiver: Receiver
) -> None:
    slow = Scene(program=server_program, receiver=receiver)
    slow.begin("/slow/2")
    slow.program.start("worker-1")
    slow.post(2)
    assert eventually(slow.requests, 30)
    server.kill()
    time.sleep(3)
    server.start()
    slow.check(repeated=0)
    slow.end()


def test_terminated_sessions_are_opened_again(server: OwnPostgres, served_by: Scene) -> None:
    served_by.program.start("worker-1")
    for _ in range(5):
        served_by.post()
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        ids = served_by.ids(1)
        posted_again(served_by, ids)
    served_by.check()


# -- no connection, no lock ------------------------------------------------------------------------------


def test_a_lock_that_is_held_is_answered_with_503_in_time(server: OwnPostgres, served_by: Scene) -> None:
    ids = served_by.ids(1)
    with psycopg.connect(server.url.replace("+psycopg", "")) as conn:
        conn.execute("LOCK TABLE heads")
        started = time.monotonic()
        refused(served_by, served_by.program.post(ids))
        assert time.monotonic() - started < 15
        conn.rollback()
    served_by.program.start("worker-1")
    posted_again(served_by, ids)
    served_by.check()


def test_a_writer_that_holds_the_embedded_database_is_answered_with_503_in_time(embedded: Scene) -> None:
    store = Store.open(f"sqlite:///{embedded.program.folder / 'var' / 'broadcast.db'}")
    ids = embedded.ids(1)
    with store.write():
        refused(embedded, embedded.program.post(ids))
    store.close()
    embedded.program.start("worker-1")
    posted_again(embedded, ids)
    embedded.check()


def test_when_every_connection_is_taken_all_are_answered_and_nothing_is_lost(
    server: OwnPostgres, served_by: Scene
) -> None:
    answers: list[requests.Response] = []
    ids = served_by.ids(1)
    with psycopg.connect(server.url.replace("+psycopg", "")) as conn:
        # Whoever asks who a key belongs to waits: forty requests want thirty connections.
        conn.execute("LOCK TABLE api_keys")
        time.sleep(2.5)  # what the process remembers of keys is two seconds old at most
        at_once([lambda: answers.append(served_by.program.post(ids, timeout_s=60))] * 40)
        conn.rollback()
    assert {answer.status_code for answer in answers} == {503}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)
    served_by.program.start("worker-1")
    posted_again(served_by, ids)
    served_by.check()


def at_once(calls: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
