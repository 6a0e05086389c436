"""Spans to OTLP protobuf, for receivers that refuse JSON."""

import math
from collections.abc import Iterable

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from broadcast.span import Attributes, Event, ResourceSpans, Span, Value


def encode(spans: ResourceSpans) -> bytes:
    """Return one element of a request with its tag and length, so that joined elements are a request."""
    request = ExportTraceServiceRequest(
        resource_spans=[
            trace_pb2.ResourceSpans(
                resource=Resource(attributes=attributes(spans.resource)),
                scope_spans=[
                    trace_pb2.ScopeSpans(
                        scope=InstrumentationScope(name=spans.scope),
                        spans=[_span(span) for span in spans.spans],
                    )
                ],
            )
        ]
    )
    encoded: bytes = request.SerializeToString()
    return encoded


def _span(span: Span) -> trace_pb2.Span:
    return trace_pb2.Span(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_span_id),
        name=span.name,
        kind=trace_pb2.Span.SpanKind.ValueType(span.kind),
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        attributes=attributes(span.attributes),
        events=[_event(event) for event in span.events],
        status=trace_pb2.Status(
            code=trace_pb2.Status.StatusCode.ValueType(span.status_code), message=span.status_message
        ),
    )


def _event(event: Event) -> trace_pb2.Span.Event:
    return trace_pb2.Span.Event(
        time_unix_nano=event.time_ns, name=event.name, attributes=attributes(event.attributes)
    )


def attributes(found: Attributes) -> Iterable[KeyValue]:
    """Return attributes as OTLP's; NaN and infinities are left out, as the JSON encoder does."""
    return [
        KeyValue(key=key, value=_value(value))
        for key, value in found.items()
        if not (isinstance(value, float) and not math.isfinite(value))
    ]


def _value(value: Value) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(array_value=ArrayValue(values=[_value(item) for item in value]))
