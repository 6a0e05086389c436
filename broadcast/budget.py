"""A bound on the memory of everything that is under way."""

import asyncio


class Budget:
    """Bytes that may be open at once; one batch always fits, however large it is."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._freed = asyncio.Event()

    @property
    def used(self) -> int:
        """Return how much is taken."""
        return self._used

    def has_room(self, size: int) -> bool:
        """Return whether so much may be taken without waiting."""
        return not self._used or self._used + size <= self._limit

    async def take(self, size: int) -> None:
        """Wait until there is room."""
        while not self.has_room(size):
            self._freed.clear()
            await self._freed.wait()
        self._used += size

    def give(self, size: int) -> None:
        """Make room again."""
        self._used -= size
        self._freed.set()
