import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.fates import Fate, fate_at, pack, unpack

runs = st.lists(st.sampled_from(Fate), max_size=600)


@given(runs)
def test_a_run_of_fates_comes_back_as_it_was(run: list[Fate]) -> None:
    assert unpack(pack(run)) == run


@given(runs)
def test_one_fate_is_found_without_unpacking_the_others(run: list[Fate]) -> None:
    packed = pack(run)
    assert [fate_at(packed, index) for index in range(len(run))] == run
    assert fate_at(packed, len(run)) is None


def test_eight_receipts_take_three_bytes() -> None:
    assert len(pack([Fate.EXPIRED] * 8)) == 3


def test_bits_that_are_no_fate_are_refused() -> None:
    with pytest.raises(ValueError, match="no fate"):
        unpack(b"\x07")
