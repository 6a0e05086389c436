"""The generation's attributes, group by group; the names are in `genai_names`."""

from typing import Final

import msgspec

from broadcast import genai_names as names
from broadcast.genai_measures import Measures
from broadcast.receipt import Receipt
from broadcast.remembered import Remembered
from broadcast.span import Attributes, Repeated

_MAX_KNOWN_CHARS: Final = 2048
_known: Final[Remembered[tuple[object, ...], Repeated]] = Remembered()


class Kind(msgspec.Struct, frozen=True, gc=False):
    """What many requests have in common: which model was asked where, how, and on whose account."""

    api_type: str
    system: str | None
    provider: str | None
    provider_slug: str | None
    model: str
    response_model: str | None
    finish_reason: str | None
    streamed: bool
    capabilities: tuple[str, ...]
    funding_source: str | None
    routing_profile: str | None
    api_key_name: str | None

    @property
    def is_short(self) -> bool:
        """Whether it is worth a place in a cache: any of these may be any text."""
        return len(repr(self)) <= _MAX_KNOWN_CHARS


def kind_of(receipt: Receipt) -> Kind:
    """Return what kind of request it was."""
    return Kind(
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
        receipt.routing.profile if receipt.routing is not None else None,
        receipt.api_key.name if receipt.api_key is not None else None,
    )


def operation(receipt: Receipt | Kind) -> str:
    """Return the convention's operation name of a receipt's API type."""
    return names.OPERATIONS.get(receipt.api_type, receipt.api_type)


def repeated(kind: Kind, own: names.Own) -> Repeated:
    """Return the attributes that all requests of a kind have in common."""
    facts = (own.streamed, kind)
    known = _known.get(facts)
    if known is None:
        known = Repeated(attributes=_common(kind, own))
        if kind.is_short:
            _known.keep(facts, known)
    return known


def _common(kind: Kind, own: names.Own) -> Attributes:
    found: Attributes = {names.OPERATION_NAME: operation(kind)}
    if kind.system is not None:
        found[names.SYSTEM] = kind.system
    provider = kind.provider_slug or kind.system
    if provider is not None:
        found[names.PROVIDER_NAME] = provider
    found[names.REQUEST_MODEL] = kind.model
    if kind.response_model is not None:
        found[names.RESPONSE_MODEL] = kind.response_model
    if kind.finish_reason is not None:
        found[names.FINISH_REASON] = kind.finish_reason
        found[names.FINISH_REASONS] = (kind.finish_reason,)
    found[own.streamed] = kind.streamed
    if kind.capabilities:
        found[own.capabilities] = kind.capabilities
    for name, value in (
        (own.provider_name, kind.provider),
        (own.provider_slug, kind.provider_slug),
        (own.routing_profile, kind.routing_profile),
        (own.funding_source, kind.funding_source),
        (own.api_key_name, kind.api_key_name),
    ):
        if value is not None:
            found[name] = value
    return found


def add_usage(found: Attributes, measured: Measures) -> None:
    """Add the token counts that are known."""
    if measured.input_tokens is not None:
        found[names.INPUT_TOKENS] = measured.input_tokens
    if measured.output_tokens is not None:
        found[names.OUTPUT_TOKENS] = measured.output_tokens
    if measured.total_tokens is not None:
        found[names.TOTAL_TOKENS] = measured.total_tokens
    if measured.cache_read_tokens is not None:
        found[names.CACHE_READ_TOKENS] = measured.cache_read_tokens
    if measured.cache_write_tokens is not None:
        found[names.CACHE_WRITE_TOKENS] = measured.cache_write_tokens
    if measured.reasoning_tokens is not None:
        found[names.REASONING_TOKENS] = measured.reasoning_tokens


def add_cost(found: Attributes, measured: Measures, own: names.Own, *, total: bool) -> None:
    """Add the cost in USD; `total` says whether a destination reads the attributes of its parts and sum."""
    if measured.cost is not None:
        found[names.COST] = measured.cost
        if total:
            found[names.TOTAL_COST] = measured.cost
    if total and measured.input_cost is not None:
        found[names.INPUT_COST] = measured.input_cost
    if total and measured.output_cost is not None:
        found[names.OUTPUT_COST] = measured.output_cost
    if measured.upstream_cost is not None:
        found[own.upstream_usd] = measured.upstream_cost


def add_timing(found: Attributes, measured: Measures, own: names.Own) -> None:
    """Add durations and the speed of the answer."""
    found[own.duration_ms] = measured.duration_ms
    if measured.first_token_ms is not None:
        found[own.first_token_ms] = measured.first_token_ms
        found[names.TIME_TO_FIRST_CHUNK] = measured.time_to_first_chunk
    if measured.tokens_per_second is not None:
        found[own.tokens_per_second] = measured.tokens_per_second


def add_who(found: Attributes, measured: Measures) -> None:
    """Add who asked, in which trace, and what kind of failure it was."""
    if measured.user is not None:
        found[names.USER_ID] = measured.user
    if measured.session_id is not None:
        found[names.SESSION_ID] = measured.session_id
    if measured.trace_name is not None:
        found[names.TRACE_NAME] = measured.trace_name
    if measured.error_type is not None:
        found[names.ERROR_TYPE] = measured.error_type
