"""A request as it reaches a vendor: production's bytes, sent to a scripted receiver in the vendor's place."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from broadcast import genai
from broadcast.destination import Batch, Destination, Outcome, Request, Response
from broadcast.egress import Policy
from broadcast.receipt import Cost, KeyRef, ProviderAttempt, Receipt, Timing, Usage
from broadcast.span import Attributes
from broadcast.transport import send_once
from tests.receiver import Receiver, Seen, SeenSpan, spans_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
AT_US = 1_790_000_000_123_456
USAGE = Usage(
    input_tokens=100, output_tokens=50, cache_read_tokens=40, cache_write_tokens=10, reasoning_tokens=20
)
RECEIPT = Receipt(
    id="gen-1",
    created_at_us=AT_US,
    duration_us=2_000_000,
    model="openai/gpt-4o",
    response_model="openai/gpt-4o-2024-08-06",
    system="openai",
    provider="OpenAI",
    provider_slug="openai",
    status="succeeded",
    finish_reason="stop",
    usage=USAGE,
    cost=Cost(total_nano_usd=420_000, input_nano_usd=120_000, output_nano_usd=300_000),
    timing=Timing(first_token_ms=250.5),
    attempts=(ProviderAttempt(provider="OpenAI", status_code=200, start_ms=0, duration_ms=2000),),
    parameters={"temperature": 0.5, "max_tokens": 64, "tools_offered": ["secret_tool"]},
    user="user-1",
    session_id="session-1",
    trace={"trace_id": TRACE, "trace_name": "checkout", "team": "search", "tags": ["a", "b"]},
    api_key=KeyRef(hash="0" * 64, name="key"),
    input=[{"role": "system", "content": "be brief"}, {"role": "user", "content": "the-question"}],
    output=[{"role": "assistant", "content": "the-answer"}],
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exchange:
    """What a destination would have called, what arrived there, and what it made of the answer."""

    url: str
    seen: Seen
    response: Response
    outcome: Outcome

    @property
    def spans(self) -> list[SeenSpan]:
        return spans_of(self.seen.otlp())


def send(
    destination: Destination,
    *,
    status: int = 200,
    body: bytes | str | dict[str, Any] = b"",
    headers: Mapping[str, str] | None = None,
) -> Exchange:
    """Send one receipt's spans, privacy and all vocabulary included, and let the vendor answer so."""
    spans = genai.spans(RECEIPT, namespace="openrouter", options=options_of(destination, RECEIPT))
    request = destination.request(Batch(id="b", at_us=AT_US, pieces=(destination.encode(spans),)))
    return exchange(destination, request, status=status, body=body, headers=headers)


def options_of(destination: Destination, receipt: Receipt) -> genai.SpanOptions:
    """Return what a destination wants of a receipt at full content, as delivery asks for it."""
    return genai.SpanOptions(
        total_cost_attributes=destination.total_cost_attributes,
        prompt_attributes=destination.prompt_attributes,
        own_content=destination.content_attributes,
        extra=destination.extra_attributes(receipt),
        max_attribute_bytes=destination.max_attribute_bytes,
    )


def receipt_of(trace_id: str) -> Receipt:
    """Return the receipt as one of its own in another trace."""
    trace = {**(RECEIPT.trace or {}), "trace_id": trace_id}
    return msgspec.structs.replace(RECEIPT, id=f"gen-{trace_id[:8]}", trace=trace)


def check(
    destination: Destination, *, status: int = 200, body: bytes | str = b""
) -> tuple[Exchange, str | None]:
    """Ask about the credential; also return what is wrong with it by this answer."""
    request = destination.credential_check(AT_US)
    assert request is not None
    found = exchange(destination, request, status=status, body=body)
    return found, destination.judge_credential(found.response)


def exchange(
    destination: Destination,
    request: Request,
    *,
    status: int,
    body: bytes | str | dict[str, Any],
    headers: Mapping[str, str] | None = None,
) -> Exchange:
    """Send a request to a receiver on loopback, the path kept."""
    parts = urlsplit(request.url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    with Receiver() as receiver:
        receiver.answer(path, status=status, body=body, headers=headers)
        local = dataclasses.replace(request, url=receiver.url(path))
        policy = Policy.parse([f"127.0.0.1:{receiver.port}"])
        response = send_once(policy, lambda transport: transport.send(local))
        seen = receiver.requests[0]
    return Exchange(url=request.url, seen=seen, response=response, outcome=destination.judge(response))


def sha256(body: bytes) -> str:
    """Return the hash that a signature covers."""
    return hashlib.sha256(body).hexdigest()


def generation(found: Exchange) -> Attributes:
    """Return the attributes of the one span that carries tokens, cost and messages."""
    (span,) = [span for span in found.spans if "gen_ai.operation.name" in span.attributes]
    return span.attributes
