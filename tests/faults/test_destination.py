"""Whatever a destination answers ends as a recorded attempt that a person understands, and loses nothing."""

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcast.delivery import Delivery
from broadcast.store import Store, destinations
from broadcast.store.destinations import StoredDestination
from broadcast.transport import Transport
from destinations import TYPES
from tests.broadcast.sending import POLICY, World, clock
from tests.receiver import Receiver

GARBAGE_OF_PYTHON = re.compile(r"Traceback|Error\(|Exception|0x[0-9a-f]{6}|object at|errno", re.IGNORECASE)
SECRET = "s3cr3t-value"


@pytest.fixture
def world(sqlite_store: Store, tmp_path: Path) -> Iterator[World]:
    with Receiver() as receiver:
        yield World.build(sqlite_store, receiver, tmp_path)


def attempts_of(world: World, stored: StoredDestination) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.connections.attempts(world.workspace, stored.uid)["data"]
    return found


def accounted_for(world: World, stored: StoredDestination) -> dict[str, Any]:
    ledger = world.connections.ledger(world.workspace, stored.uid)
    assert ledger["balanced"], ledger
    return ledger


def mended(world: World, stored: StoredDestination, path: str) -> None:
    """Let the destination take everything from now on, and bring it what was held."""
    world.receiver.clear()
    world.receiver._scripts.clear()
    world.receiver.answer(path)
    with world.store.write() as conn:
        destinations.resume(conn, stored.id)
    world.due_now(stored)
    world.deliver()


def understood(reason: str) -> None:
    """A reason is a sentence for a person: no stack trace, no secret, nothing that cannot be shown."""
    assert 3 < len(reason) <= 1200, reason
    assert reason.isprintable(), reason
    assert not GARBAGE_OF_PYTHON.search(reason), reason
    assert SECRET not in reason


REFUSALS = [
    *[f"/status/{status}" for status in (400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 418, 422, 429)],
    *[f"/status/{status}" for status in (500, 501, 502, 503, 504, 505, 511, 599)],
    *["/redirect", "/html", "/reset", "/drop", "/garbage", "/odd-status", "/two-waits", "/echo"],
    *["/many-headers", "/long-header"],
]


@pytest.mark.parametrize("path", REFUSALS)
def test_a_refusal_is_recorded_in_words_and_costs_nothing(world: World, path: str) -> None:
    stored = world.destination(path)
    world.append(2)
    world.deliver()
    attempts = attempts_of(world, stored)
    assert attempts
    assert all(attempt["verdict"] != "delivered" for attempt in attempts)
    for attempt in attempts:
        understood(attempt["reason"])
    ledger = accounted_for(world, stored)
    assert (ledger["appended"], ledger["pending"] + ledger["rejected"]) == (2, 2)
    held = ledger["pending"]
    mended(world, stored, path)
    assert accounted_for(world, stored)["delivered"] == held


BODIES: dict[str, Any] = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "number": b"7",
    "text": b'"fine"',
    "cut off": b'{"partialSuccess": {"rejec',
    "deep": b"[" * 5000 + b"]" * 5000,
    "protobuf said to be json": b"\x0a\x02\x08\x01",
    "empty partial": {"partialSuccess": {}},
    "partial null": {"partialSuccess": None},
    "partial list": {"partialSuccess": [1]},
    "warning": {"partialSuccess": {"errorMessage": "slow down"}},
    "string of a number": {"partialSuccess": {"rejectedSpans": "1", "errorMessage": "late"}},
    "string of no number": {"partialSuccess": {"rejectedSpans": "many"}},
    "negative": {"partialSuccess": {"rejectedSpans": -3}},
    "huge": {"partialSuccess": {"rejectedSpans": 10**30}},
    "fraction": {"partialSuccess": {"rejectedSpans": 1.5}},
    "true": {"partialSuccess": {"rejectedSpans": True}},
    "message is a list": {"partialSuccess": {"rejectedSpans": 1, "errorMessage": ["x"]}},
    "message is long and odd": {"partialSuccess": {"rejectedSpans": 1, "errorMessage": "\u202e\0" * 9000}},
    "bytes that are no text": b'{"message":"\xff\xfe"}',
}


@pytest.mark.parametrize("body", BODIES)
def test_a_success_whatever_its_body_is_settled_and_never_sent_again(world: World, body: str) -> None:
    stored = world.destination("/odd")
    world.receiver.answer("/odd", body=BODIES[body])
    world.append(3)
    world.deliver(rounds=2)
    attempts = attempts_of(world, stored)
    assert attempts
    for attempt in attempts:
        understood(attempt["reason"])
    ledger = accounted_for(world, stored)
    assert ledger["pending"] == 0
    # Of several receipts all or none are rejected: only then is one looked for by halves.
    assert ledger["delivered"] == 3 or ledger["rejected"] == 3 or ledger["rejected"] == 1
    if ledger["delivered"] == 3:
        assert len(world.receiver.requests) == 1


WAITS = {
    "2": (2, 2),
    "0": (1, 1),
    "-5": (0.3, 0.7),
    "1000000000000": (3600, 3600),
    "abc": (0.3, 0.7),
    "": (0.3, 0.7),
    "1.5": (0.3, 0.7),
    "Wed, 21 Oct 2015 07:28:00 GMT": (1, 1),
    "Fri, 31 Dec 9999 23:59:59 GMT": (3600, 3600),
    "Thu, 99 Foo 2026 99:99:99": (0.3, 0.7),
}


