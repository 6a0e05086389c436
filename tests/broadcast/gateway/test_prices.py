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
