from typing import Any

import pytest

from broadcast.destination import Verdict
from destinations.datadog import Datadog
from tests.destinations import wire

KEY = "0123456789abcdef0123456789abcdef"


def datadog(**config: Any) -> Datadog:
    return Datadog.parse({"apiKey": KEY, "mlApp": "llm-router", **config})


def test_the_intake_gets_protobuf_for_llm_observability() -> None:
    found = wire.send(datadog(), status=202, body=b"", headers={"content-type": "application/x-protobuf"})
    assert found.url == "https://otlp.datadoghq.com/v1/traces"
    assert found.seen.headers["content-type"] == "application/x-protobuf"
    assert found.seen.headers["content-encoding"] == "gzip"
    assert found.seen.headers["dd-api-key"] == KEY
    assert found.seen.headers["dd-otlp-source"] == "llmobs"
    assert found.outcome.delivered


def test_the_application_is_the_service() -> None:
    found = wire.send(datadog())
    assert {span.resource["service.name"] for span in found.spans} == {"llm-router"}
    made = wire.generation(found)
    assert made["gen_ai.conversation.id"] == "session-1"
    assert (made["gen_ai.usage.input_tokens"], made["gen_ai.usage.output_tokens"]) == (100, 50)


@pytest.mark.parametrize(
    ("pasted", "site", "ui"),
    [
        ("https://api.datadoghq.com", "datadoghq.com", "app.datadoghq.com"),
        ("https://app.datadoghq.eu/apm/traces", "datadoghq.eu", "app.datadoghq.eu"),
        ("https://us5.datadoghq.com/", "us5.datadoghq.com", "us5.datadoghq.com"),
        ("us3.datadoghq.com", "us3.datadoghq.com", "us3.datadoghq.com"),
        ("https://otlp.ap1.datadoghq.com/v1/traces", "ap1.datadoghq.com", "ap1.datadoghq.com"),
        ("API.AP2.DATADOGHQ.COM", "ap2.datadoghq.com", "ap2.datadoghq.com"),
    ],
)
def test_any_address_of_a_site_is_that_site(pasted: str, site: str, ui: str) -> None:
    destination = datadog(url=pasted)
    assert destination.endpoint() == f"https://otlp.{site}/v1/traces"
    link = destination.trace_url(wire.TRACE, 0)
    assert link.startswith(f"https://{ui}/llm/traces?")


@pytest.mark.parametrize(("status", "problem"), [(200, False), (403, True)])
def test_the_key_is_validated_at_its_site(status: int, problem: bool) -> None:
    found, words = wire.check(datadog(url="https://api.datadoghq.eu"), status=status, body='{"valid":true}')
    assert found.url == "https://api.datadoghq.eu/api/v1/validate"
    assert found.seen.headers["dd-api-key"] == KEY
    assert bool(words) is problem


def test_the_wrong_site_is_a_refusal() -> None:
    assert wire.send(datadog(), status=403).outcome.verdict is Verdict.REFUSED


@pytest.mark.parametrize("key", ["0" * 40, "ddapp_abc", "pub" + "0" * 32, "short"])
def test_other_keys_of_datadog_are_recognised(key: str) -> None:
    assert datadog(apiKey=key).warnings().keys() == {"apiKey"}
    assert datadog().warnings() == {}


def test_what_is_too_old_or_too_large_is_not_sent() -> None:
    assert Datadog.max_age_s == 86_400
    assert Datadog.max_bytes < 3_200_000
