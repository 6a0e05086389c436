from typing import Any

import pytest

from broadcast.destination import Verdict
from destinations.axiom import Axiom
from tests.destinations import wire

TOKEN = "xaat-01234567-89ab-cdef-0123-456789abcdef"


def axiom(**config: Any) -> Axiom:
    return Axiom.parse({"apiToken": TOKEN, "dataset": "llm-traces", **config})


def test_the_dataset_gets_gzipped_json() -> None:
    found = wire.send(axiom())
    assert found.url == "https://api.axiom.co/v1/traces"
    assert found.seen.headers["content-type"] == "application/json"
    assert found.seen.headers["content-encoding"] == "gzip"
    assert found.seen.headers["authorization"] == f"Bearer {TOKEN}"
    assert found.seen.headers["x-axiom-dataset"] == "llm-traces"
    assert found.outcome.delivered


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us", "api.axiom.co"),
        ("us-east-1", "us-east-1.aws.edge.axiom.co"),
        (" EU-Central-1 ", "eu-central-1.aws.edge.axiom.co"),
    ],
)
def test_the_region_chooses_the_host(region: str, host: str) -> None:
    assert axiom(region=region).endpoint() == f"https://{host}/v1/traces"


@pytest.mark.parametrize("token", ["xapt-01234567-89ab-cdef-0123-456789abcdef", "xaat-short"])
def test_other_tokens_are_recognised(token: str) -> None:
    assert axiom(apiToken=token).warnings().keys() == {"apiToken"}
    assert axiom().warnings() == {}


def test_an_unknown_dataset_is_a_refusal() -> None:
    found = wire.send(axiom(), status=404, body={"message": "dataset not found"})
    assert found.outcome.verdict is Verdict.REFUSED


def test_a_limit_is_waited_for() -> None:
    found = wire.send(axiom(), status=429, body={"message": "rate limit exceeded"})
    assert found.outcome.verdict is Verdict.THROTTLED
