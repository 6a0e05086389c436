"""OTLP's answers, in the encoding of the request: accepted, accepted in part, refused.

https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from typing import Final

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

JSON: Final = "application/json"
PROTOBUF: Final = "application/x-protobuf"

_CODES: Final = {400: 3, 401: 16, 403: 7, 404: 5, 413: 3, 415: 3, 422: 3, 429: 8, 503: 14}
_INTERNAL: Final = 13


def success(*, rejected: int, message: str, is_json: bool) -> bytes:
    """Return the answer to an export; with nothing rejected, a message is a warning."""
    if not rejected and not message:
        return b"{}" if is_json else b""
    if is_json:
        partial = {"rejectedSpans": str(rejected), "errorMessage": message}
        return msgspec.json.encode({"partialSuccess": partial})
    answer: bytes = ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=rejected, error_message=message)
    ).SerializeToString()
    return answer


def rpc_code(status: int) -> int:
    """Return the google.rpc.Code of an HTTP status."""
    return _CODES.get(status, _INTERNAL)


def status_protobuf(code: int, message: str) -> bytes:
    """Return a google.rpc.Status; `ExportTracePartialSuccess` has the same two fields on the wire."""
    answer: bytes = ExportTracePartialSuccess(rejected_spans=code, error_message=message).SerializeToString()
    return answer
