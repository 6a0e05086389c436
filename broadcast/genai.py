"""A receipt becomes a span tree (CONTRACT section 4); the attribute names are in `genai_names`."""

from hashlib import sha256
from typing import Final

import msgspec

from broadcast import genai_attributes as facts
from broadcast import genai_names as names
from broadcast import messages, truncation
from broadcast.genai_measures import Measures, measures
from broadcast.receipt import ProviderAttempt, Receipt, Routing
from broadcast.receipt_parser import with_content
from broadcast.span import CLIENT, FAILED, INTERNAL, OK, Attributes, Event, Repeated, ResourceSpans, Span
from broadcast.trace_context import caller_text, says, span_id

VERSION: Final = "1.0.0"


class SpanOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a destination wants of a receipt, beyond what everybody gets."""

    content: bool = True
    total_cost_attributes: bool = True
    prompt_attributes: bool = False
    own_content: messages.OwnContent | None = None
    extra: Attributes = {}
    max_attribute_bytes: int = 65_536


DEFAULT_OPTIONS: Final = SpanOptions()


def spans(
    receipt: Receipt,
    *,
    namespace: str,
    version: str = VERSION,
    content: bytes | None = None,
    options: SpanOptions = DEFAULT_OPTIONS,
) -> ResourceSpans:
    """Return the spans of one receipt; `content` is its stored content, where it does not hold it."""
    made = whole_spans(receipt, namespace=namespace, version=version, content=content, options=options)
    return truncation.cut_attributes(made, limit=options.max_attribute_bytes)


def whole_spans(
    receipt: Receipt,
    *,
    namespace: str,
    version: str = VERSION,
    content: bytes | None = None,
    options: SpanOptions = DEFAULT_OPTIONS,
) -> ResourceSpans:
    """Return the spans of one receipt with texts of any length; `truncation.within` cuts them."""
    if content is not None and options.content:
        receipt = with_content(receipt, content)
    kind, measured, own = facts.kind_of(receipt), measures(receipt), names.own(namespace)
    roots: tuple[Span, ...] = ()
    name = ""
    if says(receipt.trace):
        roots = _roots(receipt, measured)
        name = caller_text(receipt.trace, "generation_name")
    generation = _generation(
        kind,
        measured,
        own,
        options,
        name=name,
        parent=roots[-1].span_id if roots else measured.parent or "",
        receipt=receipt,
    )
    below = _below(receipt, measured, own) if receipt.attempts or receipt.routing else ()
    return _tree((*roots, generation, *below), measured, own, namespace, version)


def is_plain(receipt: Receipt) -> bool:
    """Whether `plain_spans` says all there is to say of a receipt."""
    return (
        receipt.status == "succeeded"
        and receipt.input is None
        and receipt.output is None
        and not receipt.attempts
        and receipt.routing is None
        and not says(receipt.trace)
    )


def plain_spans(
    kind: facts.Kind,
    measured: Measures,
    *,
    namespace: str,
    version: str = VERSION,
    options: SpanOptions = DEFAULT_OPTIONS,
) -> ResourceSpans:
    """Return the one span of a request that succeeded at once; no value of `measured` is looked into."""
    own = names.own(namespace)
    span = _generation(kind, measured, own, options, parent=measured.parent or "")
    return _tree((span,), measured, own, namespace, version)


# -- the tree ----------------------------------------------------------------------------------------


def _tree(
    spans: tuple[Span, ...], measured: Measures, own: names.Own, namespace: str, version: str
) -> ResourceSpans:
    resource: Attributes = {
        names.SERVICE_NAME: namespace,
        names.SERVICE_VERSION: version,
        own.trace_id: measured.receipt_id,
    }
    return ResourceSpans(resource=resource, scope=namespace, spans=spans)


def _generation(
    kind: facts.Kind,
    measured: Measures,
    own: names.Own,
    options: SpanOptions,
    *,
    name: str = "",
    parent: str,
    receipt: Receipt | None = None,
) -> Span:
    """Return the span of the request itself; only a whole receipt has content or a failure to tell of."""
    repeated = facts.repeated(kind, own)
    found = repeated.attributes.copy()
    found.update(measured.metadata)
    found[names.RESPONSE_ID] = measured.response_id
    facts.add_usage(found, measured)
    facts.add_cost(found, measured, own, total=options.total_cost_attributes)
    facts.add_timing(found, measured, own)
    if measured.attempts is not None:
        found[own.attempt_count] = measured.attempts
    found.update(measured.parameters)
    facts.add_who(found, measured)
    if options.extra:
        found.update(options.extra)
    if receipt is not None and options.content:
        messages.add_content(
            found, receipt, prompt_attributes=options.prompt_attributes, own=options.own_content
        )
    return _span(
        receipt,
        measured,
        measured.span_id,
        parent,
        name or f"{facts.operation(kind)} {kind.model}",
        kind=CLIENT,
        attributes=found,
        # What a destination adds may have replaced some of these.
        repeated=repeated if options.extra.keys().isdisjoint(repeated.attributes) else None,
    )


def _span(
    receipt: Receipt | None,
    measured: Measures,
    own_id: str,
    parent: str,
    name: str,
    *,
    kind: int,
    attributes: Attributes,
    repeated: Repeated | None = None,
) -> Span:
    """Return a span as long as the request, with its status."""
    message = ""
    events: tuple[Event, ...] = ()
    failure = measured.error_type
    if failure is not None:
        message = (
            receipt.error.message if receipt is not None and receipt.error is not None else ""
        ) or failure
        said = {names.EXCEPTION_TYPE: failure, names.EXCEPTION_MESSAGE: message}
        events = (Event(name=names.EXCEPTION, time_ns=measured.end_ns, attributes=said),)
    return Span(
        trace_id=measured.trace_id,
        span_id=own_id,
        parent_span_id=parent,
        name=name,
        kind=kind,
        start_ns=measured.start_ns,
        end_ns=measured.end_ns,
        attributes=attributes,
        events=events,
        status_code=OK if failure is None else FAILED,
        status_message=message,
        repeated=repeated,
    )


def _roots(receipt: Receipt, measured: Measures) -> tuple[Span, ...]:
    """Return the spans that the caller named, one inside the other."""
    made: tuple[Span, ...] = ()
    for key, part in (("trace_name", "trace"), ("span_name", "span")):
        name = caller_text(receipt.trace, key)
        if name:
            parent = made[-1].span_id if made else measured.parent or ""
            own_id = span_id(receipt.id, part)
            who: Attributes = {}
            facts.add_who(who, measured)
            made = (*made, _span(receipt, measured, own_id, parent, name, kind=INTERNAL, attributes=who))
    return made


def _below(receipt: Receipt, measured: Measures, own: names.Own) -> list[Span]:
    """Return the router's own steps: how it chose, and its tries."""
    made = [] if receipt.routing is None else [_route(receipt, receipt.routing, measured, own)]
    made += (_attempt(receipt, measured, own, index, one) for index, one in enumerate(receipt.attempts))
    return made


