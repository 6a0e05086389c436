"""What becomes of a receipt at a destination, and a map of it in 3 bits a receipt."""

from collections import Counter
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
_CODES: Final[dict[Fate | None, int]] = {None: 0, **{fate: code for code, fate in enumerate(_FATES, start=1)}}
_BITS: Final = 3
_MASK: Final = (1 << _BITS) - 1


def counted(fates: Sequence[Fate | None]) -> Counter[Fate | None]:
    """Return how many there are of each fate of a run."""
    return Counter({fates[0]: len(fates)} if is_even(fates) else fates)


def is_even(fates: Sequence[Fate | None]) -> bool:
    """Whether a run is all of one fate, as nearly every run is: then nobody has to look at each."""
    return bool(fates) and fates.count(fates[0]) == len(fates)


def pack(fates: Sequence[Fate | None]) -> bytes:
    """Return the map of a run of receipts: the first one's fate in the lowest 3 bits; 0 stands for none."""
    if not fates:
        return b""
    if is_even(fates):
        # One digit repeated.
        packed = _CODES[fates[0]] * ((1 << _BITS * len(fates)) - 1) // _MASK
    else:
        packed = int("".join(str(_CODES[fate]) for fate in reversed(fates)), 8)
    return packed.to_bytes((len(fates) * _BITS + 7) // 8, "little")


def unpack(packed: bytes) -> list[Fate | None]:
    """Return the fates of a run of receipts, in order, up to the last that has one; None for none."""
    bits = int.from_bytes(packed, "little")
    fates: list[Fate | None] = []
    while bits:
        code = bits & _MASK
        fates.append(_fate(code) if code else None)
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
