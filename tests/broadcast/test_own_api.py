"""Delivery to types that send something else than OTLP batches: requests of one receipt, rows, objects."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcast import batches
from broadcast.store import Store
from broadcast.store.destinations import StoredDestination
from tests.broadcast.sending import World
from tests.receiver import Receiver


@pytest.fixture
def world(store: Store, tmp_path: Path) -> Iterator[World]:
    with Receiver() as receiver:
        yield World.build(store, receiver, tmp_path)


def webhook(world: World, path: str = "/hook", **config: Any) -> StoredDestination:
    return world.destination(type="webhook", config={"url": world.receiver.url(path), **config})


def bucket(world: World, **config: Any) -> StoredDestination:
    credentials = {"accessKeyId": "AKIAIOSFODNN7EXAMPLE", "secretAccessKey": "s3cret"}
    where = {"bucketName": "traces", "endpoint": world.receiver.url("")}
    return world.destination(type="s3", config={**where, **credentials, **config})


def receipts_in(body: bytes) -> list[str]:
    """The receipts of an object, by the resource of each line."""
    return [json.loads(line)["resource"]["openrouter.trace.id"] for line in body.splitlines()]


def test_a_request_for_each_receipt_where_the_type_says_so(world: World) -> None:
    stored = webhook(world, deliver="single")
    world.append(40)

    world.deliver(rounds=3)

    assert world.cursor(stored).delivered == 40
    assert len(world.receiver.requests) == 40
    assert all(len(seen.json()["resourceSpans"]) == 1 for seen in world.receiver.requests)
    assert len({seen.headers["webhook-id"] for seen in world.receiver.requests}) == 40


def test_such_requests_are_more_side_by_side(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "REQUESTS", 2)
    monkeypatch.setattr(batches, "SINGLE_REQUESTS", 4)
    made: list[int] = []
    prepare = batches.Round._prepare

    def counted(self: batches.Round, *given: Any) -> batches.Prepared | None:
        found = prepare(self, *given)
        made.append(len(found.chunks) if found else 0)
        return found

    monkeypatch.setattr(batches.Round, "_prepare", counted)
    webhook(world, deliver="single")
    world.append(40)
    world.deliver()
    assert max(made) == 4


def test_a_delivery_that_is_tried_again_keeps_its_id(world: World) -> None:
    stored = webhook(world, deliver="single")
    world.receiver.answer("/hook", status=503, times=1)
    world.append(1)

    world.deliver(rounds=2, between=lambda: world.due_now(stored))

    first, again = world.receiver.requests
    assert world.cursor(stored).delivered == 1
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.body == again.body


def test_destinations_of_two_types_share_the_log_and_not_their_bytes(world: World) -> None:
    one, other = webhook(world), bucket(world)
    appended = [receipt.id for receipt in world.append(20)]

    world.deliver()

    assert (world.cursor(one).delivered, world.cursor(other).delivered) == (20, 20)
    objects = [seen for seen in world.receiver.requests if seen.method == "PUT"]
    assert [name for seen in objects for name in receipts_in(seen.body)] == appended
    hooks = [seen for seen in world.receiver.requests if seen.path == "/hook"]
    assert sum(len(seen.json()["resourceSpans"]) for seen in hooks) == 20


@pytest.mark.parametrize("first", ["single", "batch"])
def test_what_one_destination_sends_together_another_still_sends_one_by_one(world: World, first: str) -> None:
    second = "batch" if first == "single" else "single"
    for deliver in (first, second):
        webhook(world, f"/{deliver}", deliver=deliver)
    world.append(20)

    world.deliver()

    sizes = {
        deliver: {
            len(seen.json()["resourceSpans"])
            for seen in world.receiver.requests
            if seen.path == f"/{deliver}"
        }
        for deliver in ("single", "batch")
    }
    assert sizes["single"] == {1}
    assert max(sizes["batch"]) > 1


def test_an_object_that_is_put_again_is_the_same_object(world: World) -> None:
    """So a worker killed before it could record what arrived leaves no copy behind."""
    stored = bucket(world)
    world.append(3)
    paths = []
    for _ in range(2):
        world.deliver()
        paths.append([seen.path for seen in world.receiver.requests if seen.method == "PUT"])
        with world.store.write() as conn:
            conn.exec_driver_sql(
                f"UPDATE cursors SET cursor_seq = 0, delivered = 0 WHERE destination_id = {stored.id}"
            )
        world.receiver.clear()
    assert paths[0] == paths[1]
    assert len(paths[0]) == 1
