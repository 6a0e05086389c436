"""How often something may be done within a time, counted for all processes together."""

from dataclasses import dataclass

from broadcast.errors import TooManyRequests
from broadcast.store import Store, limits


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """So many uses of a key within a time; `words` are said to whoever wants more."""

    uses: int
    within_us: int
    words: str

    def count(self, store: Store, *keys: str, now_us: int) -> None:
        """Count one use of each key, refused or not; raise `TooManyRequests` where one has no more."""
        with store.write() as conn:
            waits = [
                limits.hit(conn, key=key, limit=self.uses, window_us=self.within_us, now_us=now_us)
                for key in keys
            ]
        if any(waits):
            raise TooManyRequests(self.words, retry_after_s=max(waits))
