from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcast.recorder import Recorder, Settlement
from broadcast.store import Store, destinations
from tests.broadcast.sending import World, clock
from tests.receiver import Receiver


@pytest.fixture
def world(store: Store, tmp_path: Path) -> Iterator[World]:
    with Receiver() as receiver:
        yield World.build(store, receiver, tmp_path)


def test_a_destination_alone_catches_up_batch_by_batch_under_one_lease(world: World) -> None:
    stored = world.destination()
    world.append(1_100)
    world.deliver()
    cursor = world.cursor(stored)
    assert (cursor.delivered, cursor.lease_holder) == (1_100, None)
    assert len(world.receiver.requests) > 1
    # Each receipt has two such spans: its generation and the try at a provider.
    sent = world.generation_ids()
    assert sent[::2] == sent[1::2] == [f"gen-{number}" for number in range(1, 1_101)]


def test_a_pause_holds_from_the_next_batch_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = world.destination()
    world.append(1_100)
    record = Recorder.record

    async def then_paused(self: Recorder, settlement: Settlement) -> bool:
        kept = await record(self, settlement)
        with world.store.write() as conn:
            destinations.pause(conn, stored.id, by="person", reason="", now_us=clock())
        return kept

    monkeypatch.setattr(Recorder, "record", then_paused)
    world.deliver()
    cursor = world.cursor(stored)
    assert len(world.receiver.requests) == 1
    assert cursor.delivered == len(set(world.generation_ids())) < 1_100
    assert cursor.lease_holder is None
