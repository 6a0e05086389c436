"""How many chat requests may run at once, so that pages, ingest and health always have a thread."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

from broadcast.errors import Unavailable

_RETRY_AFTER_S: Final = 2


class Slots:
    """A bound on requests under way, in all and for each workspace."""

    def __init__(self, *, total: int = 384, per_workspace: int = 128) -> None:
        self._total = total
        self._per_workspace = per_workspace
        self._lock = threading.Lock()
        self._taken: Counter[int] = Counter()

    def take(self, workspace_id: int) -> Callable[[], None]:
        """Return what gives the slot back (any number of calls count once); raise `Unavailable`."""
        with self._lock:
            if self._taken.total() >= self._total:
                raise Unavailable("Too many requests are under way. Try again.", retry_after_s=_RETRY_AFTER_S)
            if self._taken[workspace_id] >= self._per_workspace:
                raise Unavailable(
                    "Too many requests of this workspace are under way. Try again.",
                    retry_after_s=_RETRY_AFTER_S,
                )
            self._taken[workspace_id] += 1
        held = [workspace_id]

        def give_back() -> None:
            with self._lock:
                if held:
                    self._taken[held.pop()] -= 1
                    self._taken += Counter()  # forgets workspaces at zero

        return give_back
