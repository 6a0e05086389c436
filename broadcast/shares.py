"""Shares: in which workspaces a worker looks first, so that not every worker looks at every receipt.

It is a courtesy and no rule: a worker looks everywhere once a second, and whatever it finds free is its own.
"""

import hashlib
from collections.abc import Collection, Iterable
from functools import lru_cache


class Shares:
    """Which of some workspaces are this worker's to look at first, while certain workers live."""

    def __init__(self, holder: str) -> None:
        self._holder = holder
        self._living: frozenset[str] = frozenset((holder,))

    def learn(self, living: Collection[str]) -> None:
        """Take note of which workers live; this one does, whatever is said of it."""
        self._living = frozenset((*living, self._holder))

    def mine(self, workspace_ids: Iterable[int]) -> set[int]:
        """Return those of the workspaces that no other worker looks at first."""
        return {id_ for id_ in workspace_ids if _first(self._living, id_) == self._holder}


@lru_cache(maxsize=65_536)
def _first(living: frozenset[str], workspace_id: int) -> str:
    """Return the worker that draws the highest number: when one comes or goes, no other share changes."""

    def drawn(holder: str) -> bytes:
        return hashlib.blake2b(f"{holder} {workspace_id}".encode(), digest_size=8).digest()

    return max(living, key=drawn)
