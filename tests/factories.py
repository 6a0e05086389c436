"""Receipts to test with: sensible ones, with any field said otherwise."""

import hmac
from datetime import UTC, datetime
from typing import Any, Final

from broadcast.receipt import App, Cost, KeyRef, ProviderAttempt, Receipt, Routing, Timing, Usage
from broadcast.store.destinations import StoredDestination

AT_US: Final = 1_790_000_000_000_000
"""When the receipts were made, in microseconds since 1970."""

RETENTION_US: Final = 30 * 86_400_000_000


def receipt(**overrides: Any) -> Receipt:
    """Return a finished streamed request without content, as the gateway would make it."""
    fields: dict[str, Any] = {
        "id": "gen-1790000000-AbCdEfGhIjKlMnOpQrSt",
        "created_at_us": AT_US,
        "duration_us": 1_234_567,
        "model": "openai/gpt-4o-mini",
        "status": "succeeded",
        "response_model": "openai/gpt-4o-mini-2024-07-18",
        "provider": "OpenAI",
        "provider_slug": "openai",
        "system": "openai",
        "streamed": True,
        "finish_reason": "stop",
        "usage": Usage(input_tokens=1200, output_tokens=345, cache_read_tokens=1000, reasoning_tokens=64),
        "cost": Cost(total_nano_usd=387_000, input_nano_usd=180_000, output_nano_usd=207_000),
        "timing": Timing(first_token_ms=412.5, router_ms=3.0),
        "attempts": (
            ProviderAttempt(
                provider="OpenAI",
                provider_slug="openai",
                id="chatcmpl-1",
                status_code=200,
                start_ms=3.0,
                duration_ms=1230.0,
            ),
        ),
        "funding_source": "credits",
        "parameters": {"temperature": 0.7, "max_tokens": 1024},
        "user": "user-7",
        "session_id": "session-42",
        "trace": {"environment": "production", "feature": "search", "beta": True, "step": 3},
        "api_key": KeyRef(hash="a" * 64, name="backend"),
    }
    return Receipt(**{**fields, **overrides})


def receipt_document(**overrides: Any) -> dict[str, Any]:
    """Return the same request as a router posts it (CONTRACT section 3); None leaves a field out."""
    fields: dict[str, Any] = {
        "id": "gen-1790000000-AbCdEfGhIjKlMnOpQrSt",
        "created_at": at(AT_US),
        "duration_ms": 1234.567,
        "model": "openai/gpt-4o-mini",
        "status": "succeeded",
        "response_model": "openai/gpt-4o-mini-2024-07-18",
        "provider": "OpenAI",
        "provider_slug": "openai",
        "system": "openai",
        "streamed": True,
        "finish_reason": "stop",
        "usage": {
            "input_tokens": 1200,
            "output_tokens": 345,
            "cache_read_tokens": 1000,
            "reasoning_tokens": 64,
        },
        "cost": {"total_usd": "0.000387", "input_usd": 0.00018, "output_usd": "0.000207"},
        "timing": {"first_token_ms": 412.5, "router_ms": 3},
        "attempts": [
            {
                "provider": "OpenAI",
                "provider_slug": "openai",
                "id": "chatcmpl-1",
                "status_code": 200,
                "start_ms": 3,
                "duration_ms": 1230,
            }
        ],
        "funding_source": "credits",
        "parameters": {"temperature": 0.7, "max_tokens": 1024},
        "user": "user-7",
        "session_id": "session-42",
        "trace": {"environment": "production", "feature": "search", "beta": True, "step": 3},
        "api_key": {"hash": "a" * 64, "name": "backend"},
    }
    return {name: value for name, value in {**fields, **overrides}.items() if value is not None}


def at(at_us: int) -> str:
    """Return an instant as RFC 3339 text in UTC."""
    seconds, micros = divmod(at_us, 1_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def full_receipt(**overrides: Any) -> Receipt:
    """Return a receipt with every part present: two attempts, a route, names, content."""
    fields: dict[str, Any] = {
        "attempts": (
            ProviderAttempt(
                provider="Azure",
                status_code=503,
                error_type="overloaded",
                error_message="The server is overloaded.",
                start_ms=3.0,
                duration_ms=200.0,
            ),
            ProviderAttempt(
                provider="OpenAI", id="chatcmpl-2", status_code=200, start_ms=203.0, duration_ms=1000.0
            ),
        ),
        "routing": Routing(profile="balanced", candidates=2, duration_ms=3.0),
        "capabilities": ("structured_outputs", "tools"),
        "app": App(referer="https://example.com", title="Example"),
        "trace": {
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "trace_name": "Answer a question",
            "span_name": "Look up",
            "generation_name": "Write",
            "parent_span_id": "00f067aa0ba902b7",
            "feature": "search",
        },
        "input": [{"role": "user", "content": "What is a receipt?"}],
        "output": {"role": "assistant", "content": "The record of one finished request."},
    }
    return receipt(**{**fields, **overrides})


def digest(value: bytes) -> bytes:
    """Return what stands for a value in the workspace of these tests."""
    return hmac.digest(b"the key of a workspace", value, "sha256")


def stored(**values: Any) -> StoredDestination:
    """Return a destination as stored, of which only what matters is said."""
    fields: dict[str, Any] = dict.fromkeys(StoredDestination.__dataclass_fields__)
    groups = dict.fromkeys((name for name in fields if name.startswith("broadcast_generation_")), False)
    known = {"id": 1, "version": 1, "origin": "user", "regions": ("global",), "sampling_rate": 1.0}
    return StoredDestination(**{**fields, **groups, **known, **values})
