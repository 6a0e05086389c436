"""The proof that the sums are those of the receipts: each day that is kept whole is counted again."""

from collections.abc import Mapping
from dataclasses import dataclass

from broadcast.proof import REPORT, Fault
from broadcast.retention import SUMS_US
from broadcast.store import Conn, Store, checks, workspaces
from broadcast.store.checks import Counted, DaySums
from broadcast.tally import DAY_US


@dataclass(frozen=True, kw_only=True)
class SumsProof:
    """How many days were counted again, and what was wrong."""

    days: int
    faults: tuple[Fault, ...]


def prove(store: Store, *, retention_us: int) -> SumsProof:
    """Compare the sums of every day whose receipts are all kept."""
    with store.read() as conn:
        every = workspaces.all(conn)
    days = 0
    faults: list[Fault] = []
    for workspace in every:
        wrong: set[int] = set()
        with store.read() as conn:
            now_us = store.now_us(conn)
            for what in (checks.EVERY, checks.WITH_USER):
                counted = checks.counted_days(conn, workspace.id, what, _whole_from_us(now_us - retention_us))
                wrong |= _wrong(conn, workspace.id, what, counted, now_us=now_us, retention_us=retention_us)
                days += len(counted) if what is checks.EVERY else 0
        if wrong:
            message = f"{workspace.slug}: on {len(wrong)} days the sums are not those of the receipts."
            faults.append(Fault(subject="sums", message=message, fix=REPORT))
    return SumsProof(days=days, faults=tuple(faults))


def _wrong(
    conn: Conn,
    workspace_id: int,
    what: Counted,
    counted: Mapping[int, DaySums],
    *,
    now_us: int,
    retention_us: int,
) -> set[int]:
    """Return the days whose sums are off, by hours or by days: charts of a day are made of its hours."""
    wrong: set[int] = set()
    for hours, kept_us in ((24, retention_us), (1, min(retention_us, SUMS_US))):
        from_us = _whole_from_us(now_us - kept_us)
        summed = checks.summed_days(conn, workspace_id, what, from_us, hours)
        every_day = summed.keys() | {at_us for at_us in counted if at_us >= from_us}
        wrong |= {at_us for at_us in every_day if summed.get(at_us) != counted.get(at_us)}
    return wrong


def _whole_from_us(horizon_us: int) -> int:
    """Return the first day of which retention has deleted nothing: a request begins before it arrives."""
    return horizon_us - horizon_us % DAY_US + 2 * DAY_US
