"""What a request cost: the provider's own figure, else tokens times prices, else unknown (never 0)."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from broadcast.receipt import Cost, Usage

_NANO: Final = 1_000_000_000
_NANO_USD_PER_TOKEN: Final = 1000
"""One USD a million tokens is 1000 nano-USD a token."""
_MOST_USD: Final = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Prices:
    """USD a million tokens; a missing cache price means the price of ordinary input."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None


def cost_of(raw_usage: Any, usage: Usage | None, prices: Prices | None) -> Cost | None:
    """Return the cost, or None when neither the provider nor a price tells it."""
    if isinstance(raw_usage, dict) and (total := nano_usd(raw_usage.get("cost"))) is not None:
        details = raw_usage.get("cost_details")
        upstream = details.get("upstream_inference_cost") if isinstance(details, dict) else None
        return Cost(total_nano_usd=total, upstream_nano_usd=nano_usd(upstream))
    if usage is None or prices is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    return _priced(usage.input_tokens, usage.output_tokens, usage, prices)


def nano_usd(value: Any) -> int | None:
    """Return USD, given as number or decimal string, in nano-USD; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return _rounded(amount * _NANO) if amount.is_finite() and 0 <= amount <= _MOST_USD else None


def _priced(input_tokens: int, output_tokens: int, usage: Usage, prices: Prices) -> Cost:
    """Price cached tokens apart; the counts of input include them."""
    read = min(usage.cache_read_tokens or 0, input_tokens)
    written = min(usage.cache_write_tokens or 0, input_tokens - read)
    read_price = prices.input if prices.cache_read is None else prices.cache_read
    write_price = prices.input if prices.cache_write is None else prices.cache_write
    spent_in = (input_tokens - read - written) * prices.input + read * read_price + written * write_price
    spent_out = output_tokens * prices.output
    return Cost(
        total_nano_usd=_rounded((spent_in + spent_out) * _NANO_USD_PER_TOKEN),
        input_nano_usd=_rounded(spent_in * _NANO_USD_PER_TOKEN),
        output_nano_usd=_rounded(spent_out * _NANO_USD_PER_TOKEN),
        estimated=True,
    )


def _rounded(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_HALF_UP))
