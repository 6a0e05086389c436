"""Keyed hashes in the place of what was said and of who said it.

Equal values of a workspace have equal hashes, so that they can be counted and joined; the key never leaves,
so that nobody can try values until one fits.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from broadcast.messages import Message, input_messages, outgoing_messages
from broadcast.receipt import Receipt
from broadcast.trace_context import OUR_KEYS, is_span_id, is_trace_id

Digest = Callable[[bytes], bytes]
PREFIX: Final = "hash-"
_BYTES: Final = 16
_IDS: Final = {"trace_id": is_trace_id, "parent_span_id": is_span_id}
_ROLES: Final = frozenset({"system", "user", "assistant", "tool"})
_REASONS: Final = frozenset({"stop", "length", "tool_call", "content_filter", "error"})


class Pseudonyms:
    """Hashes with one workspace's key."""

    def __init__(self, digest: Digest) -> None:
        self._digest = digest

    def text(self, value: str) -> str:
        """Return the hash of a text."""
        return PREFIX + self._digest(value.encode("utf-8", "replace"))[:_BYTES].hex()

    def trace(self, trace: dict[str, Any]) -> dict[str, Any]:
        """Return a caller's `trace`: keys stay, and so do ids in W3C's form, which are no one's name."""
        return {
            key: value if key in _IDS and _IDS[key](value) else self._value(value, whole=key in OUR_KEYS)
            for key, value in trace.items()
        }

    def asked(self, receipt: Receipt) -> list[Message] | None:
        """Return the input as the convention's messages, of which roles and kinds of part stay."""
        return None if receipt.input is None else list(map(self._message, input_messages(receipt.input)))

    def answered(self, receipt: Receipt) -> list[Message] | None:
        """Return the output likewise."""
        return None if receipt.output is None else list(map(self._message, outgoing_messages(receipt)))

    def _value(self, value: Any, *, whole: bool) -> Any:
        """Hash every text and number; true, false and null tell nobody apart."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, dict) and not whole:
            return {key: self._value(item, whole=False) for key, item in value.items()}
        if isinstance(value, list | tuple) and not whole:
            return [self._value(item, whole=False) for item in value]
        return self.text(_as_text(value))

    def _message(self, message: Message) -> Message:
        made: Message = {"role": self._word(message["role"], _ROLES)}
        made["parts"] = [self._part(part) for part in message["parts"]]
        if "name" in message:
            made["name"] = self.text(message["name"])
        if "finish_reason" in message:
            made["finish_reason"] = self._word(message["finish_reason"], _REASONS)
        return made

    def _part(self, part: dict[str, Any]) -> dict[str, Any]:
        """The kinds of part are ours; whatever else stands in one was said by somebody."""
        return {key: value if key == "type" else self.text(_as_text(value)) for key, value in part.items()}

    def _word(self, value: str, known: frozenset[str]) -> str:
        return value if value in known else self.text(value)


def _as_text(value: Any) -> str:
    """Return a text as it is, and anything else as JSON that is the same for equal values."""
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    )
