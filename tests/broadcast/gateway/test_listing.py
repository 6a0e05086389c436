from decimal import Decimal
from typing import Any

import pytest
from openrouter.components import Model as SdkModel

from broadcast.gateway import demo
from broadcast.gateway.listing import listing
from broadcast.gateway.prices import Prices
from broadcast.gateway.upstreams import Model, Route

EVERY_PRICE = Prices(
    input=Decimal("0.15"),
    output=Decimal("0.6"),
    cache_read=Decimal("0.075"),
    cache_write=Decimal("0.1875"),
    cache_write_1h=Decimal("0.3"),
    input_audio=Decimal(40),
    input_image=Decimal(3),
    reasoning=Decimal(1),
    output_audio=Decimal(80),
    request_usd=Decimal("0.005"),
)


def entry(prices: Prices | None) -> dict[str, Any]:
    upstream = demo.models()["demo/echo"].routes[0].upstream
    routes = (Route(upstream=upstream, model="one", prices=prices),)
    model = Model(id="acme/one", name="One", system="acme", context_length=1000, routes=routes)
    [listed] = listing([model], owner="us", created_s=1)["data"]
    return dict(listed)


@pytest.mark.parametrize("prices", [None, EVERY_PRICE, Prices(input=Decimal(1))])
def test_openrouters_sdk_reads_every_entry(prices: Prices | None) -> None:
    assert SdkModel.model_validate(entry(prices)).id == "acme/one"


def test_prices_are_of_one_token_and_without_exponents() -> None:
    assert entry(EVERY_PRICE)["pricing"] == {
        "prompt": "0.00000015",
        "completion": "0.0000006",
        "request": "0.005",
        "input_cache_read": "0.000000075",
        "input_cache_write": "0.0000001875",
        "input_cache_write_1h": "0.0000003",
        "internal_reasoning": "0.000001",
        "audio": "0.00004",
        "audio_output": "0.00008",
        "image_token": "0.000003",
    }


def test_an_unknown_price_is_not_zero() -> None:
    assert entry(None)["pricing"] == {"prompt": "-1", "completion": "-1"}


def test_what_is_priced_by_its_input_alone_makes_embeddings() -> None:
    listed = entry(Prices(input=Decimal("0.02")))
    assert listed["architecture"]["output_modalities"] == ["embeddings"]
    assert listed["pricing"]["completion"] == "0"
