"""What the wire tests of types with an API of their own share: whole receipts, requests and answers."""

from typing import Any

from broadcast import genai
from broadcast.destination import Batch, Destination, Response
from broadcast.genai import SpanOptions
from broadcast.receipt import Error, ProviderAttempt, Receipt, Routing
from broadcast.span import ResourceSpans
from tests import factories

AT_US = factories.AT_US
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def receipt(**changes: Any) -> Receipt:
    """Return a request with content, a name for its trace, tags, and a failover."""
    attempts = (
        ProviderAttempt(provider="Azure", status_code=429, error_type="limit", start_ms=3, duration_ms=20),
        ProviderAttempt(provider="OpenAI", id="chatcmpl-2", status_code=200, start_ms=25, duration_ms=1200),
    )
    told = {
        "attempts": attempts,
        "routing": Routing(profile="latency"),
        "trace": {"trace_id": TRACE_ID, "trace_name": "Search", "feature": "search", "tags": ["a", "b"]},
        "input": [{"role": "user", "content": "What is a span?"}],
        "output": [{"role": "assistant", "content": "A piece of a trace."}],
    }
    return factories.receipt(**{**told, **changes})


def failed_receipt(**changes: Any) -> Receipt:
    """Return a request that failed."""
    error = Error(type="upstream_error", message="The provider went away.")
    return receipt(status="error", error=error, usage=None, cost=None, output=None, **changes)


def spans(destination: Destination, told: Receipt) -> ResourceSpans:
    """Return a receipt's spans as this destination wants them."""
    options = SpanOptions(
        prompt_attributes=destination.prompt_attributes, extra=dict(destination.extra_attributes(told))
    )
    return genai.spans(told, namespace="openrouter", options=options)


def batch(destination: Destination, *told: Receipt, at_us: int = AT_US, test: bool = False) -> Batch:
    """Return some receipts as they travel in one request."""
    pieces = tuple(destination.encode(spans(destination, one)) for one in told or (receipt(),))
    return Batch(id="b-1", at_us=at_us, pieces=pieces, test=test)


def answer(status: int, body: bytes | str = b"", **headers: str) -> Response:
    """Return an answer as the transport hands it over."""
    return Response(
        status=status,
        reason="Words",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=body.encode() if isinstance(body, str) else body,
        duration_ms=1.0,
        sent_bytes=1,
        host="h",
    )
