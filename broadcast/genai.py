"""A receipt becomes a span tree (CONTRACT section 4); the attribute names are in `genai_names`."""

from hashlib import sha256
from typing import Final

import msgspec

from broadcast import genai_attributes as facts
from broadcast import genai_names as names
from broadcast import messages, trace_metadata, truncation
from broadcast.receipt import ProviderAttempt, Receipt, Routing
from broadcast.receipt_parser import with_content
from broadcast.span import CLIENT, FAILED, INTERNAL, OK, Attributes, Event, Repeated, ResourceSpans, Span
from broadcast.trace_context import caller_text, ids_of, says, span_id

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


class _Frame(msgspec.Struct, frozen=True, gc=False):
    """What every span of one receipt shares; `parent` is the caller's own span."""

    trace_id: str
    parent: str
    start_ns: int
    end_ns: int
    error_type: str
    own: names.Own


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
    trace_id, parent, generation_id = ids_of(receipt)
    start_ns = receipt.created_at_us * 1000
    end_ns = start_ns + receipt.duration_us * 1000
    frame = _Frame(trace_id, parent, start_ns, end_ns, error_type_of(receipt), names.own(namespace))
    roots: tuple[Span, ...] = ()
    name = ""
    if says(receipt.trace):
        roots = _roots(receipt, frame)
        name = caller_text(receipt.trace, "generation_name")
        parent = roots[-1].span_id if roots else parent
    repeated = facts.repeated(receipt, frame.own)
    generation = _span(
        receipt,
        frame,
        generation_id,
        parent,
        name or f"{facts.operation(receipt)} {receipt.model}",
        kind=CLIENT,
        attributes=_generation(receipt, frame, options, repeated.attributes),
        # What a destination adds may have replaced some of these.
        repeated=repeated if options.extra.keys().isdisjoint(repeated.attributes) else None,
    )
    below = _below(receipt, frame, generation_id) if receipt.attempts or receipt.routing else ()
    resource: Attributes = {
        names.SERVICE_NAME: namespace,
        names.SERVICE_VERSION: version,
        frame.own.trace_id: receipt.id,
    }
    return ResourceSpans(resource=resource, scope=namespace, spans=(*roots, generation, *below))


def error_type_of(receipt: Receipt) -> str:
    """Return what kind of failure it was; an empty text when the request succeeded."""
    if receipt.status == "succeeded":
        return ""
    return receipt.error.type if receipt.error is not None and receipt.error.type else receipt.status


# -- the tree ----------------------------------------------------------------------------------------


