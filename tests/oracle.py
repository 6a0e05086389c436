"""What the official protobuf types read out of our encodings: the judge of every encoding."""

import base64
import json
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_IDS = {"traceId", "spanId", "parentSpanId"}


def read_json(body: bytes) -> ExportTraceServiceRequest:
    """Parse an OTLP/JSON request; its hex ids are what protobuf's own JSON writes differently."""
    document = json.loads(body, object_hook=_base64_ids, parse_constant=_refuse)
    request: ExportTraceServiceRequest = json_format.ParseDict(document, ExportTraceServiceRequest())
    return request


def read_protobuf(body: bytes) -> ExportTraceServiceRequest:
    request: ExportTraceServiceRequest = ExportTraceServiceRequest.FromString(body)
    return request


def spans_of(request: ExportTraceServiceRequest) -> list[Span]:
    return [span for top in request.resource_spans for scope in top.scope_spans for span in scope.spans]


def attributes_of(holder: Any) -> dict[str, Any]:
    return {item.key: value_of(item.value) for item in holder.attributes}


def value_of(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(value_of(item) for item in value.array_value.values)
    return getattr(value, str(kind))


def _base64_ids(item: dict[str, Any]) -> dict[str, Any]:
    return {
        key: base64.b64encode(bytes.fromhex(value)).decode() if key in _IDS else value
        for key, value in item.items()
    }


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")
