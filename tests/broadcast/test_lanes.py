import asyncio
import threading
import time

import pytest

from broadcast.lanes import Lanes
from broadcast.store import Conn, Store


def test_the_writes_of_a_lane_take_turns(store: Store) -> None:
    under_way: list[int] = []
    most: list[int] = []

    def change(conn: Conn) -> None:
        del conn
        under_way.append(1)
        # Long enough for another one to begin meanwhile, if it could.
        time.sleep(0.02)
        most.append(len(under_way))
        under_way.pop()

    async def story() -> None:
        lane = Lanes(store).outcomes
        await asyncio.gather(*(lane.write(change) for _ in range(8)))

    asyncio.run(story())
    assert most == [1] * 8


def test_a_chore_holds_up_neither_claims_nor_outcomes_where_writers_are_many(store: Store) -> None:
    """SQLite has one writer: there all lanes are one."""
    lanes = Lanes(store)
    if store.dialect == "sqlite":
        assert lanes.claims is lanes.chores is lanes.outcomes
        return
    begun, go_on = threading.Event(), threading.Event()

    def chore(conn: Conn) -> bool:
        del conn
        begun.set()
        return go_on.wait(20)

    async def story() -> bool:
        slow = asyncio.create_task(lanes.chores.write(chore))
        await asyncio.to_thread(begun.wait, 20)
        await lanes.claims.write(lambda conn: None)
        await lanes.outcomes.write(lambda conn: None)
        assert not slow.done()
        go_on.set()
        return await slow

    assert asyncio.run(story())


def test_a_change_that_fails_leaves_the_lane_free(store: Store) -> None:
    def failing(conn: Conn) -> None:
        del conn
        raise ValueError("not today")

    async def story() -> int:
        lane = Lanes(store).chores
        with pytest.raises(ValueError, match="not today"):
            await lane.write(failing)
        return await lane.write(lambda conn: 7)

    assert asyncio.run(story()) == 7
