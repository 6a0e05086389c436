"""Stray leases: those that nobody works under, because the database went while they changed."""

import contextlib
import logging
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Final

from broadcast.lanes import Lane
from broadcast.store import leases

_log: Final = logging.getLogger(__name__)


class Strays:
    """What is known of a holder's stray leases: a claim may be committed although its answer was lost."""

    def __init__(self, lane: Lane, holder: str) -> None:
        self._lane = lane
        self._holder = holder
        self._may_be_left = False

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """Note that leases may be left over where something goes wrong while they change."""
        try:
            yield
        except BaseException:
            self.note()
            raise

    def note(self) -> None:
        """Note that leases may be left over."""
        self._may_be_left = True

    async def give_back(self, under_way: Callable[[], Collection[int]]) -> None:
        """Give back the holder's leases of all destinations but those, where some may be left over."""
        if not self._may_be_left:
            return
        # Whatever is noted while this is written is given back the next time.
        self._may_be_left = False
        change = partial(leases.release_all, holder=self._holder, but=under_way())
        with self.noting():
            given = await self._lane.write(change)
        _log.info("action=leases_given_back destinations=%s", given)
