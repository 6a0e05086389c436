"""A receipt as OpenRouter writes it to object stores: a trace with its observations, one JSON object.

https://openrouter.ai/docs/guides/features/broadcast/s3 (trace and observations) and
https://openrouter.ai/docs/guides/features/broadcast (names of quantities and costs), read 2026-11-21.
"""

from typing import Any

import msgspec

from broadcast import genai_names as names
from broadcast.span import ResourceSpans, Span
from destinations import _facts, _rows


class Observation(msgspec.Struct, frozen=True):
    """What the name of an object takes of an observation."""

    id: str


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """What the name of an object is made of."""

    id: str
    timestamp: str
    observations: list[Observation]
    api_key_name: str | None = None


def encode(spans: ResourceSpans) -> bytes:
    """Return the trace as one line."""
    main, others = _rows.parted(spans)
    said = main.attributes
    trace = {
        "id": main.trace_id,
        "name": said.get(names.TRACE_NAME) or main.name,
        "timestamp": _rows.instant(main.start_ns),
        "userId": said.get(names.USER_ID),
        "sessionId": said.get(names.SESSION_ID),
        "apiKeyName": said.get(names.own(spans.scope).api_key_name),
        "metadata": _rows.metadata(main),
        "resource": spans.resource,
        "observations": [_observation(spans, span) for span in (main, *others)],
    }
    return msgspec.json.encode(_facts.known(trace))


def decode(line: bytes) -> Line:
    """Return what the name of an object is made of."""
    return msgspec.json.decode(line, type=Line)


def _observation(spans: ResourceSpans, span: Span) -> dict[str, Any]:
    row = _rows.row(spans, span, cache_write=True)
    prompt = {"cachedTokens": row["CACHED_TOKENS"], "cacheWriteTokens": row["CACHE_WRITE_TOKENS"]}
    found = {
        "id": span.span_id,
        "parentObservationId": row["PARENT_SPAN_ID"],
        "type": row["SPAN_TYPE"],
        "name": span.name,
        "startTime": row["START_TIME"],
        "endTime": row["END_TIME"],
        "level": row["LEVEL"],
        "statusMessage": span.status_message or None,
        "model": row["MODEL"],
        "providerName": row["PROVIDER_NAME"],
        "finishReason": row["FINISH_REASON"],
        "promptTokens": row["PROMPT_TOKENS"],
        "completionTokens": row["COMPLETION_TOKENS"],
        "totalTokens": row["TOTAL_TOKENS"],
        "promptTokensDetails": _facts.known(prompt) or None,
        "completionTokensDetails": _facts.known({"reasoningTokens": row["REASONING_TOKENS"]}) or None,
        "inputCost": row["INPUT_COST"],
        "outputCost": row["OUTPUT_COST"],
        "totalCost": row["TOTAL_COST"],
        "modelParameters": row["MODEL_PARAMETERS"] or None,
        "input": row["INPUT"],
        "output": row["OUTPUT"],
        "metadata": row["METADATA"],
        "attributes": row["ATTRIBUTES"],
    }
    return _facts.known(found)
