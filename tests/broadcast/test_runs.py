import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.runs import Runs

NUMBERS = st.sets(st.integers(1, 60), max_size=40)


@given(NUMBERS)
def test_runs_are_their_numbers_in_order(numbers: set[int]) -> None:
    runs = Runs.of(numbers)

    assert list(runs) == sorted(numbers)
    assert [runs[place] for place in range(len(runs))] == sorted(numbers)
    assert all(last + 2 <= first for (_, last), (first, _) in zip(runs.pairs, runs.pairs[1:], strict=False))


@given(NUMBERS, st.integers(0, 50), st.integers(0, 50))
def test_a_slice_is_the_slice_of_the_numbers(numbers: set[int], first: int, behind: int) -> None:
    assert Runs.of(numbers)[first:behind] == tuple(sorted(numbers)[first:behind])


@given(NUMBERS, st.integers(0, 61))
def test_runs_are_cut_at_a_number(numbers: set[int], last: int) -> None:
    assert list(Runs.of(numbers).upto(last)) == [number for number in sorted(numbers) if number <= last]


def test_an_even_choice_has_both_ends() -> None:
    chosen = Runs([(1, 500), (1001, 1500)]).evenly(5)

    assert (len(chosen), chosen[0], chosen[-1]) == (5, 1, 1500)
    assert chosen == tuple(sorted(set(chosen)))
    assert Runs([(3, 5)]).evenly(5) == (3, 4, 5)


def test_runs_have_no_number_beyond_their_ends() -> None:
    runs = Runs([(3, 4), (9, 9)])

    assert (runs[-1], runs[-3], len(runs)) == (9, 3, 3)
    for place in (3, -4):
        with pytest.raises(IndexError):
            runs[place]
