"""Metrics to OTLP, as protobuf or JSON: cumulative sums and histograms with the conventions' boundaries.

Names, units and labels: the GenAI conventions as of v1.41.1 (`series` names the page); requests, errors and
cost have no name there and stand in the router's own namespace. The other series carries
`otel.metric.overflow`: https://opentelemetry.io/docs/specs/otel/metrics/sdk/ (Overflow attribute), read
2026-11-21.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from google.protobuf import json_format  # type: ignore[import-untyped, unused-ignore]
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from broadcast import genai_names as names
from broadcast.destination import Encoding
from broadcast.otlp_protobuf import attributes as resource_attributes
from broadcast.series import OTHER, SECOND_BOUNDS, TOKEN_BOUNDS, Histogram, Labels, Series, without_errors
from broadcast.span import Attributes

TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # noqa: S105 - a count of tokens
DURATION: Final = "gen_ai.client.operation.duration"
FIRST_CHUNK: Final = "gen_ai.client.operation.time_to_first_chunk"
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - likewise
OVERFLOW: Final = "otel.metric.overflow"
PROBE: Final = "broadcast.connection_test"
_CUMULATIVE: Final = pb.AGGREGATION_TEMPORALITY_CUMULATIVE
_MICRO: Final = 1_000_000
_NANO: Final = 1_000_000_000
_LABELS: Final = Labels(
    names.OPERATION_NAME, names.PROVIDER_NAME, names.REQUEST_MODEL, names.RESPONSE_MODEL, names.ERROR_TYPE
)
COMMON: Final = _LABELS[:-1]
"""The names of the labels that every metric has; that of the kind of error stands at durations and errors."""


class Frame(NamedTuple):
    """What all points of an export have in common: whose they are, since when, and of which instant."""

    namespace: str
    resource: Attributes
    since_us: int
    at_us: int


def request_of(series: Sequence[Series], frame: Frame) -> ExportMetricsServiceRequest:
    """Return what an export says: a metric without a single point is left out."""
    plain = without_errors(series)
    own = frame.namespace
    made = (
        _histogram(TOKEN_USAGE, "{token}", _token_points(plain, frame)),
        _histogram(DURATION, "s", _second_points(series, frame, lambda one: one.duration_us)),
        _histogram(FIRST_CHUNK, "s", _second_points(plain, frame, lambda one: one.first_chunk_us)),
        _sum(f"{own}.requests", "{request}", _counts(plain, frame, lambda one: one.requests)),
        _sum(f"{own}.errors", "{request}", _counts(series, frame, lambda one: one.errors)),
        _sum(f"{own}.cost", "{USD}", _costs(plain, frame)),
        _sum(f"{own}.unpriced_requests", "{request}", _counts(plain, frame, lambda one: one.unpriced)),
    )
    return _request((metric for metric in made if _has_points(metric)), frame)


def probe(frame: Frame) -> ExportMetricsServiceRequest:
    """Return the one marked point of a connection test; it never counts as a request."""
    return _request((_sum(PROBE, "{test}", [_number((), frame, 1)]),), frame)


def bodies(
    groups: Sequence[Sequence[Series]], frame: Frame, encoding: Encoding, max_bytes: int
) -> Iterator[bytes]:
    """Yield one export, or several where a destination takes no more at once; a group stays whole."""
    body = ENCODERS[encoding](request_of([one for group in groups for one in group], frame))
    if len(body) <= max_bytes or len(groups) == 1:
        yield body
        return
    middle = len(groups) // 2
    yield from bodies(groups[:middle], frame, encoding, max_bytes)
    yield from bodies(groups[middle:], frame, encoding, max_bytes)


def _to_json(request: ExportMetricsServiceRequest) -> bytes:
    """Return an export as OTLP/JSON: 64-bit integers as text, numbers for enums."""
    text: str = json_format.MessageToJson(request, use_integers_for_enums=True, indent=None)
    return text.encode()


def _to_protobuf(request: ExportMetricsServiceRequest) -> bytes:
    """Return an export as OTLP protobuf."""
    encoded: bytes = request.SerializeToString()
    return encoded


ENCODERS: Final[Mapping[Encoding, Callable[[ExportMetricsServiceRequest], bytes]]] = {
    "json": _to_json,
    "grpc": _to_protobuf,
    "protobuf": _to_protobuf,
}


# -- points ------------------------------------------------------------------------------------------


def _token_points(every: Iterable[Series], frame: Frame) -> list[pb.HistogramDataPoint]:
    return [
        _distribution(_attributes(one.labels, kind), frame, found, found.sum, TOKEN_BOUNDS)
        for one in every
        for kind, found in (("input", one.input_tokens), ("output", one.output_tokens))
        if found.count
    ]


def _second_points(
    every: Iterable[Series], frame: Frame, of: Callable[[Series], Histogram]
) -> list[pb.HistogramDataPoint]:
    return [
        _distribution(_attributes(one.labels), frame, found, found.sum / _MICRO, SECOND_BOUNDS)
        for one in every
        if (found := of(one)).count
    ]


def _counts(every: Iterable[Series], frame: Frame, of: Callable[[Series], int]) -> list[pb.NumberDataPoint]:
    return [_number(_attributes(one.labels), frame, count) for one in every if (count := of(one))]


def _costs(every: Iterable[Series], frame: Frame) -> list[pb.NumberDataPoint]:
    """Return what is known of each cost; where nothing is, there is no point rather than a 0."""
    return [
        _number(_attributes(one.labels), frame, one.cost_nano_usd / _NANO)
        for one in every
        if one.unpriced < one.requests
    ]


def _distribution(
    attributes: Iterable[KeyValue], frame: Frame, found: Histogram, total: float, bounds: Sequence[float]
) -> pb.HistogramDataPoint:
    return pb.HistogramDataPoint(
        attributes=attributes,
        start_time_unix_nano=frame.since_us * 1000,
        time_unix_nano=frame.at_us * 1000,
        count=found.count,
        sum=total,
        bucket_counts=found.counts,
        explicit_bounds=bounds,
    )


def _number(attributes: Iterable[KeyValue], frame: Frame, value: float) -> pb.NumberDataPoint:
    point = pb.NumberDataPoint(
        attributes=attributes,
        start_time_unix_nano=frame.since_us * 1000,
        time_unix_nano=frame.at_us * 1000,
    )
    if isinstance(value, int):
        point.as_int = value
    else:
        point.as_double = value
    return point


def _attributes(labels: Labels, token_type: str = "") -> list[KeyValue]:
    """Return a point's labels; the other series says that it is one, and keeps the kind of tokens."""
    if labels == OTHER:
        found = [KeyValue(key=OVERFLOW, value=AnyValue(bool_value=True))]
    else:
        found = [_text(name, value) for name, value in zip(_LABELS, labels, strict=True) if value]
    return [*found, _text(TOKEN_TYPE, token_type)] if token_type else found


