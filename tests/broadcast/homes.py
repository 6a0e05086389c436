"""A destination with its history, written down row by row, for tests of ledgers."""

from typing import Any

from sqlalchemy import text

from broadcast.fate_words import fate_view
from broadcast.fates import Fate, pack
from broadcast.store import Conn, attempts, cursors, dead_letters, destinations, receipts, replays
from broadcast.store.cursors import Cursor
from broadcast.store.destinations import StoredDestination
from tests.broadcast.store.rows import NOW_US, a_destination, a_workspace, append_some

DAY_US = 86_400_000_000


class Home:
    """A workspace with one destination; receipts arrived at `NOW_US`."""

    def __init__(self, conn: Conn, count: int = 0) -> None:
        self.conn = conn
        self.workspace = a_workspace(conn)
        self.id = a_destination(conn, self.workspace.id)
        if count:
            append_some(conn, self.workspace.id, count)

    @property
    def stored(self) -> StoredDestination:
        found = destinations.by_id(self.conn, self.id)
        assert found is not None
        return found

    @property
    def cursor(self) -> Cursor:
        found = cursors.get(self.conn, self.id)
        assert found is not None
        return found

    def set(self, **columns: Any) -> None:
        pairs = ", ".join(f"{name} = :{name}" for name in columns)
        self.conn.execute(
            text(f"UPDATE cursors SET {pairs} WHERE destination_id = :of"), {**columns, "of": self.id}
        )

    def attempt(self, first: int, *codes: Fate | None, at_us: int = NOW_US, **more: Any) -> int:
        """Record an attempt with one fate a receipt; None is a receipt that it left out."""
        last = first + len(codes) - 1
        counts = dict.fromkeys(("delivered", "rejected", "skipped"), 0)
        for code in codes:
            if code is not None:
                counts[code.value if code.value in counts else "skipped"] += 1
        values: dict[str, Any] = {
            "verdict": "delivered",
            "reason": "200 OK.",
            "config_version": 1,
            **counts,
            **more,
        }
        return attempts.insert(
            self.conn,
            destination_id=self.id,
            at_us=at_us,
            from_seq=first,
            to_seq=last,
            **{"fates": pack(codes), **values},
        )

    def settled(self, first: int, *codes: Fate, **more: Any) -> int:
        """Record an attempt at fresh receipts, and move the cursor."""
        id_ = self.attempt(first, *codes, **more)
        for code in codes:
            self.conn.execute(
                text(
                    f"UPDATE cursors SET cursor_seq = cursor_seq + 1, {code.value} = {code.value} + 1"
                    " WHERE destination_id = :of"
                ),
                {"of": self.id},
            )
        return id_

    def replay(self, *seqs: int) -> replays.Replay:
        return replays.start(
            self.conn,
            workspace_id=self.workspace.id,
            destination_id=self.id,
            source="list",
            from_seq=seqs[0],
            to_seq=seqs[-1],
            seqs=seqs,
            requested_by=None,
            now_us=NOW_US,
        )

    def letter(self, seq: int, reason: str = "400 bad span") -> None:
        dead_letters.insert(
            self.conn,
            destination_id=self.id,
            workspace_id=self.workspace.id,
            seq=seq,
            receipt_id=f"gen-{seq}",
            at_us=NOW_US,
            reason=reason,
            status_code=400,
        )

    def fate(self, seq: int, *, max_age_s: int | None = None) -> dict[str, Any]:
        (row,) = receipts.by_seqs(self.conn, self.workspace.id, (seq,))
        return fate_view(
            self.conn,
            self.stored,
            cursors.get(self.conn, self.id),
            row,
            retention_us=30 * DAY_US,
            max_age_s=max_age_s,
        )
