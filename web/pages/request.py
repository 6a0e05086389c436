"""One request's page: ids and facts, did it arrive, what happened when, and the receipt."""

from typing import Any, Final

import msgspec
from flask import Blueprint, render_template

from broadcast import activity
from broadcast.activity import Request
from broadcast.receipt import Receipt
from web import formats, security
from web.pages.arrival import arrivals
from web.waterfall import bars_of, ticks_of

blueprint: Final = Blueprint("request", __name__)
# These of a request's `trace` name spans and ids; the rest is metadata.
_NOT_METADATA: Final = {"trace_id", "trace_name", "span_name", "generation_name", "parent_span_id"}
Fact = tuple[str, str]


@blueprint.get("/w/<slug>/activity/<receipt_id>")
@security.page()
def page(receipt_id: str) -> str:
    """Show one request: ids and facts, did it arrive, what happened when, and the receipt."""
    services, viewer = security.services(), security.viewer()
    namespace = services.config.service_name
    found = activity.request(services.store, viewer.workspace, receipt_id, namespace=namespace)
    delivery = arrivals(found.stored, services.clock())
    bars = bars_of(found.spans.spans, found.receipt)
    document = msgspec.json.format(found.stored.document, indent=2).decode()
    return render_template(
        "request.html",
        here="activity",
        viewer=viewer,
        found=found,
        row=found.row,
        receipt=found.receipt,
        delivery=delivery,
        types=services.types,
        bars=bars,
        ticks=ticks_of(found.spans.spans),
        groups=_groups(found),
        document=document,
        queries=_queries(found, namespace),
        retention_us=services.config.retention_us,
    )


def _queries(found: Request, namespace: str) -> list[tuple[str, str]]:
    """Return what finds this request and its session in Tempo, each under its title."""
    by_id = f"{{ resource.{namespace}.trace.id = {_quoted(found.row.id)} }}"
    queries = [("TraceQL for this request", by_id)]
    if found.row.session_id:
        of_service = f"resource.service.name = {_quoted(namespace)}"
        by_session = f"{{ {of_service} && span.session.id = {_quoted(found.row.session_id)} }}"
        queries.append(("TraceQL for its session", by_session))
    return queries


def _quoted(text: str) -> str:
    """Return a text as TraceQL takes it: in quotes, with JSON's escapes, which Go's strings know too."""
    return msgspec.json.encode(text).decode()


# -- the receipt in columns ------------------------------------------------------------------------


def _groups(found: Request) -> list[tuple[str, list[Fact]]]:
    """Return the receipt's facts in columns; what was not given is left out."""
    receipt = found.receipt
    groups = [
        ("Tokens", _tokens(receipt)),
        ("Cost", _cost(receipt)),
        ("Timing", _timing(receipt)),
        ("Routing", _routing(receipt)),
        ("Caller", _caller(receipt)),
        ("Trace", _trace(found)),
        ("trace.metadata", _mapping(_metadata(receipt.trace))),
        ("Parameters", _mapping(receipt.parameters)),
        ("Metadata", _mapping(receipt.metadata)),
    ]
    return [(title, facts) for title, facts in groups if facts]


def _given(*facts: tuple[str, str | None]) -> list[Fact]:
    return [(label, value) for label, value in facts if value not in {None, "", formats.NONE}]


def _tokens(receipt: Receipt) -> list[Fact]:
    usage = receipt.usage
    if usage is None:
        return []
    speed = None
    if usage.output_tokens and receipt.duration_us:
        speed = f"{usage.output_tokens * 1e6 / receipt.duration_us:,.0f}"
    return _given(
        ("Input", formats.count(usage.input_tokens)),
        ("of which cached", formats.count(usage.cache_read_tokens)),
        ("Output", formats.count(usage.output_tokens)),
        ("of which reasoning", formats.count(usage.reasoning_tokens)),
        ("Output per second", speed),
    )


def _cost(receipt: Receipt) -> list[Fact]:
    cost = receipt.cost
    if cost is None:
        return [("Total", "unknown")]
    parts = (
        ("Input", cost.input_nano_usd),
        ("Output", cost.output_nano_usd),
        ("Upstream", cost.upstream_nano_usd),
    )
    facts = [(label, formats.request_money(value)) for label, value in parts if value is not None]
    facts.insert(min(2, len(facts)), ("Total", formats.request_money(cost.total_nano_usd)))
    return facts + ([("Estimated", "yes" if cost.estimated else "no")] if cost.estimated is not None else [])


def _timing(receipt: Receipt) -> list[Fact]:
    timing = receipt.timing
    return _given(
        ("Router", formats.millis(timing.router_ms if timing else None)),
        ("Provider headers", formats.millis(timing.provider_headers_ms if timing else None)),
        ("First token", formats.millis(timing.first_token_ms if timing else None)),
        ("Body end", formats.millis(timing.provider_body_end_ms if timing else None)),
        ("Total", formats.duration(receipt.duration_us)),
    )


def _routing(receipt: Receipt) -> list[Fact]:
    routing = receipt.routing
    return _given(
        ("Profile", routing.profile if routing else None),
        ("Candidates", formats.count(routing.candidates if routing else None)),
        ("Served by", receipt.provider),
        ("Response model", receipt.response_model),
        ("Finish reason", receipt.finish_reason),
        ("Streamed", "yes" if receipt.streamed else "no"),
    )


def _caller(receipt: Receipt) -> list[Fact]:
    return _given(
        ("API key", receipt.api_key.name if receipt.api_key else None),
        ("User", receipt.user),
        ("Session", receipt.session_id),
        ("App", receipt.app.title or receipt.app.referer if receipt.app else None),
        ("Region", receipt.region),
        ("Request id", receipt.request_id),
    )


def _trace(found: Request) -> list[Fact]:
    spans = found.spans.spans
    main = next((span for span in spans if "gen_ai.operation.name" in span.attributes), spans[0])
    given = found.receipt.trace or {}
    source = (
        "trace.trace_id"
        if given.get("trace_id")
        else "traceparent"
        if found.receipt.traceparent
        else "the receipt's id"
    )
    return [("Span id", main.span_id), ("Id from", source), ("Spans", formats.count(len(spans)))]


def _metadata(trace: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (trace or {}).items() if name not in _NOT_METADATA}


def _mapping(values: dict[str, Any] | None) -> list[Fact]:
    return [
        (str(name), value if isinstance(value, str) else msgspec.json.encode(value).decode())
        for name, value in (values or {}).items()
    ]
