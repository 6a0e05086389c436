"""What is under way at a worker: a task for each destination, and where to look again when it has ended."""

import asyncio
from collections.abc import Collection, Iterable
from typing import Final

from broadcast.store.leases import Claim


class Flights:
    """Batches in the air, by destination.

    A destination with a batch in the air is leased: whoever looked for work meanwhile has passed it by. So
    it is looked at again when the batch has ended, and only then: most end with nothing more to send, and
    a claim that finds nothing costs as much as one that finds fifty.
    """

    def __init__(self) -> None:
        self.tasks: Final[dict[int, asyncio.Task[None]]] = {}
        self._of: dict[int, set[int]] = {}
        self._passed_by: set[int] = set()
        self._awaited = False
        self._ended: set[int] | None = set()

    def expect(self, claims: Iterable[Claim]) -> None:
        """Note that batches of these claims are being built, and hide their destinations from now on."""
        for claim in claims:
            self._of.setdefault(claim.workspace_id, set()).add(claim.destination_id)

    def begin(self, claim: Claim, task: asyncio.Task[None]) -> None:
        """Note that a claim's batch is under way."""
        self.expect((claim,))
        self.tasks[claim.destination_id] = task

    def destination_ids(self) -> set[int]:
        """Return the destinations whose batches are under way or being built."""
        return set().union(*self._of.values())

    def among(self, workspace_ids: Collection[int]) -> set[int]:
        """Return those of the workspaces in which something is under way."""
        return self._of.keys() & workspace_ids

    def pass_by(self, workspace_ids: Collection[int] | None = None) -> None:
        """Note that work is looked for, in some workspaces or everywhere, where a lease hides it."""
        for workspace_id in self._of if workspace_ids is None else self.among(workspace_ids):
            self._passed_by |= self._of[workspace_id]

    def await_any(self) -> None:
        """Note that something had to wait for whichever batch ends next."""
        self._awaited = True

    def leave_more(self, claim: Claim) -> None:
        """Note that a batch has not sent everything that the claim knew of."""
        self._passed_by.add(claim.destination_id)

    def end(self, claim: Claim, task: asyncio.Task[None] | None) -> None:
        """Note that a claim's task has ended, or that it was given back before there was one.

        The destination may have been claimed again since its lease is free: that batch is not ours to forget.
        """
        if self.tasks.get(claim.destination_id) is not task:
            return
        self.tasks.pop(claim.destination_id, None)
        if self._awaited and task is not None:
            self._ended, self._awaited = None, False
        elif claim.destination_id in self._passed_by and self._ended is not None:
            self._ended.add(claim.workspace_id)
        self._passed_by.discard(claim.destination_id)
        of = self._of.get(claim.workspace_id, set())
        of.discard(claim.destination_id)
        if not of:
            self._of.pop(claim.workspace_id, None)

    def take_ended(self) -> set[int] | None:
        """Return where something ended since the last call and more may be due; None is anywhere."""
        ended, self._ended = self._ended, set()
        return ended
