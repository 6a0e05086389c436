"""Delivery and Test Connection over gRPC: as over HTTP, by the same ledger and in the same words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from broadcast.gate import Gate
from broadcast.report import Report
from broadcast.store import Store, attempts
from broadcast.store.attempts import Attempt
from broadcast.store.destinations import StoredDestination
from destinations import TYPES
from tests.broadcast.sending import POLICY, World, clock
from tests.grpc_receiver import GrpcReceiver, Wire, cut, refuse, reject
from tests.receiver import Receiver

CODES = grpc.StatusCode
SECRET = "s3cr3t-value"


@pytest.fixture
def world(store: Store, tmp_path: Path) -> Iterator[World]:
    with Receiver() as receiver:
        yield World.build(store, receiver, tmp_path)


@pytest.fixture
def receiver() -> Iterator[GrpcReceiver]:
    with GrpcReceiver() as running:
        yield running


def pointed(world: World, url: str) -> StoredDestination:
    stored = world.destination()
    world.point_at(stored, url, encoding="grpc")
    return world.connections.get(world.workspace, stored.uid)


def listed(world: World, stored: StoredDestination) -> list[Attempt]:
    with world.store.read() as conn:
        return attempts.list_for(conn, stored.id, limit=50)


def ids(receiver: GrpcReceiver) -> list[str]:
    """Return the receipt ids that arrived, in order."""
    return list(dict.fromkeys(str(span.resource["openrouter.trace.id"]) for span in receiver.spans()))


# -- delivery --------------------------------------------------------------------------------------


def test_it_is_saved_after_a_passed_test_and_delivers(world: World, receiver: GrpcReceiver) -> None:
    body = world.body()
    body["config"] |= {"endpoint": receiver.url, "encoding": "grpc"}
    stored = world.connections.create(world.workspace, None, body, now_us=clock())
    assert receiver.spans()[0].name == "broadcast-connection-test"
    receiver.seen.clear()
    world.append(3)
    world.deliver()
    assert ids(receiver) == ["gen-1", "gen-2", "gen-3"]
    assert world.cursor(stored).delivered == 3
    assert receiver.seen[0].metadata["authorization"] == f"Bearer {SECRET}"


def test_one_bad_receipt_is_found_and_the_others_arrive(world: World, receiver: GrpcReceiver) -> None:
    def picky(one: GrpcReceiver, context: grpc.ServicerContext) -> Any:
        if b"gen-3" in one.seen[-1].request.SerializeToString():
            context.abort(CODES.INVALID_ARGUMENT, f"bad span, Bearer {SECRET}")
        return reject(0)(one, context)

    stored = pointed(world, receiver.url)
    receiver.script(picky, times=20)
    world.append(6)
    world.deliver()
    cursor = world.cursor(stored)
    assert (cursor.delivered, cursor.rejected) == (5, 1)
    (attempt,) = listed(world, stored)
    assert attempt.status_code == 400
    assert "gRPC INVALID_ARGUMENT: bad span" in attempt.reason
    assert SECRET not in attempt.reason


def test_a_message_that_is_too_large_is_halved(world: World, receiver: GrpcReceiver) -> None:
    stored = pointed(world, receiver.url)
    receiver.script(refuse(CODES.RESOURCE_EXHAUSTED, "grpc: received message larger than max (9 vs. 4)"))
    world.append(4)
    world.deliver()
    assert world.cursor(stored).delivered == 4
    assert [len(one.request.resource_spans) for one in receiver.seen] == [4, 2, 2]


def test_a_receiver_that_asks_for_time_gets_it(world: World, receiver: GrpcReceiver) -> None:
    stored = pointed(world, receiver.url)
    receiver.script(refuse(CODES.RESOURCE_EXHAUSTED, "slower", retry_after_s=1_800))
    world.append(1)
    world.deliver(rounds=2)
    assert len(receiver.seen) == 1
    assert world.cursor(stored).due_at_us > clock() + 1_000_000_000
    assert listed(world, stored)[0].verdict == "throttled"


def test_a_refused_credential_holds_everything_until_it_is_mended(
    world: World, receiver: GrpcReceiver
) -> None:
    stored = pointed(world, receiver.url)
    receiver.script(refuse(CODES.UNAUTHENTICATED, "unknown key"))
    world.append(2)
    world.deliver(rounds=2)
    cursor = world.cursor(stored)
    assert (cursor.delivered, cursor.cursor_seq) == (0, cursor.since_seq)
    paused = world.connections.get(world.workspace, stored.uid)
    assert paused.pause_reason == "401 gRPC UNAUTHENTICATED: unknown key"
    world.due_now(stored)
    world.deliver(rounds=2)
    assert world.cursor(stored).delivered == 2


def test_a_connection_that_dies_costs_an_attempt_and_no_receipt(world: World, receiver: GrpcReceiver) -> None:
    with Wire(receiver.port) as wire:
        stored = pointed(world, f"http://127.0.0.1:{wire.port}")
        receiver.script(cut(wire))
        world.append(2)
        world.deliver()
        assert world.cursor(stored).delivered == 0
        world.due_now(stored)
        world.deliver()
        assert world.cursor(stored).delivered == 2
        assert wire.made == 2
    assert sorted(one.verdict for one in listed(world, stored)) == ["delivered", "no_answer"]
    # What was sent again is the same spans.
    assert len({span.span_id for span in receiver.spans()}) == len(receiver.spans()) / 2


# -- Test Connection -------------------------------------------------------------------------------


def probe(world: World, url: str) -> Report:
    made = TYPES["otel-collector"].parse({**world.body()["config"], "endpoint": url, "encoding": "grpc"})
    return Gate(world.store, world.vault, POLICY, world.config).probe(made, now_us=clock())


def facts(report: Report) -> tuple[str, str, str, str]:
    return report.stage, report.reachable, report.credential_accepted, report.data_accepted


def test_a_test_that_passes_says_what_was_reached(world: World, receiver: GrpcReceiver) -> None:
    found = probe(world, receiver.url)
    assert (found.ok, found.status_code) == (True, 200)
    assert found.message == "The test span was accepted."
    assert facts(found) == ("data", "yes", "yes", "yes")
    assert found.evidence["status_words"] == "gRPC OK"


@pytest.mark.parametrize(
    ("code", "expected", "words"),
    [
        (CODES.UNAUTHENTICATED, ("credential", "yes", "no", "not_tried"), "check the headers"),
        (CODES.PERMISSION_DENIED, ("credential", "yes", "no", "not_tried"), "does not allow"),
        (CODES.INVALID_ARGUMENT, ("data", "yes", "yes", "no"), "did not understand the span"),
        (CODES.UNIMPLEMENTED, ("data", "yes", "not_tried", "no"), "over gRPC no such service"),
        (CODES.RESOURCE_EXHAUSTED, ("data", "yes", "not_tried", "no"), "fewer requests"),
        (CODES.UNAVAILABLE, ("data", "yes", "not_tried", "no"), "trouble of its own"),
    ],
    ids=lambda given: getattr(given, "name", None),
)
def test_a_status_says_which_of_the_three_failed_and_what_to_do(
    world: World, receiver: GrpcReceiver, code: CODES, expected: tuple[str, str, str, str], words: str
) -> None:
    receiver.script(refuse(code, f"no: Bearer {SECRET}"))
    found = probe(world, receiver.url)
    assert not found.ok
    assert facts(found) == expected
    assert found.message.endswith(f"gRPC {code.name}")
    assert words in str(found.hint)
    assert found.answer == "no: [secret]"
    assert SECRET not in repr(found)


def test_a_port_that_speaks_something_else_says_so(world: World) -> None:
    found = probe(world, f"http://127.0.0.1:{world.receiver.port}")
    assert found.message == "The server does not speak gRPC on this port."
    assert facts(found) == ("data", "yes", "not_tried", "not_tried")


def test_a_server_without_tls_says_so(world: World, receiver: GrpcReceiver) -> None:
    found = probe(world, receiver.url.replace("http://", "https://"))
    assert facts(found)[:2] == ("tls", "no")


def test_an_address_that_is_not_allowed_is_refused(world: World, receiver: GrpcReceiver) -> None:
    found = probe(world, f"http://10.0.0.1:{receiver.port}")
    assert facts(found)[:2] == ("address", "no")
