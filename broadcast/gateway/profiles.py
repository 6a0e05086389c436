"""In which order providers are tried, by what is known of them; ties keep the order they were declared in.

cost         the cheapest first; without a price last
latency      the first to begin its answer first
throughput   the most tokens a second first
balanced     the best sum of the three, each as a share of its mean over the candidates

A provider that is not measured yet, or was not for long, is tried before those that are, in the order of the
file: so each is measured in turn. One that has just failed goes behind those that have not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, get_args

Profile = Literal["balanced", "cost", "latency", "throughput"]

PROFILES: Final[tuple[Profile, ...]] = get_args(Profile)
_NEVER: Final = float("inf")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of one candidate; None is unknown."""

    usd: Decimal | None
    first_ms: float | None
    tokens_per_s: float | None
    is_ailing: bool

    @property
    def is_new(self) -> bool:
        """Whether nothing has been measured lately."""
        return self.first_ms is None and self.tokens_per_s is None


def ordered(profile: Profile, candidates: Sequence[Facts]) -> list[int]:
    """Return the candidates' places in the order they are to be tried."""
    scores = _SCORES[profile](candidates)
    return sorted(range(len(candidates)), key=lambda place: (candidates[place].is_ailing, scores[place]))


def _cost(candidates: Sequence[Facts]) -> list[float]:
    return [_NEVER if facts.usd is None else float(facts.usd) for facts in candidates]


def _latency(candidates: Sequence[Facts]) -> list[float]:
    return [_measured(facts, facts.first_ms) for facts in candidates]


def _throughput(candidates: Sequence[Facts]) -> list[float]:
    return [_measured(facts, _s_per_token(facts)) for facts in candidates]


def _measured(facts: Facts, value: float | None) -> float:
    """Return the score: what has answered without telling this (its usage, say) comes last, not first."""
    if facts.is_new:
        return -_NEVER
    return _NEVER if value is None else value


def _s_per_token(facts: Facts) -> float | None:
    return 1 / facts.tokens_per_s if facts.tokens_per_s else None


def _balanced(candidates: Sequence[Facts]) -> list[float]:
    parts = (
        _shares([None if facts.usd is None else float(facts.usd) for facts in candidates]),
        _shares([facts.first_ms for facts in candidates]),
        _shares([_s_per_token(facts) for facts in candidates]),
    )
    sums = [sum(shares) for shares in zip(*parts, strict=True)]
    return [-_NEVER if facts.is_new else total for facts, total in zip(candidates, sums, strict=True)]


def _shares(values: Sequence[float | None]) -> list[float]:
    """Return each value as a share of the mean of those known; what is unknown counts as the mean."""
    known = [value for value in values if value is not None]
    mean = sum(known) / len(known) if known else 0.0
    return [1.0 if value is None or not mean else value / mean for value in values]


_SCORES: Final[Mapping[Profile, Callable[[Sequence[Facts]], list[float]]]] = {
    "balanced": _balanced,
    "cost": _cost,
    "latency": _latency,
    "throughput": _throughput,
}
