"""What several vendors ask of a receipt, in plain values; names are each vendor's own."""

import json
from collections.abc import Mapping
from typing import Any, Final

from broadcast import trace_metadata
from broadcast.destination import Response
from broadcast.genai_attributes import operation
from broadcast.receipt import Receipt
from broadcast.span import Attributes

CONVERSATION: Final = "gen_ai.conversation.id"
"""The convention's name of a session that the caller gave; nothing else is ever put there."""


def usd(nano_usd: int | None) -> float | None:
    """Return money in USD; unknown stays unknown."""
    return None if nano_usd is None else nano_usd / 1e9


def costs(receipt: Receipt, *, total: str, parts: tuple[str, str]) -> dict[str, float]:
    """Return what is known of the cost under a vendor's names for the sum, the input and the output."""
    cost = receipt.cost
    if cost is None:
        return {}
    values = zip(
        (total, *parts), (cost.total_nano_usd, cost.input_nano_usd, cost.output_nano_usd), strict=True
    )
    return {name: nano_usd / 1e9 for name, nano_usd in values if nano_usd is not None}


def known(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are known."""
    return {name: value for name, value in values.items() if value is not None}


def total_tokens(receipt: Receipt) -> int | None:
    """Return the sum of the tokens, also where the receipt leaves it to its reader."""
    usage = receipt.usage
    if usage is None or usage.total_tokens is not None:
        return None if usage is None else usage.total_tokens
    both = (usage.input_tokens, usage.output_tokens)
    return None if None in both else sum(count for count in both if count is not None)


def metadata(receipt: Receipt, prefix: str = "") -> Attributes:
    """Return the caller's own keys of `trace`, each under a prefix."""
    found = trace_metadata.attributes(receipt.trace or {})
    return {prefix + name.removeprefix(trace_metadata.PREFIX): value for name, value in found.items()}


def tags(receipt: Receipt) -> tuple[str, ...]:
    """Return the caller's `tags`, where they are texts."""
    given = (receipt.trace or {}).get("tags")
    return tuple(tag for tag in given if isinstance(tag, str)) if isinstance(given, list | tuple) else ()


def is_embedding(receipt: Receipt) -> bool:
    """Return whether the request made vectors and no text."""
    return operation(receipt) == "embeddings"


def is_there(response: Response) -> bool | None:
    """Return whether what was asked for by its id is there; None where the answer is neither yes nor no."""
    return {200: True, 404: False}.get(response.status)


def as_json(values: Any) -> str:
    """Return compact JSON."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
