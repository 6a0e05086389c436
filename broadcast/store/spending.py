"""What keys have spent, from the sums of whole days: one read, however many keys."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import Connection, func, select

from broadcast.store.rollup_tables import rollups

_PART: Final = 1_000_000_000


def by_key(
    conn: Connection, workspace_id: int, hashes: Collection[str], since_us: Sequence[int], before_us: int
) -> dict[str, list[int]]:
    """Return by hash what each key spent in the days from each of `since_us` on, before `before_us`."""
    at_us, spent = rollups.c.at_us, rollups.c.spend_nano_usd
    # Parts apart: a sum of sums may be wider than 64 bits, which SQLite refuses to add.
    parts = [
        func.coalesce(func.sum(part).filter(at_us >= begin_us), 0)
        for begin_us in since_us
        for part in (spent // _PART, spent % _PART)
    ]
    query = (
        select(rollups.c.api_key_hash, *parts)
        .where(
            rollups.c.workspace_id == workspace_id,
            rollups.c.hours == 24,
            at_us < before_us,
            rollups.c.api_key_hash.in_(list(hashes)),
        )
        .group_by(rollups.c.api_key_hash)
    )
    return {
        row[0]: [int(whole) * _PART + int(rest) for whole, rest in zip(row[1::2], row[2::2], strict=True)]
        for row in conn.execute(query)
    }
