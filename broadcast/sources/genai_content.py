"""What was asked and answered, wherever an instrumentation puts it: attributes, indexed attributes, events.

The newest form that is there wins; what is not understood is kept as its own text.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from broadcast import genai_names as names
from broadcast import json_text
from broadcast.errors import ReceiptError
from broadcast.json_text import items, members
from broadcast.sources.loose import text
from broadcast.span import Attributes, Span

Message = dict[str, Any]

_LONGEST_JSON: Final = 1024 * 1024
_MOST_PARTS: Final = 12
_SYSTEM: Final = "gen_ai.system_instructions"
_EVENTS: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_CHOICE: Final = "gen_ai.choice"
_INPUT_COPIES: Final = (
    "input.value",
    "span.input",
    "trace.input",
    "traceloop.entity.input",
    "langfuse.observation.input",
    "ai.prompt.messages",
    "llm.prompts",
)
_OUTPUT_COPIES: Final = (
    "output.value",
    "span.output",
    "trace.output",
    "traceloop.entity.output",
    "langfuse.observation.output",
    "ai.response.text",
    "llm.completions",
)


def content_of(span: Span) -> tuple[Any, Any]:
    """Return what was asked and what was answered; None for what is not said."""
    told: Attributes = {}
    for event in span.events:
        # Events of these names hold what newer instrumentations hold as attributes.
        if event.name.startswith(("gen_ai.content.", "gen_ai.client.", "gen_ai.evaluation.")):
            for name, value in event.attributes.items():
                told.setdefault(name, value)
    found = told | span.attributes
    return _input(span, found), _output(span, found)


def parsed(value: Any) -> Any:
    """Return what a text is the JSON of, fit for a receipt; any other text as it is."""
    if not isinstance(value, str):
        return _tame(value)
    if not value.startswith(("{", "[")) or len(value) > _LONGEST_JSON:
        return value
    try:
        return _tame(msgspec.json.decode(value))
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError):
        return value


def _tame(value: Any) -> Any:
    try:
        return json_text.clean(json_text.narrowed(value))
    except ReceiptError:
        return msgspec.json.encode(value).decode()


# -- what was asked ----------------------------------------------------------------------------------


def _input(span: Span, found: Attributes) -> Any:
    if names.INPUT_MESSAGES in found or _SYSTEM in found:
        return [*_system(found), *_as_list(parsed(found.get(names.INPUT_MESSAGES)))]
    if names.PROMPT in found:
        asked = parsed(found[names.PROMPT])
        return asked["messages"] if items(members(asked).get("messages")) else asked
    indexed = _indexed(found, f"{names.PROMPT}.") or _open_inference(found, "llm.input_messages.")
    if indexed or (indexed := _said_in_events(span, _EVENTS)):
        return indexed
    return _copy(found, _INPUT_COPIES) or _indexed(found, "llm.prompts.") or _embedded(found)


def _system(found: Attributes) -> list[Message]:
    parts = parsed(found.get(_SYSTEM))
    if not parts:
        return []
    return [{"role": "system", "parts" if isinstance(parts, list) else "content": parts}]


def _embedded(found: Attributes) -> Any:
    made = unflattened(found, "embedding.embeddings.")
    texts = [members(members(item).get("embedding")).get("text") for item in items(made)]
    return [one for one in texts if one is not None] or None


# -- what was answered -------------------------------------------------------------------------------


def _output(span: Span, found: Attributes) -> Any:
    if names.OUTPUT_MESSAGES in found:
        return parsed(found[names.OUTPUT_MESSAGES])
    if names.COMPLETION in found:
        return _completion(parsed(found[names.COMPLETION]))
    indexed = _indexed(found, f"{names.COMPLETION}.") or _open_inference(found, "llm.output_messages.")
    if indexed or (indexed := list(_choices(span))):
        return indexed
    return _copy(found, _OUTPUT_COPIES) or _indexed(found, "llm.completions.")


def _completion(answered: Any) -> Any:
    """Return OpenRouter's form of an answer as a message, without the copy of the whole request in it."""
    if not isinstance(answered, dict) or not {"completion", "toolCalls", "reasoning"} & answered.keys():
        return answered
    said = {
        "content": answered.get("completion"),
        "reasoning": answered.get("reasoning"),
        "tool_calls": answered.get("toolCalls"),
    }
    return {"role": "assistant", **{name: value for name, value in said.items() if value is not None}}


