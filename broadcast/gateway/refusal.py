"""A request that gets no answer of a provider: what the client is told, and what its receipt says."""

from dataclasses import dataclass
from typing import Any

import msgspec

from broadcast.gateway.shape import Shape
from broadcast.receipt import Error, Status


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why, in the contract's words; `ends` is the status of the receipt."""

    status: int
    reason: str
    message: str
    field: str | None = None
    retry_after: str | None = None
    ends: Status = "error"

    @property
    def error(self) -> Error:
        """The receipt's error."""
        return Error(type=self.reason, message=self.message, code=self.status)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that go with it."""
        told = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        if self.status == 401:
            told["WWW-Authenticate"] = "Bearer"
        if self.retry_after is not None:
            told["Retry-After"] = self.retry_after
        return told

    def body(self, shape: Shape, **more: Any) -> bytes:
        """Return the body, which the SDKs of the API read as well."""
        at_fault = {} if self.field is None else {"field": self.field}
        metadata = {"reason": self.reason, **at_fault, **more}
        return msgspec.json.encode(
            shape.error({"code": self.status, "message": self.message, "metadata": metadata})
        )
