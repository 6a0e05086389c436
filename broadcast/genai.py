"""A receipt becomes a span tree (CONTRACT section 4); the attribute names are in `genai_names`."""

from hashlib import sha256
from typing import Final

import msgspec

from broadcast import genai_attributes as facts
from broadcast import genai_names as names
from broadcast import messages, truncation
from broadcast.genai_measures import Measures, Root, Route, Try, measures
from broadcast.receipt import Receipt
from broadcast.receipt_parser import with_content
from broadcast.span import CLIENT, FAILED, INTERNAL, OK, Attributes, Event, Repeated, ResourceSpans, Span

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
    said: Attributes = {}
    if options.content:
        messages.add_content(
            said, receipt, prompt_attributes=options.prompt_attributes, own=options.own_content
        )
    kind, measured = facts.kind_of(receipt), measures(receipt)
    return measured_spans(kind, measured, namespace=namespace, version=version, content=said, options=options)


def measured_spans(
    kind: facts.Kind,
    measured: Measures,
    *,
    namespace: str,
    version: str = VERSION,
    content: Attributes | None = None,
    options: SpanOptions = DEFAULT_OPTIONS,
) -> ResourceSpans:
    """Return the spans of a request; no value of `measured` is looked into, so it may hold places."""
    own = names.own(namespace)
    roots = _roots(measured)
    parent = roots[-1].span_id if roots else measured.parent or ""
    generation = _generation(kind, measured, own, options, parent=parent, content=content)
    below = (_below(kind, measured, own, part) for part in measured.parts if not isinstance(part, Root))
    resource: Attributes = {
        names.SERVICE_NAME: namespace,
        names.SERVICE_VERSION: version,
        own.trace_id: measured.receipt_id,
    }
    return ResourceSpans(resource=resource, scope=namespace, spans=(*roots, generation, *below))


# -- the tree ----------------------------------------------------------------------------------------


def _generation(
    kind: facts.Kind,
    measured: Measures,
    own: names.Own,
    options: SpanOptions,
    *,
    parent: str,
    content: Attributes | None,
) -> Span:
    """Return the span of the request itself."""
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
    if content:
        found.update(content)
    return _span(
        measured,
        measured.span_id,
        parent,
        measured.generation_name or f"{facts.operation(kind)} {kind.model}",
        kind=CLIENT,
        attributes=found,
        # What a destination adds may have replaced some of these.
        repeated=repeated if options.extra.keys().isdisjoint(repeated.attributes) else None,
    )


def _span(
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
    events: tuple[Event, ...] = ()
    if measured.failure is not None:
        said = {names.EXCEPTION_TYPE: measured.error_type, names.EXCEPTION_MESSAGE: measured.failure}
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
        status_code=OK if measured.failure is None else FAILED,
        status_message=measured.failure or "",
        repeated=repeated,
    )


def _roots(measured: Measures) -> tuple[Span, ...]:
    """Return the spans that the caller named, one inside the other."""
    made: tuple[Span, ...] = ()
    for part in measured.parts:
        if isinstance(part, Root):
            parent = made[-1].span_id if made else measured.parent or ""
            who: Attributes = {}
            facts.add_who(who, measured)
            made = (
                *made,
                _span(measured, part.span_id, parent, part.name, kind=INTERNAL, attributes=who),
            )
    return made


def _below(kind: facts.Kind, measured: Measures, own: names.Own, part: Route | Try) -> Span:
    """Return one of the router's own steps: how it chose, or a try."""
    return _route(kind, measured, own, part) if isinstance(part, Route) else _attempt(measured, own, part)


def _route(kind: facts.Kind, measured: Measures, own: names.Own, route: Route) -> Span:
    return Span(
        trace_id=measured.trace_id,
        span_id=route.span_id,
        parent_span_id=measured.span_id,
        name="route",
        kind=INTERNAL,
        start_ns=measured.start_ns,
        end_ns=route.end_ns,
        attributes={own.routing_profile: kind.routing_profile} if kind.routing_profile else {},
    )


def _attempt(measured: Measures, own: names.Own, attempt: Try) -> Span:
    said: Attributes = {own.provider_name: attempt.provider, own.duration_ms: attempt.duration_ms}
    if attempt.provider_slug is not None:
        said[own.provider_slug] = attempt.provider_slug
    if attempt.status_code is not None:
        said[names.HTTP_STATUS] = attempt.status_code
    if attempt.error_type is not None:
        said[names.ERROR_TYPE] = attempt.error_type
    return Span(
        trace_id=measured.trace_id,
        span_id=attempt.span_id,
        parent_span_id=measured.span_id,
        name=attempt.name,
        kind=CLIENT,
        start_ns=attempt.start_ns,
        end_ns=attempt.end_ns,
        attributes=said,
        status_code=0 if attempt.failure is None else FAILED,
        status_message=attempt.failure or "",
    )


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
