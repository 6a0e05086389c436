"""A destination with a log behind it, for tests of replay: what was delivered is said, not sent."""

from collections.abc import Sequence
from typing import Any

from broadcast import receipt_parser
from broadcast.destination import Destination
from broadcast.fates import Fate, pack
from broadcast.replay import Replays
from broadcast.store import Store, attempts, dead_letters, destinations, leases, receipts, workspaces
from broadcast.store.destinations import StoredDestination
from broadcast.store.leases import Counts
from broadcast.store.receipts import NewReceipt
from tests import factories
from tests.broadcast.store.rows import NOW_US, a_destination, a_workspace

SECOND_US = 1_000_000
DELIVERED = Fate.DELIVERED


class Past:
    """A workspace whose receipts are created a second apart, and one destination."""

    def __init__(self, store: Store, types: dict[str, type[Destination]] | None = None) -> None:
        self.store = store
        self.replays = Replays(store, types)
        with store.write() as conn:
            self.workspace = a_workspace(conn)
            self._id = a_destination(conn, self.workspace.id)

    @property
    def stored(self) -> StoredDestination:
        with self.store.read() as conn:
            found = destinations.by_id(conn, self._id)
        assert found is not None
        return found

    @property
    def uid(self) -> str:
        return self.stored.uid

    def append(
        self, *seconds: float, ids: Sequence[str] = (), content: bytes | None = None, **fields: Any
    ) -> None:
        """Append receipts created so many seconds after the beginning, in the order of their arrival."""
        with self.store.write() as conn:
            head = workspaces.lock_head(conn, self.workspace.id)
            rows = []
            for place, second in enumerate(seconds):
                name = ids[place] if ids else f"gen-{head + 1 + place}"
                receipt = factories.receipt(id=name, created_at_us=at_us(second), **fields)
                rows.append(
                    NewReceipt(
                        id=name,
                        fingerprint=name.encode(),
                        created_at_us=receipt.created_at_us,
                        received_at_us=NOW_US,
                        status="succeeded",
                        model=receipt.model,
                        duration_us=receipt.duration_us,
                        trace_id="0" * 32,
                        document=receipt_parser.document(receipt),
                        content=content,
                        content_expires_at_us=NOW_US,
                    )
                )
            receipts.append(conn, self.workspace.id, head + 1, rows)

    def settle(self, *fates: Fate) -> None:
        """Let the destination's cursor pass the next receipts, each with its fate."""
        with self.store.write() as conn:
            claim = leases.claim(conn, holder="test")[0]
            first = claim.cursor_seq + 1
            attempt_id = attempts.insert(
                conn,
                destination_id=self._id,
                at_us=NOW_US,
                from_seq=first,
                to_seq=first + len(fates) - 1,
                verdict="delivered",
                reason="200",
                config_version=1,
                delivered=fates.count(DELIVERED),
                fates=pack(fates),
            )
            counts = Counts(**{fate.value: fates.count(fate) for fate in Fate})
            assert leases.settle(
                conn,
                destination_id=self._id,
                token=claim.token,
                advance_to=claim.cursor_seq + len(fates),
                counts=counts,
            )
            for seq, fate in enumerate(fates, first):
                if fate is Fate.REJECTED:
                    dead_letters.insert(
                        conn,
                        destination_id=self._id,
                        workspace_id=self.workspace.id,
                        seq=seq,
                        receipt_id=f"gen-{seq}",
                        at_us=NOW_US,
                        reason="400 bad span",
                        status_code=400,
                        attempt_id=attempt_id,
                    )

    def change(self, **changes: Any) -> None:
        """Change the destination past the gate."""
        with self.store.write() as conn:
            stored = self.stored
            assert destinations.update(conn, stored.id, stored.version, now_us=NOW_US, **changes)


def at_us(second: float) -> int:
    """Return the instant so many seconds after the beginning."""
    return NOW_US - 3600 * SECOND_US + round(second * SECOND_US)
