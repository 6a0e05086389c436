"""Sketches add up like the durations they stand for, and their percentiles are close."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast import sketch

DURATIONS = st.lists(st.integers(min_value=1000, max_value=1_800_000_000), min_size=1, max_size=50)


def exact(durations: list[int], percent: int) -> int:
    return sorted(durations)[-(-len(durations) * percent // 100) - 1]


def of_all(durations: list[int]) -> int:
    return sum(map(sketch.of, durations))


@given(durations=DURATIONS, percent=st.integers(min_value=1, max_value=100))
def test_a_percentile_is_within_three_percent_of_the_exact_one(durations: list[int], percent: int) -> None:
    found = sketch.percentile_us(of_all(durations), percent)
    assert found == pytest.approx(exact(durations, percent), rel=0.03)


@given(first=DURATIONS, second=DURATIONS)
def test_two_sketches_added_are_the_sketch_of_both(first: list[int], second: list[int]) -> None:
    assert of_all(first) + of_all(second) == of_all(first + second)


@given(durations=DURATIONS)
def test_a_sketch_survives_its_packing(durations: list[int]) -> None:
    made = of_all(durations)
    assert sketch.unpack(sketch.pack(made)) == made


def test_an_empty_sketch_has_no_percentile() -> None:
    assert sketch.percentile_us(sketch.EMPTY, 50) is None
    assert sketch.pack(sketch.EMPTY) == b""


def test_what_is_beyond_the_ends_is_counted_there() -> None:
    assert sketch.percentile_us(sketch.of(0), 50) == 1000
    assert sketch.percentile_us(sketch.of(10**12), 50) == sketch.percentile_us(sketch.of(10**13), 50)


def test_a_hundred_thousand_of_one_length_stay_in_their_lane() -> None:
    made = sketch.of(1_000_000) * 100_000 + sketch.of(2_000_000)
    assert sketch.percentile_us(made, 50) == pytest.approx(1_000_000, rel=0.03)
    assert sketch.percentile_us(made, 100) == pytest.approx(2_000_000, rel=0.03)


def test_a_short_log_packs_short() -> None:
    durations = [random.Random(7).randrange(500_000, 20_000_000) for _ in range(100)]
    assert len(sketch.pack(of_all(durations))) < 800
