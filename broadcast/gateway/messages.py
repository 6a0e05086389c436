"""Messages: Anthropic's shape, whose streams are events of their own and name the answer once."""

from typing import Any, ClassVar, Final

import msgspec

from broadcast.gateway.apis import Api
from broadcast.gateway.plain import Raw, is_filled_list, plain
from broadcast.gateway.reading import Reading, place, text
from broadcast.gateway.shape import Fields, Shape
from broadcast.gateway.splice import with_id
from broadcast.gateway.usage import anthropic_usage
from broadcast.json_text import items, members
from broadcast.receipt import Usage

_REASONS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_JOINED: Final = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "input",
}
"""The member of a block that each kind of delta adds to; each kind names its piece its own way."""
_PIECES: Final = ("text", "thinking", "signature", "partial_json")
_ERROR_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}


class Messages(Shape):
    """`POST /messages`."""

    api: ClassVar[Api] = "messages"
    headers: ClassVar[tuple[str, ...]] = ("anthropic-version", "anthropic-beta")

    def missing(self, fields: Fields) -> tuple[str, str] | None:
        """Return what is wrong with `messages`."""
        if is_filled_list(fields.get("messages")):
            return None
        return "messages", "`messages` must be a list with at least one message."

    def asked(self, fields: Fields) -> Any:
        """Return the messages, beside the system text where there is one."""
        system = plain(fields.get("system"))
        return {**({"system": system} if system else {}), "messages": plain(fields.get("messages"))}

    def reading(self) -> Reading:
        """Return a reader of one answer."""
        return MessagesReading()

    def user(self, fields: Fields) -> tuple[str, Any]:
        """Return `user`, else Anthropic's own place for it."""
        name, user = super().user(fields)
        return (name, user) if user else ("metadata.user_id", _metadata(fields).get("user_id"))

    def onward(self, fields: Fields) -> dict[str, Raw]:
        """Return what may be sent on: without the user, wherever it stands."""
        sent = super().onward(fields)
        metadata = _metadata(fields)
        if metadata.pop("user_id", None) is not None:
            del sent["metadata"]
            if metadata:
                sent["metadata"] = Raw(msgspec.json.encode(metadata))
        return sent

    def own(self, data: bytes, document: dict[str, Any], generation_id: str) -> bytes:
        """Return one event with our id in `message_start`, the one event that names the answer."""
        begins = document.get("type") == "message_start"
        return with_id(data, generation_id, inside="message") if begins else data

    def broken(self, _reading: Reading, *, generation_id: str, model: str, message: str) -> bytes:  # noqa: ARG002 - the event names neither
        """Return Anthropic's event for an error within a stream."""
        event = {"type": "error", "error": {"type": "api_error", "message": message}}
        return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"

    def error(self, error: dict[str, Any]) -> dict[str, Any]:
        """Return a refusal that Anthropic's SDK reads as one of its own."""
        kind = _ERROR_TYPES.get(error["code"], "api_error")
        return {"type": "error", "error": {"type": kind, **error}}


class MessagesReading(Reading):
    """One message, as a whole or as events."""

    def __init__(self) -> None:
        super().__init__()
        self._blocks: dict[int, dict[str, Any]] = {}
        self._begun: dict[str, Any] = {}

    @property
    def usage(self) -> Usage | None:
        """The token counts, with what the cache had and took."""
        return anthropic_usage(self.raw_usage)

    @property
    def output(self) -> list[dict[str, Any]] | None:
        """The one message of the answer, of blocks as Anthropic has them."""
        content = [_finished(self._blocks[index]) for index in sorted(self._blocks)]
        if not content:
            return None
        reason = {"stop_reason": self.native_finish_reason} if self.native_finish_reason else {}
        return [{"role": "assistant", "content": content, **reason}]

    def whole(self, document: Any) -> None:
        """Take in a message."""
        self._message(members(document))

    def chunk(self, document: Any) -> bool:
        """Take in one event."""
        event = members(document)
        match event.get("type"):
            case "message_start":
                self._begin(members(event.get("message")))
            case "content_block_start":
                block = members(event.get("content_block"))
                self._blocks[self._place(event)] = {**block}
                return bool(text(block.get("text")) or text(block.get("name")))
            case "content_block_delta":
                return self._delta(self._place(event), members(event.get("delta")))
            case "message_delta":
                self.note({"usage": event.get("usage")})
                self._note_reason(members(event.get("delta")))
            case "message_stop":
                self.note({"usage": {**self._begun, **self.raw_usage}})
                self.ended = True
            case "error":
                self.note({"error": event.get("error") or "The provider reported an error."})
        return False

    def _begin(self, message: dict[str, Any]) -> None:
        """Take in the beginning, whose count of what was written holds only if no later one is told."""
        told = {**members(message.get("usage"))}
        self._begun = {name: told.pop(name) for name in ("output_tokens",) if name in told}
        self._message({**message, "usage": told})

    def _message(self, message: dict[str, Any]) -> None:
        self.note(message)
        self._note_reason(message)
        blocks = [block for block in items(message.get("content")) if isinstance(block, dict)]
        self._blocks.update(enumerate(blocks))

    def _note_reason(self, told: dict[str, Any]) -> None:
        if reason := text(told.get("stop_reason")):
            self.native_finish_reason = reason
            self.finish_reason = _REASONS.get(reason, reason)

    def _place(self, event: dict[str, Any]) -> int:
        return place(event.get("index"), len(self._blocks))

    def _delta(self, index: int, delta: dict[str, Any]) -> bool:
        """Add a delta to its block; pieces are gathered as lists, because a stream has many."""
        block = self._blocks.setdefault(index, {"type": "text"})
        name = _JOINED.get(str(delta.get("type")))
        piece = next((found for key in _PIECES if (found := text(delta.get(key)))), None)
        if delta.get("type") == "citations_delta":
            block["citations"] = [*items(block.get("citations")), delta.get("citation")]
        if name is None or piece is None:
            return False
        gathered = block.get(name)
        if isinstance(gathered, list):
            gathered.append(piece)
        else:
            block[name] = [gathered, piece] if text(gathered) else [piece]
        return name != "signature"


def _metadata(fields: Fields) -> dict[str, Any]:
    return members(plain(fields.get("metadata")))


def _finished(block: dict[str, Any]) -> dict[str, Any]:
    """Return a block with its pieces joined; a tool's input came as the text of its JSON."""
    whole = {
        name: "".join(value) if name in _JOINED.values() and _is_gathered(value) else value
        for name, value in block.items()
    }
    if isinstance(whole.get("input"), str):
        asked = plain(whole["input"].encode())
        whole["input"] = whole["input"] if asked is None else asked
    return whole


def _is_gathered(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(piece, str) for piece in value)
