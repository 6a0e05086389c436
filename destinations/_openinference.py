"""OpenInference: the vocabulary of Arize AX and Phoenix, for a receipt and for its messages.

Sources: https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md (names and kinds),
read 2026-11-20, and the `gen_ai` conversion of arize-phoenix 20.26 (how messages are flattened), read
2026-11-21. Phoenix converts `gen_ai.*` itself since 15.10, but without cost; Arize AX and older ones do not.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from broadcast.genai_names import OPENINFERENCE_CONTENT, SENT_PARAMETERS
from broadcast.receipt import Receipt
from broadcast.span import Attributes
from destinations import _facts

_INPUT, _OUTPUT, _ASKED, _ANSWERED = OPENINFERENCE_CONTENT
_PLAIN: Final = "text/plain"
_MAX_ATTRIBUTES: Final = 1000
"""So many for either direction: of a long conversation the last messages, for the answer depends on those."""

_PROVIDERS: Final = {
    "amazon-bedrock": "aws",
    "google-ai-studio": "google",
    "google-vertex": "google",
    "mistral": "mistralai",
    "x-ai": "xai",
}


def attributes(receipt: Receipt) -> Attributes:
    """Return kind, model, provider, tokens, cost, parameters and the caller's metadata."""
    embedding = _facts.is_embedding(receipt)
    named = {key: value for key, value in (receipt.parameters or {}).items() if key in SENT_PARAMETERS}
    caller = _facts.metadata(receipt)
    provider, system = (receipt.provider_slug or "").partition("/")[0], receipt.system
    found: Attributes = {
        "openinference.span.kind": "EMBEDDING" if embedding else "LLM",
        "embedding.model_name" if embedding else "llm.model_name": receipt.response_model or receipt.model,
        "llm.provider": _PROVIDERS.get(provider, provider) or None,
        "llm.system": _PROVIDERS.get(system, system) if system else None,
        "llm.invocation_parameters": _facts.as_json(named) if named else None,
        "metadata": _facts.as_json(caller) if caller else None,
        "tag.tags": _facts.tags(receipt) or None,
        **_tokens(receipt),
        **_facts.costs(receipt, total="llm.cost.total", parts=("llm.cost.prompt", "llm.cost.completion")),
    }
    return _facts.known(found)


def _tokens(receipt: Receipt) -> Attributes:
    usage = receipt.usage
    if usage is None:
        return {}
    return {
        "llm.token_count.prompt": usage.input_tokens,
        "llm.token_count.completion": usage.output_tokens,
        "llm.token_count.total": _facts.total_tokens(receipt),
        "llm.token_count.prompt_details.cache_read": usage.cache_read_tokens,
        "llm.token_count.prompt_details.cache_write": usage.cache_write_tokens,
        "llm.token_count.completion_details.reasoning": usage.reasoning_tokens,
    }


def content(asked: Sequence[dict[str, Any]], answered: Sequence[dict[str, Any]]) -> Attributes:
    """Return both directions, flattened, and the texts that lists show: the last question and the answer."""
    found = {**_flattened(_ASKED, asked), **_flattened(_ANSWERED, answered)}
    question = next((_text(one["parts"]) for one in reversed(asked) if one["role"] == "user"), "")
    answer = "\n".join(filter(None, (_text(one["parts"]) for one in answered)))
    for name, text in ((_INPUT, question), (_OUTPUT, answer)):
        if text:
            found |= {name: text, name.replace("value", "mime_type"): _PLAIN}
    return found


def _flattened(prefix: str, messages: Sequence[dict[str, Any]]) -> Attributes:
    kept: list[Attributes] = []
    count = 0
    for message in reversed(messages):
        flat = _message(message)
        count += len(flat)
        if count > _MAX_ATTRIBUTES and kept:
            break
        kept.insert(0, dict(list(flat.items())[:_MAX_ATTRIBUTES]))
    return {
        f"{prefix}{place}.message.{name}": value
        for place, flat in enumerate(kept)
        for name, value in flat.items()
    }


def _message(message: dict[str, Any]) -> Attributes:
    found: Attributes = {"role": message["role"]}
    calls = 0
    for part in message["parts"]:
        if part["type"] == "tool_call":
            for name, value in _call(part):
                found[f"tool_calls.{calls}.tool_call.{name}"] = value
            calls += 1
        elif part["type"] == "tool_call_response":
            response = part["response"]
            found["content"] = response if isinstance(response, str) else _facts.as_json(response)
            if "id" in part:
                found["tool_call_id"] = part["id"]
    if text := _text(message["parts"]):
        found["content"] = text
    if reason := message.get("finish_reason"):
        found["finish_reason"] = reason
    return found


def _call(part: dict[str, Any]) -> Iterable[tuple[str, str]]:
    if "id" in part:
        yield "id", part["id"]
    yield "function.name", part["name"]
    arguments = part.get("arguments")
    if arguments is not None:
        yield "function.arguments", arguments if isinstance(arguments, str) else _facts.as_json(arguments)


def _text(parts: Sequence[dict[str, Any]]) -> str:
    return "\n".join(part["content"] for part in parts if part["type"] == "text")
