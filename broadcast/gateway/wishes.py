"""What a request asks of a model beside its content, told alike for every API."""

from typing import Any, Final

from broadcast.gateway.plain import plain
from broadcast.gateway.shape import Fields
from broadcast.json_text import items, members

_PARAMETERS: Final = {
    **{name: name for name in (
        "temperature", "top_p", "top_k", "min_p", "max_tokens", "seed", "stop", "n", "frequency_penalty",
        "presence_penalty", "repetition_penalty", "reasoning_effort", "reasoning", "thinking", "verbosity",
        "parallel_tool_calls", "service_tier", "dimensions", "encoding_format", "truncation",
    )},
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "stop_sequences": "stop",
}  # fmt: skip
"""A request's name for a parameter, and a receipt's: the convention's where there is one."""
_MOST_BYTES: Final = 16 * 1024
"""Of one parameter, as it was written: what is longer is no setting, and goes to the provider alone."""
_IMAGES: Final = frozenset({"image_url", "input_image", "image"})


def parameters_of(fields: Fields) -> dict[str, Any] | None:
    """Return the parameters worth telling, and how many tools were offered."""
    told: dict[str, Any] = {}
    for name, told_as in _PARAMETERS.items():
        raw = fields.get(name)
        if raw is not None and len(raw) <= _MOST_BYTES and (value := plain(raw)) is not None:
            told.setdefault(told_as, value)
    if tools := items(plain(fields.get("tools"))):
        told["tools_offered"] = len(tools)
    return told or None


def capabilities_of(fields: Fields, asked: Any) -> tuple[str, ...]:
    """Return what the request needed of a model beyond text."""
    tools = items(plain(fields.get("tools")))
    wanted = {
        "structured_outputs": _wants_form(fields),
        "tools": bool(tools),
        "reasoning": _wants_reasoning(fields),
        "web_search": _wants_search(fields, tools),
        "vision": _shows_image(asked),
    }
    return tuple(name for name, used in wanted.items() if used)


def _wants_form(fields: Fields) -> bool:
    """Chat, messages (now and before) and responses each keep the wanted form of an answer elsewhere."""
    forms = (
        members(plain(fields.get("response_format"))),
        members(members(plain(fields.get("output_config"))).get("format")),
        members(plain(fields.get("output_format"))),
        members(members(plain(fields.get("text"))).get("format")),
    )
    return any(form.get("type") == "json_schema" for form in forms)


def _wants_reasoning(fields: Fields) -> bool:
    reasoning = members(plain(fields.get("reasoning")))
    effort = plain(fields.get("reasoning_effort")) or reasoning.get("effort")
    thinking = members(plain(fields.get("thinking"))).get("type")
    if effort == "none" or reasoning.get("enabled") is False:
        return False
    return bool(effort or reasoning) or thinking in {"enabled", "adaptive"}


def _wants_search(fields: Fields, tools: list[Any]) -> bool:
    """A tool of the provider's own, chat's option, or OpenRouter's plugin."""
    kinds = [str(members(tool).get("type")) for tool in tools]
    plugins = [members(plugin).get("id") for plugin in items(plain(fields.get("plugins")))]
    searches = any("web_search" in kind for kind in kinds)
    return searches or plain(fields.get("web_search_options")) is not None or "web" in plugins


def _shows_image(asked: Any) -> bool:
    """Whether a message has an image among its parts; `asked` may be the messages or hold them."""
    held = members(asked)
    found = [asked, held.get("messages"), held.get("input")]
    parts = [
        part
        for message in (message for each in found for message in items(each))
        for part in (message, *items(members(message).get("content")))
    ]
    return any(members(part).get("type") in _IMAGES for part in parts)
