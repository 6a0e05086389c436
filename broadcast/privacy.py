"""What may leave: an allow-list, applied before any code of a destination runs."""

from typing import Final, Literal, get_args

from broadcast.genai_names import SENT_PARAMETERS
from broadcast.receipt import Error, ProviderAttempt, Receipt

Level = Literal["metadata", "hashed", "redacted", "full"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)
OFFERED: Final[tuple[Level, ...]] = ("metadata", "full")


def wants_content(level: str) -> bool:
    """Return whether a destination of this level is owed content."""
    return level == "full"


def apply(receipt: Receipt, level: str) -> Receipt:
    """Return what may leave at a level; an unknown level lets out as little as `metadata`."""
    return receipt if level == "full" else _metadata_alone(receipt)


def _metadata_alone(receipt: Receipt) -> Receipt:
    """Name every field that may leave, so that a new field stays inside until somebody lists it here.

    Left out: input, output, the router's own `metadata`, `parameters` that are no attribute, vendors' texts.
    """
    return Receipt(
        id=receipt.id,
        created_at_us=receipt.created_at_us,
        duration_us=receipt.duration_us,
        model=receipt.model,
        status=receipt.status,
        response_model=receipt.response_model,
        provider=receipt.provider,
        provider_slug=receipt.provider_slug,
        system=receipt.system,
        api_type=receipt.api_type,
        streamed=receipt.streamed,
        finish_reason=receipt.finish_reason,
        native_finish_reason=receipt.native_finish_reason,
        request_id=receipt.request_id,
        error=None if receipt.error is None else Error(type=receipt.error.type, message=receipt.error.type),
        usage=receipt.usage,
        cost=receipt.cost,
        timing=receipt.timing,
        attempts=tuple(map(_attempt, receipt.attempts)),
        routing=receipt.routing,
        capabilities=receipt.capabilities,
        funding_source=receipt.funding_source,
        region=receipt.region,
        app=receipt.app,
        user_agent=receipt.user_agent,
        origin=receipt.origin,
        parameters=_parameters(receipt),
        user=receipt.user,
        session_id=receipt.session_id,
        trace=receipt.trace,
        traceparent=receipt.traceparent,
        api_key=receipt.api_key,
    )


def _attempt(attempt: ProviderAttempt) -> ProviderAttempt:
    return ProviderAttempt(
        provider=attempt.provider,
        provider_slug=attempt.provider_slug,
        model=attempt.model,
        id=attempt.id,
        status_code=attempt.status_code,
        error_type=attempt.error_type,
        start_ms=attempt.start_ms,
        duration_ms=attempt.duration_ms,
        is_byok=attempt.is_byok,
    )


def _parameters(receipt: Receipt) -> dict[str, object] | None:
    if receipt.parameters is None:
        return None
    return {key: value for key, value in receipt.parameters.items() if key in SENT_PARAMETERS}
