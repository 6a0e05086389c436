"""Content as the conventions' message JSON, whatever API it came through; binary parts become a description.

https://opentelemetry.io/docs/specs/semconv/gen-ai/ v1.41.1: `parts` with `content`, finish reason `tool_call`
in the singular. Nothing here raises: what is not understood is passed on as its own JSON text.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeGuard

import msgspec

from broadcast import genai_names as names
from broadcast.errors import ReceiptError
from broadcast.json_text import holds_wide_integer
from broadcast.multimodal import BINARY_PARTS, described, description, get_text
from broadcast.receipt import Receipt
from broadcast.span import Attributes

Message = dict[str, Any]
OwnContent = Callable[[Sequence[Message], Sequence[Message]], Attributes]
_ROLES: Final = {"developer": "system", "function": "tool", "model": "assistant", "human": "user"}
_REASONS: Final = {
    "tool_calls": "tool_call",
    "tool_use": "tool_call",
    "function_call": "tool_call",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "completed": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "incomplete": "length",
}
_TEXT_PARTS: Final = frozenset({"text", "input_text", "output_text", "refusal"})
_ITEM_ROLES: Final = {
    "reasoning": "assistant",
    "function_call": "assistant",
    "custom_tool_call": "assistant",
    "function_call_output": "tool",
    "custom_tool_call_output": "tool",
}
"""Who says the items of Responses, which have no role of their own."""
_REASONING_PARTS: Final = frozenset({"thinking", "redacted_thinking", "reasoning"})
_CALLS: Final = frozenset(
    {
        "function",
        "function_call",
        "tool_call",
        "tool_use",
        "server_tool_use",
        "mcp_tool_use",
        "custom_tool_call",
    }
)
_RESULTS: Final = frozenset(
    {"tool_result", "tool_call_response", "function_call_output", "custom_tool_call_output"}
)
_encode: Final = msgspec.json.Encoder().encode


def add_content(
    found: Attributes, receipt: Receipt, *, prompt_attributes: bool, own: OwnContent | None = None
) -> None:
    """Add input and output to the generation's attributes, where the receipt holds them.

    `own` says them again under the names that a destination reads.
    """
    incoming: list[Message] = []
    outgoing: list[Message] = []
    if receipt.input is not None:
        incoming = input_messages(receipt.input)
        found[names.INPUT_MESSAGES] = _as_text(incoming)
        if prompt_attributes:
            found[names.PROMPT] = _as_text({"messages": described(listed(receipt.input))})
    if receipt.output is not None:
        outgoing = outgoing_messages(receipt)
        found[names.OUTPUT_MESSAGES] = _as_text(outgoing)
        if prompt_attributes:
            found[names.COMPLETION] = _as_text(completion(outgoing))
    if own is not None and (incoming or outgoing):
        found.update(own(incoming, outgoing))


def input_messages(value: Any) -> list[Message]:
    """Return what was asked as convention messages."""
    return [_message(item, "user") for item in listed(value)]


def outgoing_messages(receipt: Receipt) -> list[Message]:
    """Return what a receipt holds of the answer as convention messages."""
    return output_messages(receipt.output, _fallback_reason(receipt))


def output_messages(value: Any, finish_reason: str) -> list[Message]:
    """Return what was answered as convention messages, each with its finish reason."""
    made: list[Message] = []
    for item in _choices(value):
        message = _message(item, "assistant")
        own_reason = get_text(item, "finish_reason") or get_text(item, "stop_reason")
        message["finish_reason"] = _REASONS.get(own_reason, own_reason) or finish_reason
        made.append(message)
    return made


def _fallback_reason(receipt: Receipt) -> str:
    if receipt.finish_reason:
        return _REASONS.get(receipt.finish_reason, receipt.finish_reason)
    return "stop" if receipt.status == "succeeded" else "error"


# -- finding the messages ----------------------------------------------------------------------------


def listed(value: Any) -> list[Any]:
    """Return what was asked as a list of messages in the words of their API."""
    if isinstance(value, dict):
        for key in ("messages", "input"):
            if isinstance(value.get(key), list):
                return [*_system_of(value), *_without_tokens(value[key])]
        if isinstance(value.get("input"), str):
            return [*_system_of(value), value["input"]]
        if isinstance(value.get("prompt"), str):
            return [value["prompt"]]
        return [value]
    return list(value) if isinstance(value, list | tuple) else [value]


def _system_of(value: dict[str, Any]) -> list[Any]:
    """Messages and Responses keep the system text beside the messages."""
    system = value.get("system") or value.get("instructions")
    return [{"role": "system", "content": system}] if system else []


def _without_tokens(items: list[Any]) -> list[Any]:
    """Embeddings may be asked for by the numbers of tokens, which tell a reader how many they are."""
    if _are_numbers(items):
        return [f"[{len(items)} tokens]"]
    return [f"[{len(item)} tokens]" if _are_numbers(item) else item for item in items]


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(item) is int for item in value)


def _choices(value: Any) -> list[Any]:
    if not isinstance(value, dict):
        return list(value) if isinstance(value, list | tuple) else [value]
    choices = value.get("choices")
    if isinstance(choices, list):
        return [_choice(choice) for choice in choices]
    output = value.get("output")
    if isinstance(output, list):
        # The items of a response are the parts of one answer.
        return [{"role": "assistant", "content": [part for item in output for part in _item_parts(item)]}]
    return [value]


def _item_parts(item: Any) -> list[Any]:
    content = item.get("content") if isinstance(item, dict) and item.get("type") == "message" else None
    return content if isinstance(content, list) else [item]


def _choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    message = choice.get("message")
    if isinstance(message, dict):
        return {**message, "finish_reason": choice.get("finish_reason")}
    if isinstance(choice.get("text"), str):
        return {"content": choice["text"], "finish_reason": choice.get("finish_reason")}
    return choice


# -- one message -------------------------------------------------------------------------------------


def _message(item: Any, default_role: str) -> Message:
    if not isinstance(item, dict):
        return {"role": default_role, "parts": _parts(item)}
    role = get_text(item, "role") or _ITEM_ROLES.get(get_text(item, "type"), "")
    role = _ROLES.get(role, role) or default_role
    made: Message = {"role": role, "parts": _message_parts(item, role)}
    if "role" in item and (name := get_text(item, "name")):
        made["name"] = name
    return made


def _message_parts(item: dict[str, Any], role: str) -> list[Any]:
    if role == "tool" and "tool_call_id" in item:
        return [_tool_response(item.get("tool_call_id"), item.get("content"))]
    media = _own_media(item)
    if not media and not {"content", "tool_calls", "reasoning", "parts"} & item.keys():
        return [_part(item)]
    parts: list[Any] = []
    reasoning = get_text(item, "reasoning") or get_text(item, "reasoning_content")
    if reasoning:
        parts.append({"type": "reasoning", "content": reasoning})
    if isinstance(item.get("parts"), list):
        parts.extend(_part(part) for part in item["parts"])
    elif item.get("content") not in (None, ""):
        parts.extend(_parts(item["content"]))
    parts.extend(media)
    calls = item.get("tool_calls")
    if isinstance(calls, list):
        parts.extend(_part(call) for call in calls)
    return parts


def _own_media(item: dict[str, Any]) -> list[Any]:
    """A chat message keeps made images and sound beside its content; what was said in it is text."""
    images, audio = item.get("images"), item.get("audio")
    told = [description("image", image) for image in images] if _are_objects(images) else []
    if isinstance(audio, dict) and get_text(audio, "data"):
        told += filter(None, (description("audio", audio), get_text(audio, "transcript")))
    return [{"type": "text", "content": words} for words in told]


def _are_objects(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _parts(content: Any) -> list[Any]:
    if isinstance(content, list | tuple):
        return [_part(part) for part in content]
    return [_part(content)]


def _part(part: Any) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "content": part}
    if not isinstance(part, dict):
        return {"type": "text", "content": _as_text(part)}
    return _typed_part(part, get_text(part, "type"))


def _typed_part(part: dict[str, Any], kind: str) -> dict[str, Any]:
    if kind in _TEXT_PARTS:
        words = part.get("text", part.get("content", part.get("refusal")))
        return {"type": "text", "content": words if isinstance(words, str) else _as_text(words)}
    if kind in BINARY_PARTS:
        return {"type": "text", "content": description(BINARY_PARTS[kind], part)}
    if kind in _REASONING_PARTS:
        return {"type": "reasoning", "content": _reasoning(part)}
    if kind in _CALLS or kind.endswith("_call") or isinstance(part.get("function"), dict):
        return _tool_call(part)
    if kind in _RESULTS or kind.endswith("_tool_result"):
        key = part.get("tool_use_id") or part.get("call_id") or part.get("id")
        return _tool_response(key, part.get("content", part.get("output", part.get("response"))))
    return {"type": "text", "content": _as_text(part)}


def _reasoning(part: dict[str, Any]) -> str:
    for key in ("thinking", "content", "text"):
        if words := get_text(part, key):
            return words
    for key in ("content", "summary"):
        pieces = part.get(key)
        if isinstance(pieces, list) and pieces:
            return "\n".join(get_text(piece, "text") for piece in pieces)
    return "[redacted]" if "data" in part else ""


def _tool_call(part: dict[str, Any]) -> dict[str, Any]:
    inner = part.get("function")
    function: dict[str, Any] = inner if isinstance(inner, dict) else part
    # The calls of a provider's own tools, such as `web_search_call`, are named by their type.
    name = get_text(function, "name") or get_text(part, "type").removesuffix("_call")
    made: dict[str, Any] = {"type": "tool_call", "name": name}
    if key := part.get("call_id") or part.get("id"):
        made["id"] = str(key)
    arguments = function.get("arguments", function.get("input", function.get("action")))
    if arguments is not None:
        made["arguments"] = _parsed(arguments)
    return made


def _parsed(arguments: Any) -> Any:
    """Return arguments as the object they are the text of, where that loses nothing."""
    if not isinstance(arguments, str) or not arguments.startswith("{"):
        return arguments
    try:
        value = msgspec.json.decode(arguments)
        return arguments if holds_wide_integer(value) else value
    except (msgspec.DecodeError, RecursionError, ReceiptError, ValueError):
        return arguments


def _tool_response(key: Any, content: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "tool_call_response", "response": described(content)}
    if key:
        made["id"] = str(key)
    return made


# -- the older attributes ----------------------------------------------------------------------------


def completion(outgoing: list[Message]) -> dict[str, Any]:
    """Return OpenRouter's shape of an answer, which readers of `gen_ai.completion` know."""
    parts = [part for message in outgoing for part in message["parts"]]
    calls = [
        {
            "id": part.get("id"),
            "index": index,
            "type": "function",
            "function": {"name": part.get("name"), "arguments": _argument_text(part.get("arguments"))},
        }
        for index, part in enumerate(part for part in parts if part.get("type") == "tool_call")
    ]
    made: dict[str, Any] = {
        "completion": "".join(part["content"] for part in parts if part.get("type") == "text"),
        "reasoning": "".join(part["content"] for part in parts if part.get("type") == "reasoning") or None,
    }
    return {**made, "toolCalls": calls} if calls else made


def _argument_text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else _as_text(arguments)


def _as_text(value: Any) -> str:
    try:
        return _encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        return json.dumps(str(value))