def _span(
    receipt: Receipt,
    frame: _Frame,
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
    if frame.error_type:
        message = (receipt.error.message if receipt.error is not None else "") or frame.error_type
        said = {names.EXCEPTION_TYPE: frame.error_type, names.EXCEPTION_MESSAGE: message}
        events = (Event(name=names.EXCEPTION, time_ns=frame.end_ns, attributes=said),)
    return Span(
        trace_id=frame.trace_id,
        span_id=own_id,
        parent_span_id=parent,
        name=name,
        kind=kind,
        start_ns=frame.start_ns,
        end_ns=frame.end_ns,
        attributes=attributes,
        events=events,
        status_code=FAILED if frame.error_type else OK,
        status_message=message,
        repeated=repeated,
    )


def _roots(receipt: Receipt, frame: _Frame) -> tuple[Span, ...]:
    """Return the spans that the caller named, one inside the other."""
    made: tuple[Span, ...] = ()
    for key, part in (("trace_name", "trace"), ("span_name", "span")):
        name = caller_text(receipt.trace, key)
        if name:
            parent = made[-1].span_id if made else frame.parent
            own_id = span_id(receipt.id, part)
            who: Attributes = {}
            _add_who(who, receipt, frame)
            made = (*made, _span(receipt, frame, own_id, parent, name, kind=INTERNAL, attributes=who))
    return made


def _below(receipt: Receipt, frame: _Frame, parent: str) -> list[Span]:
    """Return the router's own steps: how it chose, and its tries."""
    made = [] if receipt.routing is None else [_route(receipt, receipt.routing, frame, parent)]
    made += (_attempt(receipt, frame, parent, index, one) for index, one in enumerate(receipt.attempts))
    return made


def _add_who(found: Attributes, receipt: Receipt, frame: _Frame) -> None:
    if receipt.user is not None:
        found[names.USER_ID] = receipt.user
    if receipt.session_id is not None:
        found[names.SESSION_ID] = receipt.session_id
    if receipt.trace and "trace_name" in receipt.trace:
        trace_name = caller_text(receipt.trace, "trace_name")
        if trace_name:
            found[names.TRACE_NAME] = trace_name
    if frame.error_type:
        found[names.ERROR_TYPE] = frame.error_type


def _route(receipt: Receipt, routing: Routing, frame: _Frame, parent: str) -> Span:
    duration_ms = routing.duration_ms
    if duration_ms is None and receipt.timing is not None:
        duration_ms = receipt.timing.router_ms
    return Span(
        trace_id=frame.trace_id,
        span_id=span_id(receipt.id, "route"),
        parent_span_id=parent,
        name="route",
        kind=INTERNAL,
        start_ns=frame.start_ns,
        end_ns=_inside(frame, duration_ms or 0),
        attributes={frame.own.routing_profile: routing.profile} if routing.profile else {},
    )


def _attempt(receipt: Receipt, frame: _Frame, parent: str, index: int, attempt: ProviderAttempt) -> Span:
    """A failed try of a request that succeeded has no status: `status = error` finds failed requests only."""
    failed = attempt.error_type is not None or (attempt.status_code or 0) >= 400
    failed_for_good = failed and bool(frame.error_type)
    said: Attributes = {
        frame.own.provider_name: attempt.provider,
        frame.own.duration_ms: round(attempt.duration_ms),
    }
    if attempt.provider_slug is not None:
        said[frame.own.provider_slug] = attempt.provider_slug
    if attempt.status_code is not None:
        said[names.HTTP_STATUS] = attempt.status_code
    if failed:
        said[names.ERROR_TYPE] = attempt.error_type or str(attempt.status_code)
    return Span(
        trace_id=frame.trace_id,
        span_id=span_id(receipt.id, f"attempt-{index}"),
        parent_span_id=parent,
        name=f"provider attempt {index + 1}: {attempt.provider}",
        kind=CLIENT,
        start_ns=_inside(frame, attempt.start_ms),
        end_ns=_inside(frame, attempt.start_ms + attempt.duration_ms),
        attributes=said,
        status_code=FAILED if failed_for_good else 0,
        status_message=(attempt.error_message or said[names.ERROR_TYPE]) if failed_for_good else "",
    )


def _inside(frame: _Frame, offset_ms: float) -> int:
    """Return the instant, moved inside the generation: no child ends after its parent."""
    return min(frame.start_ns + round(offset_ms * 1000) * 1000, frame.end_ns)


def _generation(receipt: Receipt, frame: _Frame, options: SpanOptions, repeated: Attributes) -> Attributes:
    own = frame.own
    found = repeated.copy()
    if receipt.trace:
        found.update(trace_metadata.attributes(receipt.trace))
    found[names.RESPONSE_ID] = (receipt.attempts[-1].id if receipt.attempts else None) or receipt.id
    if receipt.usage is not None:
        facts.add_usage(found, receipt.usage)
    if receipt.cost is not None:
        facts.add_cost(found, receipt.cost, own, total=options.total_cost_attributes)
    facts.add_timing(found, receipt, own)
    if receipt.attempts:
        found[own.attempt_count] = len(receipt.attempts)
    if receipt.parameters:
        facts.add_parameters(found, receipt.parameters)
    _add_who(found, receipt, frame)
    if options.extra:
        found.update(options.extra)
    if options.content:
        messages.add_content(
            found, receipt, prompt_attributes=options.prompt_attributes, own=options.own_content
        )
    return found


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
