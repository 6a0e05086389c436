from typing import Any

import pytest

from destinations.newrelic import NewRelic
from tests.destinations import wire

KEY = "0123456789abcdef0123456789abcdefFFFFNRAL"
EU_KEY = "eu01xx6789abcdef0123456789abcdefFFFFNRAL"


def newrelic(**config: Any) -> NewRelic:
    return NewRelic.parse({"licenseKey": KEY, **config})


def test_the_data_centre_gets_protobuf_and_its_empty_answer_is_enough() -> None:
    found = wire.send(newrelic(), status=200, body=b"", headers={"server": "nr"})
    assert found.url == "https://otlp.nr-data.net/v1/traces"
    assert found.seen.headers["content-type"] == "application/x-protobuf"
    assert found.seen.headers["content-encoding"] == "gzip"
    assert found.seen.headers["api-key"] == KEY
    assert found.outcome.delivered


@pytest.mark.parametrize(
    ("region", "key", "ingest", "metrics"),
    [
        ("us", KEY, "otlp.nr-data.net", "metric-api.newrelic.com"),
        ("eu", EU_KEY, "otlp.eu01.nr-data.net", "metric-api.eu.newrelic.com"),
    ],
)
def test_the_region_chooses_every_host(region: str, key: str, ingest: str, metrics: str) -> None:
    destination = newrelic(region=region, licenseKey=key)
    assert destination.address() == (f"https://{ingest}:443/v1/traces", f"https://{metrics}:443/metric/v1")
    assert destination.warnings() == {}


@pytest.mark.parametrize(("status", "problem"), [(202, False), (403, True)])
def test_the_metric_api_is_asked_about_the_key_because_ingest_does_not_look(
    status: int, problem: bool
) -> None:
    found, words = wire.check(newrelic(), status=status, body="{}")
    assert (found.seen.method, found.seen.body) == ("POST", b'[{"metrics":[]}]')
    assert found.seen.headers["api-key"] == KEY
    assert bool(words) is problem
    assert NewRelic.ingest_proves is False


@pytest.mark.parametrize("key", ["NRAK-ABC", "NRJS-abc", "NRII-abc", "short"])
def test_other_keys_are_recognised(key: str) -> None:
    assert newrelic(licenseKey=key).warnings().keys() == {"licenseKey"}


@pytest.mark.parametrize(("region", "key"), [("us", EU_KEY), ("eu", KEY)])
def test_a_key_of_the_other_data_centre_is_recognised(region: str, key: str) -> None:
    assert newrelic(region=region, licenseKey=key).warnings().keys() == {"region"}


def test_texts_and_requests_stay_within_its_limits() -> None:
    assert NewRelic.max_attribute_bytes == 4095
    assert NewRelic.max_bytes < 1_000_000
