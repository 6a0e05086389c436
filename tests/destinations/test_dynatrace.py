from typing import Any

import pytest

from broadcast.destination import Verdict
from destinations.dynatrace import Dynatrace
from tests.destinations import wire

TOKEN = f"dt0c01.{'A' * 24}.{'B' * 64}"


def dynatrace(**config: Any) -> Dynatrace:
    return Dynatrace.parse(
        {"environmentUrl": "https://abc12345.live.dynatrace.com", "apiToken": TOKEN, **config}
    )


def test_the_environment_gets_gzipped_protobuf() -> None:
    found = wire.send(dynatrace())
    assert found.url == "https://abc12345.live.dynatrace.com/api/v2/otlp/v1/traces"
    assert found.seen.headers["content-type"] == "application/x-protobuf"
    assert found.seen.headers["content-encoding"] == "gzip"
    assert found.seen.headers["authorization"] == f"Api-Token {TOKEN}"
    assert found.outcome.delivered


@pytest.mark.parametrize(
    ("pasted", "url"),
    [
        ("https://abc12345.apps.dynatrace.com/ui/apps/x", "https://abc12345.live.dynatrace.com/api/v2/otlp"),
        (
            "https://abc12345.live.dynatrace.com/api/v2/otlp",
            "https://abc12345.live.dynatrace.com/api/v2/otlp",
        ),
        ("https://gate.example.com:9999/e/abc/", "https://gate.example.com:9999/e/abc/api/v2/otlp"),
    ],
)
def test_a_page_of_the_environment_is_enough(pasted: str, url: str) -> None:
    assert dynatrace(environmentUrl=pasted).endpoint() == f"{url}/v1/traces"


def test_spans_older_than_an_hour_are_not_sent() -> None:
    assert Dynatrace.max_age_s == 3600


@pytest.mark.parametrize("token", ["dt0s16.ABC.DEF", "dt0s02.ABC.DEF", "abc"])
def test_other_tokens_are_recognised(token: str) -> None:
    assert dynatrace(apiToken=token).warnings().keys() == {"apiToken"}
    assert dynatrace().warnings() == {}


@pytest.mark.parametrize(("status", "verdict"), [(415, Verdict.REFUSED), (400, Verdict.REJECTED)])
def test_its_answers(status: int, verdict: Verdict) -> None:
    assert wire.send(dynatrace(), status=status).outcome.verdict is verdict


def test_a_trace_has_a_page_in_the_cloud() -> None:
    link = dynatrace().trace_url("ab", 0)
    assert link is not None
    assert link.startswith("https://abc12345.apps.dynatrace.com/ui/apps/")
    assert dynatrace(environmentUrl="https://gate.example.com/e/abc").trace_url("ab", 0) is None
