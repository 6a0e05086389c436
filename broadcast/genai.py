"""A receipt becomes a span tree (CONTRACT section 4); the attribute names are in `genai_names`."""

from hashlib import sha256
from typing import Any, Final

import msgspec

from broadcast import genai_names as names
from broadcast import messages, trace_metadata, truncation
from broadcast.json_text import INT64_MAX, INT64_MIN
from broadcast.receipt import Cost, ProviderAttempt, Receipt, Usage
from broadcast.receipt_parser import with_content
from broadcast.span import CLIENT, FAILED, INTERNAL, OK, Attributes, Event, ResourceSpans, Span
from broadcast.trace_context import caller_text, parent_span_id_of, span_id, trace_id_of

VERSION: Final = "1.0.0"
_NANO: Final = 1_000_000_000
_MILLI_NS: Final = 1_000_000


class SpanOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a destination wants of a receipt, beyond what everybody gets."""

    content: bool = True
    total_cost_attributes: bool = True
    prompt_attributes: bool = False
    extra: Attributes = {}
    max_attribute_bytes: int = 65_536


DEFAULT_OPTIONS: Final = SpanOptions()


class _Frame(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What every span of one receipt shares."""

    trace_id: str
    start_ns: int
    end_ns: int
    status_code: int
    status_message: str
    error_type: str
    events: tuple[Event, ...]
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
    if content is not None and options.content:
        receipt = with_content(receipt, content)
    frame = _frame(receipt, namespace)
    generation_id = span_id(receipt.id)
    tree = _roots(receipt, frame)
    parent = tree[-1].span_id if tree else parent_span_id_of(receipt)
    tree.append(
        _span(
            frame,
            generation_id,
            parent,
            caller_text(receipt.trace, "generation_name") or f"{operation(receipt)} {receipt.model}",
            kind=CLIENT,
            attributes=_generation(receipt, frame, options),
        )
    )
    if receipt.routing is not None:
        tree.append(_route(receipt, frame, generation_id))
    for index, attempt in enumerate(receipt.attempts):
        tree.append(_attempt(receipt, frame, generation_id, index, attempt))
    resource: Attributes = {
        names.SERVICE_NAME: namespace,
        names.SERVICE_VERSION: version,
        frame.own.trace_id: receipt.id,
    }
    made = ResourceSpans(resource=resource, scope=namespace, spans=tuple(tree))
    return truncation.cut_attributes(made, limit=options.max_attribute_bytes)


def operation(receipt: Receipt) -> str:
    """Return the convention's operation name of a receipt's API type."""
    return names.OPERATIONS.get(receipt.api_type, receipt.api_type)


def error_type_of(receipt: Receipt) -> str:
    """Return what kind of failure it was; an empty text when the request succeeded."""
    if receipt.status == "succeeded":
        return ""
    return receipt.error.type if receipt.error is not None and receipt.error.type else receipt.status


# -- the tree ----------------------------------------------------------------------------------------


def _frame(receipt: Receipt, namespace: str) -> _Frame:
    start_ns = receipt.created_at_us * 1000
    end_ns = start_ns + receipt.duration_us * 1000
    error_type = error_type_of(receipt)
    message = ""
    events: tuple[Event, ...] = ()
    if error_type:
        message = receipt.error.message if receipt.error is not None and receipt.error.message else error_type
        facts = {names.EXCEPTION_TYPE: error_type, names.EXCEPTION_MESSAGE: message}
        events = (Event(name=names.EXCEPTION, time_ns=end_ns, attributes=facts),)
    return _Frame(
        trace_id=trace_id_of(receipt),
        start_ns=start_ns,
        end_ns=end_ns,
        status_code=FAILED if error_type else OK,
        status_message=message,
        error_type=error_type,
        events=events,
        own=names.own(namespace),
    )


def _span(frame: _Frame, own_id: str, parent: str, name: str, *, kind: int, attributes: Attributes) -> Span:
    """Return a span as long as the request, with its status."""
    return Span(
        trace_id=frame.trace_id,
        span_id=own_id,
        parent_span_id=parent,
        name=name,
        kind=kind,
        start_ns=frame.start_ns,
        end_ns=frame.end_ns,
        attributes=attributes,
        events=frame.events,
        status_code=frame.status_code,
        status_message=frame.status_message,
    )


