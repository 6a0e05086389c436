from typing import Any

import msgspec
import pytest

from broadcast.receipt import Cost, Error, Timing, Usage
from broadcast.series import (
    LIMIT,
    OTHER,
    SECOND_BOUNDS,
    TOKEN_BOUNDS,
    Labels,
    Series,
    counted,
    labels_of,
    merged,
    without_errors,
)
from tests.factories import receipt

# https://github.com/open-telemetry/semantic-conventions/blob/v1.41.1/docs/gen-ai/gen-ai-metrics.md,
# read 2026-11-21.
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)


def one(**fields: Any) -> Series:
    """Return the series of a single receipt."""
    (made,) = counted([receipt(**fields)]).values()
    return made


def bucket(counts: list[int]) -> int:
    """Return the one bucket that holds something."""
    (index,) = (index for index, count in enumerate(counts) if count)
    return index


def test_the_boundaries_are_the_conventions() -> None:
    assert TOKEN_BOUNDS == TOKENS
    assert SECOND_BOUNDS == SECONDS


@pytest.mark.parametrize("index", range(14))
def test_a_boundary_belongs_to_the_bucket_below_it(index: int) -> None:
    tokens, duration_us = TOKENS[index], round(SECONDS[index] * 1_000_000)
    on = one(usage=Usage(input_tokens=tokens, output_tokens=tokens), duration_us=duration_us)
    above = one(usage=Usage(input_tokens=tokens + 1, output_tokens=tokens + 1), duration_us=duration_us + 1)

    for name in ("input_tokens", "output_tokens", "duration_us"):
        assert bucket(getattr(on, name).counts) == index
        assert bucket(getattr(above, name).counts) == index + 1


def test_a_request_is_told_apart_as_its_span_says_it() -> None:
    assert labels_of(receipt(api_type="responses")) == Labels(
        operation="chat",
        provider="openai",
        request_model="openai/gpt-4o-mini",
        response_model="openai/gpt-4o-mini-2024-07-18",
    )


@pytest.mark.parametrize(
    ("fields", "error_type"),
    [
        ({"status": "succeeded"}, ""),
        ({"status": "error", "error": Error(type="rate_limit_exceeded")}, "rate_limit_exceeded"),
        ({"status": "error"}, "error"),
        ({"status": "denied"}, "denied"),
        ({"status": "cancelled"}, "cancelled"),
    ],
)
def test_the_kind_of_error_is_that_of_the_span(fields: dict[str, Any], error_type: str) -> None:
    assert labels_of(receipt(**fields)).error_type == error_type


def test_who_cancels_is_no_error() -> None:
    errors = [one(status=status).errors for status in ("succeeded", "error", "denied", "cancelled")]
    assert errors == [0, 1, 1, 0]


def test_an_unknown_cost_is_counted_and_never_taken_for_0() -> None:
    unknown, free = one(cost=None), one(cost=Cost(total_nano_usd=0))
    assert (unknown.requests, unknown.unpriced, unknown.cost_nano_usd) == (1, 1, 0)
    assert (free.requests, free.unpriced, free.cost_nano_usd) == (1, 0, 0)


def test_tokens_that_are_not_known_are_not_measured() -> None:
    embedded = one(usage=Usage(input_tokens=8))
    assert (embedded.input_tokens.count, embedded.input_tokens.sum) == (1, 8)
    assert embedded.output_tokens.count == 0
    assert one(usage=None).input_tokens.count == 0


def test_the_first_chunk_is_of_streamed_answers_only() -> None:
    timing = Timing(first_token_ms=412.5)
    assert one(streamed=True, timing=timing).first_chunk_us.sum == 412_500
    assert one(streamed=False, timing=timing).first_chunk_us.count == 0
    assert one(streamed=True, timing=None).first_chunk_us.count == 0


def test_sums_are_exact_however_they_are_grouped() -> None:
    receipts = [receipt(model=f"m{number % 3}", cost=Cost(total_nano_usd=number)) for number in range(20)]
    first, rest = counted(receipts[:7]), counted(receipts[7:])
    both = merged(rest, list(first.values()), len(first), LIMIT)
    assert {each.labels: each for each in both} == counted(receipts)


def test_what_comes_after_the_limit_is_counted_together() -> None:
    made = counted(receipt(model=f"m{number}") for number in range(5))
    found = {each.labels.request_model: each for each in merged(made, [], 0, limit=3)}
    assert set(found) == {"m0", "m1", "m2", ""}
    assert found[""].labels == OTHER
    assert found[""].requests == 2


def test_a_series_that_is_known_stays_its_own_at_the_limit() -> None:
    known = counted([receipt(model="m0")])
    found = merged(counted([receipt(model="m0"), receipt(model="m1")]), list(known.values()), 3, limit=3)
    assert [(each.labels.request_model, each.requests) for each in found] == [("m0", 2), ("", 1)]


def test_a_series_that_was_once_put_together_stays_so() -> None:
    other = Series(labels=OTHER, requests=4)
    found = merged(counted([receipt(model="m9")]), [other], 3, limit=3)
    assert [(each.labels, each.requests) for each in found] == [(OTHER, 5)]


def test_kinds_of_errors_are_put_together_without_a_loss() -> None:
    made = counted(
        [receipt(), receipt(status="error"), receipt(status="denied"), receipt(model="other/model")]
    )
    found = without_errors(made.values())
    assert [(each.labels.request_model, each.requests, each.errors) for each in found] == [
        ("openai/gpt-4o-mini", 3, 2),
        ("other/model", 1, 0),
    ]
    assert len(made) == 4, "the series that were put together are as they were"
    assert [each.requests for each in made.values()] == [1, 1, 1, 1]


def test_a_stored_series_reads_back_the_same() -> None:
    made = one(model="m" * 10_000)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Series) == made
    assert len(made.labels.request_model) == 256


def test_keys_differ_wherever_labels_do() -> None:
    every = [
        OTHER,
        Labels(request_model="a"),
        Labels(request_model="a", response_model="b"),
        Labels(request_model="ab"),
        Labels(request_model="a", error_type="b"),
        Labels(provider="a", request_model="a"),
    ]
    assert len({labels.key for labels in every}) == len(every)
    assert OTHER.key == b""


def test_the_limit_is_a_thousand() -> None:
    assert LIMIT == 1_000
