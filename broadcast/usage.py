"""What was used: the usage of a span of time, and OpenRouter's activity by day, model and provider."""

import uuid
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final, TypeVar

from broadcast.store import Store, keys, usage
from broadcast.store.usage import DAY_US, Day, Used
from broadcast.store.workspaces import Workspace
from broadcast.times import rfc3339

SPAN_US: Final = 30 * DAY_US
DAYS: Final = 30
_NANO: Final = 1_000_000_000
_ENDPOINTS: Final = uuid.UUID("2ab63384-4df0-5b94-9004-bad31a1c3f5d")
_Kind = TypeVar("_Kind", bound=Hashable)


def of(store: Store, workspace: Workspace, from_us: int, to_us: int) -> dict[str, Any]:
    """Return the usage of the requests that began in `[from_us, to_us)`, whole, by model, by capability."""
    with store.read() as conn:
        found = usage.used(conn, workspace.id, from_us, to_us)
    models = _split(found, lambda each: (each.model,))
    capabilities = _split(found, lambda each: each.capabilities)
    return {
        "from": rfc3339(from_us),
        "to": rfc3339(to_us),
        **_sums(found),
        "by_model": [{"model_id": name, **_sums(those)} for name, those in models],
        "by_capability": [{"capability": name, **_sums(those)} for name, those in capabilities],
    }


def _split(found: Iterable[Used], kinds: Callable[[Used], Iterable[_Kind]]) -> list[tuple[_Kind, list[Used]]]:
    """Return the parts by kind, the dearest first; what has two kinds is in both."""
    parts: dict[_Kind, list[Used]] = {}
    for each in found:
        for kind in kinds(each):
            parts.setdefault(kind, []).append(each)
    return sorted(parts.items(), key=lambda item: (-sum(each.spend_nano_usd for each in item[1]), item[0]))


def _sums(found: Iterable[Used]) -> dict[str, int]:
    """Return the sums, the money rounded half up once."""
    parts = list(found)
    return {
        "spend_micro_usd": (sum(each.spend_nano_usd for each in parts) + 500) // 1000,
        "prompt_tokens": sum(each.input_tokens for each in parts),
        "completion_tokens": sum(each.output_tokens for each in parts),
        "request_count": sum(each.requests for each in parts),
        "unpriced_request_count": sum(each.unpriced for each in parts),
    }


def completed_days(now_us: int) -> tuple[int, int]:
    """Return where the last 30 completed days of UTC begin and end."""
    today_us = now_us - now_us % DAY_US
    return today_us - DAYS * DAY_US, today_us


def activity(
    store: Store,
    workspace: Workspace,
    from_us: int,
    to_us: int,
    *,
    key_hash: str | None = None,
    maker_uid: str | None = None,
) -> list[dict[str, Any]]:
    """Return OpenRouter's activity, newest day first; of one key, or of the keys that one user made."""
    hashes: set[str] | None = None if key_hash is None else {key_hash}
    with store.read() as conn:
        if maker_uid is not None:
            made = keys.hashes_made_by(conn, workspace.id, maker_uid)
            hashes = made if hashes is None else hashes & made
        found = usage.by_day(conn, workspace.id, from_us, to_us, api_key_hashes=hashes)
    return [_item(day) for day in found]


def _item(day: Day) -> dict[str, Any]:
    return {
        "date": rfc3339(day.at_us)[:10],
        "model": day.model,
        "model_permaslug": day.model,
        "endpoint_id": str(uuid.uuid5(_ENDPOINTS, f"{day.model}\n{day.provider}")),
        "provider_name": day.provider,
        "usage": day.spend_nano_usd / _NANO,
        "byok_usage_inference": day.byok_nano_usd / _NANO,
        "requests": day.requests,
        "prompt_tokens": day.input_tokens,
        "completion_tokens": day.output_tokens,
        "reasoning_tokens": day.reasoning_tokens,
        "cached_tokens": day.cached_tokens,
    }
