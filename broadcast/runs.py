"""Numbers in order, kept as runs: a day of receipts is a few pairs, not a million numbers."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final, overload

Run = tuple[int, int]


class Runs(Sequence[int]):
    """Ascending numbers without repeats; `pairs` holds the first and the last number of each run."""

    __slots__ = ("_behind", "pairs")

    def __init__(self, pairs: Iterable[Run]) -> None:
        self.pairs: Final = tuple(pairs)
        self._behind: Final = tuple(accumulate(last - first + 1 for first, last in self.pairs))

    @classmethod
    def of(cls, numbers: Iterable[int]) -> "Runs":
        """Return the runs of some numbers, whatever their order."""
        return cls.joined((number, number) for number in set(numbers))

    @classmethod
    def joined(cls, pairs: Iterable[Run]) -> "Runs":
        """Return the numbers of some runs that share none, whatever their order; neighbours become one."""
        found: list[Run] = []
        for first, last in sorted(pairs):
            if found and found[-1][1] == first - 1:
                found[-1] = (found[-1][0], last)
            else:
                found.append((first, last))
        return cls(found)

    def upto(self, last: int) -> "Runs":
        """Return the numbers that are not above `last`."""
        return Runs((first, min(end, last)) for first, end in self.pairs if first <= last)

    def evenly(self, count: int) -> tuple[int, ...]:
        """Return at most `count` of the numbers, evenly spread, the first and the last among them."""
        if len(self) <= count:
            return tuple(self)
        return tuple(self[place * (len(self) - 1) // (count - 1)] for place in range(count))

    def __len__(self) -> int:
        return self._behind[-1] if self._behind else 0

    def __iter__(self) -> Iterator[int]:
        for first, last in self.pairs:
            yield from range(first, last + 1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Runs) and self.pairs == other.pairs

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        return f"Runs({self.pairs})"

    @overload
    def __getitem__(self, place: int) -> int: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[int, ...]: ...

    def __getitem__(self, place: int | slice) -> int | tuple[int, ...]:
        if isinstance(place, slice):
            return tuple(self._at(each) for each in range(*place.indices(len(self))))
        if not -len(self) <= place < len(self):
            raise IndexError("There is no number at this place.")
        return self._at(place % len(self))

    def _at(self, place: int) -> int:
        run = bisect_right(self._behind, place)
        before = self._behind[run - 1] if run else 0
        return self.pairs[run][0] + place - before
