"""A small world for tests of delivery: a workspace, its log, and destinations at a real receiver."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from broadcast import receipt_parser
from broadcast.config import Config, load
from broadcast.connections import Connections
from broadcast.delivery import Delivery
from broadcast.egress import Policy
from broadcast.ingest import Ingest
from broadcast.receipt import Receipt
from broadcast.runtime import Services
from broadcast.store import Store, cursors, destinations, workspaces
from broadcast.store.cursors import Cursor
from broadcast.store.destinations import StoredDestination
from broadcast.store.workspaces import Workspace
from broadcast.transport import Transport
from broadcast.vault import KeyRing, Vault
from destinations import TYPES
from tests import factories
from tests.receiver import Receiver

POLICY = Policy.parse(["127.0.0.1"])


def clock() -> int:
    return time.time_ns() // 1000


@dataclass
class World:
    """Everything delivery needs, for real; `receive` is the receiver that destinations point at."""

    store: Store
    receiver: Receiver
    config: Config
    vault: Vault
    connections: Connections
    ingest: Ingest
    workspace: Workspace
    numbers: int = 0
    made: int = field(default=0)

    @classmethod
    def build(cls, store: Store, receiver: Receiver, data_dir: Any) -> "World":
        config = load({"BROADCAST_DATA_DIR": str(data_dir), "BROADCAST_EGRESS_ALLOW": "127.0.0.1"})
        vault = Vault(KeyRing.parse(config.encryption_keys))
        with store.write() as conn:
            workspace = workspaces.create(
                conn, name="Acme", content_key=vault.new_content_key(), demo=False, now_us=clock()
            )
            workspaces.set_broadcast(conn, workspace.id, True)
        return cls(
            store=store,
            receiver=receiver,
            config=config,
            vault=vault,
            connections=Connections(store, vault, TYPES, POLICY, config),
            ingest=Ingest(store, vault, clock, 30 * 86_400_000_000),
            workspace=workspace,
        )

    @classmethod
    def of(cls, services: Services, workspace: Workspace, receiver: Receiver) -> "World":
        """Return the same over an application's own parts."""
        return cls(
            store=services.store,
            receiver=receiver,
            config=services.config,
            vault=services.vault,
            connections=services.connections,
            ingest=services.ingest,
            workspace=workspace,
        )

    def body(self, path: str = "/ok", **settings: Any) -> dict[str, Any]:
        """Return what the API would post for a collector at a path of the receiver."""
        self.made += 1
        given = {"endpoint": self.receiver.url(path), "headers": {"Authorization": "Bearer s3cr3t-value"}}
        return {
            "type": "otel-collector",
            "name": f"Collector {self.made}",
            "config": given,
            **settings,
        }

    def destination(self, path: str = "/ok", **settings: Any) -> StoredDestination:
        """Save a destination whose test passed, then let it point at `path`."""
        stored = self.connections.create(self.workspace, None, self.body(**settings), now_us=clock())
        if path != "/ok":
            self._point(stored, path)
        self.receiver.clear()
        return self.connections.get(self.workspace, stored.uid)

    def _point(self, stored: StoredDestination, path: str) -> None:
        """Move a destination past the gate, as if the address had begun to answer differently."""
        self.point_at(stored, self.body(path)["config"]["endpoint"])

    def point_at(self, stored: StoredDestination, endpoint: str, **settings: str) -> None:
        """Let a destination have another address, untested."""
        moved = TYPES["otel-collector"].parse({**self.body()["config"], **settings, "endpoint": endpoint})
        with self.store.write() as conn:
            destinations.update(
                conn,
                stored.id,
                stored.version,
                now_us=clock(),
                **self.connections._sealed(self.workspace, stored.uid, moved),
            )

    def append(self, count: int = 1, **fields: Any) -> list[Receipt]:
        """Append receipts to the log as ingest does."""
        items = []
        for _ in range(count):
            self.numbers += 1
            items.append(
                factories.receipt(
                    **{"id": f"gen-{self.numbers}", "created_at_us": clock() - 2_000_000, **fields}
                )
            )
        self.ingest.start()
        try:
            accepted = self.ingest.accept(self.workspace.id, items, None)
        finally:
            self.ingest.stop()
        assert accepted.accepted == count, accepted
        self.ingest = Ingest(self.store, self.vault, clock, 30 * 86_400_000_000)
        return items

    def deliver(
        self, *, rounds: int = 1, between: Callable[[], None] = lambda: None, jump_us: int = 0
    ) -> None:
        """Run rounds of delivery to their ends, in one worker, with something done after each.

        `jump_us` is how far the worker's own clock is off.
        """

        async def work() -> None:
            async with Transport(POLICY) as transport:
                delivery = Delivery(
                    self.store,
                    self.vault,
                    TYPES,
                    transport,
                    namespace=self.config.service_name,
                    holder="test",
                    clock=lambda: clock() + jump_us,
                )
                for _ in range(rounds):
                    await delivery.round()
                    while delivery.in_flight:  # noqa: ASYNC110 - a test may poll
                        await asyncio.sleep(0.005)
                    between()
                await delivery.drop_settled_contents()
                await delivery.stop(1.0)

        asyncio.run(work())

    def cursor(self, stored: StoredDestination) -> Cursor:
        with self.store.read() as conn:
            found = cursors.get(conn, stored.id)
        assert found is not None
        return found

    def due_now(self, stored: StoredDestination) -> None:
        """Let the back-off end, with all that is counted of it."""
        with self.store.write() as conn:
            conn.exec_driver_sql(f"UPDATE cursors SET due_at_us = 0 WHERE destination_id = {stored.id}")

    def generation_ids(self) -> list[str]:
        """Return the receipt ids that arrived, in order."""
        return [str(span.resource["openrouter.trace.id"]) for span in self.receiver.spans() if span.kind == 3]


def document_of(receipt: Receipt) -> bytes:
    return receipt_parser.document(receipt)
