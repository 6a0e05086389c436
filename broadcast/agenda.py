"""The agenda of a worker: in which workspaces it looks next, those first that wait the longest.

A claim looks at a few workspaces at a time, so that it costs the same however much waits elsewhere: at as
many as fill it, whether each of them has fifty destinations or one.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Final

_MOST: Final = 256


class Agenda:
    """Workspaces in which something may be due, each once, in the order in which they were noted."""

    def __init__(self, full: int) -> None:
        self._full = full
        self._waiting: dict[int, None] = {}
        self._width = 1

    def add(self, workspace_ids: Iterable[int]) -> None:
        """Note workspaces behind those that wait already."""
        for workspace_id in workspace_ids:
            self._waiting.setdefault(workspace_id)

    def take(self) -> list[int]:
        """Return where to look now; it is off the agenda."""
        taken = list(islice(self._waiting, self._width))
        for workspace_id in taken:
            del self._waiting[workspace_id]
        return taken

    def found(self, taken: Iterable[int], claimed: int) -> None:
        """Note how many destinations were claimed there: where a claim was full, more may be waiting.

        They wait behind the others then: one workspace's thousand destinations let everyone else have a turn.
        """
        if claimed >= self._full:
            self.add(taken)
            self._width = max(1, self._width // 2)
        elif claimed < self._full // 2:
            self._width = min(_MOST, self._width * 2)
