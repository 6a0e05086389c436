"""What a gRPC call came to, in the words and numbers that every answer is judged by.

A status becomes the HTTP status that says the same to OTLP, so that there is one way to judge and to show an
answer. Sources, read 2026-11-21: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc-response (which codes may
be tried again, `RetryInfo`), https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md (404 is
UNIMPLEMENTED). RESOURCE_EXHAUSTED without `RetryInfo` is final there, for a sender that would drop; here
nothing is dropped, and Grafana Tempo throttles so by default, so it waits as after a bare 429.
"""

import contextlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc import aio

from broadcast import send_faults
from broadcast.compression import gunzip_bounded
from broadcast.errors import SendFailed

_OK: Final = "gRPC OK"
_GZIP: Final = b"\x1f\x8b"
_DETAILS: Final = "grpc-status-details-bin"

# CANCELLED, ABORTED, OUT_OF_RANGE, DATA_LOSS and DEADLINE_EXCEEDED may be tried again, as UNAVAILABLE;
# UNKNOWN and INTERNAL may mean the server or one receipt, as HTTP's 500; the others never change by waiting.
HTTP_STATUSES: Final[Mapping[grpc.StatusCode, int]] = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.CANCELLED: 503,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 412,
    grpc.StatusCode.ABORTED: 503,
    grpc.StatusCode.OUT_OF_RANGE: 503,
    grpc.StatusCode.UNIMPLEMENTED: 404,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 503,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}
_TOO_BIG: Final = 413
_MAY_BE_SIZE: Final = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OUT_OF_RANGE)
# grpc-go and grpc-core ("larger than max"), grpc-java and grpc-dotnet ("exceeds maximum"), tonic.
_SIZE_WORDS: Final = re.compile(
    r"message (?:after decompression )?larger than max|message exceeds (?:the )?maximum"
    r"|message length too large",
    re.IGNORECASE,
)
_LOST: Final = re.compile(r"(?:Stream removed \()?(?:Socket closed|recvmsg:|sendmsg:|Broken pipe)")
_UNREACHED: Final = "failed to connect to all addresses"
_OUR_LIMIT: Final = "CLIENT: Received message larger than max"
_NOT_GRPC: Final = ("data", "bad_answer", "The server does not speak gRPC on this port.")
_SILENT: Final = ("data", "timeout", "The server accepted the connection but did not begin to speak gRPC.")
# What the library says of a connection that was not made, the narrower words first.
_CERTIFICATE_WORDS: Final[tuple[tuple[str, int], ...]] = (
    ("certificate has expired", 10),
    ("self-signed certificate in", 19),
    ("self-signed certificate", 18),
    ("unable to get local issuer", 20),
    ("Hostname Verification Check failed", send_faults.WRONG_NAME),
    ("CERTIFICATE_VERIFY_FAILED", 0),
)
_WORDS: Final[tuple[tuple[str, tuple[str, str, str]], ...]] = (
    ("handshake", send_faults.TLS_FAILED),
    ("HTTP/2", _NOT_GRPC),
    ("SETTINGS", _SILENT),
    ("refused", send_faults.REFUSED),
    ("Socket closed", send_faults.LOST),
    ("reset by peer", send_faults.LOST),
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back of one call: the message, or a server's words for why there is none."""

    status: int
    reason: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def success(message: bytes, max_bytes: int) -> Answer:
    """Return the answer of a server that took the call; what does not unpack within bounds stays packed."""
    # No message of OTLP begins so: the library hands compressed ones on.
    if message.startswith(_GZIP):
        with contextlib.suppress(ValueError):
            message = gunzip_bounded(message, max_bytes)
    return Answer(status=200, reason=_OK, body=message)


def failure(error: aio.AioRpcError, *, connected: bool) -> Answer:
    """Return a server's other answer; raise `SendFailed` where the status is the library's own."""
    code, words = error.code(), error.details() or ""
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and _OUR_LIMIT in words:
        # Only who took the call sends a message.
        return Answer(status=200, reason=f"{_OK}, with an answer that is too long to be read", body=b"")
    if words.startswith(_UNREACHED):
        raise _unreached(words)
    if code is grpc.StatusCode.UNAVAILABLE and (not connected or _LOST.match(words)):
        raise SendFailed(*send_faults.LOST)
    wait = _retry_after(error.trailing_metadata())
    too_big = wait is None and code in _MAY_BE_SIZE and _SIZE_WORDS.search(words)
    return Answer(
        status=_TOO_BIG if too_big else HTTP_STATUSES[code],
        reason=f"gRPC {code.name}",
        body=words.encode(),
        headers={} if wait is None else {"retry-after": wait},
    )


def _unreached(words: str) -> SendFailed:
    for part, number in _CERTIFICATE_WORDS:
        if part in words:
            return send_faults.certificate(number)
    for part, fault in _WORDS:
        if part in words:
            return SendFailed(*fault)
    return SendFailed(*send_faults.UNREACHABLE)


def _retry_after(trailing: Iterable[tuple[str, str | bytes]] | None) -> str | None:
    """Return the seconds that a server asks for, from `google.rpc.RetryInfo` among its details."""
    for name, value in trailing or ():
        if name != _DETAILS or not isinstance(value, bytes):
            continue
        try:
            details = Status.FromString(value).details
            for detail in details:
                found = RetryInfo()
                if detail.Unpack(found):
                    return str(max(math.ceil(found.retry_delay.ToNanoseconds() / 1e9), 0))
        except DecodeError:
            continue
    return None
