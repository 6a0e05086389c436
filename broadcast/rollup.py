"""Rollup: each log is added up behind its head, like a destination that takes everything.

Invariant. The sums of a log are exactly those of its receipts up to `rolled_seq`, which moves in the same
transaction as they do; whoever reads adds the receipts after it. So no figure is ever behind, late and
repeated receipts included, and ingest never pays for a sum.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

from broadcast import tally
from broadcast.errors import Unavailable
from broadcast.store import Conn, facets, rollups, session_sums
from broadcast.store.database import apart
from broadcast.store.facets import Facet
from broadcast.store.periods import Period
from broadcast.tally import DAY_US, HOUR_US, FacetSums, Facts, Group, SessionSums, Tally

AT_ONCE: Final = 250
"""Receipts in one step: SQLite holds in memory what a step changes, and each may change a long list."""

_REACH: Final = 40 * AT_ONCE
_LOGS: Final = 32
_SWEPT: Final = 2
_log: Final = logging.getLogger(__name__)


def step(conn: Conn, *, least: int = 1) -> bool:
    """Add up a little more of the logs that are behind by so much; return whether there is more to do."""
    left = AT_ONCE
    found = rollups.behind(conn, _LOGS, least=least)
    failed = 0
    for workspace_id in found:
        if left <= 0:
            break
        done = _tried(conn, workspace_id, left)
        failed += done is None
        left -= done or 0
    return left <= 0 or failed < len(found) == _LOGS


def sweep(conn: Conn, after_id: int, mine: Callable[[Iterable[int]], set[int]]) -> int | None:
    """Add up a few logs of `mine` that are behind, the next by their ids; return how far, None at the end."""
    found = rollups.behind(conn, _LOGS, after_id=after_id)
    swept = sorted(mine(found))[:_SWEPT]
    for workspace_id in swept:
        _tried(conn, workspace_id, AT_ONCE)
    if len(swept) == _SWEPT:
        return swept[-1]
    return found[-1] if len(found) == _LOGS else None


def _tried(conn: Conn, workspace_id: int, limit: int) -> int | None:
    """Add up at most `limit` receipts of one log; return how many it were, None where it failed."""
    try:
        with apart(conn):
            return _step_of(conn, workspace_id, limit) or 0
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one log, the others go on
        _log.error("action=log_not_added_up workspace=%s error=%s", workspace_id, type(error).__name__)
        return None


def reach(conn: Conn, workspace_id: int, seq: int) -> bool:
    """Add up a log as far as a number, or its head; False while another worker is at it, or much is left."""
    behind = seq - rollups.place(conn, workspace_id)
    if behind <= 0:
        return True
    return _step_of(conn, workspace_id, min(behind, _REACH)) is not None and behind <= _REACH


def _step_of(conn: Conn, workspace_id: int, limit: int) -> int | None:
    """Add up at most `limit` receipts of one log; return how many it were, None where its place is taken."""
    rolled_seq = rollups.lock_place(conn, workspace_id)
    if rolled_seq is None:
        return None
    rows = list(rollups.documents_after(conn, workspace_id, rolled_seq, limit))
    if rows:
        read = ((seq, tally.read(document)) for seq, document in rows)
        _add(conn, workspace_id, ((seq, facts) for seq, facts in read if facts is not None))
        rollups.move_place(conn, workspace_id, rows[-1][0])
    return len(rows)


def _add(conn: Conn, workspace_id: int, found: Iterable[tuple[int, Facts]]) -> None:
    """Count by the hour, then add the hours of a day: a request is looked at once."""
    groups: defaultdict[Period, defaultdict[Group, Tally]] = defaultdict(lambda: defaultdict(Tally))
    by_facet: defaultdict[Period, dict[Facet, FacetSums]] = defaultdict(dict)
    seqs: defaultdict[Period, defaultdict[Facet, list[int]]] = defaultdict(lambda: defaultdict(list))
    sessions: dict[str, SessionSums] = {}
    of_session: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for seq, facts in found:
        hour = Period(1, facts.created_at_us - facts.created_at_us % HOUR_US)
        groups[hour][tally.group_of(facts)].count(facts)
        sums, of_hour, listed = tally.sums_of(facts), by_facet[hour], seqs[hour]
        for name, value in tally.facets_of(facts):
            facet = Facet(name, value)
            tally.put(of_hour, facet, sums)
            listed[facet].append(seq)
        for session_id, one in tally.session_of(facts):
            tally.put(sessions, session_id, one)
            of_session[session_id, _day(hour).at_us].append(seq)
    for hour in list(groups):
        day = _day(hour)
        for group, counted in groups[hour].items():
            groups[day][group].add(counted)
        for facet, sums in by_facet[hour].items():
            tally.put(by_facet[day], facet, sums)
    rollups.add(conn, workspace_id, groups)
    facets.add(conn, workspace_id, by_facet, seqs)
    session_sums.add(conn, workspace_id, sessions, of_session)


def _day(hour: Period) -> Period:
    return Period(24, hour.at_us - hour.at_us % DAY_US)
