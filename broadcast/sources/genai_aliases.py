"""Every attribute name that says one thing: today's first, then older ones and those of other conventions.

GenAI conventions v1.41.1 and their head, OpenLLMetry (`llm.*`, `traceloop.*`), OpenInference
(https://github.com/Arize-ai/openinference), LiteLLM, Langfuse, Vercel's AI SDK, and OpenRouter Broadcast.
"""

from typing import Final

from broadcast import genai_names as names

OPENROUTER: Final = f"{names.TRACE_METADATA}.openrouter."
"""What OpenRouter Broadcast says of its own; other receivers have met it without `trace.metadata.`, too."""

LANGFUSE_USAGE: Final = "langfuse.observation.usage_details"
LANGFUSE_COST: Final = "langfuse.observation.cost_details"
PACKED: Final = (LANGFUSE_USAGE, LANGFUSE_COST)
"""Attributes that hold several facts as one JSON text; each is read as `name.fact`."""

MODEL: Final = (
    names.REQUEST_MODEL,
    "llm.request.model",
    "llm.model_name",
    "embedding.model_name",
    "llm.model",
    "langfuse.observation.model.name",
    names.RESPONSE_MODEL,
    "llm.response.model",
)
RESPONSE_MODEL: Final = (names.RESPONSE_MODEL, "llm.response.model")
RESPONSE_ID: Final = (names.RESPONSE_ID, "llm.response.id")
SYSTEM: Final = (names.SYSTEM, "llm.system")
PROVIDER: Final = (names.PROVIDER_NAME, "llm.provider", *SYSTEM)
FINISH: Final = (names.FINISH_REASON, names.FINISH_REASONS, "llm.response.finish_reason", "llm.finish_reason")
USER: Final = (
    names.USER_ID,
    "enduser.id",
    "langfuse.user.id",
    "gen_ai.openai.request.user",
    "llm.user",
    "traceloop.association.properties.user_id",
    "ai.telemetry.metadata.userId",
)
SESSION: Final = (
    names.SESSION_ID,
    "gen_ai.conversation.id",
    "langfuse.session.id",
    "langsmith.trace.session_id",
    "traceloop.association.properties.session_id",
    "ai.telemetry.metadata.sessionId",
)
STREAMED: Final = (
    "gen_ai.request.stream",
    "gen_ai.request.is_stream",
    "gen_ai.is_streaming",
    "llm.is_streaming",
    "llm.request.is_streaming",
)
HTTP_STATUS: Final = (names.HTTP_STATUS, "http.status_code", "span.metadata.status_code")

USAGE: Final = {
    "input_tokens": (
        names.INPUT_TOKENS,
        "gen_ai.usage.prompt_tokens",
        "llm.usage.prompt_tokens",
        "llm.token_count.prompt",
        f"{LANGFUSE_USAGE}.input",
    ),
    "output_tokens": (
        names.OUTPUT_TOKENS,
        "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
        "llm.token_count.completion",
        f"{LANGFUSE_USAGE}.output",
    ),
    "total_tokens": (
        names.TOTAL_TOKENS,
        "llm.usage.total_tokens",
        "llm.token_count.total",
        f"{LANGFUSE_USAGE}.total",
    ),
    "cache_read_tokens": (
        names.CACHE_READ_TOKENS,
        "gen_ai.usage.input_tokens.cached",
        "gen_ai.usage.cache_read_input_tokens",
        "llm.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
        f"{LANGFUSE_USAGE}.cache_read_input_tokens",
        f"{LANGFUSE_USAGE}.input_cached_tokens",
    ),
    "cache_write_tokens": (
        names.CACHE_WRITE_TOKENS,
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.input_tokens.cache_write",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
        f"{LANGFUSE_USAGE}.cache_creation_input_tokens",
    ),
    "reasoning_tokens": (
        names.REASONING_TOKENS,
        "gen_ai.usage.output_tokens.reasoning",
        "gen_ai.usage.reasoning_tokens",
        "llm.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
        f"{LANGFUSE_USAGE}.output_reasoning_tokens",
    ),
    "audio_tokens": (
        "gen_ai.usage.input_tokens.audio",
        "gen_ai.usage.audio.input_tokens",
        "llm.token_count.prompt_details.audio",
    ),
    "image_tokens": ("gen_ai.usage.output_tokens.image", "gen_ai.usage.image.output_tokens"),
}
COST: Final = {
    "total_nano_usd": (
        names.TOTAL_COST,
        names.COST,
        "llm.cost.total",
        "gen_ai.cost.total_cost",
        "gen_ai.cost.total_tokens",
        f"{LANGFUSE_COST}.total",
    ),
    "input_nano_usd": (
        names.INPUT_COST,
        "llm.cost.prompt",
        "gen_ai.cost.input_cost",
        "gen_ai.cost.input_tokens",
        f"{LANGFUSE_COST}.input",
    ),
    "output_nano_usd": (
        names.OUTPUT_COST,
        "llm.cost.completion",
        "gen_ai.cost.output_cost",
        "gen_ai.cost.output_tokens",
        f"{LANGFUSE_COST}.output",
    ),
}
FIRST_TOKEN_S: Final = (
    names.TIME_TO_FIRST_CHUNK,
    "gen_ai.server.time_to_first_token",
    "gen_ai.server.ttft",
)
FIRST_TOKEN_MS: Final = (
    f"{OPENROUTER}first_token_ms",
    "openrouter.first_token_ms",
    "ai.response.msToFirstChunk",
)
FIRST_TOKEN_EVENTS: Final = frozenset(
    {"First Token Stream Event", "llm.content.completion.chunk", "gen_ai.content.completion.chunk"}
)
TIMING: Final = {
    "router_ms": (f"{OPENROUTER}router_latency_ms", "openrouter.router_latency_ms"),
    "provider_request_ms": (f"{OPENROUTER}provider_request_ms", "openrouter.provider_request_ms"),
    "provider_headers_ms": (f"{OPENROUTER}provider_headers_ms", "openrouter.provider_headers_ms"),
    "provider_body_end_ms": (f"{OPENROUTER}provider_body_end_ms", "openrouter.provider_body_end_ms"),
}
PARAMETERS: Final = {
    "temperature": ("gen_ai.request.temperature", "llm.request.temperature", "llm.temperature"),
    "top_p": ("gen_ai.request.top_p", "llm.request.top_p", "llm.top_p"),
    "top_k": ("gen_ai.request.top_k", "llm.top_k"),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", "llm.frequency_penalty"),
    "presence_penalty": ("gen_ai.request.presence_penalty", "llm.presence_penalty"),
    "max_tokens": ("gen_ai.request.max_tokens", "llm.request.max_tokens", "llm.max_tokens"),
    "seed": ("gen_ai.request.seed", "gen_ai.openai.request.seed"),
    "n": ("gen_ai.request.choice.count",),
    "stop": (names.STOP_SEQUENCES, "llm.chat.stop_sequences"),
}
METADATA_PREFIXES: Final = (
    f"{names.TRACE_METADATA}.",
    "langfuse.trace.metadata.",
    "langsmith.metadata.",
    "traceloop.association.properties.",
    "ai.telemetry.metadata.",
)
"""What a caller said of the request in words of their own, under each convention's prefix."""
