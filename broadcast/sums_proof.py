"""The proof that the sums are those of the receipts: each day that is kept whole is counted again."""

from dataclasses import dataclass

from broadcast.proof import REPORT, Fault
from broadcast.retention import SUMS_US
from broadcast.store import Store, checks, workspaces
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
            counted = checks.counted_days(conn, workspace.id, _whole_from_us(now_us - retention_us))
            # Charts of a day are made of its hours, longer ones of days: both have to be right.
            for hours, kept_us in ((24, retention_us), (1, min(retention_us, SUMS_US))):
                from_us = _whole_from_us(now_us - kept_us)
                summed = checks.summed_days(conn, workspace.id, from_us, hours)
                every_day = summed.keys() | {at_us for at_us in counted if at_us >= from_us}
                wrong |= {at_us for at_us in every_day if summed.get(at_us) != counted.get(at_us)}
        days += len(counted)
        if wrong:
            message = f"{workspace.slug}: on {len(wrong)} days the sums are not those of the receipts."
            faults.append(Fault(subject="sums", message=message, fix=REPORT))
    return SumsProof(days=days, faults=tuple(faults))


def _whole_from_us(horizon_us: int) -> int:
    """Return the first day of which retention has deleted nothing: a request begins before it arrives."""
    return horizon_us - horizon_us % DAY_US + 2 * DAY_US
