"""Chat completions: OpenAI's shape, which nearly every provider speaks."""

from typing import Any, ClassVar, Final

import msgspec

from broadcast.gateway.apis import Api
from broadcast.gateway.plain import Raw, is_filled_list, plain
from broadcast.gateway.reading import Reading, place, text
from broadcast.gateway.shape import Fields, Shape
from broadcast.json_text import items, members

_JOINED: Final = ("content", "reasoning", "reasoning_content", "refusal")
_CALLED: Final = ("name", "arguments")
_REASONS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
}
"""Words that some providers pass on from an API of their own; all others stay as they are."""


class Chat(Shape):
    """`POST /chat/completions`."""

    api: ClassVar[Api] = "chat"

    def missing(self, fields: Fields) -> tuple[str, str] | None:
        """Return what is wrong with `messages`."""
        if is_filled_list(fields.get("messages")):
            return None
        return "messages", "`messages` must be a list with at least one message."

    def asked(self, fields: Fields) -> Any:
        """Return the messages."""
        return plain(fields.get("messages"))

    def reading(self) -> Reading:
        """Return a reader of one answer."""
        return ChatReading()

    def asks_usage(self, fields: Fields) -> bool:
        """Whether the client asked for usage itself."""
        return members(plain(fields.get("stream_options"))).get("include_usage") is True

    def asking_usage(self, fields: Fields) -> dict[str, Raw]:
        """Return the fields with `include_usage`."""
        wished = {**members(plain(fields.get("stream_options"))), "include_usage": True}
        return {**fields, "stream_options": Raw(msgspec.json.encode(wished))}

    def is_extra(self, document: Any) -> bool:
        """Whether a chunk is the one that `include_usage` adds: usage and no choices."""
        return isinstance(document, dict) and document.get("choices") == [] and bool(document.get("usage"))

    def broken(self, _reading: Reading, *, generation_id: str, model: str, message: str) -> bytes:
        """Return a chunk with an error, as OpenRouter ends such a stream."""
        chunk = {
            "id": generation_id,
            "object": "chat.completion.chunk",
            "created": int(generation_id.split("-")[1]),
            "model": model,
            "error": {"code": 502, "message": message, "metadata": {"error_type": "provider_unavailable"}},
            "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
        }
        return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


class ChatReading(Reading):
    """One chat completion."""

    def __init__(self) -> None:
        super().__init__()
        self._messages: dict[int, dict[str, Any]] = {}

    @property
    def output(self) -> list[dict[str, Any]] | None:
        """The answer's messages in order of their choices."""
        return [_finished(self._messages[index]) for index in sorted(self._messages)] or None

    def whole(self, document: Any) -> None:
        """Take in a completion."""
        for index, choice in self._choices(document):
            self._messages[index] = {"role": "assistant", **members(choice.get("message"))}

    def chunk(self, document: Any) -> bool:
        """Take in one chunk."""
        brought = False
        for index, choice in self._choices(document):
            message = self._messages.setdefault(index, {"role": "assistant", "content": None})
            brought = _join(message, members(choice.get("delta"))) or brought
        return brought

    def _choices(self, document: Any) -> list[tuple[int, dict[str, Any]]]:
        if not isinstance(document, dict):
            return []
        self.note(document)
        found = []
        for position, choice in enumerate(items(document.get("choices"))):
            if isinstance(choice, dict):
                self._note_reasons(choice)
                found.append((place(choice.get("index"), position), choice))
        return found

    def _note_reasons(self, choice: dict[str, Any]) -> None:
        reason = text(choice.get("finish_reason"))
        if reason and self.finish_reason is None:
            self.finish_reason = _REASONS.get(reason, reason)
            self.native_finish_reason = self.native_finish_reason or reason
        self.native_finish_reason = text(choice.get("native_finish_reason")) or self.native_finish_reason


def _join(message: dict[str, Any], delta: dict[str, Any]) -> bool:
    """Add a delta to its message; texts are gathered as lists, because a stream has many."""
    brought = False
    for name in _JOINED:
        if piece := text(delta.get(name)):
            brought = True
            gathered = message.get(name)
            if isinstance(gathered, list):
                gathered.append(piece)
            else:
                message[name] = [piece]
    for position, call in enumerate(items(delta.get("tool_calls"))):
        if isinstance(call, dict):
            brought = True
            _join_call(message.setdefault("_calls", {}), place(call.get("index"), position), call)
    return brought


def _join_call(calls: dict[int, dict[str, Any]], index: int, call: dict[str, Any]) -> None:
    known = calls.setdefault(index, {name: [] for name in _CALLED})
    known["id"] = call.get("id") or known.get("id")
    function = members(call.get("function"))
    for name in _CALLED:
        if piece := text(function.get(name)):
            known[name].append(piece)


def _finished(message: dict[str, Any]) -> dict[str, Any]:
    whole = {name: value for name, value in message.items() if name != "_calls"}
    for name in _JOINED:
        if isinstance(whole.get(name), list) and all(isinstance(piece, str) for piece in whole[name]):
            whole[name] = "".join(whole[name])
    if calls := message.get("_calls"):
        whole["tool_calls"] = [_called(calls[index]) for index in sorted(calls)]
    return whole


def _called(call: dict[str, Any]) -> dict[str, Any]:
    function = {name: "".join(call[name]) for name in _CALLED}
    return {"id": call["id"], "type": "function", "function": function}