def _text(name: str, value: str) -> KeyValue:
    return KeyValue(key=name, value=AnyValue(string_value=value))


# -- what is around them -----------------------------------------------------------------------------


def _histogram(name: str, unit: str, points: list[pb.HistogramDataPoint]) -> pb.Metric:
    found = pb.Histogram(data_points=points, aggregation_temporality=_CUMULATIVE)
    return pb.Metric(name=name, unit=unit, description=_DESCRIPTIONS[name], histogram=found)


def _sum(name: str, unit: str, points: list[pb.NumberDataPoint]) -> pb.Metric:
    found = pb.Sum(data_points=points, aggregation_temporality=_CUMULATIVE, is_monotonic=True)
    said = _DESCRIPTIONS[name.rpartition(".")[2]]
    return pb.Metric(name=name, unit=unit, description=said, sum=found)


_DESCRIPTIONS: Final = {
    TOKEN_USAGE: "Number of input and output tokens used.",
    DURATION: "GenAI operation duration.",
    FIRST_CHUNK: "Time to receive the first chunk of a streamed answer.",
    "requests": "Finished requests.",
    "errors": "Requests that failed or were denied.",
    "cost": "What requests cost, of those whose cost is known.",
    "unpriced_requests": "Requests whose cost is not known.",
    "connection_test": "A test of the connection.",
}


def _has_points(metric: pb.Metric) -> bool:
    return bool(metric.histogram.data_points or metric.sum.data_points)


def _request(metrics: Iterable[pb.Metric], frame: Frame) -> ExportMetricsServiceRequest:
    scope = pb.ScopeMetrics(scope=InstrumentationScope(name=frame.namespace), metrics=metrics)
    whole = pb.ResourceMetrics(
        resource=Resource(attributes=resource_attributes(frame.resource)), scope_metrics=[scope]
    )
    return ExportMetricsServiceRequest(resource_metrics=[whole])
