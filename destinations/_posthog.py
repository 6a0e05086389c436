"""PostHog's events, made of spans.

https://posthog.com/docs/llm-analytics/manual-capture (properties) and
https://openrouter.ai/docs/guides/features/broadcast/posthog (the caller's own keys), read 2026-11-21.
"""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from broadcast import genai_names as names
from broadcast.span import FAILED, ResourceSpans, Span
from destinations import _facts, _rows

_READ: Final[Mapping[str, str]] = {
    "$ai_provider": names.PROVIDER_NAME,
    "$ai_input_tokens": names.INPUT_TOKENS,
    "$ai_output_tokens": names.OUTPUT_TOKENS,
    "$ai_cache_read_input_tokens": names.CACHE_READ_TOKENS,
    "$ai_cache_creation_input_tokens": names.CACHE_WRITE_TOKENS,
    "$ai_reasoning_tokens": names.REASONING_TOKENS,
    "$ai_input_cost_usd": names.INPUT_COST,
    "$ai_output_cost_usd": names.OUTPUT_COST,
    "$ai_total_cost_usd": names.COST,
    "$ai_time_to_first_token": names.TIME_TO_FIRST_CHUNK,
    "$ai_stop_reason": names.FINISH_REASON,
    "$ai_temperature": names.NUMBER_PARAMETERS["temperature"],
    "$ai_max_tokens": names.WHOLE_PARAMETERS["max_tokens"],
    "trace_name": names.TRACE_NAME,
}


def event(spans: ResourceSpans, span: Span) -> dict[str, Any]:
    """Return a span as an event; its id is the same whenever it is sent."""
    person = _said(spans, names.USER_ID)
    return {
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{span.trace_id}:{span.span_id}")),
        "event": "$ai_generation" if _rows.is_generation(span) else "$ai_span",
        "distinct_id": person or span.trace_id,
        "timestamp": _rows.instant(span.start_ns),
        "properties": {
            **_properties(spans, span),
            **_caller(span),
            # Without a user there is no person to make a profile of, and the address is a server's.
            "$process_person_profile": person is not None,
            "$geoip_disable": True,
        },
    }


def _properties(spans: ResourceSpans, span: Span) -> dict[str, Any]:
    said, own = span.attributes, names.own(spans.scope)
    return _facts.known(
        {
            "$ai_trace_id": span.trace_id,
            "$ai_session_id": _said(spans, names.SESSION_ID),
            "$ai_span_id": span.span_id,
            "$ai_parent_id": span.parent_span_id or None,
            "$ai_span_name": span.name,
            "$ai_latency": (span.end_ns - span.start_ns) / 1e9,
            "$ai_model": said.get(names.RESPONSE_MODEL) or said.get(names.REQUEST_MODEL),
            "$ai_stream": said.get(own.streamed),
            "$ai_input": _asked(_rows.content(span, names.PROMPT)),
            "$ai_output_choices": _answered(_rows.content(span, names.COMPLETION)),
            "$ai_is_error": span.status_code == FAILED,
            "$ai_error": span.status_message or None,
            # The receipt's own id, by the name it has at every other type: a trace may hold several requests.
            own.trace_id: spans.resource.get(own.trace_id),
            **{name: said.get(key) for name, key in _READ.items()},
        }
    )


def _said(spans: ResourceSpans, key: str) -> Any:
    """Return what is true of all spans of a receipt, although only some say it."""
    return next((span.attributes[key] for span in spans.spans if key in span.attributes), None)


def _asked(prompt: Any) -> Any:
    return prompt.get("messages") if isinstance(prompt, dict) else prompt


def _answered(completion: Any) -> Any:
    if not isinstance(completion, dict):
        return completion
    message = {"role": "assistant", "content": completion.get("completion")}
    calls = completion.get("toolCalls")
    return [{**message, "tool_calls": calls} if calls else message]


def _caller(span: Span) -> dict[str, Any]:
    """Return the caller's own keys as OpenRouter names them."""
    return {f"metadata_{key}": value for key, value in _rows.starting(span.attributes, _rows.METADATA)}