def _roots(receipt: Receipt, frame: _Frame) -> list[Span]:
    if not receipt.trace:
        return []
    made: list[Span] = []
    for key, part in (("trace_name", "trace"), ("span_name", "span")):
        name = caller_text(receipt.trace, key)
        if name:
            parent = made[-1].span_id if made else parent_span_id_of(receipt)
            facts = _who(receipt, frame)
            made.append(
                _span(frame, span_id(receipt.id, part), parent, name, kind=INTERNAL, attributes=facts)
            )
    return made


def _who(receipt: Receipt, frame: _Frame) -> Attributes:
    found: Attributes = {}
    if receipt.user is not None:
        found[names.USER_ID] = receipt.user
    if receipt.session_id is not None:
        found[names.SESSION_ID] = receipt.session_id
    trace_name = caller_text(receipt.trace, "trace_name")
    if trace_name:
        found[names.TRACE_NAME] = trace_name
    if frame.error_type:
        found[names.ERROR_TYPE] = frame.error_type
    return found


def _route(receipt: Receipt, frame: _Frame, parent: str) -> Span:
    routing = receipt.routing
    duration_ms = routing.duration_ms if routing is not None else None
    if duration_ms is None and receipt.timing is not None:
        duration_ms = receipt.timing.router_ms
    profile = routing.profile if routing is not None else None
    return Span(
        trace_id=frame.trace_id,
        span_id=span_id(receipt.id, "route"),
        parent_span_id=parent,
        name="route",
        kind=INTERNAL,
        start_ns=frame.start_ns,
        end_ns=_inside(frame, duration_ms or 0),
        attributes={frame.own.routing_profile: profile} if profile else {},
    )


def _attempt(receipt: Receipt, frame: _Frame, parent: str, index: int, attempt: ProviderAttempt) -> Span:
    """A failed try of a request that succeeded has no status: `status = error` finds failed requests only."""
    failed = attempt.error_type is not None or (attempt.status_code or 0) >= 400
    failed_for_good = failed and bool(frame.error_type)
    facts: Attributes = {
        frame.own.provider_name: attempt.provider,
        frame.own.duration_ms: round(attempt.duration_ms),
    }
    if attempt.provider_slug is not None:
        facts[frame.own.provider_slug] = attempt.provider_slug
    if attempt.status_code is not None:
        facts[names.HTTP_STATUS] = attempt.status_code
    if failed:
        facts[names.ERROR_TYPE] = attempt.error_type or str(attempt.status_code)
    return Span(
        trace_id=frame.trace_id,
        span_id=span_id(receipt.id, f"attempt-{index}"),
        parent_span_id=parent,
        name=f"provider attempt {index + 1}: {attempt.provider}",
        kind=CLIENT,
        start_ns=_inside(frame, attempt.start_ms),
        end_ns=_inside(frame, attempt.start_ms + attempt.duration_ms),
        attributes=facts,
        status_code=FAILED if failed_for_good else 0,
        status_message=(attempt.error_message or facts[names.ERROR_TYPE]) if failed_for_good else "",
    )


def _inside(frame: _Frame, offset_ms: float) -> int:
    """Return the instant, moved inside the generation: no child ends after its parent."""
    return min(frame.start_ns + round(offset_ms * 1000) * 1000, frame.end_ns)


# -- the generation ----------------------------------------------------------------------------------


def _generation(receipt: Receipt, frame: _Frame, options: SpanOptions) -> Attributes:
    own = frame.own
    found: Attributes = trace_metadata.attributes(receipt.trace) if receipt.trace else {}
    found[names.OPERATION_NAME] = operation(receipt)
    if receipt.system is not None:
        found[names.SYSTEM] = receipt.system
    provider = receipt.provider_slug or receipt.system
    if provider is not None:
        found[names.PROVIDER_NAME] = provider
    found[names.REQUEST_MODEL] = receipt.model
    if receipt.response_model is not None:
        found[names.RESPONSE_MODEL] = receipt.response_model
    found[names.RESPONSE_ID] = (receipt.attempts[-1].id if receipt.attempts else None) or receipt.id
    if receipt.usage is not None:
        _add_usage(found, receipt.usage)
    if receipt.cost is not None:
        _add_cost(found, receipt.cost, own, total=options.total_cost_attributes)
    if receipt.finish_reason is not None:
        found[names.FINISH_REASON] = receipt.finish_reason
        found[names.FINISH_REASONS] = (receipt.finish_reason,)
    _add_timing(found, receipt, own)
    _add_routing(found, receipt, own)
    if receipt.parameters:
        _add_parameters(found, receipt.parameters)
    found.update(_who(receipt, frame))
    if options.extra:
        found.update(options.extra)
    if options.content:
        messages.add_content(found, receipt, prompt_attributes=options.prompt_attributes)
    return found


