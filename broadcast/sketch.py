"""Sketches: how durations are distributed, as counts in buckets that grow by a twelfth of an octave.

A sketch is one integer of 32-bit lanes, one lane a bucket, so that adding two sketches is adding two
integers, at the speed of a copy. A percentile read from it is within 3 % of the exact one.
"""

import math
from typing import Final

Sketch = int

EMPTY: Final[Sketch] = 0
_LANE_BITS: Final = 32
_LANE_BYTES: Final = _LANE_BITS // 8
_PER_OCTAVE: Final = 12
SHORTEST_US: Final = 1000
"""The percentile of whatever took a millisecond or less: shorter times are not told apart."""
_LANES: Final = 21 * _PER_OCTAVE
"""From a millisecond to 35 minutes; what is shorter or longer is counted at that end."""


def of(duration_us: float) -> Sketch:
    """Return the sketch of one duration."""
    octaves = math.log2(max(duration_us, SHORTEST_US) / SHORTEST_US)
    lane = min(_LANES - 1, round(octaves * _PER_OCTAVE))
    return 1 << (lane * _LANE_BITS)


def pack(sketch: Sketch) -> bytes:
    """Return a sketch as bytes, as long as its longest duration needs."""
    return sketch.to_bytes(-(-sketch.bit_length() // _LANE_BITS) * _LANE_BYTES, "little")


def unpack(packed: bytes) -> Sketch:
    """Return the sketch that was packed."""
    return int.from_bytes(packed, "little")


def percentile_us(sketch: Sketch, percent: int) -> int | None:
    """Return the nearest-rank percentile in microseconds, None where nothing was counted."""
    counts = memoryview(sketch.to_bytes(_LANES * _LANE_BYTES, "little"))
    lanes = [
        int.from_bytes(counts[at : at + _LANE_BYTES], "little") for at in range(0, len(counts), _LANE_BYTES)
    ]
    total = sum(lanes)
    if not total:
        return None
    rank = -(-total * percent // 100)
    for lane, count in enumerate(lanes):
        rank -= count
        if rank <= 0:
            return round(SHORTEST_US * 2 ** (lane / _PER_OCTAVE))
    raise AssertionError("a rank lies within its total")
