"""What a request cost: the provider's own figure, else tokens times prices, else unknown (never 0)."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from broadcast.json_text import members
from broadcast.receipt import Cost, Usage

_NANO: Final = 1_000_000_000
_NANO_USD_PER_TOKEN: Final = 1000
"""One USD a million tokens is 1000 nano-USD a token."""
_MOST_USD: Final = 1_000_000
_TYPICAL_INPUT: Final = 3000
_TYPICAL_OUTPUT: Final = 1000
_FREE: Final = Decimal(0)

_Priced = tuple[int, Decimal | None]
"""A count of tokens, and the price of its kind when it has one of its own."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """USD a million tokens, and USD a request; a missing price of a kind is that of its direction.

    `output` is missing where nothing is generated, as with embeddings.
    """

    input: Decimal
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    input_audio: Decimal | None = None
    input_image: Decimal | None = None
    reasoning: Decimal | None = None
    output_audio: Decimal | None = None
    output_image: Decimal | None = None
    request_usd: Decimal = _FREE

    @property
    def typical_usd(self) -> Decimal:
        """What a request of usual size costs, by which providers are compared: three parts in, one out."""
        tokens = _TYPICAL_INPUT * self.input + _TYPICAL_OUTPUT * (self.output or _FREE)
        return tokens / 1_000_000 + self.request_usd


def cost_of(raw_usage: Any, usage: Usage | None, prices: Prices | None) -> Cost | None:
    """Return the cost, or None when neither the provider nor a price tells it."""
    raw = members(raw_usage)
    if (total := nano_usd(raw.get("cost"))) is not None:
        upstream = nano_usd(members(raw.get("cost_details")).get("upstream_inference_cost"))
        return Cost(total_nano_usd=total, upstream_nano_usd=upstream)
    if usage is None or prices is None:
        return None
    spent_in = _sum(usage.input_tokens, prices.input, _kinds_in(raw, usage, prices))
    spent_out = _sum(usage.output_tokens, prices.output, _kinds_out(raw, usage, prices))
    if spent_in is None or spent_out is None:
        return None
    fee = prices.request_usd * _NANO
    return Cost(
        total_nano_usd=_rounded((spent_in + spent_out) * _NANO_USD_PER_TOKEN + fee),
        input_nano_usd=_rounded(spent_in * _NANO_USD_PER_TOKEN),
        output_nano_usd=_rounded(spent_out * _NANO_USD_PER_TOKEN),
        estimated=True,
    )


def nano_usd(value: Any) -> int | None:
    """Return USD, given as number or decimal string, in nano-USD; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return _rounded(amount * _NANO) if amount.is_finite() and 0 <= amount <= _MOST_USD else None


def _sum(tokens: int | None, price: Decimal | None, kinds: Iterator[_Priced]) -> Decimal | None:
    """Price one direction, whose count includes every kind; None when a count or its price is missing."""
    if tokens is None:
        # What costs nothing, or is never generated, needs no count.
        return None if price else _FREE
    left, spent = tokens, _FREE
    for count, own_price in kinds:
        if own_price is not None:
            taken = min(count, left)
            left -= taken
            spent += taken * own_price
    if price is None:
        return None if left else spent
    return spent + left * price


def _kinds_in(raw: dict[str, Any], usage: Usage, prices: Prices) -> Iterator[_Priced]:
    kept_longer = _count(members(raw.get("cache_creation")).get("ephemeral_1h_input_tokens"))
    written = usage.cache_write_tokens or 0
    details = members(raw.get("prompt_tokens_details") or raw.get("input_tokens_details"))
    yield usage.cache_read_tokens or 0, prices.cache_read
    if prices.cache_write_1h is not None:
        yield min(kept_longer, written), prices.cache_write_1h
        written -= min(kept_longer, written)
    yield written, prices.cache_write
    yield _count(details.get("audio_tokens")), prices.input_audio
    yield _count(details.get("image_tokens")), prices.input_image


def _kinds_out(raw: dict[str, Any], usage: Usage, prices: Prices) -> Iterator[_Priced]:
    details = members(raw.get("completion_tokens_details") or raw.get("output_tokens_details"))
    yield usage.reasoning_tokens or 0, prices.reasoning
    yield _count(details.get("audio_tokens")), prices.output_audio
    yield _count(details.get("image_tokens")), prices.output_image


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _rounded(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_HALF_UP))