def _choices(span: Span) -> Iterator[Message]:
    for event in span.events:
        if event.name != _CHOICE:
            continue
        said = _event_body(event.attributes)
        message = parsed(said.get("message", said.get("content")))
        made = dict(message) if isinstance(message, dict) else {"content": message}
        reason = text(said.get("finish_reason"))
        if said.get("tool_calls") is not None:
            made["tool_calls"] = parsed(said["tool_calls"])
        yield {"role": "assistant", **made, **({"finish_reason": reason} if reason else {})}


# -- events ------------------------------------------------------------------------------------------


def _said_in_events(span: Span, roles: dict[str, str]) -> list[Message]:
    return [
        {"role": roles[event.name], **_message(_event_body(event.attributes))}
        for event in span.events
        if event.name in roles
    ]


def _event_body(attributes: Attributes) -> dict[str, Any]:
    """Return an event's facts; Azure's instrumentation puts them all into one text."""
    whole = parsed(attributes.get("gen_ai.event.content"))
    return {**attributes, **whole} if isinstance(whole, dict) else attributes


def _message(said: dict[str, Any]) -> Message:
    kept = ("role", "content", "tool_calls", "name", "reasoning")
    made = {key: parsed(said[key]) for key in kept if said.get(key) is not None}
    key = said.get("tool_call_id", said.get("id"))
    return made if key is None else {**made, "tool_call_id": key}


# -- one attribute a fact ----------------------------------------------------------------------------


def unflattened(found: Attributes, prefix: str) -> Any:
    """Return what attributes such as `prefix0.role`, `prefix0.parts.1.text` spell; None without any."""
    tree: dict[str, Any] = {}
    for key, value in found.items():
        if not key.startswith(prefix):
            continue
        parts = key[len(prefix) :].split(".", _MOST_PARTS)
        place: Any = tree
        for part in parts[:-1]:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                break
        else:
            place.setdefault(parts[-1], value)
    return _listed(tree) if tree else None


def _listed(tree: Any) -> Any:
    """Return objects whose keys are all numbers as lists, in the order of the numbers."""
    if not isinstance(tree, dict):
        return tree
    if tree and all(key.isascii() and key.isdigit() and len(key) < 9 for key in tree):
        return [_listed(tree[key]) for key in sorted(tree, key=int)]
    return {key: _listed(value) for key, value in tree.items()}


def _indexed(found: Attributes, prefix: str) -> list[Any] | None:
    """Return OpenLLMetry's messages: `gen_ai.prompt.0.role`, `gen_ai.prompt.0.tool_calls.0.name`."""
    made = [_open_llmetry(item) for item in items(unflattened(found, prefix))]
    return made or None


def _open_llmetry(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    made = {**item, **({"content": parsed(item["content"])} if "content" in item else {})}
    if calls := items(item.get("tool_calls")):
        made["tool_calls"] = [_tool_call(call) for call in calls]
    return made


def _open_inference(found: Attributes, prefix: str) -> list[Any] | None:
    """Return OpenInference's messages: `llm.input_messages.0.message.role`."""
    made = []
    for item in items(unflattened(found, prefix)):
        message = members(members(item).get("message"))
        calls = [members(members(call).get("tool_call")) for call in items(message.get("tool_calls"))]
        parts = [
            _part(members(members(part).get("message_content"))) for part in items(message.get("contents"))
        ]
        kept = {key: message[key] for key in ("role", "content", "name", "tool_call_id") if message.get(key)}
        made.append(
            kept
            | ({"content": parts} if parts else {})
            | ({"tool_calls": [_tool_call(call) for call in calls]} if calls else {})
        )
    return made or None


def _part(part: dict[str, Any]) -> dict[str, Any]:
    image = members(members(part.get("image")).get("image")).get("url")
    return {"type": "image_url", "image_url": {"url": image}} if image else part


def _tool_call(call: Any) -> dict[str, Any]:
    """Return a call of a tool in the form that most know, whichever convention spelt it."""
    said = members(call)
    function = members(said.get("function")) or {
        key: said[key] for key in ("name", "arguments") if said.get(key) is not None
    }
    return {"id": said.get("id"), "type": "function", "function": function}


def _copy(found: Attributes, copies: tuple[str, ...]) -> Any:
    for name in copies:
        if found.get(name) not in (None, ""):
            return _shortest(parsed(found[name]))
    return None


def _shortest(value: Any) -> Any:
    inner = members(value).get("messages")
    return inner if isinstance(inner, list) else value


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
