"""Sends what needs a loan first: a role's keys are fetched once, and used until shortly before their end.

The operator's identity signs that question alone. It never reaches a destination's address, and a role's keys
never leave the memory of this process.
"""

import asyncio
from dataclasses import replace
from typing import Final, Protocol

from broadcast.destination import Request, Response
from broadcast.errors import SendFailed
from broadcast.request import Identity, Lent, Loan
from broadcast.transport import DEADLINE_S

EARLY_US: Final = 5 * 60_000_000
"""So long before their end keys are no longer used: a request may be on its way, and clocks differ."""

_ROLES: Final = 4_096
_NOT_GOOD: Final = frozenset({400, 401, 403})


class Door(Protocol):
    """What sends a request within a time: the transport."""

    async def send(self, request: Request, *, deadline_s: float = ...) -> Response:
        """Return the answer, or raise `AddressRefused` or `SendFailed`."""


class Lender:
    """A sender that pays out loans; everything else goes through it as it is."""

    def __init__(self, door: Door, identity: Identity | None) -> None:
        self._door = door
        self._identity = identity
        self._lent: dict[tuple[str, ...], Lent] = {}
        self._asking: dict[tuple[str, ...], asyncio.Lock] = {}

    async def send(self, request: Request, *, deadline_s: float = DEADLINE_S) -> Response:
        """Return the answer to a request, or the one to the question for its loan where that is refused."""
        loan = request.loan
        if loan is None:
            return await self._door.send(request, deadline_s=deadline_s)
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(deadline_s):
                lent = await self._ready(loan, deadline_s)
        except TimeoutError:
            raise SendFailed("connect", "timeout", "The keys of the role did not come in time.") from None
        if isinstance(lent, Response):
            return lent
        left_s = deadline_s - (asyncio.get_running_loop().time() - started)
        answer = await self._door.send(loan.used(lent), deadline_s=left_s)
        if answer.status in _NOT_GOOD:
            # They may have been revoked: the next try asks for others.
            self._lent.pop(loan.key, None)
        return answer

    async def _ready(self, loan: Loan, deadline_s: float) -> Lent | Response:
        """Return keys that last, asked for by one request however many wait, or the answer that refused."""
        if self._identity is None:
            raise SendFailed("credential", "no_identity", "This server has no identity at Amazon.")
        if len(self._asking) >= _ROLES:
            self._lent.clear()
            self._asking.clear()
        async with self._asking.setdefault(loan.key, asyncio.Lock()):
            known = self._lent.get(loan.key)
            if known is not None and known.until_us - loan.at_us > EARLY_US:
                return known
            answer = await self._door.send(loan.ask(self._identity), deadline_s=deadline_s)
            if answer.status != 200:
                return replace(answer, reason=f"{answer.reason}, when asked for the role's keys")
            lent = loan.read(answer)
            if lent is None:
                raise SendFailed("data", "bad_answer", "The answer holds no keys of a role.")
            self._lent[loan.key] = lent
            return lent
