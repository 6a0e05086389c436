"""One span that is a request to a model, as the facts of a receipt."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from broadcast import genai_names as names
from broadcast.json_text import items, members
from broadcast.receipt import ID
from broadcast.sources import genai_aliases as aliases
from broadcast.sources import openrouter_wire as wire
from broadcast.sources.genai_content import content_of, parsed, unflattened
from broadcast.sources.genai_spans import api_type_of, first_of, model_of, text_of
from broadcast.sources.loose import first_count, number, text, told
from broadcast.sources.openrouter_wire import Router
from broadcast.sources.otlp_reader import SourceSpan
from broadcast.span import FAILED, OK, Attributes, Span
from broadcast.trace_context import OUR_KEYS

Facts = dict[str, Any]

_NANO: Final = Decimal(1_000_000_000)
_MOST_USD: Final = 1_000_000_000
_CANCELLED: Final = frozenset(
    {"cancelled", "canceled", "cancellederror", "asyncio.cancellederror", "asyncio.exceptions.cancellederror"}
)
_GENERIC: Final = names.own("openrouter")
_NUMBERS: Final = frozenset(names.NUMBER_PARAMETERS)
_NO_PARAMETERS: Final = frozenset({"messages", "model", "input", "prompt", "tools", "functions", "stream"})


def facts_of(source: SourceSpan, router: Router | None) -> Facts:
    """Return the facts of a generation, without its place in a tree and without the tries below it."""
    span = source.span
    found = _unpacked(span.attributes)
    own = router.own if router else _GENERIC
    groups = wire.group_facts(found)
    extra = wire.from_groups(groups)
    finish = parsed(first_of(found, aliases.FINISH))
    asked, answered = content_of(span)
    status, error = _outcome(span, cancelled=bool(extra.get("cancelled")))
    first_token_ms = _first_token_ms(span, own)
    facts = told(
        (
            ("created_at_us", span.start_ns // 1000),
            ("duration_us", max(0, span.end_ns // 1000 - span.start_ns // 1000)),
            ("model", model_of(found)),
            ("status", status),
            ("error", error),
            ("response_model", text_of(found, aliases.RESPONSE_MODEL)),
            ("api_type", extra.get("api_type") or api_type_of(span)),
            ("finish_reason", text(finish[0] if isinstance(finish, list) and finish else finish)),
            ("native_finish_reason", text_of(found, (f"{aliases.OPENROUTER}finish_reason",))),
            ("usage", _usage(found)),
            ("cost", _cost(found, own, extra)),
            ("timing", told((("first_token_ms", first_token_ms), *_timing(found)))),
            ("capabilities", _texts(found.get(own.capabilities))),
            ("funding_source", text(found.get(own.funding_source))),
            ("parameters", _parameters(found)),
            ("user", text_of(found, aliases.USER)),
            ("session_id", text_of(found, aliases.SESSION)),
            ("trace", _metadata(found)),
            ("metadata", _around(source, router, groups)),
            ("input", asked),
            ("output", answered),
        )
    )
    facts["streamed"] = _streamed(found, own, groups, first_token_ms)
    facts |= _provider(found, router, own)
    kept = ("app", "user_agent", "origin", "region", "request_id", "native_finish_reason", "funding_source")
    return {key: extra[key] for key in kept if key in extra} | facts


def key_name(found: Attributes, router: Router | None) -> str | None:
    """Return what the router calls the key that a request was made with."""
    own = router.own if router else _GENERIC
    return text_of(found, (own.api_key_name, f"{aliases.OPENROUTER}api_key_name"))


def default_name(facts: Facts) -> str:
    """Return what we would call the span ourselves."""
    return f"{names.OPERATIONS.get(facts['api_type'], facts['api_type'])} {facts.get('model')}"


def has_usage(span: Span) -> bool:
    """Return whether a span tells tokens of its own."""
    return bool(_usage(_unpacked(span.attributes)))


def _unpacked(attributes: Attributes) -> Attributes:
    found = attributes
    for name in aliases.PACKED:
        facts = members(parsed(attributes.get(name)))
        found = found | {f"{name}.{key}": value for key, value in facts.items()}
    return found


# -- who served it -----------------------------------------------------------------------------------


def _provider(found: Attributes, router: Router | None, own: names.Own) -> Facts:
    """A router says who served beside who made the model; everybody else names one provider."""
    named = text_of(found, (own.provider_name, f"{aliases.OPENROUTER}provider_name"))
    slug = text_of(found, (own.provider_slug, f"{aliases.OPENROUTER}provider_slug"))
    if router is None:
        said = text_of(found, aliases.PROVIDER)
        named, slug = named or said, slug or said
    return told((("provider", named), ("provider_slug", slug), ("system", text_of(found, aliases.SYSTEM))))


# -- numbers -----------------------------------------------------------------------------------------


def _usage(found: Attributes) -> Facts:
    made = {
        name: counted
        for name, known in aliases.USAGE.items()
        if (counted := first_count(found, *known)) is not None
    }
    asked, answered = made.get("input_tokens"), made.get("output_tokens")
    cached = made.get("cache_read_tokens", 0) + made.get("cache_write_tokens", 0)
    if asked is not None and cached > asked:
        # A part cannot be larger than the whole: this instrumentation counts what was cached apart.
        asked = made["input_tokens"] = asked + cached
        made.pop("total_tokens", None)
    if asked is not None and answered is not None and made.get("total_tokens") == asked + answered:
        del made["total_tokens"]
    return made


def _cost(found: Attributes, own: names.Own, extra: Facts) -> Facts:
    made = {
        name: cost
        for name, known in aliases.COST.items()
        if (cost := _nano_usd(first_of(found, known))) is not None
    }
    if "total_nano_usd" not in made and {"input_nano_usd", "output_nano_usd"} <= made.keys():
        made["total_nano_usd"] = made["input_nano_usd"] + made["output_nano_usd"]
    upstream = _nano_usd(found.get(own.upstream_usd, extra.get("upstream_usd")))
    return made | told((("upstream_nano_usd", upstream), ("estimated", extra.get("estimated"))))


def _nano_usd(value: Any) -> int | None:
    usd = number(value)
    if usd is None or not 0 <= usd <= _MOST_USD:
        return None
    return int((Decimal(repr(usd)) * _NANO).to_integral_value(ROUND_HALF_UP))


def _first_token_ms(span: Span, own: names.Own) -> float | None:
    found = span.attributes
    seconds = number(first_of(found, aliases.FIRST_TOKEN_S))
    if seconds is not None:
        return round(seconds * 1000, 6) if 0 <= seconds <= 1e9 else None
    said = number(first_of(found, (*aliases.FIRST_TOKEN_MS, own.first_token_ms)))
    if said is not None:
        return said if 0 <= said <= 1e12 else None
    at = [event.time_ns for event in span.events if event.name in aliases.FIRST_TOKEN_EVENTS]
    return max(0, min(at) - span.start_ns) / 1_000_000 if at else None


def _timing(found: Attributes) -> list[tuple[str, float | None]]:
    said = [(name, number(first_of(found, known))) for name, known in aliases.TIMING.items()]
    return [(name, value) for name, value in said if value is not None and 0 <= value <= 1e12]


def _streamed(found: Attributes, own: names.Own, groups: Facts, first_token_ms: float | None) -> bool:
    for value in (found.get(own.streamed), groups.get("streamed"), first_of(found, aliases.STREAMED)):
        if value is not None:
            return value is True or str(value).lower() == "true"
    # Only a stream has a first chunk; OpenRouter times the first token of every answer.
    return first_token_ms is not None and first_of(found, aliases.FIRST_TOKEN_MS[:2]) is None


# -- what was asked for ------------------------------------------------------------------------------


def _parameters(found: Attributes) -> Facts:
    made: Facts = {}
    for name, known in aliases.PARAMETERS.items():
        value = first_of(found, known)
        if name == "stop":
            value = parsed(value)
        elif value is not None:
            value = number(value) if name in _NUMBERS else first_count({name: value}, name)
        if value is not None:
            made[name] = value
    said = members(parsed(found.get("llm.invocation_parameters")))
    made |= {
        key: value
        for key, value in said.items()
        if key not in made and key not in _NO_PARAMETERS and not isinstance(value, dict)
    }
    tools = items(parsed(found.get("gen_ai.tool.definitions"))) or items(said.get("tools"))
    offered = tools or items(unflattened(found, "llm.tools.") or unflattened(found, "llm.request.functions."))
    return {**made, "tools_offered": len(offered)} if offered else made


def _texts(value: Any) -> list[str]:
    return [item for item in items(parsed(value)) if isinstance(item, str)]


# -- how it ended ------------------------------------------------------------------------------------


def _outcome(span: Span, *, cancelled: bool) -> tuple[str, Facts | None]:
    found = span.attributes
    said = text_of(found, (names.ERROR_TYPE,))
    failed = span.status_code == FAILED or found.get("span.level") == "ERROR"
    if not failed and (said is None or span.status_code == OK):
        return ("cancelled" if cancelled else "succeeded"), None
    event = next((one.attributes for one in span.events if one.name == names.EXCEPTION), {})
    kind = (
        said or text(event.get(names.EXCEPTION_TYPE)) or text(first_of(found, aliases.HTTP_STATUS)) or "error"
    )
    message = (
        text(span.status_message)
        or text(event.get(names.EXCEPTION_MESSAGE))
        or text(found.get("span.status_message"))
        or kind
    )
    if kind.lower() in _CANCELLED or message == wire.DISCONNECTED or cancelled:
        status = "cancelled"
        # OpenRouter calls every failure "Error", the name of JavaScript's.
        kind = status if kind == "Error" else kind
    else:
        status = "denied" if kind == "denied" else "error"
    if kind == message == status:
        return status, None if status != "error" else {"type": kind, "message": message}
    code = first_count(found, *aliases.HTTP_STATUS)
    return status, {"type": kind, "message": message, **told((("code", code),))}


# -- what the caller said ----------------------------------------------------------------------------


def _metadata(found: Attributes) -> Facts:
    """Return the caller's own words under the names they were sent with; none can be a name of ours."""
    made: Facts = {}
    taken = {*aliases.USER, *aliases.SESSION}
    for prefix in aliases.METADATA_PREFIXES:
        for key, value in found.items():
            if key.startswith(prefix) and key not in taken and not key.startswith(wire.GROUPS):
                made.setdefault(key[len(prefix) :], value)
    for overflow in (names.TRACE_METADATA, "metadata"):
        for key, value in members(parsed(found.get(overflow))).items():
            made.setdefault(key, value)
    tags = _texts(first_of(found, ("tag.tags", "trace.tags", "langfuse.trace.tags")))
    if tags:
        made.setdefault("tags", tags)
    return {key: value for key, value in made.items() if key and key not in OUR_KEYS}


def _around(source: SourceSpan, router: Router | None, groups: Facts) -> Facts:
    """Return what is known of the sender and has no field of its own; it stays here and is sent nowhere."""
    if router is not None:
        return {"openrouter_generation": groups} if groups else {}
    service = text(source.resource.get(names.SERVICE_NAME))
    return told((("service.name", service), ("otel.scope.name", source.scope)))


def receipt_id(span: Span, router: Router | None) -> str:
    """Return the id of the receipt: the router's own where the span's id proves it, else the span's.

    Either way the same span has the same id again, so that an exporter's second try is a duplicate.
    """
    if router is not None and wire.is_derived(router, span) and ID.fullmatch(router.id):
        return router.id
    return f"otlp-{span.trace_id}-{span.span_id}"
