"""What tells one API from another: where things stand in its requests, answers, chunks and errors."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from broadcast.gateway.apis import Api
from broadcast.gateway.plain import Raw, plain
from broadcast.gateway.reading import Reading
from broadcast.gateway.splice import with_id

Fields = Mapping[str, Raw]
UpstreamId = Callable[[str], str | None]
"""Tells what a provider called an answer that has our id."""


class Shape(ABC):
    """One API; a request's fields are still JSON text, each value as the client wrote it."""

    api: ClassVar[Api]
    streams: ClassVar[bool] = True
    headers: ClassVar[tuple[str, ...]] = ()
    """The headers, in lower case, that say how a provider is to read the request, and so go with it."""

    @abstractmethod
    def missing(self, fields: Fields) -> tuple[str, str] | None:
        """Return the field that has to say what is asked, and how, when it does not."""

    @abstractmethod
    def asked(self, fields: Fields) -> Any:
        """Return what is asked as plain values: the content of a receipt."""

    @abstractmethod
    def reading(self) -> Reading:
        """Return a reader of one answer."""

    @abstractmethod
    def broken(self, reading: Reading, *, generation_id: str, model: str, message: str) -> bytes:
        """Return the event that ends a stream whose provider has failed: its status has gone out already."""

    def user(self, fields: Fields) -> tuple[str, Any]:
        """Return where the caller's own user stands, and what is there."""
        return "user", plain(fields.get("user"))

    def onward(self, fields: Fields) -> dict[str, Raw]:
        """Return what may be sent on to a provider: everything that is not ours."""
        return {name: value for name, value in fields.items() if name not in _OURS}

    def following(self, fields: Fields, _upstream_id: UpstreamId) -> Fields:
        """Return the fields with the provider's own ids where the client gives ours back."""
        return fields

    def asks_usage(self, _fields: Fields) -> bool:
        """Whether a stream tells its usage to the client without our asking."""
        return True

    def asking_usage(self, fields: Fields) -> dict[str, Raw]:
        """Return the fields with the wish for usage in a stream."""
        return dict(fields)

    def is_extra(self, _document: Any) -> bool:
        """Whether a chunk is there only because we asked for usage."""
        return False

    def own(self, data: bytes, document: dict[str, Any], generation_id: str) -> bytes:
        """Return one event's JSON with our id in the place of the answer's."""
        return data if "error" in document and "id" not in document else with_id(data, generation_id)

    def error(self, error: dict[str, Any]) -> dict[str, Any]:
        """Return the body of a refusal around the contract's `error`."""
        return {"error": error}


_OURS = frozenset({"trace", "session_id", "user"})
