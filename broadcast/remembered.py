"""What was made before and may be asked for again: bounded, and nothing that cannot be made once more."""

from typing import Final, TypeVar

MOST: Final = 1024
K = TypeVar("K")
V = TypeVar("V")


class Remembered(dict[K, V]):
    """Some of what was made before; beyond `MOST` all is forgotten, and made again by whoever asks."""

    def keep(self, key: K, value: V) -> None:
        """Remember one more."""
        if len(self) >= MOST:
            self.clear()
        self[key] = value
