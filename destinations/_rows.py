"""Spans as rows of OpenRouter's columns; shared by the table and object stores.

What a router does not say of itself (organisation, unit prices) stays null: null is unknown.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from broadcast import genai_names as names
from broadcast.span import CLIENT, FAILED, Attributes, ResourceSpans, Span
from destinations._columns import columns

Row = dict[str, Any]

METADATA: Final = f"{names.TRACE_METADATA}."
_PARAMETERS: Final = "gen_ai.request."
_READ: Final[Mapping[str, str]] = {
    "USER_ID": names.USER_ID,
    "SESSION_ID": names.SESSION_ID,
    "FINISH_REASON": names.FINISH_REASON,
    "PROMPT_TOKENS": names.INPUT_TOKENS,
    "COMPLETION_TOKENS": names.OUTPUT_TOKENS,
    "TOTAL_TOKENS": names.TOTAL_TOKENS,
    "CACHED_TOKENS": names.CACHE_READ_TOKENS,
    "CACHE_WRITE_TOKENS": names.CACHE_WRITE_TOKENS,
    "REASONING_TOKENS": names.REASONING_TOKENS,
    "INPUT_COST": names.INPUT_COST,
    "OUTPUT_COST": names.OUTPUT_COST,
    "TOTAL_COST": names.COST,
    "OPERATION_NAME": names.OPERATION_NAME,
}


def is_generation(span: Span) -> bool:
    """Whether this is the one span of a receipt that carries its tokens and cost."""
    return names.OPERATION_NAME in span.attributes


def parted(spans: ResourceSpans) -> tuple[Span, tuple[Span, ...]]:
    """Return the generation, or the one span of a test, and the others."""
    main = next(filter(is_generation, spans.spans), spans.spans[0])
    return main, tuple(span for span in spans.spans if span is not main)


def row(spans: ResourceSpans, span: Span, *, cache_write: bool) -> Row:
    """Return a span as a row; every column is there, so that a table without one is found out by the test."""
    said = span.attributes
    own = names.own(spans.scope)
    failed = span.status_code == FAILED
    found: Row = dict.fromkeys(columns(cache_write=cache_write))
    found |= {name: said.get(key) for name, key in _READ.items() if name in found}
    found |= {
        "TRACE_ID": span.trace_id,
        "SPAN_ID": span.span_id,
        "PARENT_SPAN_ID": span.parent_span_id or None,
        "TIMESTAMP": instant(span.start_ns),
        "START_TIME": instant(span.start_ns),
        "END_TIME": instant(span.end_ns),
        "DURATION_MS": (span.end_ns - span.start_ns) / 1e6,
        "API_KEY_NAME": said.get(own.api_key_name),
        "MODEL": said.get(names.RESPONSE_MODEL) or said.get(names.REQUEST_MODEL),
        "PROVIDER_NAME": said.get(own.provider_name),
        "PROVIDER_SLUG": said.get(own.provider_slug),
        "STATUS": "error" if failed else "ok",
        "LEVEL": "ERROR" if failed else "DEFAULT",
        "SPAN_TYPE": "GENERATION" if is_generation(span) else "SPAN",
        "SPAN_KIND": "CLIENT" if span.kind == CLIENT else "INTERNAL",
        "ATTRIBUTES": attributes(span),
        "INPUT": content(span, names.PROMPT),
        "OUTPUT": content(span, names.COMPLETION),
        "METADATA": metadata(span),
        "TAGS": _tags(said),
        "MODEL_PARAMETERS": {key: value for key, value in starting(said, _PARAMETERS) if key != "model"},
        "RESOURCE_ATTRIBUTES": dict(spans.resource),
    }
    return found


def instant(at_ns: int) -> str:
    """Return a time as RFC 3339 with microseconds, which every one of these stores reads alike."""
    at_us = at_ns // 1000
    whole = datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{at_us % 1_000_000:06d}Z"


def attributes(span: Span) -> Attributes:
    """Return all that a span says but its content, with what went wrong."""
    found = {key: value for key, value in span.attributes.items() if key not in names.CONTENT}
    for event in span.events:
        found |= event.attributes
    return found


def content(span: Span, key: str) -> Any:
    """Return the prompt or the completion as JSON; None where it was not to leave."""
    text = span.attributes.get(key)
    if not isinstance(text, str):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def metadata(span: Span) -> dict[str, Any]:
    """Return the caller's own keys, and the names given to trace, span and generation."""
    kind = "generation_name" if is_generation(span) else "span_name"
    trace_name = span.attributes.get(names.TRACE_NAME)
    named = {kind: span.name} if trace_name is None else {"trace_name": trace_name, kind: span.name}
    return {**named, **dict(starting(span.attributes, METADATA))}


def starting(said: Attributes, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield the attributes whose names begin so, without that beginning."""
    return ((key.removeprefix(prefix), value) for key, value in said.items() if key.startswith(prefix))


def _tags(said: Attributes) -> list[str]:
    tags = said.get(f"{METADATA}tags")
    return [str(tag) for tag in tags] if isinstance(tags, tuple) else []


def texted(found: Row) -> Row:
    """Return a row with its JSON columns as text, for stores that take them so; null stays null."""
    kinds = columns(cache_write=True)
    return {
        name: msgspec.json.encode(value).decode() if kinds[name] == "json" and value is not None else value
        for name, value in found.items()
    }
