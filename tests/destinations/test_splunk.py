from typing import Any

import pytest

from broadcast.destination import Verdict
from destinations.splunk import Splunk
from tests.destinations import wire

TOKEN = "0123456789abcdefABCDEF"


def splunk(**config: Any) -> Splunk:
    return Splunk.parse({"accessToken": TOKEN, **config})


def test_the_realm_gets_gzipped_protobuf_at_a_path_of_its_own() -> None:
    found = wire.send(splunk(realm="eu0"))
    assert found.url == "https://ingest.eu0.observability.splunkcloud.com/v2/trace/otlp"
    assert found.seen.headers["content-type"] == "application/x-protobuf"
    assert found.seen.headers["content-encoding"] == "gzip"
    assert found.seen.headers["x-sf-token"] == TOKEN
    assert found.outcome.delivered


def test_a_span_with_long_messages_stays_below_its_limit() -> None:
    assert 2 * Splunk.max_attribute_bytes < 50_000


@pytest.mark.parametrize("token", ["4a4b33c9-ee04-46cb-bb99-a727b8a786a1", "short"])
def test_the_event_collectors_token_is_recognised(token: str) -> None:
    assert splunk(accessToken=token).warnings().keys() == {"accessToken"}
    assert splunk().warnings() == {}


def test_an_unknown_token_is_a_refusal() -> None:
    assert wire.send(splunk(), status=401).outcome.verdict is Verdict.REFUSED


def test_a_trace_has_a_page() -> None:
    link = splunk(realm="us1").trace_url("ab", 0)
    assert link == "https://app.us1.observability.splunkcloud.com/#/apm/traces/ab"
