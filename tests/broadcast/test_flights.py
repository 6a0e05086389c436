import asyncio
from collections.abc import Callable
from typing import Any

from broadcast.flights import Flights
from broadcast.store.leases import Claim


def a_claim(destination_id: int, workspace_id: int = 1) -> Claim:
    return Claim(
        destination_id=destination_id,
        workspace_id=workspace_id,
        cursor_seq=0,
        head_seq=1,
        failures=0,
        doubts=0,
        replay_id=None,
        probing=False,
        token=1,
    )


def in_the_air(*claims: Claim, then: Callable[[Flights, list[Any]], None]) -> Flights:
    """Let the batches of some claims be under way while `then` happens."""
    flights = Flights()

    async def story() -> None:
        tasks = [asyncio.create_task(asyncio.sleep(0)) for _ in claims]
        for claim, task in zip(claims, tasks, strict=True):
            flights.begin(claim, task)
        then(flights, tasks)

    asyncio.run(story())
    return flights


def test_a_batch_that_has_sent_everything_leaves_nothing_to_look_for() -> None:
    claim = a_claim(7)
    flights = in_the_air(claim, then=lambda flights, tasks: flights.end(claim, tasks[0]))
    assert (flights.tasks, flights.take_ended()) == ({}, set())


def test_a_batch_with_more_behind_it_is_looked_at_once() -> None:
    claim = a_claim(7, workspace_id=3)

    def then(flights: Flights, tasks: list[Any]) -> None:
        flights.leave_more(claim)
        assert flights.take_ended() == set()
        flights.end(claim, tasks[0])

    flights = in_the_air(claim, then=then)
    assert (flights.take_ended(), flights.take_ended()) == ({3}, set())


def test_who_was_busy_when_work_was_looked_for_is_looked_at_again() -> None:
    here, there = a_claim(7, workspace_id=3), a_claim(8, workspace_id=4)

    def then(flights: Flights, tasks: list[Any]) -> None:
        flights.pass_by({3, 5})
        flights.end(here, tasks[0])
        flights.end(there, tasks[1])

    assert in_the_air(here, there, then=then).take_ended() == {3}


def test_a_look_everywhere_passes_by_all_that_are_busy() -> None:
    here, there = a_claim(7, workspace_id=3), a_claim(8, workspace_id=4)

    def then(flights: Flights, tasks: list[Any]) -> None:
        flights.pass_by()
        flights.end(here, tasks[0])
        flights.end(there, tasks[1])

    assert in_the_air(here, there, then=then).take_ended() == {3, 4}


def test_a_batch_that_began_after_the_look_was_not_passed_by() -> None:
    first, second = a_claim(7), a_claim(7)

    def then(flights: Flights, tasks: list[Any]) -> None:
        flights.pass_by()
        flights.end(first, tasks[0])
        flights.take_ended()
        flights.begin(second, tasks[1])
        flights.end(second, tasks[1])

    flights = in_the_air(first, a_claim(8), then=then)
    assert flights.take_ended() == set()


def test_a_late_end_does_not_forget_the_batch_that_took_its_place() -> None:
    claim = a_claim(7)

    def then(flights: Flights, tasks: list[Any]) -> None:
        flights.begin(claim, tasks[1])
        flights.end(claim, tasks[0])

    assert set(in_the_air(claim, a_claim(8), then=then).tasks) == {7, 8}


def test_work_that_is_looked_for_while_its_batch_is_still_built_is_looked_at_again() -> None:
    claim = a_claim(7, workspace_id=3)
    flights = Flights()
    flights.expect((claim,))
    flights.pass_by({3})

    async def story() -> None:
        task = asyncio.create_task(asyncio.sleep(0))
        flights.begin(claim, task)
        flights.end(claim, task)

    asyncio.run(story())
    assert (flights.among({3}), flights.take_ended()) == (set(), {3})


def test_a_claim_that_is_given_back_hides_nothing_any_more() -> None:
    claim = a_claim(7, workspace_id=3)
    flights = Flights()
    flights.expect((claim,))
    flights.pass_by({3})

    flights.end(claim, None)

    assert (flights.among({3}), flights.take_ended()) == (set(), {3})


def test_what_had_to_wait_for_any_batch_is_looked_for_everywhere_when_one_ends() -> None:
    here, there = a_claim(7, workspace_id=3), a_claim(8, workspace_id=4)

    def then(flights: Flights, tasks: list[Any]) -> None:
        flights.await_any()
        flights.end(here, tasks[0])
        assert flights.take_ended() is None
        flights.end(there, tasks[1])

    assert in_the_air(here, there, then=then).take_ended() == set()


def test_a_claim_that_is_given_back_makes_no_room_for_what_waits() -> None:
    claim = a_claim(7, workspace_id=3)
    flights = Flights()
    flights.expect((claim,))
    flights.await_any()

    flights.end(claim, None)

    assert flights.take_ended() == set()


def test_a_claim_may_be_given_back_after_an_older_batch_of_its_destination_has_ended() -> None:
    late, claim = a_claim(7, workspace_id=3), a_claim(7, workspace_id=3)

    def then(flights: Flights, tasks: list[Any]) -> None:
        flights.expect((claim,))
        flights.end(late, tasks[0])
        flights.end(claim, None)

    assert in_the_air(late, then=then).among({3}) == set()
