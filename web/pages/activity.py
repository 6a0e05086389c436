"""Activity: figures of the last day, the log of requests, and one request's page."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast import activity
from broadcast.activity import Request
from broadcast.receipt import Receipt
from broadcast.span import Span
from web import formats, security
from web.pages.arrival import arrivals

blueprint: Final = Blueprint("activity", __name__)
_DAY_US: Final = 86_400_000_000
_MAX_DEPTH: Final = 4
_TICKS: Final = 4
# These of a request's `trace` name spans and ids; the rest is metadata.
_NOT_METADATA: Final = {"trace_id", "trace_name", "span_name", "generation_name", "parent_span_id"}
Fact = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One span in the waterfall; places are percent of the whole trace."""

    span: Span
    depth: int
    start: float
    width: float
    first: float | None
    main: bool
    bad: bool
    words: str


@blueprint.get("/w/<slug>/activity")
@security.page()
def requests() -> str:
    """Show what was routed, newest first."""
    services, viewer = security.services(), security.viewer()
    activity.remember_workspace(services.store, viewer.user, viewer.workspace)
    before = _place(request.args.get("before"))
    since_us = services.clock() - _DAY_US
    found = activity.requests_page(services.store, viewer.workspace, before=before, since_us=since_us)
    older = None if found.older is None else _mark(found.older)
    first_run = not found.rows and before is None
    return render_template(
        "first_run.html" if first_run else "activity.html",
        here="activity",
        viewer=viewer,
        found=found,
        totals=found.totals,
        older=older,
        before=before,
        head=activity.head_seq(services.store, viewer.workspace),
        types=services.types,
        public_url=services.config.public_url,
    )


@blueprint.get("/w/<slug>/activity/newer")
@security.page()
def newer() -> ResponseReturnValue:
    """Say how many receipts arrived since a page was made; the page decides when to show them."""
    viewer = security.viewer()
    after = request.args.get("after", default=0, type=int)
    return jsonify(newer=max(0, activity.count_newer(security.services().store, viewer.workspace, after)))


@blueprint.get("/w/<slug>/jump")
@security.page()
def jump() -> ResponseReturnValue:
    """Go to the request that an id names."""
    viewer = security.viewer()
    text = request.args.get("id", "").strip()[:200]
    found = activity.find(security.services().store, viewer.workspace, text) if text else None
    if found is None:
        target = redirect(url_for(".requests", slug=viewer.workspace.slug), 303)
        return security.flash(target, "not_found") if text else target
    return redirect(url_for(".one", slug=viewer.workspace.slug, receipt_id=found), 303)


@blueprint.get("/w/<slug>/activity/<receipt_id>")
@security.page()
def one(receipt_id: str) -> str:
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
        namespace=namespace,
        retention_us=services.config.retention_us,
    )


# -- cursors -------------------------------------------------------------------------------------


def _mark(place: tuple[int, int]) -> str:
    return base64.urlsafe_b64encode(f"{place[0]}.{place[1]}".encode()).decode().rstrip("=")


def _place(mark: str | None) -> tuple[int, int] | None:
    """Return the place a mark stands for; one that is not ours means the newest page."""
    if not mark:
        return None
    try:
        at, _, seq = base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4)).decode().partition(".")
        place = int(at), int(seq)
    except (binascii.Error, ValueError):
        return None
    return place if all(abs(number) < 2**63 for number in place) else None


# -- waterfall -----------------------------------------------------------------------------------


def bars_of(spans: tuple[Span, ...], receipt: Receipt | None = None) -> list[Bar]:
    """Return the spans as bars, parents before children, the trace's whole length as 84 percent."""
    if not spans:
        return []
    begin, end = min(span.start_ns for span in spans), max(span.end_ns for span in spans)
    scale = 84 / max(1, end - begin)
    depth: dict[str, int] = {}
    bars = []
    for span in _ordered(spans):
        depth[span.span_id] = min(_MAX_DEPTH, depth.get(span.parent_span_id, -1) + 1)
        main = "gen_ai.operation.name" in span.attributes
        bad = span.status_code == 2 or "error.type" in span.attributes
        bars.append(
            Bar(
                span=span,
                depth=depth[span.span_id],
                start=round((span.start_ns - begin) * scale, 3),
                width=max(0.3, round((span.end_ns - span.start_ns) * scale, 3)),
                first=_first_token(receipt, scale) if main else None,
                main=main,
                bad=bad,
                words=_words(span, bad=bad),
            )
        )
    return bars


def _ordered(spans: tuple[Span, ...]) -> list[Span]:
    """Return parents before children, children by start; a span whose parent is elsewhere is a root."""
    known = {span.span_id for span in spans}
    children: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda item: item.start_ns):
        children.setdefault(span.parent_span_id if span.parent_span_id in known else "", []).append(span)
    ordered: list[Span] = []
    waiting = list(reversed(children.get("", [])))
    while waiting:
        span = waiting.pop()
        ordered.append(span)
        waiting.extend(reversed(children.pop(span.span_id, [])))
    return ordered


def _first_token(receipt: Receipt | None, scale: float) -> float | None:
    first_ms = receipt.timing.first_token_ms if receipt and receipt.timing else None
    if receipt is None or first_ms is None or first_ms * 1000 >= receipt.duration_us:
        return None
    return round(first_ms * 1_000_000 * scale, 3)


def _words(span: Span, *, bad: bool) -> str:
    length = formats.duration((span.end_ns - span.start_ns) // 1000)
    status = span.attributes.get("http.response.status_code", span.attributes.get("error.type"))
    return f"{status}, {length}" if bad and status is not None else length


def ticks_of(spans: tuple[Span, ...]) -> list[tuple[float, str]]:
    """Return at most five marks of the time axis, each with its place in percent."""
    if not spans:
        return []
    length_us = (max(span.end_ns for span in spans) - min(span.start_ns for span in spans)) / 1000
    step_us = 1.0
    while length_us / step_us > _TICKS:
        step_us *= 2.5 if f"{step_us:.0e}"[0] == "2" else 2
    count = int(length_us // step_us) + 1
    return [
        (round(84 * number * step_us / max(1.0, length_us), 3), _tick(round(number * step_us)))
        for number in range(min(count, _TICKS + 1))
    ]


def _tick(at_us: int) -> str:
    if at_us == 0:
        return "0"
    return f"{at_us / 1_000_000:g} s" if at_us >= 1_000_000 else f"{at_us / 1000:g} ms"


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
