"""In which order claims are served: small batches first, so that large ones never stop them."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from broadcast.store.leases import Claim

SMALL: Final = 64
"""Receipts that a small batch has at most."""


def in_turn(claims: Sequence[Claim]) -> list[Claim]:
    """Return claims with the small batches first, then the workspaces that wait for little.

    Each workspace's stay together: what its destinations share is then made once.
    """
    owed: Counter[int] = Counter()
    for claim in claims:
        owed[claim.workspace_id] += claim.head_seq - claim.cursor_seq
    return sorted(
        claims,
        key=lambda claim: (
            not is_small(claim),
            owed[claim.workspace_id],
            claim.workspace_id,
            claim.cursor_seq,
        ),
    )


def is_small(claim: Claim) -> bool:
    """Whether a claim's batch is small: few receipts, or few because the last answer was none."""
    return claim.failures > 0 or 0 < claim.head_seq - claim.cursor_seq <= SMALL
