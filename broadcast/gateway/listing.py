"""The list of models in OpenRouter's shape, with neutral values for what is not known here."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from broadcast.gateway.prices import Prices
from broadcast.gateway.upstreams import Model

_UNKNOWN: Final = "-1"
"""What OpenRouter writes where a price is not fixed."""
_PARAMETERS: Final = ("max_tokens", "temperature", "top_p", "seed", "stop", "tools", "response_format")


_PRICES: Final = {
    "input_cache_read": "cache_read",
    "input_cache_write": "cache_write",
    "input_cache_write_1h": "cache_write_1h",
    "internal_reasoning": "reasoning",
    "audio": "input_audio",
    "audio_output": "output_audio",
    "image_token": "input_image",
}
"""OpenRouter's names for prices of a token, and ours; its other prices are of another unit."""


def listing(models: Iterable[Model], *, owner: str, created_s: int) -> dict[str, Any]:
    """Return `{object, data, ...}`; OpenAI's SDK reads `owned_by`, OpenRouter's the rest."""
    data = [entry(model, owner=owner, created_s=created_s) for model in models]
    return {"object": "list", "data": data, "total_count": len(data), "links": {"next": None}}


def entry(model: Model, *, owner: str, created_s: int) -> dict[str, Any]:
    """Return one model of the list."""
    prices = model.routes[0].prices
    # What has a price for its input alone generates nothing.
    makes = "embeddings" if prices and prices.output is None else "text"
    return {
        "id": model.id,
        "object": "model",
        "created": created_s,
        "owned_by": model.system or owner,
        "canonical_slug": model.id,
        "name": model.name,
        "context_length": model.context_length,
        "architecture": {
            "modality": f"text->{makes}",
            "input_modalities": ["text"],
            "output_modalities": [makes],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": _pricing(prices),
        "top_provider": {"is_moderated": False, "context_length": model.context_length},
        "per_request_limits": None,
        "supported_parameters": list(_PARAMETERS),
        "default_parameters": None,
        "supported_voices": None,
        "links": {"details": f"/api/v1/model/{model.id}"},
    }


def _pricing(prices: Prices | None) -> dict[str, str]:
    if prices is None:
        return {"prompt": _UNKNOWN, "completion": _UNKNOWN}
    own = {theirs: getattr(prices, ours) for theirs, ours in _PRICES.items()}
    return {
        "prompt": _per_token(prices.input),
        "completion": _per_token(prices.output or Decimal(0)),
        "request": _plain(prices.request_usd),
        **{name: _per_token(price) for name, price in own.items() if price is not None},
    }


def _per_token(usd_per_million: Decimal) -> str:
    return _plain(usd_per_million / 1_000_000)


def _plain(usd: Decimal) -> str:
    """Return an amount without an exponent."""
    return f"{usd.normalize():f}"
