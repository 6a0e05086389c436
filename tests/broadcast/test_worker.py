import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from broadcast import worker
from broadcast.errors import Unavailable
from broadcast.shares import Shares
from broadcast.store import Conn, Store, leases
from destinations import TYPES
from tests.broadcast.sending import POLICY, World, clock
from tests.receiver import Receiver


@pytest.fixture
def world(store: Store, tmp_path: Path) -> Iterator[World]:
    with Receiver() as receiver:
        yield World.build(store, receiver, tmp_path)


def services_of(world: World) -> Any:
    return SimpleNamespace(
        mailer=None,
        store=world.store,
        vault=world.vault,
        types=TYPES,
        policy=POLICY,
        config=world.config,
        clock=clock,
    )


@contextlib.asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    task = asyncio.create_task(worker.serve(services_of(world), stopping))
    await asyncio.sleep(0.3)
    try:
        yield
    finally:
        stopping.set()
        await asyncio.wait_for(task, 20)


async def until(condition: Any, timeout_s: float = 5.0) -> None:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s, "too late"
        await asyncio.sleep(0.01)


def deliver_one(world: World) -> None:
    """Append a receipt while an idle worker runs, and see it arrive before a lease would end by itself."""

    async def story() -> None:
        async with running(world):
            await asyncio.sleep(0.5)
            await asyncio.to_thread(world.append)
            await until(lambda: world.receiver.requests, timeout_s=15.0)

    asyncio.run(story())


def test_what_a_claim_leased_whose_answer_was_lost_is_sent_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = world.destination()
    answered = world.store.write

    @contextlib.contextmanager
    def unanswered_claim() -> Iterator[Conn]:
        with answered() as conn:
            yield conn
        if world.cursor(stored).lease_holder is not None:
            monkeypatch.undo()
            raise Unavailable("The connection was lost while it committed.")

    monkeypatch.setattr(world.store, "write", unanswered_claim)
    deliver_one(world)

    assert len(world.receiver.requests) == 1


def test_what_was_claimed_when_the_database_went_is_sent_when_it_is_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.destination()

    def gone() -> None:
        monkeypatch.undo()
        raise Unavailable("The connection was lost.")

    def gone_while_building() -> None:
        monkeypatch.setattr(world.store, "write", gone)
        raise Unavailable("The connection was lost.")

    monkeypatch.setattr(world.store, "glance", gone_while_building)
    deliver_one(world)

    assert len(world.receiver.requests) == 1


def test_a_commit_wakes_an_idle_worker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.destination()
    # Nothing runs by the clock while this test lasts: only the wake can lead to a delivery.
    monkeypatch.setattr(worker, "_IDLE_S", 3600.0)
    monkeypatch.setattr(worker, "RENEW_S", 3600)

    deliver_one(world)


def test_what_is_in_the_share_of_a_worker_that_does_nothing_is_delivered_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.destination()
    nothing: set[int] = set()
    monkeypatch.setattr(Shares, "mine", lambda self, workspace_ids: nothing)

    deliver_one(world)


def test_a_stop_finishes_what_is_in_flight_and_leaves_no_lease(world: World) -> None:
    stored = world.destination("/slow/2")
    world.append()

    async def story() -> None:
        async with running(world):
            await until(lambda: world.receiver.requests or world.cursor(stored).lease_holder)

    asyncio.run(story())
    cursor = world.cursor(stored)
    assert (cursor.delivered, cursor.lease_holder) == (1, None)


def test_a_worker_takes_over_what_a_dead_one_had_leased(world: World) -> None:
    stored = world.destination()
    world.append()
    with world.store.write() as conn:
        leases.claim(conn, holder="gone", lease_us=2_000_000)

    async def story() -> None:
        async with running(world):
            await until(lambda: world.receiver.requests, timeout_s=4.0)

    asyncio.run(story())
    assert world.cursor(stored).delivered == 1


def test_a_hung_destination_holds_nobody_else_up(world: World) -> None:
    world.destination("/slow/3")
    good = world.destination()
    world.append()

    async def story() -> None:
        async with running(world):
            await until(lambda: world.cursor(good).delivered == 1, timeout_s=2.0)

    asyncio.run(story())


def test_failures_are_tried_again_on_schedule(world: World) -> None:
    stored = world.destination("/mending")
    world.receiver.answer("/mending", status=503, times=1)
    world.append()

    async def story() -> None:
        async with running(world):
            await until(lambda: world.cursor(stored).delivered == 1)

    asyncio.run(story())
    attempts = world.connections.attempts(world.workspace, stored.uid)["data"]
    assert [attempt["verdict"] for attempt in attempts] == ["delivered", "retrying"]


def test_a_job_that_runs_while_the_worker_stops_is_no_error(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun = threading.Event()

    def look_for_long(self: object) -> tuple[set[str], set[str]]:
        begun.set()
        time.sleep(0.5)
        return set(), set()

    monkeypatch.setattr(worker._Worker, "_others", look_for_long)

    async def story() -> None:
        async with running(world):
            await until(begun.is_set)

    asyncio.run(story())
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
