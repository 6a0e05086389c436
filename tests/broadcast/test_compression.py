import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.compression import gunzip_bounded, gzip_fast


@given(st.binary(max_size=5000))
def test_what_is_compressed_comes_back_the_same(data: bytes) -> None:
    assert gzip.decompress(gzip_fast(data)) == data
    assert gunzip_bounded(gzip_fast(data), len(data)) == data


def test_equal_input_gives_equal_output() -> None:
    assert gzip_fast(b"spans " * 100) == gzip_fast(b"spans " * 100)


@pytest.mark.parametrize("size", [0, 1, 1000, 70_000])
def test_the_limit_itself_is_allowed_and_one_byte_more_is_not(size: int) -> None:
    packed = gzip.compress(bytes(size))
    assert gunzip_bounded(packed, size) == bytes(size)
    with pytest.raises(ValueError, match="too large"):
        gunzip_bounded(gzip.compress(bytes(size + 1)), size)


def test_several_members_are_one_body_under_one_limit() -> None:
    packed = gzip.compress(b"one ") + gzip.compress(b"two")
    assert gunzip_bounded(packed, 7) == b"one two"
    with pytest.raises(ValueError, match="too large"):
        gunzip_bounded(packed, 6)


def test_a_bomb_is_refused_without_being_unpacked() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    with pytest.raises(ValueError, match="too large"):
        gunzip_bounded(bomb, 65_536)


@pytest.mark.parametrize(
    "body",
    [b"{}", b"", b"\x1f\x8b", gzip.compress(b"x")[:-1], gzip.compress(b"x") + b"tail"],
    ids=["json", "empty", "magic alone", "cut short", "with a tail"],
)
def test_anything_but_whole_gzip_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="gzip"):
        gunzip_bounded(body, 1000)


def test_endless_empty_members_are_refused() -> None:
    with pytest.raises(ValueError, match="members"):
        gunzip_bounded(gzip.compress(b"") * 1000, 1000)
