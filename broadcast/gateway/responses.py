"""Responses: OpenAI's newer shape, whose streams repeat the whole answer in some of their events."""

from typing import Any, ClassVar, Final

import msgspec

from broadcast.gateway.apis import Api
from broadcast.gateway.plain import Raw, is_filled, plain
from broadcast.gateway.reading import Reading, place, text
from broadcast.gateway.shape import Fields, Shape, UpstreamId
from broadcast.gateway.splice import with_id
from broadcast.json_text import items, members

_PREVIOUS: Final = "previous_response_id"
_REASONS: Final = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "completed": "stop",
    "incomplete": "length",
    "failed": "error",
}
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_CALLS: Final = frozenset(
    {"function_call", "custom_tool_call", "mcp_call", "local_shell_call", "computer_call"}
)
_OPEN_STATUSES: Final = frozenset({"in_progress", "queued"})
_GENERATED: Final = frozenset(
    {
        "response.output_text.delta",
        "response.refusal.delta",
        "response.reasoning_text.delta",
        "response.reasoning_summary_text.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.mcp_call_arguments.delta",
        "response.code_interpreter_call_code.delta",
        "response.audio.delta",
        "response.audio.transcript.delta",
    }
)


class Responses(Shape):
    """`POST /responses`."""

    api: ClassVar[Api] = "responses"

    def missing(self, fields: Fields) -> tuple[str, str] | None:
        """Return what is wrong with `input`; a stored prompt may stand for it."""
        if is_filled(fields.get("input")) or isinstance(plain(fields.get("prompt")), dict):
            return None
        return "input", "`input` must be text, or a list with at least one item."

    def asked(self, fields: Fields) -> Any:
        """Return the input, beside the instructions where there are some."""
        told = {name: plain(fields.get(name)) for name in ("instructions", "prompt", "input")}
        return {name: value for name, value in told.items() if value is not None} or None

    def reading(self) -> Reading:
        """Return a reader of one answer."""
        return ResponsesReading()

    def following(self, fields: Fields, upstream_id: UpstreamId) -> Fields:
        """Return the fields with the provider's id of the response that is to be continued."""
        previous = text(plain(fields.get(_PREVIOUS)))
        known = upstream_id(previous) if previous else None
        return {**fields, _PREVIOUS: Raw(msgspec.json.encode(known))} if known else fields

    def own(self, data: bytes, document: dict[str, Any], generation_id: str) -> bytes:
        """Return one event with our id where it holds the response; items keep theirs."""
        return with_id(data, generation_id, inside="response") if "response" in document else data

    def broken(self, reading: Reading, *, generation_id: str, model: str, message: str) -> bytes:  # noqa: ARG002 - the event names neither
        """Return the API's event for an error within a stream."""
        sequence = reading.sequence if isinstance(reading, ResponsesReading) else 0
        event = {
            "type": "error",
            "code": "provider_unavailable",
            "message": message,
            "param": None,
            "sequence_number": sequence,
        }
        return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"


class ResponsesReading(Reading):
    """One response, as a whole or as events."""

    def __init__(self) -> None:
        super().__init__()
        self.sequence = 0
        """The number of the next event."""
        self._items: dict[int, dict[str, Any]] = {}
        self._texts: dict[int, list[str]] = {}

    @property
    def output(self) -> dict[str, Any] | None:
        """The items of the answer; of an item that was broken off, the text that came."""
        found = []
        for index in sorted({*self._items, *self._texts}):
            item = self._items.get(index, {"type": "message", "role": "assistant"})
            pieces = self._texts.get(index)
            found.append(_with_text(item, "".join(pieces)) if pieces else item)
        return {"output": found} if found else None

    def whole(self, document: Any) -> None:
        """Take in a response."""
        self._response(members(document))

    def chunk(self, document: Any) -> bool:
        """Take in one event."""
        event = members(document)
        self.sequence = place(event.get("sequence_number"), self.sequence) + 1
        kind = str(event.get("type"))
        index = place(event.get("output_index"), 0)
        if "response" in event:
            self._response(members(event["response"]))
            self.ended = self.ended or kind in _ENDS
        elif kind == "response.output_item.added":
            self._items[index] = members(event.get("item"))
        elif kind == "response.output_item.done":
            self._items[index] = members(event.get("item"))
            self._texts.pop(index, None)
        elif kind == "error":
            self.note(
                {"error": event.get("error") or {"message": event.get("message"), "code": event.get("code")}}
            )
        elif kind in _GENERATED and (piece := text(event.get("delta"))):
            self._texts.setdefault(index, []).append(piece)
            return True
        return False

    def _response(self, response: dict[str, Any]) -> None:
        self.note(response)
        output = [item for item in items(response.get("output")) if isinstance(item, dict)]
        if output:
            self._items = dict(enumerate(output))
            self._texts = {}
        status = text(response.get("status"))
        if status and status not in _OPEN_STATUSES:
            self._note_reason(status, members(response.get("incomplete_details")))

    def _note_reason(self, status: str, details: dict[str, Any]) -> None:
        native = text(details.get("reason")) or status
        called = any(item.get("type") in _CALLS for item in self._items.values())
        self.native_finish_reason = native
        self.finish_reason = (
            "tool_calls" if native == "completed" and called else _REASONS.get(native, native)
        )


def _with_text(item: dict[str, Any], words: str) -> dict[str, Any]:
    """Return an item that never was finished with what came of it, in the member that its kind reads."""
    match item.get("type"):
        case "function_call" | "mcp_call":
            return {**item, "arguments": words}
        case "custom_tool_call":
            return {**item, "input": words}
        case "reasoning":
            return {**item, "summary": [{"type": "summary_text", "text": words}]}
        case _:
            return {**item, "content": [{"type": "output_text", "text": words}]}
