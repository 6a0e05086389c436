"""Which spans are requests to a model, and what the others are, in words for whoever sent them."""

from typing import Any, Final

from broadcast import genai_names as names
from broadcast.json_text import members
from broadcast.sources import genai_aliases as aliases
from broadcast.sources.genai_content import parsed
from broadcast.sources.loose import first_text
from broadcast.span import CLIENT, Attributes, Span

AGENT: Final = "agents, workflows and chains are not requests to a model"
TOOL: Final = "tool calls are not requests to a model"
RETRIEVAL: Final = "retrieval and reranking are not requests to a model"
HTTP: Final = "HTTP calls are not requests to a model"
FOREIGN: Final = "no GenAI attributes"
NO_MODEL: Final = "no model is named (gen_ai.request.model)"

_OPERATIONS: Final = {
    "chat": "chat",
    "acompletion": "chat",
    "atext_completion": "completions",
    "aembedding": "embeddings",
    "text_completion": "completions",
    "completion": "completions",
    "embeddings": "embeddings",
    "embedding": "embeddings",
}
_NO_REQUESTS: Final = {
    **dict.fromkeys(
        ("agent", "workflow", "chain", "task", "prompt", "plan", "evaluator", "guardrail"), AGENT
    ),
    **dict.fromkeys(("invoke_agent", "create_agent", "invoke_workflow"), AGENT),
    **dict.fromkeys(("tool", "execute_tool"), TOOL),
    **dict.fromkeys(("retriever", "retrieval", "reranker", "create_memory", "search_memory"), RETRIEVAL),
}
_KIND_NAMES: Final = (
    "openinference.span.kind",
    names.OPERATION_NAME,
    "traceloop.span.kind",
    "langfuse.observation.type",
)
_TESTS: Final = frozenset({"openrouter-connection-test", "broadcast-connection-test"})


def text_of(attributes: Attributes, aliases: tuple[str, ...]) -> str | None:
    """Return the first of these attributes that says something, as text."""
    value = first_of(attributes, aliases)
    if isinstance(value, list):
        value = value[0] if value else None
    return None if value is None or isinstance(value, dict | list) else str(value)


def first_of(attributes: Attributes, aliases: tuple[str, ...]) -> Any:
    """Return the first of these attributes that says something."""
    for alias in aliases:
        value = attributes.get(alias)
        if value is not None and value != "":
            return value
    return None


def is_test(span: Span, resource: Attributes) -> bool:
    """Return whether it is a connection test's span, OpenRouter's or ours: acknowledged, never stored."""
    return span.name in _TESTS or span.attributes.get(f"{resource.get(names.SERVICE_NAME)}.test") is True


def why_not(span: Span) -> str | None:
    """Return why a span is no request to a model; None when it is one."""
    found = span.attributes
    kinds = [str(found.get(name, "")).lower() for name in _KIND_NAMES]
    for kind in kinds:
        if kind in _NO_REQUESTS:
            return _NO_REQUESTS[kind]
    says_so = kinds[0] in {"llm", "embedding"} or bool(kinds[1]) or "llm.request.type" in found
    if model_of(found) is not None:
        return None
    if says_so:
        return NO_MODEL
    return HTTP if is_http(span) else FOREIGN


def model_of(attributes: Attributes) -> str | None:
    """Return the model; OpenInference names that of a failed request only among what was asked for."""
    named = text_of(attributes, aliases.MODEL)
    if named is not None or "openinference.span.kind" not in attributes:
        return named
    asked = (members(parsed(attributes.get(name))) for name in ("llm.invocation_parameters", "input.value"))
    return first_text(*(one.get("model") for one in asked))


def api_type_of(span: Span) -> str:
    """Return which API was called."""
    found = span.attributes
    kinds = {str(found.get(name, "")).lower() for name in ("openinference.span.kind", _KIND_NAMES[-1])}
    if "embedding" in kinds:
        return "embeddings"
    said = text_of(found, (names.OPERATION_NAME, "llm.request.type")) or "chat"
    return _OPERATIONS.get(said, said)


def is_http(span: Span) -> bool:
    """Return whether a span is an HTTP call."""
    return "http.request.method" in span.attributes or "http.method" in span.attributes


def is_call_of(child: Span, generation: Span) -> bool:
    """Return whether an HTTP call below a generation is certainly its own: a POST to the same server."""
    method = text_of(child.attributes, ("http.request.method", "http.method"))
    server = generation.attributes.get("server.address")
    return (
        child.kind == CLIENT
        and method == "POST"
        and bool(server)
        and child.attributes.get("server.address") == server
    )
