"""How fast each provider has answered lately, and which has just failed: in memory, fading with time."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from broadcast.gateway.apis import Api

_HALF_LIFE_US: Final = 300_000_000
_FADED: Final = 1 / 16
_AILING_US: Final = 30_000_000
_MOST_WAYS: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Way:
    """What is measured apart: a streamed answer begins early, a whole one when all of it is there."""

    provider: str
    model: str
    api: Api
    streamed: bool


@dataclass
class _Mean:
    """A mean in which a value counts half as much every five minutes."""

    total: float = 0.0
    weight: float = 0.0
    at_us: int = 0

    def add(self, value: float, now_us: int) -> None:
        faded = self._faded(now_us)
        self.total, self.weight, self.at_us = self.total * faded + value, self.weight * faded + 1, now_us

    def value(self, now_us: int) -> float | None:
        """Return the mean, or None when what is known of it is too old."""
        return self.total / self.weight if self.weight * self._faded(now_us) >= _FADED else None

    def _faded(self, now_us: int) -> float:
        return float(0.5 ** (max(0, now_us - self.at_us) / _HALF_LIFE_US))


class Measures:
    """The moving measures of every way; `clock` counts microseconds."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._first_ms: dict[Way, _Mean] = {}
        self._tokens_per_s: dict[Way, _Mean] = {}
        self._failed_at_us: dict[Way, int] = {}

    def answered(self, way: Way, *, first_ms: float | None, tokens_per_s: float | None) -> None:
        """Take in an answer: when its first part came, and how fast all of it."""
        now_us = self._clock()
        with self._lock:
            self._failed_at_us.pop(way, None)
            for means, value in ((self._first_ms, first_ms), (self._tokens_per_s, tokens_per_s)):
                if value is not None and (way in means or len(means) < _MOST_WAYS):
                    means.setdefault(way, _Mean()).add(value, now_us)

    def failed(self, way: Way) -> None:
        """Take in a failure of the provider's own."""
        with self._lock:
            if way in self._failed_at_us or len(self._failed_at_us) < _MOST_WAYS:
                self._failed_at_us[way] = self._clock()

    def first_ms(self, way: Way) -> float | None:
        """Return how long the first part of an answer takes to come."""
        return self._value(self._first_ms, way)

    def tokens_per_s(self, way: Way) -> float | None:
        """Return how many tokens come in a second, from the request on."""
        return self._value(self._tokens_per_s, way)

    def is_ailing(self, way: Way) -> bool:
        """Whether it failed within the last 30 s and has not answered since."""
        with self._lock:
            failed_at_us = self._failed_at_us.get(way)
        return failed_at_us is not None and self._clock() - failed_at_us < _AILING_US

    def _value(self, means: dict[Way, _Mean], way: Way) -> float | None:
        with self._lock:
            mean = means.get(way)
            return mean.value(self._clock()) if mean else None
