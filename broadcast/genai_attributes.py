"""The generation's attributes, group by group; the names are in `genai_names`."""

from typing import Any, Final

from broadcast import genai_names as names
from broadcast.json_text import INT64_MAX, INT64_MIN
from broadcast.receipt import Cost, Receipt, Usage
from broadcast.span import Attributes, Repeated

_NANO: Final = 1_000_000_000
_MAX_KNOWN: Final = 1024
_MAX_KNOWN_CHARS: Final = 2048
_known: Final[dict[tuple[object, ...], Repeated]] = {}


def operation(receipt: Receipt) -> str:
    """Return the convention's operation name of a receipt's API type."""
    return names.OPERATIONS.get(receipt.api_type, receipt.api_type)


def repeated(receipt: Receipt, own: names.Own) -> Repeated:
    """Return what many requests have in common: which model was asked where, how, and on whose account."""
    profile = receipt.routing.profile if receipt.routing is not None else None
    api_key_name = receipt.api_key.name if receipt.api_key is not None else None
    facts = (
        own.streamed,
        receipt.api_type,
        receipt.system,
        receipt.provider,
        receipt.provider_slug,
        receipt.model,
        receipt.response_model,
        receipt.finish_reason,
        receipt.streamed,
        receipt.capabilities,
        receipt.funding_source,
        profile,
        api_key_name,
    )
    known = _known.get(facts)
    if known is None:
        known = Repeated(attributes=_common(receipt, own, profile, api_key_name))
        # Any of these may be any text: only what is short is worth its place.
        if len(repr(facts)) <= _MAX_KNOWN_CHARS:
            if len(_known) >= _MAX_KNOWN:
                _known.clear()
            _known[facts] = known
    return known


def _common(receipt: Receipt, own: names.Own, profile: str | None, api_key_name: str | None) -> Attributes:
    found: Attributes = {names.OPERATION_NAME: operation(receipt)}
    if receipt.system is not None:
        found[names.SYSTEM] = receipt.system
    provider = receipt.provider_slug or receipt.system
    if provider is not None:
        found[names.PROVIDER_NAME] = provider
    found[names.REQUEST_MODEL] = receipt.model
    if receipt.response_model is not None:
        found[names.RESPONSE_MODEL] = receipt.response_model
    if receipt.finish_reason is not None:
        found[names.FINISH_REASON] = receipt.finish_reason
        found[names.FINISH_REASONS] = (receipt.finish_reason,)
    found[own.streamed] = receipt.streamed
    if receipt.capabilities:
        found[own.capabilities] = receipt.capabilities
    for name, value in (
        (own.provider_name, receipt.provider),
        (own.provider_slug, receipt.provider_slug),
        (own.routing_profile, profile),
        (own.funding_source, receipt.funding_source),
        (own.api_key_name, api_key_name),
    ):
        if value is not None:
            found[name] = value
    return found


def add_usage(found: Attributes, usage: Usage) -> None:
    """Add the token counts that are known."""
    total = usage.total_tokens
    if usage.input_tokens is not None:
        found[names.INPUT_TOKENS] = usage.input_tokens
    if usage.output_tokens is not None:
        found[names.OUTPUT_TOKENS] = usage.output_tokens
        if total is None and usage.input_tokens is not None:
            total = usage.input_tokens + usage.output_tokens
    if total is not None:
        found[names.TOTAL_TOKENS] = total
    if usage.cache_read_tokens is not None:
        found[names.CACHE_READ_TOKENS] = usage.cache_read_tokens
    if usage.cache_write_tokens is not None:
        found[names.CACHE_WRITE_TOKENS] = usage.cache_write_tokens
    if usage.reasoning_tokens is not None:
        found[names.REASONING_TOKENS] = usage.reasoning_tokens


def add_cost(found: Attributes, cost: Cost, own: names.Own, *, total: bool) -> None:
    """Add the cost in USD; `total` says whether a destination reads the attributes of its parts and sum."""
    if cost.total_nano_usd is not None:
        found[names.COST] = cost.total_nano_usd / _NANO
        if total:
            found[names.TOTAL_COST] = cost.total_nano_usd / _NANO
    if total and cost.input_nano_usd is not None:
        found[names.INPUT_COST] = cost.input_nano_usd / _NANO
    if total and cost.output_nano_usd is not None:
        found[names.OUTPUT_COST] = cost.output_nano_usd / _NANO
    if cost.upstream_nano_usd is not None:
        found[own.upstream_usd] = cost.upstream_nano_usd / _NANO


def add_timing(found: Attributes, receipt: Receipt, own: names.Own) -> None:
    """Add durations; milliseconds are whole numbers, because Tempo takes quantiles of whole numbers only."""
    found[own.duration_ms] = round(receipt.duration_us / 1000)
    first_token_ms = receipt.timing.first_token_ms if receipt.timing is not None else None
    writing_s = receipt.duration_us / 1_000_000
    if first_token_ms is not None:
        found[own.first_token_ms] = round(first_token_ms)
        found[names.TIME_TO_FIRST_CHUNK] = first_token_ms / 1000
        if first_token_ms * 1000 < receipt.duration_us:
            writing_s -= first_token_ms / 1000
    output_tokens = receipt.usage.output_tokens if receipt.usage is not None else None
    if output_tokens and writing_s > 0:
        found[own.tokens_per_second] = round(output_tokens / writing_s, 3)


def add_parameters(found: Attributes, parameters: dict[str, Any]) -> None:
    """Add parameters of the convention's types: an attribute keeps its type for ever."""
    for key, value in parameters.items():
        kind = type(value)
        if kind is int or kind is float:
            if key in names.NUMBER_PARAMETERS:
                found[names.NUMBER_PARAMETERS[key]] = float(value)
            elif key in names.WHOLE_PARAMETERS and value == value // 1 and INT64_MIN <= value <= INT64_MAX:
                found[names.WHOLE_PARAMETERS[key]] = int(value)
        elif key == "stop":
            stops = (value,) if kind is str else tuple(value) if kind in {list, tuple} else ()
            if stops and all(type(stop) is str for stop in stops):
                found[names.STOP_SEQUENCES] = stops
