"""The parts of LiteLLM's standard logging payload, each as the part of a receipt that it becomes.

https://docs.litellm.ai/docs/proxy/logging_spec ; the shapes are those of 1.106.2, and nothing here raises.
"""

from typing import Any, Final

from broadcast.genai_names import SENT_PARAMETERS
from broadcast.json_text import items, members
from broadcast.sources.loose import count, first_count, first_text, number, text, told

_API_TYPES: Final = {
    "completion": "chat",
    "text_completion": "completions",
    "embedding": "embeddings",
    "anthropic_messages": "messages",
}
_NOT_ASYNC: Final = frozenset({"anthropic_messages", "add_message"})
_TOLD_PARAMETERS: Final = (
    *sorted(SENT_PARAMETERS),
    "response_format",
    "reasoning_effort",
    "parallel_tool_calls",
    "tool_choice",
    "logprobs",
    "top_logprobs",
    "service_tier",
    "dimensions",
    "encoding_format",
)
_REDACTED: Final = "redacted-by-litellm"
_FILLER: Final = "default-message-value"
_MOST_USD: Final = 1e9


# -- what was asked, and by what it was answered -----------------------------------------------------


def api_type(payload: dict[str, Any]) -> str:
    """Return the API, without the mark of LiteLLM's asynchronous twin of each call."""
    name = (text(payload.get("call_type")) or "completion").lstrip("_")
    if name.startswith("a") and name not in _NOT_ASYNC:
        name = name[1:]
    return _API_TYPES.get(name, name)


def provider(payload: dict[str, Any]) -> str | None:
    """Return LiteLLM's name of the provider; some calls carry it only in the model's name."""
    named = first_text(
        payload.get("custom_llm_provider"), members(payload.get("error_information")).get("llm_provider")
    )
    if named:
        return named
    head, slash, _ = (text(payload.get("model")) or "").partition("/")
    return head if slash and head else None


def maker(payload: dict[str, Any]) -> str | None:
    """Return who made the model, where `provider/maker/model` says it, else the provider."""
    slug = provider(payload)
    bare = (text(payload.get("model")) or "").removeprefix(f"{slug}/")
    head, slash, _ = bare.partition("/")
    return head if slash and head else slug


def served_by(payload: dict[str, Any]) -> str | None:
    """Return who answered: OpenRouter names the provider behind it."""
    return text(members(payload.get("response")).get("provider")) or provider(payload)


def response_model(payload: dict[str, Any]) -> str | None:
    """Return the model as the answer names it, which the proxy may have replaced by the group's name."""
    named = text(members(payload.get("response")).get("model"))
    return None if named == payload.get("model_group") else named


def finish_reason(payload: dict[str, Any]) -> str | None:
    """Return why the answer ended."""
    response = members(payload.get("response"))
    choices = items(response.get("choices"))
    chosen = members(choices[0]).get("finish_reason") if choices else None
    return first_text(chosen, response.get("stop_reason"), response.get("status"))


