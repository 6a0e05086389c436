"""A worker goes on when a workspace is deleted: before it is looked at, and in the middle of a send."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broadcast.accounts import Accounts
from broadcast.delivery import Delivery
from broadcast.destination import Request, Response
from broadcast.ingest import Ingest
from broadcast.store import Store, users, workspaces
from broadcast.store.workspaces import Workspace
from broadcast.transport import Transport
from destinations import TYPES
from tests import factories
from tests.broadcast.sending import POLICY, World, clock
from tests.receiver import Receiver


@pytest.fixture
def world(store: Store, tmp_path: Path) -> Iterator[World]:
    with Receiver() as receiver:
        yield World.build(store, receiver, tmp_path)


class Interrupted:
    """Sends like the transport, and lets something happen while the first request is on its way."""

    def __init__(self, transport: Transport, happens: Callable[[], None]) -> None:
        self._transport = transport
        self._happens: list[Callable[[], None]] = [happens]

    async def send(self, request: Request) -> Response:
        while self._happens:
            await asyncio.to_thread(self._happens.pop())
        return await self._transport.send(request)


def deliver(world: World, happens: Callable[[], None]) -> None:
    """Run three rounds of delivery, the first of which is interrupted."""

    async def work() -> None:
        async with Transport(POLICY) as transport:
            delivery = Delivery(
                world.store,
                world.vault,
                TYPES,
                Interrupted(transport, happens),
                namespace="openrouter",
                holder="test",
                clock=clock,
            )
            for _ in range(3):
                await delivery.round()
                while delivery.in_flight:  # noqa: ASYNC110 - a test may poll
                    await asyncio.sleep(0.005)
            await delivery.stop(1.0)

    asyncio.run(work())


def deleting(world: World, workspace: Workspace) -> Callable[[], None]:
    """Return what deletes a workspace, as its owner asks for it."""
    accounts = Accounts(world.store, b"s" * 32, world.vault, clock)
    owner = accounts.create_user(email=f"{workspace.slug}@example.com", password="correct horse", now_us=1)
    with world.store.write() as conn:
        users.add_member(conn, workspace_id=workspace.id, user_id=owner.id, role="owner")
    return lambda: accounts.delete_workspace(workspace, owner.id, now_us=clock())


def neighbour(world: World) -> World:
    """Return another workspace of the same instance, with a receiver's path of its own."""
    with world.store.write() as conn:
        made = workspaces.create(
            conn, name="Next door", content_key=world.vault.new_content_key(), demo=False, now_us=clock()
        )
        workspaces.set_broadcast(conn, made.id, True)
    return World(
        store=world.store,
        receiver=world.receiver,
        config=world.config,
        vault=world.vault,
        connections=world.connections,
        ingest=world.ingest,
        workspace=made,
        numbers=100,
    )


def test_nothing_is_sent_for_a_workspace_that_was_deleted_and_the_others_go_on(world: World) -> None:
    other = neighbour(world)
    world.destination()
    other.destination()
    world.append(3)
    other.append(2)
    world.receiver.clear()

    deleting(world, world.workspace)()
    deliver(world, lambda: None)

    assert set(world.generation_ids()) == {"gen-101", "gen-102"}


def test_a_workspace_is_deleted_in_the_middle_of_a_send(world: World) -> None:
    other = neighbour(world)
    stored = world.destination()
    kept = other.destination()
    world.append(2)

    deliver(world, deleting(world, world.workspace))
    other.append(2)
    deliver(world, lambda: None)

    # What was on its way had left; nothing follows it, and the worker is there for the others.
    assert set(world.generation_ids()) == {"gen-1", "gen-2", "gen-101", "gen-102"}
    assert other.cursor(kept).delivered == 2
    assert world.cursor(stored).lease_holder is None


def test_receipts_that_are_on_their_way_into_a_deleted_workspace_harm_nobody(world: World) -> None:
    other = neighbour(world)
    kept = other.destination()
    late = [factories.receipt(id=f"gen-late-{number}", created_at_us=clock()) for number in range(2)]
    deletes = deleting(world, world.workspace)
    ingest = world.ingest
    ingest.start()
    try:
        # By then this process knows the workspace, as one does that took a receipt a moment ago.
        assert ingest.accept(world.workspace.id, late[:1], None).accepted == 1
        deletes()
        assert ingest.accept(world.workspace.id, late[1:], None).accepted == 1
    finally:
        ingest.stop()
    other.ingest = Ingest(world.store, world.vault, clock, factories.RETENTION_US)
    other.append()
    deliver(world, lambda: None)

    assert other.cursor(kept).delivered == 1
    assert set(world.generation_ids()) == {"gen-101"}