@pytest.mark.parametrize("header", WAITS)
def test_retry_after_is_heard_within_reason(world: World, header: str) -> None:
    stored = world.destination("/busy")
    other = world.destination()
    world.receiver.answer("/busy", status=429, headers={"retry-after": header, "content-type": "text/plain"})
    world.append()
    world.deliver()
    cursor = world.cursor(stored)
    waits_s = (cursor.due_at_us - (cursor.last_attempt_at_us or 0)) / 1e6
    low, high = WAITS[header]
    assert low * 0.9 <= waits_s <= high * 1.1
    assert world.cursor(other).delivered == 1


ENDLESS = (["/drip", "/drip-headers", "/slow/60", "/liar"], ["/endless", "/big", "/bomb", "/continue"])


@pytest.mark.parametrize("paths", ENDLESS, ids=["slow", "big"])
def test_who_drips_stalls_or_never_ends_is_cut_off_in_time_and_in_size(
    world: World, paths: list[str]
) -> None:
    stored = [world.destination(path) for path in paths]
    world.append(2)
    before = resident_kib()
    world.deliver()
    assert resident_kib() - before < 64 * 1024
    for path, one in zip(paths, stored, strict=True):
        attempt = attempts_of(world, one)[0]
        understood(attempt["reason"])
        assert attempt["duration_ms"] < 16_500, path
        ledger = accounted_for(world, one)
        assert ledger["pending"] + ledger["delivered"] == 2, path
    for path, one in zip(paths, stored, strict=True):
        if accounted_for(world, one)["pending"]:
            mended(world, one, path)
            assert accounted_for(world, one)["delivered"] == 2, path


def resident_kib() -> int:
    return int(re.findall(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[0])


# -- a destination that changes while its batch is in flight ---------------------------------------------


def while_in_flight(world: World, change: Callable[[], object]) -> None:
    """Run a round of delivery, and do something once its request has arrived."""
    before = len(world.receiver.requests)
    sending = threading.Thread(target=world.deliver)
    sending.start()
    deadline = time.monotonic() + 30
    while len(world.receiver.requests) == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    change()
    sending.join()


def test_deleted_in_flight_it_is_recorded_and_nothing_more_is_sent(world: World) -> None:
    stored = world.destination("/slow/1")
    world.append(2)
    while_in_flight(
        world, lambda: world.connections.delete(world.workspace, None, stored.uid, now_us=clock())
    )
    world.append()
    world.deliver(rounds=2)
    assert len(world.receiver.requests) == 1
    assert world.cursor(stored).delivered == 2


def test_edited_in_flight_the_next_batch_goes_to_the_new_address(world: World) -> None:
    stored = world.destination("/slow/1")
    world.append(2)
    while_in_flight(world, lambda: world._point(stored, "/elsewhere"))
    world.append()
    world.deliver()
    assert [seen.path for seen in world.receiver.requests] == ["/slow/1", "/elsewhere"]
    assert accounted_for(world, stored)["delivered"] == 3
    assert len({span.span_id for span in world.receiver.spans()}) == len(world.receiver.spans())


def test_paused_in_flight_what_arrived_is_recorded_and_the_rest_held(world: World) -> None:
    stored = world.destination("/slow/1")
    world.append(2)
    while_in_flight(world, lambda: world.connections.pause(world.workspace, None, stored.uid, now_us=clock()))
    world.append()
    world.deliver()
    ledger = accounted_for(world, stored)
    assert (ledger["delivered"], ledger["pending"]) == (2, 1)
    assert len(world.receiver.requests) == 1


def test_switched_off_in_flight_its_ledger_ends_true(world: World) -> None:
    stored = world.destination("/slow/1")
    world.append(2)
    while_in_flight(
        world,
        lambda: world.connections.set_broadcast(world.workspace, None, False, now_us=clock()),
    )
    world.append()
    world.deliver()
    ledger = accounted_for(world, stored)
    assert (ledger["appended"], ledger["delivered"], ledger["pending"]) == (2, 2, 0)


# -- clocks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump_s", [-86_400, -7_200, 7_200, 86_400])
def test_a_worker_whose_clock_jumps_keeps_to_the_database_s(world: World, jump_s: int) -> None:
    stored = world.destination("/status/503")
    world.append()

    async def work() -> None:
        async with Transport(POLICY) as transport:
            delivery = Delivery(
                world.store,
                world.vault,
                TYPES,
                transport,
                namespace="openrouter",
                holder="jumped",
                clock=lambda: clock() + jump_s * 1_000_000,
            )
            await delivery.round()
            while delivery.in_flight:  # noqa: ASYNC110 - a test may poll
                await asyncio.sleep(0.01)
            assert await delivery.round() == 0
            await delivery.stop(1)

    asyncio.run(work())
    with world.store.read() as conn:
        now_us = world.store.now_us(conn)
    assert len(world.receiver.requests) == 1
    assert -1 < (world.cursor(stored).due_at_us - now_us) / 1e6 < 1
    mended(world, stored, "/status/503")
    assert accounted_for(world, stored)["delivered"] == 1


def test_the_words_of_a_destination_cannot_steer_what_we_show(world: World) -> None:
    """What it says goes into a reason: control characters, markup and our own secret among it."""
    stored = world.destination("/steering")
    words = f"\x1b[31m<script>alert(1)</script>\r\nBearer {SECRET} \u202e \0"
    world.receiver.answer("/steering", status=400, body=json.dumps({"message": words}))
    world.append()
    world.deliver()
    for attempt in attempts_of(world, stored):
        understood(attempt["reason"])
