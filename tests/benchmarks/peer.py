"""The peer: opentelemetry-python's own spans, encoder and exporter, given the same spans."""

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer

from broadcast import span

_KINDS = {1: SpanKind.INTERNAL, 2: SpanKind.SERVER, 3: SpanKind.CLIENT}
_CODES = {0: StatusCode.UNSET, 1: StatusCode.OK, 2: StatusCode.ERROR}


def readable(resource_spans: span.ResourceSpans, resource: Resource) -> list[ReadableSpan]:
    """Return the SDK's spans of one receipt; the resource is shared, as an SDK's always is."""
    scope = InstrumentationScope(resource_spans.scope)
    return [_readable(one, resource, scope) for one in resource_spans.spans]


def _readable(one: span.Span, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    return ReadableSpan(
        name=one.name,
        context=_context(one.trace_id, one.span_id),
        parent=_context(one.trace_id, one.parent_span_id) if one.parent_span_id else None,
        resource=resource,
        attributes=one.attributes,
        events=[Event(event.name, event.attributes, event.time_ns) for event in one.events],
        kind=_KINDS[one.kind],
        status=Status(_CODES[one.status_code], one.status_message or None)
        if one.status_code == 2
        else Status(_CODES[one.status_code]),
        start_time=one.start_ns,
        end_time=one.end_ns,
        instrumentation_scope=scope,
    )


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(1))


def encode(spans: Sequence[ReadableSpan]) -> bytes:
    """Return one export request as the SDK's HTTP exporter makes it."""
    body: bytes = encode_spans(spans).SerializeToString()
    return body


def trace(tracer: Tracer, resource_spans: span.ResourceSpans, *, at_once: bool = False) -> None:
    """Make the spans of one receipt as an instrumentation does: it sets attributes as it learns them.

    `at_once` hands them all over as a span begins, which is kinder.
    """
    for one in resource_spans.spans:
        made = tracer.start_span(
            one.name,
            kind=_KINDS[one.kind],
            attributes=one.attributes if at_once else None,
            start_time=one.start_ns,
        )
        if not at_once:
            for name, value in one.attributes.items():
                made.set_attribute(name, value)
        made.set_status(Status(_CODES[one.status_code]))
        made.end(one.end_ns)