def _add_usage(found: Attributes, usage: Usage) -> None:
    total = usage.total_tokens
    if usage.input_tokens is not None:
        found[names.INPUT_TOKENS] = usage.input_tokens
    if usage.output_tokens is not None:
        found[names.OUTPUT_TOKENS] = usage.output_tokens
        if total is None and usage.input_tokens is not None:
            total = usage.input_tokens + usage.output_tokens
    if total is not None:
        found[names.TOTAL_TOKENS] = total
    if usage.cache_read_tokens is not None:
        found[names.CACHE_READ_TOKENS] = usage.cache_read_tokens
    if usage.cache_write_tokens is not None:
        found[names.CACHE_WRITE_TOKENS] = usage.cache_write_tokens
    if usage.reasoning_tokens is not None:
        found[names.REASONING_TOKENS] = usage.reasoning_tokens


def _add_cost(found: Attributes, cost: Cost, own: names.Own, *, total: bool) -> None:
    if cost.total_nano_usd is not None:
        found[names.COST] = cost.total_nano_usd / _NANO
        if total:
            found[names.TOTAL_COST] = cost.total_nano_usd / _NANO
    if total and cost.input_nano_usd is not None:
        found[names.INPUT_COST] = cost.input_nano_usd / _NANO
    if total and cost.output_nano_usd is not None:
        found[names.OUTPUT_COST] = cost.output_nano_usd / _NANO
    if cost.upstream_nano_usd is not None:
        found[own.upstream_usd] = cost.upstream_nano_usd / _NANO


def _add_timing(found: Attributes, receipt: Receipt, own: names.Own) -> None:
    """Milliseconds are whole numbers, because Tempo takes quantiles of whole numbers only."""
    found[own.duration_ms] = round(receipt.duration_us / 1000)
    first_token_ms = receipt.timing.first_token_ms if receipt.timing is not None else None
    writing_s = receipt.duration_us / 1_000_000
    if first_token_ms is not None:
        found[own.first_token_ms] = round(first_token_ms)
        found[names.TIME_TO_FIRST_CHUNK] = first_token_ms / 1000
        if first_token_ms * 1000 < receipt.duration_us:
            writing_s -= first_token_ms / 1000
    output_tokens = receipt.usage.output_tokens if receipt.usage is not None else None
    if output_tokens and writing_s > 0:
        found[own.tokens_per_second] = round(output_tokens / writing_s, 3)


def _add_routing(found: Attributes, receipt: Receipt, own: names.Own) -> None:
    found[own.streamed] = receipt.streamed
    if receipt.provider is not None:
        found[own.provider_name] = receipt.provider
    if receipt.provider_slug is not None:
        found[own.provider_slug] = receipt.provider_slug
    if receipt.routing is not None and receipt.routing.profile is not None:
        found[own.routing_profile] = receipt.routing.profile
    if receipt.capabilities:
        found[own.capabilities] = receipt.capabilities
    if receipt.funding_source is not None:
        found[own.funding_source] = receipt.funding_source
    if receipt.api_key is not None and receipt.api_key.name is not None:
        found[own.api_key_name] = receipt.api_key.name
    if receipt.attempts:
        found[own.attempt_count] = len(receipt.attempts)


def _add_parameters(found: Attributes, parameters: dict[str, Any]) -> None:
    """A parameter of another type than the convention's is left out: an attribute keeps its type for ever."""
    for key, value in parameters.items():
        kind = type(value)
        if kind is int or kind is float:
            if key in names.NUMBER_PARAMETERS:
                found[names.NUMBER_PARAMETERS[key]] = float(value)
            elif key in names.WHOLE_PARAMETERS and value == value // 1 and INT64_MIN <= value <= INT64_MAX:
                found[names.WHOLE_PARAMETERS[key]] = int(value)
        elif key == "stop":
            stops = (value,) if kind is str else tuple(value) if kind in {list, tuple} else ()
            if stops and all(type(stop) is str for stop in stops):
                found[names.STOP_SEQUENCES] = stops


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
