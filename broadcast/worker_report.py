"""What a worker says of itself, every few seconds: it may run on another machine than who asks."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from broadcast.store import Conn, Store, worker_counters

_PULSE_S: Final = 0.25
LAG: Final = "event_loop_lag_s"

Write = Callable[[Callable[[Conn], None]], Awaitable[None]]


class WorkerReport:
    """Gauges, and the time spent in transactions since the last report."""

    def __init__(self, store: Store, holder: str, gauges: Callable[[], dict[str, float]]) -> None:
        self._store = store
        self._holder = holder
        self._gauges = gauges
        self._told: Counter[str] = Counter()
        self._lag_s = 0.0

    async def feel(self) -> None:
        """Notice how late the loop wakes who sleeps: that late it is to everything."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _PULSE_S
            await asyncio.sleep(_PULSE_S)
            self._lag_s = max(self._lag_s, loop.time() - due)

    async def write(self, write: Write) -> None:
        """Write the report; what could not be written is told by the next one."""
        spent = Counter(self._store.spent.figures())
        lag_s, self._lag_s = self._lag_s, 0.0
        gauges = {**self._gauges(), LAG: round(lag_s, 6)}

        def tell(conn: Conn) -> None:
            worker_counters.tell(conn, self._holder, gauges)
            worker_counters.add(conn, self._holder, spent - self._told)

        try:
            await write(tell)
        except BaseException:
            self._lag_s = max(self._lag_s, lag_s)
            raise
        self._told = spent
