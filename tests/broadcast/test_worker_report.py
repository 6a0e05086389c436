"""What a worker says of itself: nothing is lost by a report that could not be written."""

import asyncio
import time
from collections.abc import Callable

import pytest

from broadcast.errors import Unavailable
from broadcast.store import Conn, Store, worker_counters
from broadcast.worker_report import LAG, WorkerReport


def lane(store: Store) -> Callable[[Callable[[Conn], None]], "asyncio.Future[None]"]:
    def write(change: Callable[[Conn], None]) -> "asyncio.Future[None]":
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with store.write() as conn:
            change(conn)
        done.set_result(None)
        return done

    return write


async def out_of_reach(change: Callable[[Conn], None]) -> None:
    raise Unavailable("The database is not available.")


def told(store: Store) -> dict[str, float]:
    with store.read() as conn:
        (seen,) = worker_counters.told(conn)
    return dict(seen.gauges)


async def blocked(report: WorkerReport) -> None:
    """Let the loop stand still for longer than it was asked to sleep."""
    feeling = asyncio.create_task(report.feel())
    await asyncio.sleep(0)
    time.sleep(0.5)  # noqa: ASYNC251 - this is what is to be noticed
    await asyncio.sleep(0.01)
    feeling.cancel()


def test_a_loop_that_stood_still_is_told(store: Store) -> None:
    async def run() -> None:
        report = WorkerReport(store, "one", lambda: {"open_sends": 3})
        await blocked(report)
        await report.write(lane(store))

    with store.hold("one"):
        asyncio.run(run())
        assert told(store)[LAG] >= 0.2
        assert told(store)["open_sends"] == 3


def test_the_lag_is_that_of_the_time_since_the_last_report(store: Store) -> None:
    async def run() -> None:
        report = WorkerReport(store, "one", dict)
        await blocked(report)
        await report.write(lane(store))
        await report.write(lane(store))

    with store.hold("one"):
        asyncio.run(run())
        assert told(store)[LAG] == 0


def test_what_could_not_be_written_is_told_by_the_next_report(store: Store) -> None:
    async def run() -> None:
        report = WorkerReport(store, "one", dict)
        await blocked(report)
        with pytest.raises(Unavailable):
            await report.write(out_of_reach)
        await report.write(lane(store))

    with store.hold("one"):
        before = store.spent.figures()["transactions:write"]
        asyncio.run(run())
        assert told(store)[LAG] >= 0.2
        with store.read() as conn:
            assert worker_counters.totals(conn)["transactions:write"] >= before


def test_time_in_transactions_is_told_once(store: Store) -> None:
    async def run() -> None:
        report = WorkerReport(store, "one", dict)
        for _ in range(5):
            await report.write(lane(store))

    with store.hold("one"):
        asyncio.run(run())
        with store.read() as conn:
            counted = worker_counters.totals(conn)["transactions:write"]
        assert counted <= store.spent.figures()["transactions:write"]
