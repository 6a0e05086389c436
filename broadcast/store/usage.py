"""Days of what was used, counted from the receipts themselves: exact, however late one came."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, select
from sqlalchemy.sql import ColumnElement

from broadcast.store.tables import receipts
from broadcast.tally import DAY_US


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """What a day of UTC came to with one model at one provider; `byok` was paid with the caller's own key."""

    at_us: int
    model: str
    provider: str
    requests: int
    spend_nano_usd: int
    byok_nano_usd: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int


def by_day(
    conn: Connection,
    workspace_id: int,
    from_us: int,
    to_us: int,
    *,
    api_key_hashes: Collection[str] | None = None,
) -> list[Day]:
    """Return the sums of the requests that began in `[from_us, to_us)`, by day, model and provider."""
    cost, own = receipts.c.cost_nano_usd, func.coalesce(receipts.c.funding_source, "") == "byok"
    at = (receipts.c.created_at_us - receipts.c.created_at_us % DAY_US).label("at_us")
    by = (at, receipts.c.model, func.coalesce(receipts.c.provider, "").label("provider"))
    query = (
        select(
            *by,
            func.count().label("requests"),
            func.coalesce(func.sum(cost).filter(~own), 0).label("spend_nano_usd"),
            func.coalesce(func.sum(cost).filter(own), 0).label("byok_nano_usd"),
            *(_sum(receipts.c[name], name) for name in _TOKENS),
        )
        .where(*_within(workspace_id, from_us, to_us))
        .group_by(*by)
    )
    if api_key_hashes is not None:
        query = query.where(receipts.c.api_key_hash.in_(list(api_key_hashes)))
    found = [
        Day(
            model=row.model,
            provider=row.provider,
            **_whole(row, "at_us", "requests", "spend_nano_usd", "byok_nano_usd", *_TOKENS),
        )
        for row in conn.execute(query)
    ]
    return sorted(found, key=lambda day: (-day.at_us, day.model, day.provider))


_TOKENS: Final = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")


def _within(workspace_id: int, from_us: int, to_us: int) -> tuple[ColumnElement[bool], ...]:
    at = receipts.c.created_at_us
    return receipts.c.workspace_id == workspace_id, at >= from_us, at < to_us


def _sum(column: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    return func.coalesce(func.sum(column), 0).label(name)


def _whole(row: Any, *names: str) -> dict[str, int]:
    """Return whole numbers: PostgreSQL sums 64-bit integers as decimals."""
    return {name: int(getattr(row, name)) for name in names}
