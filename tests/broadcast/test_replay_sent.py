"""A replay through a real delivery to a real receiver: what arrives, when, and what the ledger says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcast.replay import Replays, Wanted
from broadcast.store import Store, dead_letters
from broadcast.store.destinations import StoredDestination
from broadcast.store.replays import Replay
from tests.broadcast.sending import World, clock
from tests.receiver import Receiver

ALL = Wanted(from_us=0)
AGAIN = Wanted(from_us=0, include_delivered=True)
LETTERS = Wanted(dead_letters=True)


@pytest.fixture
def world(store: Store, tmp_path: Path) -> Iterator[World]:
    with Receiver() as receiver:
        yield World.build(store, receiver, tmp_path)


def started(world: World, stored: StoredDestination, wanted: Wanted) -> Replay:
    return Replays(world.store).start(world.workspace, None, stored.uid, wanted, now_us=clock())


def shown(world: World, stored: StoredDestination, replay: Replay) -> Replay:
    return Replays(world.store).get(world.workspace, stored.uid, replay.uid)


def ledger(world: World, stored: StoredDestination) -> dict[str, Any]:
    found = world.connections.ledger(world.workspace, stored.uid)
    assert found["balanced"]
    return found


def letters(world: World, stored: StoredDestination) -> list[str]:
    with world.store.read() as conn:
        return [letter.receipt_id for letter in dead_letters.list_for(conn, stored.id, 100)]


def arrived(world: World) -> list[str]:
    """Return the receipts that arrived, in order, each as often as it came."""
    spans = [span for span in world.receiver.spans() if "gen_ai.operation.name" in span.attributes]
    return [str(span.resource["openrouter.trace.id"]) for span in spans]


def span_ids(world: World) -> list[tuple[str, str]]:
    return sorted((span.trace_id, span.span_id) for span in world.receiver.spans())


def with_rejected(world: World, *, good: int = 1, bad: int = 2) -> StoredDestination:
    """Return a destination that rejected some receipts one by one and then took others."""
    stored = world.destination("/mending")
    world.receiver.answer("/mending", status=400, body=b"bad span", times=bad)
    for _ in range(bad + good):
        world.append()
        world.deliver()
        world.due_now(stored)
    assert len(letters(world, stored)) == bad
    world.receiver.clear()
    return stored


def test_a_range_is_sent_and_what_was_delivered_is_left_out(world: World) -> None:
    stored = with_rejected(world, good=1, bad=2)

    replay = started(world, stored, ALL)
    world.deliver()

    assert sorted(arrived(world)) == ["gen-1", "gen-2"]
    ended = shown(world, stored, replay)
    assert (ended.state, ended.position, ended.delivered, ended.left_out) == ("done", 3, 2, 1)
    assert ended.ended_at_us is not None
    assert world.cursor(stored).replay_id is None


def test_replayed_dead_letters_move_from_rejected_to_delivered(world: World) -> None:
    stored = with_rejected(world, good=1, bad=2)
    before = ledger(world, stored)

    started(world, stored, LETTERS)
    world.deliver()

    after = ledger(world, stored)
    assert (before["delivered"], before["rejected"]) == (1, 2)
    assert (after["delivered"], after["rejected"], after["appended"]) == (3, 0, 3)
    assert letters(world, stored) == []


def test_a_dead_letter_rejected_once_more_stays_one_and_counts_once(world: World) -> None:
    stored = with_rejected(world, good=0, bad=2)
    world.receiver.answer("/mending", status=400, body=b"still bad", times=3)

    replay = started(world, stored, LETTERS)
    world.deliver()

    ended = shown(world, stored, replay)
    assert (ended.state, ended.rejected + ended.delivered) == ("done", 2)
    assert ended.rejected >= 1
    found = ledger(world, stored)
    assert found["rejected"] == len(letters(world, stored)) == ended.rejected
    assert found["delivered"] == ended.delivered


def test_a_repeat_has_the_ids_it_had(world: World) -> None:
    stored = world.destination()
    world.append(3)
    world.deliver()
    first = span_ids(world)
    world.receiver.clear()

    replay = started(world, stored, AGAIN)
    world.deliver()

    assert span_ids(world) == first
    assert shown(world, stored, replay).delivered == 3
    assert ledger(world, stored)["delivered"] == 3


def test_a_new_destination_gets_the_past_and_its_ledger_begins_at_its_start(world: World) -> None:
    world.append(3)
    stored = world.destination()
    world.append(1)

    begun = Replays(world.store).backfill(world.workspace, None, stored.uid, 0, now_us=clock())
    world.deliver(rounds=2)

    assert begun is not None
    assert arrived(world)[0] == "gen-4"
    assert sorted(arrived(world)) == ["gen-1", "gen-2", "gen-3", "gen-4"]
    assert shown(world, stored, begun).state == "done"
    found = ledger(world, stored)
    assert (found["appended"], found["delivered"]) == (1, 1)


def test_fresh_receipts_go_first(world: World) -> None:
    stored = with_rejected(world, good=0, bad=2)
    started(world, stored, ALL)
    world.append(2)

    world.deliver(rounds=3)

    assert arrived(world) == ["gen-3", "gen-4", "gen-1", "gen-2"]


def test_a_stopped_replay_sends_no_more(world: World) -> None:
    stored = world.destination()
    world.append(3)
    world.deliver()
    world.receiver.clear()

    replay = started(world, stored, AGAIN)
    Replays(world.store).stop(world.workspace, None, stored.uid, replay.uid, now_us=clock())
    world.deliver(rounds=2)

    assert world.receiver.requests == []
    assert shown(world, stored, replay).state == "stopped"
    assert ledger(world, stored)["delivered"] == 3


def test_a_replay_stopped_on_its_way_keeps_what_it_came_to(world: World) -> None:
    stored = world.destination()
    world.append(1200)
    world.deliver(rounds=4)
    assert ledger(world, stored)["delivered"] == 1200
    replay = started(world, stored, AGAIN)
    replays = Replays(world.store)

    def stop_after_the_first_batch() -> None:
        if shown(world, stored, replay).position:
            replays.stop(world.workspace, None, stored.uid, replay.uid, now_us=clock())

    world.deliver(rounds=1, between=stop_after_the_first_batch)
    stopped = shown(world, stored, replay)
    world.deliver(rounds=2)

    assert shown(world, stored, replay) == stopped
    assert stopped.state == "stopped"
    assert 0 < stopped.position == stopped.delivered < 1200


def test_a_replay_waits_while_its_destination_is_paused(world: World) -> None:
    stored = with_rejected(world, good=0, bad=1)
    world.connections.pause(world.workspace, None, stored.uid, now_us=clock())

    replay = started(world, stored, LETTERS)
    world.deliver()
    assert (world.receiver.requests, shown(world, stored, replay).state) == ([], "running")

    world.connections.resume(world.workspace, None, stored.uid, now_us=clock())
    world.deliver()
    assert arrived(world) == ["gen-1"]
    assert shown(world, stored, replay).state == "done"


def test_a_replay_goes_by_the_filters_of_today(world: World) -> None:
    world.append(2, model="one/model")
    world.append(1, model="another/model")
    rules = {"groups": [{"rules": [{"field": "model", "operator": "equals", "value": "another/model"}]}]}
    stored = world.destination(filter_rules=rules)

    replay = started(world, stored, ALL)
    world.deliver()

    assert arrived(world) == ["gen-3"]
    ended = shown(world, stored, replay)
    assert (ended.state, ended.filtered, ended.delivered) == ("done", 2, 1)
    assert ledger(world, stored)["appended"] == 0


def test_a_replay_survives_an_outage(world: World) -> None:
    stored = with_rejected(world, good=0, bad=2)
    world.receiver.answer("/mending", status=503, times=1)

    replay = started(world, stored, LETTERS)
    world.deliver()
    assert (shown(world, stored, replay).position, world.cursor(stored).failures) == (0, 1)

    world.due_now(stored)
    world.deliver()
    assert shown(world, stored, replay).state == "done"
    assert ledger(world, stored)["delivered"] == 2


def test_switching_off_stops_a_replay(world: World) -> None:
    stored = with_rejected(world, good=0, bad=1)
    replay = started(world, stored, LETTERS)

    world.connections.update(world.workspace, None, stored.uid, {"enabled": False}, now_us=clock())
    world.deliver()

    assert world.receiver.requests == []
    assert shown(world, stored, replay).state == "stopped"
