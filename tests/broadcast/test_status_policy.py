"""What each answer of a destination comes to: the status policy, row by row, against a real receiver."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcast.destination import Remedy, Verdict
from broadcast.sending import DEEP_TRIES, TRIES
from broadcast.store import Store, audit, dead_letters
from broadcast.store.destinations import StoredDestination
from tests.broadcast.sending import World, clock
from tests.receiver import Receiver

NEEDS_ATTENTION = ("/status/401", "/status/403", "/status/404", "/status/405", "/status/410", "/status/415",
                   "/redirect", "/html")  # fmt: skip
WAITS = ("/status/429", "/status/502", "/status/503", "/status/504", "/drop", "/reset", "/garbage")
DOUBTFUL = ("/status/408", "/status/500", "/status/501", "/status/505", "/status/599")


@pytest.fixture
def world(store: Store, tmp_path: Path) -> Iterator[World]:
    with Receiver() as receiver:
        yield World.build(store, receiver, tmp_path)


def dead(world: World, stored: StoredDestination) -> list[str]:
    with world.store.read() as conn:
        return sorted(letter.receipt_id for letter in dead_letters.list_for(conn, stored.id, 100))


def ledger(world: World, stored: StoredDestination) -> dict[str, int]:
    found = world.connections.ledger(world.workspace, stored.uid)
    assert found["balanced"], found
    return {name: found[name] for name in ("delivered", "rejected", "pending")}


def tried(world: World, stored: StoredDestination, times: int) -> None:
    for _ in range(times):
        world.due_now(stored)
        world.deliver()


# -- needs attention ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", NEEDS_ATTENTION)
def test_an_answer_that_needs_a_person_pauses_holds_and_tells_once(world: World, path: str) -> None:
    stored = world.destination(path)
    world.append(3)

    tried(world, stored, 3)

    now = world.connections.get(world.workspace, stored.uid)
    assert (now.paused_by, ledger(world, stored)) == (
        "answer",
        {"delivered": 0, "rejected": 0, "pending": 3},
    )
    with world.store.read() as conn:
        told = audit.list_for(conn, world.workspace.id, 50)
        notices = conn.exec_driver_sql("SELECT kind FROM notices").scalars().all()
    assert [entry.action for entry in told].count("destination.needs_attention") == 1
    assert list(notices) == ["needs_attention"]


def test_an_address_that_egress_refuses_needs_a_person(world: World) -> None:
    stored = world.destination()
    world.point_at(stored, "http://169.254.169.254/v1/traces")
    world.append()

    world.deliver()

    now = world.connections.get(world.workspace, stored.uid)
    assert (now.paused_by, world.cursor(stored).last_verdict) == ("answer", "refused")


def test_probes_come_after_growing_pauses(world: World) -> None:
    stored = world.destination("/status/401")
    world.append()
    waits = []
    for _ in range(4):
        tried(world, stored, 1)
        cursor = world.cursor(stored)
        waits.append((cursor.due_at_us - (cursor.last_attempt_at_us or 0)) / 60e6)
    assert [round(wait / step, 1) for wait, step in zip(waits, (1, 2, 5, 10), strict=True)] == pytest.approx(
        [1, 1, 1, 1], abs=0.21
    )


def test_the_first_probe_that_passes_resumes_and_sends_what_was_held(world: World) -> None:
    stored = world.destination("/mending")
    world.receiver.answer("/mending", status=401, times=2)
    world.append(200)
    tried(world, stored, 2)
    assert world.connections.get(world.workspace, stored.uid).paused_by == "answer"

    tried(world, stored, 1)

    assert world.connections.get(world.workspace, stored.uid).paused_by is None
    assert ledger(world, stored) == {"delivered": 200, "rejected": 0, "pending": 0}
    with world.store.read() as conn:
        assert "destination.resumed" in {e.action for e in audit.list_for(conn, world.workspace.id, 50)}


def test_what_a_person_paused_is_not_probed(world: World) -> None:
    stored = world.destination("/mending")
    world.receiver.answer("/mending", status=401, times=1)
    world.append()
    world.deliver()
    world.connections.pause(world.workspace, None, stored.uid, now_us=clock())
    world.receiver.clear()

    tried(world, stored, 2)

    assert world.receiver.requests == []


def test_an_edit_that_passed_its_test_resumes_at_once(world: World) -> None:
    stored = world.destination("/status/401")
    world.append(2)
    world.deliver()

    world.connections.update(
        world.workspace, None, stored.uid, {"config": world.body("/mended")["config"]}, now_us=clock()
    )
    world.deliver()

    assert world.connections.get(world.workspace, stored.uid).paused_by is None
    assert ledger(world, stored) == {"delivered": 2, "rejected": 0, "pending": 0}


# -- waits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", WAITS)
def test_an_answer_that_will_pass_is_waited_for(world: World, path: str) -> None:
    stored = world.destination(path)
    world.append(2)

    tried(world, stored, TRIES + 1)

    cursor = world.cursor(stored)
    assert world.connections.get(world.workspace, stored.uid).paused_by is None
    assert (cursor.failures, len(world.receiver.requests)) == (TRIES + 1, TRIES + 1)
    assert ledger(world, stored) == {"delivered": 0, "rejected": 0, "pending": 2}


def test_what_arrived_ahead_of_a_request_that_failed_is_not_sent_again(world: World) -> None:
    stored = world.destination("/first-fails")
    world.receiver.answer("/first-fails", status=503, times=1)
    world.append(1_100)

    world.deliver(rounds=4, between=lambda: world.due_now(stored))

    ids = world.generation_ids()
    refused = world.receiver.requests[0]
    repeated = [seen for seen in world.receiver.requests if seen.body == refused.body]
    assert len(set(ids)) == 1_100
    assert len(ids) - 2 * 1_100 <= len(refused.otlp().resource_spans) * 2
    assert len(repeated) <= 2
    assert ledger(world, stored) == {"delivered": 1_100, "rejected": 0, "pending": 0}


# -- doubtful ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOUBTFUL)
def test_an_outage_fails_alike_in_both_halves_and_costs_no_receipt(world: World, path: str) -> None:
    stored = world.destination(path)
    world.append(8)

    tried(world, stored, TRIES)

    assert ledger(world, stored) == {"delivered": 0, "rejected": 0, "pending": 8}
    # Each try is one request; the third one asks both halves as well.
    assert len(world.receiver.requests) == TRIES + 2
    assert world.cursor(stored).failures == TRIES


def test_a_receipt_that_fails_while_its_neighbours_pass_is_a_dead_letter(world: World) -> None:
    stored = world.destination("/poisoned")
    world.receiver.refuse_when("/poisoned", b'"gen-5"', status=500)
    world.append(8)

    tried(world, stored, TRIES)

    assert dead(world, stored) == ["gen-5"]
    assert ledger(world, stored) == {"delivered": 7, "rejected": 1, "pending": 0}
    assert len(world.receiver.requests) <= TRIES + 2 * 3


def test_a_poison_in_each_half_is_found_a_little_later(world: World) -> None:
    stored = world.destination("/poisoned")
    for poison in (b'"gen-3"', b'"gen-7"'):
        world.receiver.refuse_when("/poisoned", poison, status=500)
    world.append(8)

    tried(world, stored, DEEP_TRIES)

    assert dead(world, stored) == ["gen-3", "gen-7"]
    assert ledger(world, stored) == {"delivered": 6, "rejected": 2, "pending": 0}


def test_a_receipt_without_neighbours_is_never_given_up(world: World) -> None:
    stored = world.destination("/status/500")
    world.append()

    tried(world, stored, DEEP_TRIES + 2)

    assert ledger(world, stored) == {"delivered": 0, "rejected": 0, "pending": 1}


# -- rejected ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 413, 422])
def test_bisection_costs_two_requests_a_level(world: World, status: int) -> None:
    stored = world.destination("/poisoned")
    world.receiver.refuse_when("/poisoned", b'"gen-11"', status=status)
    world.append(64)

    world.deliver()

    assert dead(world, stored) == ["gen-11"]
    assert ledger(world, stored) == {"delivered": 63, "rejected": 1, "pending": 0}
    assert len(world.receiver.requests) <= 1 + 2 * 6


def test_a_receipt_that_is_too_big_alone_arrives_with_less_content(world: World) -> None:
    stored = world.destination("/small", privacy_mode=False)
    world.receiver.refuse_larger("/small", 6_000)
    world.append(2)
    world.append(1, input="x" * 20_000, output="y" * 20_000)

    tried(world, stored, 2)

    assert dead(world, stored) == []
    assert ledger(world, stored) == {"delivered": 3, "rejected": 0, "pending": 0}


def test_a_destination_that_rejects_everything_needs_a_person_and_loses_nothing(world: World) -> None:
    stored = world.destination("/status/400")
    world.append(40)

    world.deliver()

    now = world.connections.get(world.workspace, stored.uid)
    assert now.paused_by == "answer"
    assert "every receipt" in (now.pause_reason or "")
    assert ledger(world, stored) == {"delivered": 0, "rejected": 0, "pending": 40}


def test_many_rejected_one_by_one_need_a_person_too(world: World) -> None:
    stored = world.destination("/status/400")
    for _ in range(17):
        world.append()
        world.deliver()

    now = world.connections.get(world.workspace, stored.uid)
    assert now.paused_by == "answer"
    assert ledger(world, stored) == {"delivered": 0, "rejected": 16, "pending": 1}


def test_all_spans_rejected_with_a_success_is_a_rejection(world: World) -> None:
    stored = world.destination("/partial/1000")
    world.append(1)

    world.deliver()

    assert ledger(world, stored) == {"delivered": 0, "rejected": 1, "pending": 0}


# -- the whole table ---------------------------------------------------------------------------------


def test_every_verdict_has_a_remedy() -> None:
    from broadcast.destination import Outcome  # noqa: PLC0415

    assert {Outcome(verdict=verdict, reason="").remedy for verdict in Verdict} == {
        Remedy.NONE,
        Remedy.WAIT,
        Remedy.SPLIT,
        Remedy.ATTEND,
    }
    assert Outcome(verdict=Verdict.RETRYING, reason="", status_code=500).remedy is Remedy.DOUBT
