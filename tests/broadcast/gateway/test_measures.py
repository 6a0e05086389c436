from dataclasses import dataclass, replace

import pytest

from broadcast.gateway.measures import Measures, Way

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
WAY = Way(provider="acme", model="one", api="chat", streamed=True)


@dataclass
class Clock:
    now_us: int = 1_800_000_000 * SECOND_US

    def __call__(self) -> int:
        return self.now_us


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def measures(clock: Clock) -> Measures:
    return Measures(clock)


def test_nothing_is_known_of_what_was_never_asked(measures: Measures) -> None:
    assert measures.first_ms(WAY) is None
    assert measures.tokens_per_s(WAY) is None
    assert not measures.is_ailing(WAY)


def test_answers_at_one_time_count_alike(measures: Measures) -> None:
    for first_ms, tokens_per_s in ((100, 40), (300, 60)):
        measures.answered(WAY, first_ms=first_ms, tokens_per_s=tokens_per_s)
    assert (measures.first_ms(WAY), measures.tokens_per_s(WAY)) == (200, 50)


def test_an_answer_counts_half_as_much_after_five_minutes(measures: Measures, clock: Clock) -> None:
    measures.answered(WAY, first_ms=100, tokens_per_s=None)
    clock.now_us += 5 * MINUTE_US
    measures.answered(WAY, first_ms=400, tokens_per_s=None)
    assert measures.first_ms(WAY) == pytest.approx((100 * 0.5 + 400) / 1.5)


@pytest.mark.parametrize(("minutes", "known"), [(19, True), (21, False)])
def test_one_answer_is_forgotten_after_twenty_minutes(
    measures: Measures, clock: Clock, minutes: int, known: bool
) -> None:
    measures.answered(WAY, first_ms=100, tokens_per_s=10)
    clock.now_us += minutes * MINUTE_US
    assert (measures.first_ms(WAY) is not None) == known
    assert (measures.tokens_per_s(WAY) is not None) == known


@pytest.mark.parametrize(
    "other",
    [
        replace(WAY, provider="other"),
        replace(WAY, model="two"),
        replace(WAY, api="messages"),
        replace(WAY, streamed=False),
    ],
)
def test_every_way_is_measured_apart(measures: Measures, other: Way) -> None:
    measures.answered(WAY, first_ms=100, tokens_per_s=10)
    measures.failed(WAY)
    assert measures.first_ms(other) is None
    assert not measures.is_ailing(other)


@pytest.mark.parametrize(("seconds", "ailing"), [(0, True), (29, True), (30, False)])
def test_a_provider_ails_for_half_a_minute_after_it_failed(
    measures: Measures, clock: Clock, seconds: int, ailing: bool
) -> None:
    measures.failed(WAY)
    clock.now_us += seconds * SECOND_US
    assert measures.is_ailing(WAY) == ailing


def test_an_answer_ends_the_ailing(measures: Measures) -> None:
    measures.failed(WAY)
    measures.answered(WAY, first_ms=None, tokens_per_s=None)
    assert not measures.is_ailing(WAY)


def test_a_clock_that_steps_back_does_no_harm(measures: Measures, clock: Clock) -> None:
    measures.answered(WAY, first_ms=100, tokens_per_s=10)
    clock.now_us -= MINUTE_US
    measures.answered(WAY, first_ms=100, tokens_per_s=10)
    assert measures.first_ms(WAY) == 100
