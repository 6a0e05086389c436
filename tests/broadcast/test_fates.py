import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.fates import Fate, counted, fate_at, pack, unpack

runs = st.lists(st.sampled_from(Fate), max_size=600)


@given(runs)
def test_a_run_of_fates_comes_back_as_it_was(run: list[Fate]) -> None:
    assert unpack(pack(run)) == run


@given(runs)
def test_one_fate_is_found_without_unpacking_the_others(run: list[Fate]) -> None:
    packed = pack(run)
    assert [fate_at(packed, index) for index in range(len(run))] == run
    assert fate_at(packed, len(run)) is None


@given(runs | st.builds(lambda fate, length: [fate] * length, st.sampled_from(Fate), st.integers(1, 600)))
def test_of_each_fate_so_many_are_counted_as_there_are(run: list[Fate]) -> None:
    tally = counted(run)
    assert [tally[fate] for fate in Fate] == [sum(one is fate for one in run) for fate in Fate]
    assert tally.total() == len(run)


def test_eight_receipts_take_three_bytes() -> None:
    assert len(pack([Fate.EXPIRED] * 8)) == 3


def test_bits_that_are_no_fate_are_refused() -> None:
    with pytest.raises(ValueError, match="no fate"):
        unpack(b"\x07")
