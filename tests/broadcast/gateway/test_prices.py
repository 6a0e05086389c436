from decimal import Decimal
from typing import Any

import pytest

from broadcast.gateway.prices import Prices, cost_of, nano_usd
from broadcast.receipt import Cost, Usage

PRICES = Prices(input=Decimal("0.15"), output=Decimal("0.60"))


@pytest.mark.parametrize(
    ("usd", "nano"),
    [
        (0.0042, 4_200_000),
        ("0.000000001", 1),
        (0, 0),
        (1, 10**9),
        (None, None),
        ("x", None),
        ("NaN", None),
        (float("inf"), None),
        (-1, None),
        (True, None),
        ([], None),
    ],
)
def test_usd_becomes_nano_usd_exactly(usd: Any, nano: int | None) -> None:
    assert nano_usd(usd) == nano


def test_tokens_without_a_price_cost_an_unknown_sum() -> None:
    assert cost_of({}, Usage(input_tokens=1, output_tokens=1), None) is None


def test_prices_without_tokens_give_an_unknown_sum() -> None:
    assert cost_of(None, None, PRICES) is None
    assert cost_of({}, Usage(input_tokens=1), PRICES) is None


def test_a_priced_request_is_exact_to_the_nano_usd() -> None:
    cost = cost_of({}, Usage(input_tokens=3, output_tokens=1), PRICES)
    assert cost == Cost(total_nano_usd=1050, input_nano_usd=450, output_nano_usd=600, estimated=True)


def test_the_upstreams_own_cost_is_kept_beside_the_total() -> None:
    raw = {"cost": "0.5", "cost_details": {"upstream_inference_cost": 0.25}}
    assert cost_of(raw, None, PRICES) == Cost(total_nano_usd=500_000_000, upstream_nano_usd=250_000_000)


def test_cached_tokens_cost_what_input_costs_where_nothing_is_said() -> None:
    cost = cost_of(
        {}, Usage(input_tokens=10, output_tokens=0, cache_read_tokens=4, cache_write_tokens=99), PRICES
    )
    assert cost is not None
    assert cost.total_nano_usd == 1500


EVERY_KIND = Prices(
    input=Decimal(1),
    output=Decimal(10),
    cache_read=Decimal("0.1"),
    cache_write=Decimal("1.25"),
    cache_write_1h=Decimal(2),
    input_audio=Decimal(40),
    input_image=Decimal(3),
    reasoning=Decimal(12),
    output_audio=Decimal(80),
    output_image=Decimal(30),
    request_usd=Decimal("0.01"),
)


@pytest.mark.parametrize(
    ("counts", "raw", "nano_in", "nano_out"),
    [
        ({"cache_read_tokens": 40}, {}, 60_000 + 40 * 100, 100_000),
        ({"cache_write_tokens": 40}, {}, 60_000 + 40 * 1250, 100_000),
        (
            {"cache_write_tokens": 40},
            {"cache_creation": {"ephemeral_1h_input_tokens": 30, "ephemeral_5m_input_tokens": 10}},
            60_000 + 30 * 2000 + 10 * 1250,
            100_000,
        ),
        ({}, {"prompt_tokens_details": {"audio_tokens": 40}}, 60_000 + 40 * 40_000, 100_000),
        ({}, {"input_tokens_details": {"image_tokens": 40}}, 60_000 + 40 * 3000, 100_000),
        ({"reasoning_tokens": 4}, {}, 100_000, 60_000 + 4 * 12_000),
        ({}, {"completion_tokens_details": {"audio_tokens": 4}}, 100_000, 60_000 + 4 * 80_000),
        ({}, {"output_tokens_details": {"image_tokens": 4}}, 100_000, 60_000 + 4 * 30_000),
    ],
)
def test_every_kind_of_token_has_its_price_and_is_counted_once(
    counts: dict[str, int], raw: dict[str, Any], nano_in: int, nano_out: int
) -> None:
    cost = cost_of(raw, Usage(input_tokens=100, output_tokens=10, **counts), EVERY_KIND)
    assert cost is not None
    assert (cost.input_nano_usd, cost.output_nano_usd) == (nano_in, nano_out)
    assert cost.total_nano_usd == nano_in + nano_out + 10_000_000


def test_embeddings_are_priced_by_their_input_alone() -> None:
    cost = cost_of({}, Usage(input_tokens=50), Prices(input=Decimal("0.02")))
    assert cost == Cost(total_nano_usd=1000, input_nano_usd=1000, output_nano_usd=0, estimated=True)


def test_what_was_generated_without_a_price_costs_an_unknown_sum() -> None:
    assert cost_of({}, Usage(input_tokens=50, output_tokens=1), Prices(input=Decimal("0.02"))) is None


def test_a_price_for_a_request_needs_no_tokens() -> None:
    prices = Prices(input=Decimal(0), output=Decimal(0), request_usd=Decimal("0.005"))
    cost = cost_of({}, Usage(total_tokens=3), prices)
    assert cost is not None
    assert cost.total_nano_usd == 5_000_000


def test_providers_are_compared_by_three_parts_in_and_one_out() -> None:
    assert PRICES.typical_usd == Decimal("0.00105")
    assert EVERY_KIND.typical_usd == Decimal("0.023")
