import asyncio

from broadcast.budget import Budget


def test_what_does_not_fit_waits_until_there_is_room() -> None:
    async def taken_in_turn() -> list[str]:
        budget, seen = Budget(100), []
        await budget.take(80)

        async def more() -> None:
            await budget.take(30)
            seen.append("taken")

        waiting = asyncio.create_task(more())
        await asyncio.sleep(0)
        seen.append("given back")
        budget.give(80)
        await waiting
        return seen

    assert asyncio.run(taken_in_turn()) == ["given back", "taken"]


def test_one_batch_always_fits_however_large_it_is() -> None:
    budget = Budget(100)
    assert budget.has_room(1_000)
    asyncio.run(budget.take(1_000))
    assert not budget.has_room(1)
