"""The opt-in groups of a destination: cost, its allocation, identity, request context, by OpenRouter's names.

Attributes are `trace.metadata.openrouter_generation.<name>`; the names are those of OpenRouter's own groups
and of its generation record. What a receipt does not say is left out: missing is unknown, never zero.
"""

from dataclasses import dataclass
from typing import Any, Final

from broadcast.genai_names import TRACE_METADATA
from broadcast.receipt import Receipt
from broadcast.span import Attributes

PREFIX: Final = f"{TRACE_METADATA}.openrouter_generation"
_NANO: Final = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Which groups a destination asks for."""

    cost: bool = False
    identity: bool = False
    request_context: bool = False
    cost_allocation: bool = False

    @property
    def any(self) -> bool:
        """Whether there is anything to send."""
        return self.cost or self.identity or self.request_context or self.cost_allocation


def attributes(receipt: Receipt, groups: Groups) -> Attributes:
    """Return what the chosen groups say of a receipt; privacy has been applied to it before."""
    found: Attributes = {}
    for chosen, read in (
        (groups.cost, _cost),
        (groups.identity, _identity),
        (groups.request_context, _context),
        (groups.cost_allocation, _allocation),
    ):
        if chosen:
            found |= {f"{PREFIX}.{name}": value for name, value in read(receipt).items() if value is not None}
    return found


def _cost(receipt: Receipt) -> dict[str, Any]:
    cost, own_key = receipt.cost, _is_byok(receipt)
    upstream = _usd(cost.upstream_nano_usd) if cost else None
    return {
        "usage": _usd(cost.total_nano_usd) if cost else None,
        "usage_upstream": upstream,
        "usage_is_estimated": cost.estimated if cost else None,
        "is_byok": own_key,
        "byok_usage_inference": upstream if own_key else None,
        "cache_write_tokens": receipt.usage.cache_write_tokens if receipt.usage else None,
    }


def _identity(receipt: Receipt) -> dict[str, Any]:
    app, key = receipt.app, receipt.api_key
    return {
        "api_key_hash": key.hash if key else None,
        "api_key_name": key.name if key else None,
        "app_title": app.title if app else None,
        "http_referer": app.referer if app else None,
        "origin": receipt.origin,
        "external_user": receipt.user,
        "session_id": receipt.session_id,
        "request_id": receipt.request_id,
        "upstream_id": receipt.attempts[-1].id if receipt.attempts else None,
    }


def _context(receipt: Receipt) -> dict[str, Any]:
    usage, timing = receipt.usage, receipt.timing
    return {
        "api_type": receipt.api_type,
        "streamed": receipt.streamed,
        "cancelled": receipt.status == "cancelled",
        "provider_name": receipt.provider,
        "router": receipt.routing.profile if receipt.routing else None,
        "data_region": receipt.region,
        "user_agent": receipt.user_agent,
        "finish_reason": receipt.finish_reason,
        "native_finish_reason": receipt.native_finish_reason,
        "latency": timing.first_token_ms if timing else None,
        "generation_time": receipt.duration_us / 1000,
        "tokens_prompt": usage.input_tokens if usage else None,
        "tokens_completion": usage.output_tokens if usage else None,
        "native_tokens_cached": usage.cache_read_tokens if usage else None,
        "native_tokens_reasoning": usage.reasoning_tokens if usage else None,
    }


def _allocation(receipt: Receipt) -> dict[str, Any]:
    """Return tokens and cost by kind of token; nothing where the parts are not exactly what was charged."""
    cost, usage = receipt.cost, receipt.usage
    if cost is None or usage is None or cost.input_nano_usd is None or cost.output_nano_usd is None:
        return {}
    if cost.input_nano_usd + cost.output_nano_usd != cost.total_nano_usd:
        return {}
    parts = {
        "input_tokens": usage.input_tokens,
        "input_cost": _usd(cost.input_nano_usd),
        "output_tokens": usage.output_tokens,
        "output_cost": _usd(cost.output_nano_usd),
        "total_cost": _usd(cost.total_nano_usd),
    }
    return {f"openrouter_cost_allocation.{name}": value for name, value in parts.items()}


def _is_byok(receipt: Receipt) -> bool | None:
    """Return whether the caller's own key paid: by the last attempt, else by the source of funds."""
    last = receipt.attempts[-1].is_byok if receipt.attempts else None
    if last is not None or receipt.funding_source is None:
        return last
    return receipt.funding_source == "byok"


def _usd(nano_usd: int | None) -> float | None:
    return None if nano_usd is None else nano_usd / _NANO
