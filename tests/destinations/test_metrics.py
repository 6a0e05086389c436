"""Where metrics go, by type: the address, the credential, and what names the place there."""

from typing import Any
from urllib.parse import urlsplit

import pytest

import destinations
from broadcast.destination import Destination
from broadcast.errors import SettingsError
from tests.destinations.test_contract import SECRET, config_of, made

BODY = b"an export"
WIRE: dict[str, tuple[str, dict[str, str]]] = {
    "axiom": (
        "https://api.axiom.co/v1/metrics",
        {"authorization": f"Bearer {SECRET}", "x-axiom-metrics-dataset": "llm-metrics"},
    ),
    "grafana": (
        "https://otlp-gateway-prod-us-west-0.grafana.net/otlp/v1/metrics",
        {"authorization": "Basic MTIzNDU2OkNBTkFSWTBzZWNyZXQxdmFsdWUydGhhdDNtdXN0NG5vdDVzaG93"},
    ),
    "honeycomb": (
        "https://api.honeycomb.io/v1/metrics",
        {"x-honeycomb-team": SECRET, "x-honeycomb-dataset": "llm-metrics"},
    ),
    "logfire": ("https://logfire-us.pydantic.dev/v1/metrics", {"authorization": SECRET}),
    "newrelic": ("https://otlp.nr-data.net/v1/metrics", {"api-key": SECRET}),
    "otel-collector": ("https://otel.example.com/v1/metrics", {"authorization": SECRET}),
    "splunk": (
        "https://ingest.us0.observability.splunkcloud.com/v2/datapoint/otlp",
        {"x-sf-token": SECRET},
    ),
}
"""Others are asked for differences (Datadog, Dynatrace, Elastic), for a role of their own (Google Cloud), or
take spans alone."""

every_taker = pytest.mark.parametrize("slug", sorted(WIRE))


def parsed(slug: str, **settings: Any) -> Destination:
    return destinations.TYPES[slug].parse(config_of(slug) | settings)


def test_those_take_metrics_and_no_others() -> None:
    assert {slug for slug, kind in destinations.TYPES.items() if kind.takes_metrics()} == set(WIRE)


@every_taker
def test_the_request_is_exactly_this(slug: str) -> None:
    url, headers = WIRE[slug]
    request = made(slug).metrics_request(BODY)
    own = {name: value for name, value in request.headers.items() if name != "x-team"}
    encoding = "json" if slug == "otel-collector" else "x-protobuf"
    assert (request.method, request.url, request.body) == ("POST", url, BODY)
    assert own == {"content-type": f"application/{encoding}", **headers}
    assert request.compress
    assert SECRET not in repr(request)


@every_taker
def test_they_go_to_a_server_that_the_secrets_are_sealed_for(slug: str) -> None:
    destination = made(slug)
    servers = {(urlsplit(url).scheme, urlsplit(url).hostname) for url in destination.address()}
    url = urlsplit(destination.metrics_request(BODY).url)
    assert (url.scheme, url.hostname) in servers


@every_taker
def test_they_are_off_unless_asked_for(slug: str) -> None:
    settings = {name: value for name, value in config_of(slug).items() if name != "metrics"}
    assert destinations.TYPES[slug].parse(settings).metrics_every_s() is None
    assert parsed(slug, metrics="off").metrics_every_s() is None


@pytest.mark.parametrize(
    ("said", "every_s"),
    [("10s", 10), ("30s", 30), ("60s", 60), ("5m", 300), ("15m", 900), ("1h", 3600)],
)
def test_an_interval_is_between_10_seconds_and_an_hour(said: str, every_s: int) -> None:
    assert parsed("grafana", metrics=said).metrics_every_s() == every_s


@pytest.mark.parametrize("said", ["1s", "9s", "2h", "60", "on", "off, on"])
def test_another_interval_is_refused_by_name(said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parsed("grafana", metrics=said)
    assert set(refused.value.problems) == {"metrics"}


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://a.example/v1/traces", "https://a.example/v1/metrics"),
        ("https://a.example:4318", "https://a.example:4318/v1/metrics"),
        ("https://a.example/otlp/v1/traces/", "https://a.example/otlp/v1/metrics"),
        ("https://a.example/insert/opentelemetry/v1/traces", "https://a.example/insert/opentelemetry/v1/metrics"),
    ],
)  # fmt: skip
def test_a_collector_takes_them_beside_its_spans(endpoint: str, expected: str) -> None:
    settings = {"endpoint": endpoint, "metrics": "60s"}
    destination = destinations.TYPES["otel-collector"].parse(settings)
    assert destination.metrics_request(BODY).url == expected
    assert len(destination.address()) == 1


def test_another_server_for_metrics_is_an_address_of_its_own() -> None:
    settings = {
        "endpoint": "https://tempo.example/v1/traces",
        "metricsEndpoint": "https://prometheus.example/api/v1/otlp/v1/metrics",
    }
    destination = destinations.TYPES["otel-collector"].parse(settings)
    assert destination.address() == (
        "https://tempo.example:443/v1/traces",
        "https://prometheus.example:443/api/v1/otlp/v1/metrics",
    )


@pytest.mark.parametrize("slug", ["axiom", "honeycomb"])
def test_without_a_dataset_they_go_to_one_called_metrics(slug: str) -> None:
    settings = {name: value for name, value in config_of(slug).items() if name != "metricsDataset"}
    request = destinations.TYPES[slug].parse(settings).metrics_request(BODY)
    assert [value for name, value in request.headers.items() if name.endswith("dataset")] == ["metrics"]
