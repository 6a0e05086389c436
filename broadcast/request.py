"""What travels: a batch, the request that it becomes, and the loan that some requests need first.

A loan is a short-lived credential that the operator's identity is lent for one role: the type says how to
ask for it, how to read the answer, and what the request is with it; `lending` asks.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from broadcast.answers import Response
from broadcast.fields import Secret

GRPC: Final = "application/grpc"


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What travels in one request: `pieces` are what `encode` made, one a receipt, in log order.

    `id` is the same when the same receipts are sent again. `joined`, where given, is what `join` made of the
    pieces, once for every destination that gets the same; `packed` is the gzip of that.
    """

    id: str
    at_us: int
    pieces: tuple[bytes, ...]
    test: bool = False
    joined: bytes | None = dataclasses.field(default=None, repr=False)
    packed: bytes | None = dataclasses.field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who this server is at Amazon: it may do nothing there but take on the roles that trust it.

    `sts_url` is empty for Amazon's own service in the destination's region.
    """

    key_id: str
    secret: Secret
    sts_url: str = ""


@dataclass(frozen=True, kw_only=True)
class Lent:
    """Keys at Amazon; those of a role open nothing after `until_us`."""

    key_id: str
    secret: Secret
    token: Secret
    until_us: int = 0


@dataclass(frozen=True, kw_only=True)
class Loan:
    """What a request needs before it can go; equal keys mean the same role, taken on in the same name."""

    key: tuple[str, ...]
    at_us: int
    ask: Callable[[Identity], "Request"] = dataclasses.field(compare=False, repr=False)
    read: Callable[[Response], Lent | None] = dataclasses.field(compare=False, repr=False)
    used: Callable[[Lent], "Request"] = dataclasses.field(compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request, ready to send; `body` is plain, `packed` its gzip where that was made already.

    Header names are lower-case. One whose content type is gRPC's is a call: its path is the method, its body
    the message, its headers the metadata. One with a `loan` is not ready before that is paid out.
    """

    method: str
    url: str
    headers: dict[str, str] = dataclasses.field(repr=False)
    body: bytes = dataclasses.field(repr=False)
    compress: bool = False
    packed: bytes | None = dataclasses.field(default=None, repr=False)
    loan: Loan | None = dataclasses.field(default=None, repr=False)

    @property
    def is_call(self) -> bool:
        """Whether it travels over gRPC."""
        return self.headers.get("content-type") == GRPC

    @property
    def packs(self) -> bool:
        """Whether its body goes out as gzip; the message of a call is compressed by what frames it."""
        return self.compress and not self.is_call
