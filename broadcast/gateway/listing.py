"""The list of models in OpenRouter's shape, with neutral values for what is not known here."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from broadcast.gateway.upstreams import Model

_PARAMETERS: Final = ("max_tokens", "temperature", "top_p", "seed", "stop", "tools", "response_format")


def listing(models: Iterable[Model], *, owner: str, created_s: int) -> dict[str, Any]:
    """Return `{object, data, ...}`; OpenAI's SDK reads `owned_by`, OpenRouter's the rest."""
    data = [_entry(model, owner, created_s) for model in models]
    return {"object": "list", "data": data, "total_count": len(data), "links": {"next": None}}


def _entry(model: Model, owner: str, created_s: int) -> dict[str, Any]:
    prices = model.routes[0].prices
    return {
        "id": model.id,
        "object": "model",
        "created": created_s,
        "owned_by": model.system or owner,
        "canonical_slug": model.id,
        "name": model.name,
        "context_length": model.context_length,
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text"],
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {
            "prompt": _per_token(prices.input if prices else None),
            "completion": _per_token(prices.output if prices else None),
        },
        "top_provider": {"is_moderated": False, "context_length": model.context_length},
        "per_request_limits": None,
        "supported_parameters": list(_PARAMETERS),
        "default_parameters": None,
        "supported_voices": None,
        "links": {"details": f"/api/v1/models/{model.id}"},
    }


def _per_token(usd_per_million: Decimal | None) -> str:
    """Return USD a token without an exponent; OpenRouter writes -1 where the price is not fixed."""
    if usd_per_million is None:
        return "-1"
    return f"{(usd_per_million / 1_000_000).normalize():f}"
