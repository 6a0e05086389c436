from decimal import Decimal

import pytest

from broadcast.gateway.profiles import PROFILES, Facts, Profile, ordered


def facts(
    *,
    usd: str | None = "1",
    first_ms: float | None = 100,
    tokens_per_s: float | None = 50,
    is_ailing: bool = False,
) -> Facts:
    return Facts(
        usd=None if usd is None else Decimal(usd),
        first_ms=first_ms,
        tokens_per_s=tokens_per_s,
        is_ailing=is_ailing,
    )


NEW = facts(first_ms=None, tokens_per_s=None)


@pytest.mark.parametrize(
    ("profile", "candidates", "order"),
    [
        ("cost", [facts(usd="2"), facts(usd="0.5"), facts(usd="1")], [1, 2, 0]),
        ("cost", [facts(usd=None), facts(usd="9"), facts(usd="0")], [2, 1, 0]),
        ("latency", [facts(first_ms=300), facts(first_ms=50), facts(first_ms=100)], [1, 2, 0]),
        ("throughput", [facts(tokens_per_s=10), facts(tokens_per_s=90), facts(tokens_per_s=50)], [1, 2, 0]),
        # Twice the price, but five times as quick in both ways.
        ("balanced", [facts(first_ms=500, tokens_per_s=10), facts(usd="2")], [1, 0]),
        # Hardly quicker, at ten times the price.
        ("balanced", [facts(usd="10", first_ms=90), facts(usd="1")], [1, 0]),
    ],
)
def test_the_best_by_its_profile_comes_first(
    profile: Profile, candidates: list[Facts], order: list[int]
) -> None:
    assert ordered(profile, candidates) == order


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_alike_keeps_the_declared_order(profile: Profile) -> None:
    assert ordered(profile, [facts(), facts(), facts()]) == [0, 1, 2]


@pytest.mark.parametrize("profile", PROFILES)
def test_before_anything_is_measured_the_declared_order_holds(profile: Profile) -> None:
    assert ordered(profile, [NEW, NEW, NEW]) == [0, 1, 2]


@pytest.mark.parametrize("profile", ["latency", "throughput", "balanced"])
def test_what_is_not_measured_yet_is_tried_before_what_is(profile: Profile) -> None:
    quick = facts(usd="0", first_ms=1, tokens_per_s=1000)
    assert ordered(profile, [quick, NEW, facts(), NEW]) == [1, 3, 0, 2]


@pytest.mark.parametrize(
    ("profile", "silent"),
    [("latency", facts(first_ms=None)), ("throughput", facts(tokens_per_s=None))],
)
def test_what_answers_without_telling_is_not_taken_for_new(profile: Profile, silent: Facts) -> None:
    assert ordered(profile, [silent, facts()]) == [1, 0]


@pytest.mark.parametrize("profile", PROFILES)
def test_what_has_just_failed_comes_last(profile: Profile) -> None:
    best_but_ailing = facts(usd="0", first_ms=1, tokens_per_s=1000, is_ailing=True)
    assert ordered(profile, [best_but_ailing, facts(), NEW])[-1] == 0


def test_free_providers_are_balanced_by_their_speed() -> None:
    assert ordered("balanced", [facts(usd="0", first_ms=200), facts(usd="0", first_ms=100)]) == [1, 0]


def test_an_unknown_price_counts_as_the_mean_when_balanced() -> None:
    assert ordered("balanced", [facts(usd="3"), facts(usd=None), facts(usd="1")]) == [2, 1, 0]
