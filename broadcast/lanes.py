"""Lanes: a worker's writes take turns, so that outcomes, claims and chores never wait for each other.

SQLite has one writer, so there all lanes are one, and it pauses after each write: ingest writes as well. On
PostgreSQL each lane is a connection of its own, as if another worker did that work.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from broadcast.store import Conn, Store

_PAUSE_S: Final = 0.01
_T = TypeVar("_T")


class Lane:
    """Writes one after the other, each in a transaction of its own."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = asyncio.Lock()
        self._pause_s = _PAUSE_S if store.dialect == "sqlite" else 0.0
        self._free_at = 0.0

    async def write(self, change: Callable[[Conn], _T]) -> _T:
        """Run a change and return what it returned, once it is durable."""
        async with self._turn:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(max(0.0, self._free_at - loop.time()))
            try:
                return await asyncio.to_thread(self._commit, change)
            finally:
                self._free_at = loop.time() + self._pause_s

    def _commit(self, change: Callable[[Conn], _T]) -> _T:
        with self._store.write() as conn:
            return change(conn)


class Lanes:
    """The lanes of one worker."""

    def __init__(self, store: Store) -> None:
        self.outcomes: Final = Lane(store)
        """What changes leases that are held: settled, renewed, given back."""

        apart = store.dialect == "postgresql"
        self.claims: Final = Lane(store) if apart else self.outcomes
        self.chores: Final = Lane(store) if apart else self.outcomes
        """What may take its time: sums, retention, reports, notices."""