def _route(receipt: Receipt, routing: Routing, measured: Measures, own: names.Own) -> Span:
    duration_ms = routing.duration_ms
    if duration_ms is None and receipt.timing is not None:
        duration_ms = receipt.timing.router_ms
    return Span(
        trace_id=measured.trace_id,
        span_id=span_id(receipt.id, "route"),
        parent_span_id=measured.span_id,
        name="route",
        kind=INTERNAL,
        start_ns=measured.start_ns,
        end_ns=_inside(measured, duration_ms or 0),
        attributes={own.routing_profile: routing.profile} if routing.profile else {},
    )


def _attempt(
    receipt: Receipt, measured: Measures, own: names.Own, index: int, attempt: ProviderAttempt
) -> Span:
    """A failed try of a request that succeeded has no status: `status = error` finds failed requests only."""
    failed = attempt.error_type is not None or (attempt.status_code or 0) >= 400
    failed_for_good = failed and measured.error_type is not None
    said: Attributes = {
        own.provider_name: attempt.provider,
        own.duration_ms: round(attempt.duration_ms),
    }
    if attempt.provider_slug is not None:
        said[own.provider_slug] = attempt.provider_slug
    if attempt.status_code is not None:
        said[names.HTTP_STATUS] = attempt.status_code
    if failed:
        said[names.ERROR_TYPE] = attempt.error_type or str(attempt.status_code)
    return Span(
        trace_id=measured.trace_id,
        span_id=span_id(receipt.id, f"attempt-{index}"),
        parent_span_id=measured.span_id,
        name=f"provider attempt {index + 1}: {attempt.provider}",
        kind=CLIENT,
        start_ns=_inside(measured, attempt.start_ms),
        end_ns=_inside(measured, attempt.start_ms + attempt.duration_ms),
        attributes=said,
        status_code=FAILED if failed_for_good else 0,
        status_message=(attempt.error_message or said[names.ERROR_TYPE]) if failed_for_good else "",
    )


def _inside(measured: Measures, offset_ms: float) -> int:
    """Return the instant, moved inside the generation: no child ends after its parent."""
    return min(measured.start_ns + round(offset_ms * 1000) * 1000, measured.end_ns)


# -- spans without a receipt -------------------------------------------------------------------------


def test_span(
    at_us: int,
    name: str,
    namespace: str,
    *,
    trace_id: str | None = None,  # noqa: PT028 - not a test of ours, but the span of Test Connection
    version: str = VERSION,  # noqa: PT028 - likewise
) -> ResourceSpans:
    """Return the marked span of Test Connection; it never counts as a generation."""
    return _alone(at_us, name, namespace, trace_id, version, duration_us=1000)


def sample_generation(
    at_us: int,
    namespace: str,
    *,
    trace_id: str | None = None,
    name: str = "Test Generation",
    version: str = VERSION,
) -> ResourceSpans:
    """Return the marked trace of Send Trace; it never counts as a generation."""
    return _alone(at_us, name, namespace, trace_id, version, duration_us=1_000_000)


def _alone(
    at_us: int, name: str, namespace: str, trace_id: str | None, version: str, *, duration_us: int
) -> ResourceSpans:
    """Return one root span; without an id of its own the trace is told apart by its instant."""
    digest = sha256(f"{name}:{at_us}".encode()).hexdigest()
    span = Span(
        trace_id=trace_id or digest[:32],
        span_id=digest[-16:],
        name=name,
        kind=INTERNAL,
        start_ns=at_us * 1000,
        end_ns=(at_us + duration_us) * 1000,
        attributes={f"{namespace}.test": True},
        status_code=OK,
    )
    resource: Attributes = {names.SERVICE_NAME: namespace, names.SERVICE_VERSION: version}
    return ResourceSpans(resource=resource, scope=namespace, spans=(span,))
