import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcast import batches, delivery, shared_log
from broadcast.compression import gzip_fast
from broadcast.receipt import Receipt
from broadcast.recorder import Recorder, Settlement
from broadcast.store import Store, destinations
from broadcast.variation import Variation
from destinations.otel_collector import OtelCollector
from tests.broadcast.sending import World, clock
from tests.receiver import Receiver


@pytest.fixture
def world(store: Store, tmp_path: Path) -> Iterator[World]:
    with Receiver() as receiver:
        yield World.build(store, receiver, tmp_path)


def test_a_destination_alone_catches_up_batch_by_batch_under_one_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "REQUESTS", 2)
    stored = world.destination()
    world.append(1_100)

    world.deliver()

    cursor = world.cursor(stored)
    assert (cursor.delivered, cursor.lease_holder) == (1_100, None)
    assert sorted(set(world.generation_ids())) == sorted(f"gen-{number}" for number in range(1, 1_101))
    assert len(world.connections.attempts(world.workspace, stored.uid)["data"]) > 1


def test_the_requests_of_a_batch_go_out_side_by_side_each_receipt_once_and_each_settled_in_order(
    world: World,
) -> None:
    stored = world.destination()
    world.append(1_600)

    world.deliver()

    ids = world.generation_ids()
    # Each receipt has two such spans: its generation and the try at a provider.
    assert len(ids) == 2 * len(set(ids)) == 3_200
    attempts = world.connections.attempts(world.workspace, stored.uid)["data"][::-1]
    assert len(attempts) == len(world.receiver.requests) > 4
    assert [item["from_seq"] for item in attempts] == [1, *(item["to_seq"] + 1 for item in attempts[:-1])]
    assert attempts[-1]["to_seq"] == sum(item["delivered"] for item in attempts) == 1_600


def test_requests_of_a_batch_that_are_answered_in_the_same_moment_are_recorded_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_MOMENT_S", 60.0)
    recorded: list[int] = []
    record = Recorder.record

    async def counted(self: Recorder, settlement: Settlement) -> bool:
        recorded.append(len(settlement.entries))
        return await record(self, settlement)

    monkeypatch.setattr(Recorder, "record", counted)
    stored = world.destination()
    world.append(7 * 256)

    world.deliver()

    assert recorded == [1, 2, 4]
    assert world.cursor(stored).delivered == 7 * 256


def test_a_pause_holds_from_the_next_batch_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "REQUESTS", 1)
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


def test_destinations_that_get_the_same_share_one_body_and_one_compression(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: list[int] = []

    def counted(body: bytes) -> bytes:
        packed.append(len(body))
        return gzip_fast(body)

    monkeypatch.setattr(shared_log, "gzip_fast", counted)
    for _ in range(3):
        world.destination()
    world.destination(privacy_mode=True)
    world.append(5)

    world.deliver()

    assert len(world.receiver.requests) == 4
    assert len(packed) == 2


def test_destinations_that_catch_up_side_by_side_encode_each_receipt_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: Counter[str] = Counter()
    made = Variation.encoded

    def slowly(
        self: Variation, receipt: Receipt, content: bytes | None, *, had_content: bool
    ) -> tuple[bytes, int]:
        encoded[receipt.id] += 1
        # Whoever is not kept from it does the same meanwhile.
        time.sleep(0.0001)
        return made(self, receipt, content, had_content=had_content)

    monkeypatch.setattr(Variation, "encoded", slowly)
    for _ in range(3):
        world.destination()
    world.append(1_200)

    world.deliver()

    assert len(world.generation_ids()) == 3 * 2 * 1_200
    assert set(encoded.values()) == {1}


def test_a_receipt_over_the_limit_loses_its_longest_values_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OtelCollector, "max_bytes", 20_000)
    stored = world.destination()
    world.append(1, trace={"note": "x" * 50_000})
    world.append(1)

    world.deliver(rounds=2)

    assert world.cursor(stored).delivered == 2
    assert all(len(request.body) <= 20_000 for request in world.receiver.requests)


def test_a_receipt_that_cannot_fit_is_one_dead_letter_and_blocks_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OtelCollector, "max_bytes", 600)
    stored = world.destination()
    world.append(1)

    world.deliver()

    assert world.cursor(stored).rejected == 1
    assert not world.receiver.requests


@pytest.mark.parametrize("jump_us", [0, 86_400_000_000, -86_400_000_000])
def test_what_is_older_than_a_destination_takes_expires_by_the_database_s_clock(
    world: World, monkeypatch: pytest.MonkeyPatch, jump_us: int
) -> None:
    monkeypatch.setattr(OtelCollector, "max_age_s", 3600)
    stored = world.destination()
    world.append(2, created_at_us=clock() - 2 * 3_600_000_000)
    world.append(1)

    world.deliver(jump_us=jump_us)

    cursor = world.cursor(stored)
    assert (cursor.expired, cursor.delivered) == (2, 1)
    assert set(world.generation_ids()) == {"gen-3"}
