"""What was used: the usage of a span of time, and OpenRouter's activity by day, model and provider."""

import uuid
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from broadcast.figures import Reader, Window
from broadcast.store import Store, keys, spending, usage
from broadcast.store.usage import Day
from broadcast.store.workspaces import Workspace
from broadcast.tally import DAY_US, Tally
from broadcast.times import rfc3339

SPAN_US: Final = 30 * DAY_US
DAYS: Final = 30
_NANO: Final = 1_000_000_000
_ENDPOINTS: Final = uuid.UUID("2ab63384-4df0-5b94-9004-bad31a1c3f5d")


def of(store: Store, workspace: Workspace, from_us: int, to_us: int) -> dict[str, Any]:
    """Return the usage of the requests that began in `[from_us, to_us)`, whole, by model, by capability."""
    with store.read() as conn:
        found = Reader(conn, workspace.id).figures(Window(from_us=from_us, to_us=to_us))
    return {
        "from": rfc3339(from_us),
        "to": rfc3339(to_us),
        **_sums(found.total()),
        "by_model": _parts("model_id", found.by("model")),
        "by_capability": _parts("capability", found.by("capabilities")),
    }


def _parts(name: str, found: Mapping[str, Tally]) -> list[dict[str, Any]]:
    """Return the parts that have a name, the dearest first."""
    ordered = sorted(found.items(), key=lambda item: (-item[1].spend_nano_usd, item[0]))
    return [{name: kind, **_sums(sums)} for kind, sums in ordered if kind]


def _sums(found: Tally) -> dict[str, int]:
    """Return the sums, the money rounded half up once."""
    return {
        "spend_micro_usd": (found.spend_nano_usd + 500) // 1000,
        "prompt_tokens": found.input_tokens,
        "completion_tokens": found.output_tokens,
        "request_count": found.requests,
        "unpriced_request_count": found.unpriced,
    }


def of_keys(
    store: Store, workspace: Workspace, hashes: Collection[str], now_us: int
) -> dict[str, dict[str, float]]:
    """Return by hash what keys have spent, by OpenRouter's names: ever, and this day, week and month of UTC.

    It is the cost of their requests where that is known, whoever paid the provider.
    """
    since_us = _beginnings(now_us)
    tomorrow_us = since_us["usage_daily"] + DAY_US
    with store.read() as conn:
        found = spending.by_key(conn, workspace.id, hashes, tuple(since_us.values()), tomorrow_us)
    return {
        key_hash: dict(zip(since_us, (nano_usd / _NANO for nano_usd in sums), strict=True))
        for key_hash, sums in found.items()
    }


def _beginnings(now_us: int) -> dict[str, int]:
    """Return where the time of each sum of a key begins; a week begins on Monday."""
    today_us = now_us - now_us % DAY_US
    today = datetime.fromtimestamp(today_us // 1_000_000, UTC)
    return {
        "usage": 0,
        "usage_daily": today_us,
        "usage_weekly": today_us - today.weekday() * DAY_US,
        "usage_monthly": today_us - (today.day - 1) * DAY_US,
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
