"""What becomes of a receipt at a destination, and a map of it in 3 bits a receipt."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final


class Fate(StrEnum):
    """How a receipt left a destination's backlog."""

    DELIVERED = "delivered"
    SAMPLED_OUT = "sampled_out"
    FILTERED = "filtered"
    REJECTED = "rejected"
    EXPIRED = "expired"


_FATES: Final = tuple(Fate)
_CODES: Final = {fate: code for code, fate in enumerate(_FATES, start=1)}
_BITS: Final = 3
_MASK: Final = (1 << _BITS) - 1


def pack(fates: Sequence[Fate]) -> bytes:
    """Return the map of a run of receipts: the first one's fate in the lowest 3 bits; 0 stands for none."""
    packed = 0
    for fate in reversed(fates):
        packed = packed << _BITS | _CODES[fate]
    return packed.to_bytes((len(fates) * _BITS + 7) // 8, "little")


def unpack(packed: bytes) -> list[Fate]:
    """Return the fates of a run of receipts, in order."""
    bits = int.from_bytes(packed, "little")
    fates = []
    while bits:
        fates.append(_fate(bits & _MASK))
        bits >>= _BITS
    return fates


def fate_at(packed: bytes, index: int) -> Fate | None:
    """Return one receipt's fate by its place in the run, None beyond its end."""
    first = index * _BITS
    window = int.from_bytes(packed[first // 8 : first // 8 + 2], "little")
    code = window >> first % 8 & _MASK
    return _fate(code) if code else None


def _fate(code: int) -> Fate:
    if not 1 <= code <= len(_FATES):
        raise ValueError(f"There is no fate with the code {code}.")
    return _FATES[code - 1]
