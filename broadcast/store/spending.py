"""What keys have spent: the sums of whole days, and the receipts after these, however many keys."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from broadcast.store.periods import whole, wide
from broadcast.store.rollup_tables import rollups
from broadcast.store.rollups import place
from broadcast.store.tables import receipts


def by_key(
    conn: Connection, workspace_id: int, hashes: Collection[str], since_us: Sequence[int], before_us: int
) -> dict[str, list[int]]:
    """Return by hash what each key spent in the days from each of `since_us` on, before `before_us`."""
    days, single = rollups.c, receipts.c
    queries = (
        select(days.api_key_hash, *_sums(days.at_us, days.spend_nano_usd, since_us))
        .where(days.workspace_id == workspace_id, days.hours == 24, days.at_us < before_us)
        .where(days.api_key_hash.in_(list(hashes)))
        .group_by(days.api_key_hash),
        select(single.api_key_hash, *_sums(single.created_at_us, single.cost_nano_usd, since_us))
        .where(single.workspace_id == workspace_id, single.seq > place(conn, workspace_id))
        .where(single.api_key_hash.in_(list(hashes)), single.created_at_us < before_us)
        .group_by(single.api_key_hash),
    )
    found: defaultdict[str, list[int]] = defaultdict(lambda: [0] * len(since_us))
    for query in queries:
        for key_hash, *parts in conn.execute(query):
            for number, (high, low) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
                found[key_hash][number] += whole(high, low)
    return {key_hash: found[key_hash] for key_hash in hashes}


def _sums(
    at_us: ColumnElement[int], spent: ColumnElement[int], since_us: Sequence[int]
) -> Iterator[ColumnElement[Any]]:
    """Yield the sums in parts."""
    for begin_us in since_us:
        for part in wide(spent):
            yield func.coalesce(func.sum(part).filter(at_us >= begin_us), 0)