def parameters(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters worth telling; of tools only how many were offered."""
    given = members(payload.get("model_parameters"))
    tools = items(given.get("tools")) or items(given.get("functions"))
    chosen = {name: given.get(name) for name in _TOLD_PARAMETERS}
    chosen["max_tokens"] = first_count(given, "max_tokens", "max_completion_tokens", "max_output_tokens")
    return told((*chosen.items(), ("tools_offered", len(tools) or None)))


def capabilities(payload: dict[str, Any]) -> list[str]:
    """Return what the request asked a model to be able to do."""
    given = members(payload.get("model_parameters"))
    has_tools = bool(items(given.get("tools")) or items(given.get("functions")))
    shape = members(given.get("response_format")).get("type")
    is_structured = shape == "json_schema"
    return [name for name, has in (("tools", has_tools), ("structured_outputs", is_structured)) if has]


def asked(payload: dict[str, Any]) -> Any:
    """Return what was asked, where LiteLLM tells it."""
    return _content(payload.get("messages"))


def output(payload: dict[str, Any]) -> Any:
    """Return what was answered, where it is words: `data` is a list of vectors or images."""
    response = payload.get("response")
    return None if items(members(response).get("data")) else _content(response)


def _content(value: Any) -> Any:
    """Return content, or None when LiteLLM took it out on its operator's wish, or never had any."""
    return None if value in (None, "", [], {}) or _says(value, (_REDACTED, _FILLER)) else value


def is_redacted(payload: dict[str, Any]) -> bool:
    """Return whether LiteLLM took content out."""
    return _says([payload.get("messages"), payload.get("response")], (_REDACTED,))


def _says(value: Any, words: tuple[str, ...]) -> bool:
    """Return whether a text anywhere inside is one of the words, whole."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            pending.extend(one.values())
        elif isinstance(one, list):
            pending.extend(one)
        elif isinstance(one, str) and one in words:
            return True
    return False


# -- counts and money --------------------------------------------------------------------------------


def usage(payload: dict[str, Any]) -> dict[str, Any]:
    """Return token counts: input includes the cache whoever answers; where all are 0, nobody counted."""
    found = members(members(payload.get("metadata")).get("usage_object"))
    if not found:
        found = members(members(payload.get("response")).get("usage"))
    asked = _either(payload, "prompt_tokens", found, "prompt_tokens")
    answered = _either(payload, "completion_tokens", found, "completion_tokens")
    total = _either(payload, "total_tokens", found, "total_tokens")
    if not (asked or answered or total):
        return {}
    sent = members(found.get("prompt_tokens_details"))
    made = members(found.get("completion_tokens_details"))
    asked, answered = asked or 0, answered or 0
    return told(
        (
            ("input_tokens", asked),
            ("output_tokens", answered),
            ("total_tokens", total if (total or 0) >= asked + answered else None),
            ("cache_read_tokens", _either(sent, "cached_tokens", found, "cache_read_input_tokens")),
            (
                "cache_write_tokens",
                _either(sent, "cache_creation_tokens", found, "cache_creation_input_tokens")
                or first_count(sent, "cache_write_tokens"),
            ),
            ("reasoning_tokens", first_count(made, "reasoning_tokens")),
            ("audio_tokens", _both(sent, made, "audio_tokens")),
            ("image_tokens", _both(sent, made, "image_tokens")),
        )
    )


def _either(first: dict[str, Any], name: str, second: dict[str, Any], other: str) -> int | None:
    found = count(first.get(name))
    return found if found is not None else count(second.get(other))


def _both(sent: dict[str, Any], made: dict[str, Any], name: str) -> int | None:
    return (count(sent.get(name)) or 0) + (count(made.get(name)) or 0) or None


def cost(payload: dict[str, Any]) -> dict[str, Any] | None:
    """Return the money, or None: LiteLLM writes 0 for a price it does not know, and for every failure."""
    total = _usd(payload.get("response_cost"))
    if total is None or (float(total) == 0 and not _is_free(payload)):
        return None
    parts = members(payload.get("cost_breakdown"))
    changed = bool(number(parts.get("discount_amount")) or number(parts.get("margin_total_amount")))
    return told(
        (
            ("total_usd", total),
            ("input_usd", _usd(parts.get("input_cost"))),
            ("output_usd", _usd(parts.get("output_cost"))),
            ("upstream_usd", _usd(parts.get("original_cost")) if changed else None),
        )
    )


def _is_free(payload: dict[str, Any]) -> bool:
    """Return whether somebody says so: the cache answered, or the provider's own bill is 0."""
    told_usage = members(members(payload.get("metadata")).get("usage_object"))
    return payload.get("cache_hit") is True or number(told_usage.get("cost")) == 0


def _usd(value: Any) -> str | None:
    amount = number(value)
    return repr(amount) if amount is not None and 0 <= amount <= _MOST_USD else None


# -- what went wrong, and what else there is to know -------------------------------------------------


def error(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the error of a failed call."""
    found = members(payload.get("error_information"))
    kind = first_text(found.get("error_class"), found.get("normalized_error")) or "error"
    code = text(found.get("error_code"))
    return told(
        (
            ("type", kind),
            ("message", first_text(found.get("error_message"), payload.get("error_str")) or kind),
            ("code", int(code) if code and code.isdecimal() and len(code) < 10 else code),
        )
    )


def status(payload: dict[str, Any], *, failed: bool) -> str:
    """Return the receipt's status: what the proxy itself refused is denied, not failed.

    A stream whose client went away is a success to LiteLLM, with an error beside it.
    """
    found = members(payload.get("error_information"))
    code = text(found.get("error_code")) if is_refusal(payload) else None
    if code == "499":
        return "cancelled"
    if not failed:
        return "succeeded"
    is_denied = code in {"401", "403"} or (is_refusal(payload) and found.get("error_budget_entity_type"))
    return "denied" if is_denied else "error"


def is_refusal(payload: dict[str, Any]) -> bool:
    """Return whether a failed call ended in the proxy: an error of a provider names it."""
    return not members(payload.get("error_information")).get("llm_provider")


def more(payload: dict[str, Any]) -> dict[str, Any]:
    """Return further facts of the proxy, kept with the receipt and sent nowhere."""
    metadata, hidden = members(payload.get("metadata")), members(payload.get("hidden_params"))
    answered = members(hidden.get("additional_headers"))
    address = text(payload.get("api_base"))
    return told(
        (
            ("source", "litellm"),
            ("litellm_id", text(payload.get("id"))),
            ("call_type", text(payload.get("call_type"))),
            ("model_group", text(payload.get("model_group"))),
            ("model_id", text(payload.get("model_id"))),
            ("api_base", address.partition("?")[0] if address else None),
            ("request_route", text(metadata.get("user_api_key_request_route"))),
            ("key_owner", text(metadata.get("user_api_key_user_id"))),
            ("team_id", text(metadata.get("user_api_key_team_id"))),
            ("team_alias", text(metadata.get("user_api_key_team_alias"))),
            ("organization_id", text(metadata.get("user_api_key_org_id"))),
            ("project_id", text(metadata.get("user_api_key_project_id"))),
            ("attempted_retries", count(answered.get("x-litellm-attempted-retries"))),
            ("attempted_fallbacks", count(answered.get("x-litellm-attempted-fallbacks"))),
            ("cache_hit", True if payload.get("cache_hit") is True else None),
            ("saved_cache_usd", number(payload.get("saved_cache_cost")) or None),
            ("guardrail_status", _guardrail(payload)),
            ("content_redacted", True if is_redacted(payload) else None),
        )
    )


def _guardrail(payload: dict[str, Any]) -> str | None:
    found = text(members(payload.get("status_fields")).get("guardrail_status"))
    return None if found == "not_run" else found
