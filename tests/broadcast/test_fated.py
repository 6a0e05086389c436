"""Every term of a ledger leads to exactly the receipts that it counts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcast import fated
from broadcast.replay import Replays, Wanted
from broadcast.store import Store
from broadcast.store.destinations import StoredDestination
from tests.broadcast.sending import World, clock
from tests.receiver import Receiver


@pytest.fixture
def world(store: Store, tmp_path: Path) -> Iterator[World]:
    with Receiver() as receiver:
        yield World.build(store, receiver, tmp_path)


def ids(world: World, stored: StoredDestination, term: str | None) -> list[str]:
    """Return the ids of all pages of a term, in their order."""
    found, mark = [], None
    while True:
        page = fated.items(world.store, stored, term, mark)
        found += [item.id for item in page.rows]
        if page.older is None:
            return found
        mark = page.older


def counted(world: World, stored: StoredDestination) -> dict[str, int]:
    ledger = world.connections.ledger(world.workspace, stored.uid)
    return {term: ledger[term] for term in fated.TERMS}


def lengths(world: World, stored: StoredDestination) -> dict[str, int]:
    return {term: len(ids(world, stored, term)) for term in fated.TERMS}


def test_each_term_lists_what_it_counts_newest_first(world: World) -> None:
    stored = world.destination("/mending")
    world.receiver.answer("/mending", status=400, body=b"bad span", times=1)
    world.append()
    world.deliver()
    world.due_now(stored)
    world.append(2)
    world.deliver()
    world.append(2)

    assert ids(world, stored, "rejected") == ["gen-1"]
    assert ids(world, stored, "delivered") == ["gen-3", "gen-2"]
    assert ids(world, stored, "pending") == ["gen-5", "gen-4"]
    assert ids(world, stored, None) == ["gen-5", "gen-4", "gen-3", "gen-2", "gen-1"]
    assert lengths(world, stored) == counted(world, stored)


def test_what_is_sampled_out_is_listed_beside_what_was_sent(world: World) -> None:
    stored = world.destination(sampling_rate=0.5)
    for number in range(20):
        world.append(session_id=f"session-{number}")
    world.deliver()

    assert lengths(world, stored) == counted(world, stored)
    assert ids(world, stored, "sampled_out")


def test_a_replayed_dead_letter_is_listed_as_delivered(world: World) -> None:
    stored = world.destination("/mending")
    world.receiver.answer("/mending", status=400, body=b"bad span", times=1)
    world.append()
    world.deliver()
    world.due_now(stored)
    Replays(world.store).start(world.workspace, None, stored.uid, Wanted(dead_letters=True), now_us=clock())
    world.deliver()

    assert ids(world, stored, "delivered") == ["gen-1"]
    assert lengths(world, stored) == counted(world, stored)


def test_pages_hold_every_receipt_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fated, "PAGE", 3)
    stored = world.destination()
    world.append(7)
    world.deliver()
    world.append(4)

    assert ids(world, stored, "delivered") == [f"gen-{number}" for number in range(7, 0, -1)]
    assert ids(world, stored, "pending") == [f"gen-{number}" for number in range(11, 7, -1)]


def test_a_destination_without_a_ledger_has_none(world: World) -> None:
    world.connections.set_broadcast(world.workspace, None, enabled=False, now_us=clock())
    stored = world.destination()
    assert ids(world, stored, "delivered") == []
    assert fated.items(world.store, stored, None, "not-ours").rows == ()
