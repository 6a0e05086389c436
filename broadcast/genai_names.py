"""Attribute names: the GenAI conventions as of v1.41.1, OpenRouter's additions, and the router's own.

https://opentelemetry.io/docs/specs/semconv/gen-ai/ ; the namespace comes from `BROADCAST_SERVICE_NAME`.
"""

from functools import lru_cache
from typing import Final

import msgspec

OPERATION_NAME: Final = "gen_ai.operation.name"
SYSTEM: Final = "gen_ai.system"
PROVIDER_NAME: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASON: Final = "gen_ai.response.finish_reason"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
TOTAL_TOKENS: Final = "gen_ai.usage.total_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
COST: Final = "gen_ai.usage.cost"
TOTAL_COST: Final = "gen_ai.usage.total_cost"
INPUT_COST: Final = "gen_ai.usage.input_cost"
OUTPUT_COST: Final = "gen_ai.usage.output_cost"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
PROMPT: Final = "gen_ai.prompt"
COMPLETION: Final = "gen_ai.completion"
CONTENT: Final = (INPUT_MESSAGES, OUTPUT_MESSAGES, PROMPT, COMPLETION)
OPENINFERENCE_CONTENT: Final = ("input.value", "output.value", "llm.input_messages.", "llm.output_messages.")
"""Content again, for destinations that read OpenInference: names, and beginnings of names."""
USER_ID: Final = "user.id"
SESSION_ID: Final = "session.id"
TRACE_NAME: Final = "trace.name"
TRACE_METADATA: Final = "trace.metadata"
ERROR_TYPE: Final = "error.type"
HTTP_STATUS: Final = "http.response.status_code"
EXCEPTION: Final = "exception"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"

OPERATIONS: Final = {
    "chat": "chat",
    "responses": "chat",
    "messages": "chat",
    "completions": "text_completion",
    "text_completion": "text_completion",
    "embeddings": "embeddings",
}
NUMBER_PARAMETERS: Final = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
}
WHOLE_PARAMETERS: Final = {
    "max_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
}
STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
SENT_PARAMETERS: Final = frozenset({*NUMBER_PARAMETERS, *WHOLE_PARAMETERS, "stop"})
"""The only keys of a receipt's `parameters` that become attributes."""


def is_content(name: str) -> bool:
    """Return whether an attribute holds content, under the convention's name or a vendor's."""
    return name in CONTENT or name.startswith(OPENINFERENCE_CONTENT)


class Own(msgspec.Struct, frozen=True, gc=False):
    """The router's own attribute names under its namespace."""

    trace_id: str
    upstream_usd: str
    first_token_ms: str
    duration_ms: str
    tokens_per_second: str
    streamed: str
    provider_name: str
    provider_slug: str
    routing_profile: str
    capabilities: str
    funding_source: str
    api_key_name: str
    attempt_count: str
    truncated: str


@lru_cache(maxsize=16)
def own(namespace: str) -> Own:
    """Return the names under a namespace; cached, because there is one namespace a process."""
    return Own(
        trace_id=f"{namespace}.trace.id",
        upstream_usd=f"{namespace}.cost.upstream_usd",
        first_token_ms=f"{namespace}.time_to_first_token_ms",
        duration_ms=f"{namespace}.duration_ms",
        tokens_per_second=f"{namespace}.output_tokens_per_second",
        streamed=f"{namespace}.streamed",
        provider_name=f"{namespace}.provider_name",
        provider_slug=f"{namespace}.provider_slug",
        routing_profile=f"{namespace}.routing_profile",
        capabilities=f"{namespace}.capabilities",
        funding_source=f"{namespace}.funding_source",
        api_key_name=f"{namespace}.api_key_name",
        attempt_count=f"{namespace}.attempt_count",
        truncated=f"{namespace}.trace_truncated",
    )
