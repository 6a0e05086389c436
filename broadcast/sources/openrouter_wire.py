"""The tree of spans that OpenRouter Broadcast sends for one request, and we do.

Every span's resource names the router's id of the request (`{service.name}.trace.id`), and every span's id is
a hash of it: so what a span is can be told with certainty, whatever it is called. Captures of OpenRouter's
wire whose ids are not such hashes are told by their names.
"""

import re
from typing import Any, Final, Literal

import msgspec

from broadcast import genai_names as names
from broadcast.json_text import items, members
from broadcast.sources.genai_aliases import HTTP_STATUS, OPENROUTER
from broadcast.sources.genai_content import parsed
from broadcast.sources.genai_spans import first_of, text_of
from broadcast.sources.loose import count, number, text, told
from broadcast.span import FAILED, Attributes, Span
from broadcast.trace_context import span_id

Part = Literal["trace_name", "span_name", "route", "attempt", "stream"]

DEFAULT_NAMES: Final = frozenset({"LLM Generation", "OpenRouter Request"})
"""What OpenRouter calls a span and a trace that the caller has not named."""

DISCONNECTED: Final = "The client has disconnected"
GROUPS: Final = f"{names.TRACE_METADATA}.openrouter_generation."
_ATTEMPT_NAME: Final = re.compile(
    r"provider attempt (?P<number>[1-9]\d{0,5})(?:: (?P<provider>.*))?", re.DOTALL
)
_ATTEMPT_INDEX: Final = "span.metadata.attempt_index"
_PARTS: Final[dict[str, Part]] = {
    "trace": "trace_name",
    "span": "span_name",
    "route": "route",
    "generation": "stream",
}


class Router(msgspec.Struct, frozen=True):
    """Which router sent a span: its id of the request, and the names of its own attributes."""

    id: str
    own: names.Own


def router_of(resource: Attributes) -> Router | None:
    """Return the router that a resource speaks of, None for anybody else's."""
    namespace = text(resource.get(names.SERVICE_NAME))
    own = names.own(namespace) if namespace and len(namespace) <= 64 else None
    given = text(resource.get(own.trace_id)) if own else None
    return Router(given, own) if own and given else None


def is_derived(router: Router, span: Span) -> bool:
    """Return whether a generation's span id was made from the router's id: then they name one request."""
    return span.span_id == span_id(router.id)


def is_own_root(router: Router, id_: str) -> bool:
    """Return whether a span id is that of a root above the router's generation."""
    return id_ in {span_id(router.id, "trace"), span_id(router.id, "span")}


def part_of(span: Span, router: Router) -> Part | None:
    """Return what a span of the tree is, None for the generation and for what is no part of the tree."""
    for suffix, part in _PARTS.items():
        if span.span_id == span_id(router.id, suffix):
            return part
    if attempt_index(span) is not None:
        return "attempt"
    response_id = text(span.attributes.get(names.RESPONSE_ID)) or ""
    return "stream" if response_id.endswith(":generation") and span.name == "generation" else None


def attempt_index(span: Span) -> int | None:
    """Return which try of the router a span is, from 0; None for what is none."""
    if (said := count(span.attributes.get(_ATTEMPT_INDEX))) is not None:
        return said
    match = _ATTEMPT_NAME.fullmatch(span.name)
    return int(match["number"]) - 1 if match else None


def responses_of(generation: Span) -> list[Any]:
    """Return what each provider that was tried called its answer, in the order of the tries."""
    return items(parsed(generation.attributes.get(f"{names.TRACE_METADATA}.provider_responses")))


def attempt_of(span: Span, generation: Span, router: Router, responses: list[Any]) -> dict[str, Any]:
    """Return one of the router's tries as a receipt's attempt; `responses` are the generation's."""
    found = span.attributes
    match = _ATTEMPT_NAME.fullmatch(span.name)
    provider = text_of(found, (router.own.provider_name, f"{OPENROUTER}provider_name"))
    index = attempt_index(span) or 0
    response = members(responses[index]) if index < len(responses) else {}
    byok = found.get("span.metadata.is_byok")
    return {
        **timed_attempt(span, generation),
        **told(
            (
                ("provider", provider or (match["provider"] if match else None) or "unknown"),
                ("provider_slug", text_of(found, (router.own.provider_slug, f"{OPENROUTER}provider_slug"))),
                ("model", text(found.get("span.metadata.model_permaslug"))),
                ("id", text(response.get("id"))),
                ("is_byok", byok if isinstance(byok, bool) else None),
            )
        ),
    }


def timed_attempt(span: Span, generation: Span) -> dict[str, Any]:
    """Return when a try was and how it ended, as every source says it."""
    status = count(first_of(span.attributes, HTTP_STATUS))
    error = text(span.attributes.get(names.ERROR_TYPE))
    return {
        "start_ms": max(0, span.start_ns - generation.start_ns) / 1_000_000,
        "duration_ms": max(0, span.end_ns - span.start_ns) / 1_000_000,
        **told(
            (
                ("status_code", status if status is not None and status <= 999 else None),
                ("error_type", error if error != str(status) else None),
                (
                    "error_message",
                    span.status_message
                    if span.status_code == FAILED and span.status_message not in {error, str(status)}
                    else None,
                ),
            )
        ),
    }


def route_of(span: Span) -> dict[str, Any]:
    """Return how long the router took to choose."""
    return {"duration_ms": max(0, span.end_ns - span.start_ns) / 1_000_000}


def group_facts(attributes: Attributes) -> dict[str, Any]:
    """Return what the opt-in groups of OpenRouter's destinations say: cost, identity, request context."""
    return {key[len(GROUPS) :]: value for key, value in attributes.items() if key.startswith(GROUPS)}


def from_groups(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a receipt that only those groups can tell."""
    api_type = text(facts.get("api_type"))
    return told(
        (
            (
                "app",
                told((("referer", text(facts.get("http_referer"))), ("title", text(facts.get("app_title"))))),
            ),
            ("api_type", "chat" if api_type == "completions" else api_type),
            ("user_agent", text(facts.get("user_agent"))),
            ("origin", text(facts.get("origin"))),
            ("region", text(facts.get("data_region"))),
            ("request_id", text(facts.get("request_id"))),
            ("native_finish_reason", text(facts.get("native_finish_reason"))),
            ("funding_source", "byok" if facts.get("is_byok") is True else None),
            ("upstream_usd", number(facts.get("usage_upstream"))),
            (
                "estimated",
                facts["usage_is_estimated"] if facts.get("usage_is_estimated") in (True, False) else None,
            ),
            ("cancelled", True if facts.get("cancelled") is True else None),
        )
    )
