"""Metric counting: each destination's metrics follow the log by themselves, each receipt counted once.

Invariant. The series of a destination are exactly those of the receipts after which they were switched on, up
to `counted_seq`, which moves in the same transaction as they do: a process that is killed at any moment
neither loses one nor counts it twice, and two workers never count the same. What the key lists, the regions
and the filter rules let through is counted; a sample is not taken, and what became of the spans does not
matter.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from broadcast import filters, series
from broadcast.errors import VaultError
from broadcast.fields import metrics_every_s
from broadcast.receipt import Receipt
from broadcast.receipt_parser import from_document, with_content
from broadcast.series import OTHER
from broadcast.shared_log import Pages, SharedLog
from broadcast.store import Conn, destinations, metrics, receipts, workspaces
from broadcast.store.destinations import StoredDestination
from broadcast.store.receipts import LogRow
from broadcast.vault import Vault

AT_ONCE: Final = 1_000
"""Receipts in one step: a few hundredths of a second, and a few megabytes."""

_log: Final = logging.getLogger(__name__)


def keep(conn: Conn, workspace_id: int, head_seq: int, now_us: int) -> None:
    """Begin or end metrics as the settings of a workspace's destinations ask, at its locked head.

    Who is off, or belongs to a workspace that is, has none: switched on again they begin from nothing.
    """
    workspace = workspaces.by_id(conn, workspace_id)
    on = workspace is not None and workspace.broadcast_enabled
    wanted = {
        stored.id: every_s
        for stored in destinations.list_for(conn, workspace_id)
        if (every_s := interval_s(stored, broadcast=on)) is not None
    }
    metrics.keep(conn, workspace_id, wanted, head_seq, now_us)


def interval_s(stored: StoredDestination, *, broadcast: bool) -> int | None:
    """Return how often a destination's metrics are sent; None where they, or it, are off."""
    return metrics_every_s(stored.config) if stored.enabled and stored.follows(broadcast) else None


def step(
    conn: Conn, destination_id: int, vault: Vault, *, at_once: int = AT_ONCE, series_limit: int = series.LIMIT
) -> bool:
    """Count a few more receipts; False when the head is reached, or somebody else is at it."""
    place = metrics.lock(conn, destination_id)
    stored = destinations.by_id(conn, destination_id)
    if place is None or stored is None:
        return False
    rows = receipts.read_after(conn, place.workspace_id, place.counted_seq, at_once)
    if not rows:
        return False
    made = series.counted(_wanted(conn, stored, rows, vault))
    if made:
        keys = [labels.key for labels in (*made, OTHER)]
        found = metrics.known(conn, destination_id, keys)
        changed = series.merged(made, found, metrics.count(conn, destination_id), series_limit)
        metrics.put(conn, destination_id, changed)
    metrics.move(conn, destination_id, rows[-1].seq)
    return rows[-1].seq < workspaces.head_seq(conn, place.workspace_id)


def _wanted(conn: Conn, stored: StoredDestination, rows: Sequence[LogRow], vault: Vault) -> Iterator[Receipt]:
    """Yield the receipts that the destination's lists and rules let through."""
    workspace = (
        workspaces.by_id(conn, stored.workspace_id) if filters.needs_content(stored.filter_rules) else None
    )
    log = None if workspace is None else SharedLog(workspace, vault, Pages())
    if log is not None:
        log.put(rows)
    for row in rows:
        try:
            receipt = from_document(row.document)
            if log is not None and row.has_content:
                receipt = with_content(receipt, log.content(conn, row))
        except (msgspec.DecodeError, VaultError) as error:
            # One that cannot be read must not stop the others; its words may quote what somebody sent.
            _log.warning("action=receipt_not_measured error=%s", type(error).__name__)
            continue
        if filters.decide(
            receipt,
            api_key_hashes=stored.api_key_hashes,
            excluded_api_key_hashes=stored.excluded_api_key_hashes,
            filter_rules=stored.filter_rules,
            regions=stored.regions,
        ):
            yield receipt
