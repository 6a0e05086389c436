"""What a receipt wants to know of an answer, read whole or chunk by chunk, whatever API it came through."""

from abc import ABC, abstractmethod
from typing import Any, Final

from broadcast.gateway.usage import count, openai_usage
from broadcast.json_text import members
from broadcast.receipt import Error, Usage

_LONGEST_TYPE: Final = 256
_LONGEST_MESSAGE: Final = 2000
_LONGEST_FACT: Final = 256


class Reading(ABC):
    """The answer as understood so far; nothing in it can make an answer fail."""

    def __init__(self) -> None:
        self.upstream_id: str | None = None
        self.model: str | None = None
        self.finish_reason: str | None = None
        self.native_finish_reason: str | None = None
        self.raw_usage: dict[str, Any] = {}
        self.error: Error | None = None
        self.ended = False
        """Whether the answer itself has said that nothing follows."""

    @abstractmethod
    def whole(self, document: Any) -> None:
        """Take in an answer that came in one piece."""

    @abstractmethod
    def chunk(self, document: Any) -> bool:
        """Take in one chunk of a stream and return whether it brought something generated."""

    @property
    @abstractmethod
    def output(self) -> Any:
        """What was generated, as content of a receipt; None when nothing was."""

    @property
    def usage(self) -> Usage | None:
        """The token counts, when told."""
        return openai_usage(self.raw_usage)

    def note(self, document: dict[str, Any]) -> None:
        """Keep what every API says alike; later chunks add to the usage of earlier ones."""
        self.upstream_id = fact(document.get("id")) or self.upstream_id
        self.model = fact(document.get("model")) or self.model
        told = {name: value for name, value in members(document.get("usage")).items() if value is not None}
        self.raw_usage = {**self.raw_usage, **told}
        if document.get("error"):
            self.error = error_of(document, "The provider reported an error.")


def error_of(document: Any, otherwise: str) -> Error:
    """Return the `error` of an answer in the receipt's words."""
    told = document.get("error") if isinstance(document, dict) else None
    if isinstance(told, str) and told:
        return Error(type="provider_error", message=told[:_LONGEST_MESSAGE])
    if not isinstance(told, dict):
        return Error(type="provider_error", message=otherwise)
    code = told.get("code")
    return Error(
        type=(text(told.get("type")) or "provider_error")[:_LONGEST_TYPE],
        message=(text(told.get("message")) or otherwise)[:_LONGEST_MESSAGE],
        code=code if isinstance(code, str | int) and not isinstance(code, bool) else None,
    )


def text(value: Any) -> str | None:
    """Return a text that says something."""
    return value if isinstance(value, str) and value else None


def fact(value: Any) -> str | None:
    """Return a short text such as a name or an id, cut where it is not short."""
    return value[:_LONGEST_FACT] if isinstance(value, str) and value else None


def place(value: Any, otherwise: int) -> int:
    """Return where a part belongs; providers leave the number out where there is one part only."""
    found = count(value)
    return otherwise if found is None else found
