import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from broadcast.destination import (
    Batch,
    Destination,
    Response,
    Verdict,
    basic_auth,
    envelope,
    judge_otlp,
    normalised,
    partial_success,
)
from broadcast.errors import SettingsError
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field


class Example(Destination):
    """A destination with one of everything."""

    base_url: HttpsUrl = field("Base URL", example="https://a.example")
    api_key: Secret = field("API key", example="key")
    region: str | None = field("Region", default=None)
    headers: SecretHeaders = field("Headers", default=SecretHeaders())

    def endpoint(self) -> str:
        return f"{self.base_url}/v1/traces"

    def auth(self) -> Mapping[str, str]:
        return basic_auth("123", self.api_key)


def example(**changes: object) -> Example:
    return Example.parse({"baseUrl": "https://a.example", "apiKey": "supersecretvalue", **changes})


def answer(
    status: int, body: bytes = b"", *, content_type: str = "application/json", **headers: str
) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(
        status=status,
        reason="Because",
        headers={"content-type": content_type, **named},
        body=body,
        duration_ms=1.0,
        sent_bytes=1,
        host="a.example",
    )


@pytest.mark.parametrize(
    ("status", "headers", "verdict"),
    [
        (200, {}, Verdict.DELIVERED),
        (202, {}, Verdict.DELIVERED),
        (204, {}, Verdict.DELIVERED),
        (429, {}, Verdict.THROTTLED),
        (429, {"retry_after": "7"}, Verdict.THROTTLED),
        (503, {"retry_after": "7"}, Verdict.THROTTLED),
        (503, {}, Verdict.RETRYING),
        (408, {}, Verdict.RETRYING),
        (500, {}, Verdict.RETRYING),
        (502, {}, Verdict.RETRYING),
        (504, {}, Verdict.RETRYING),
        (400, {}, Verdict.REJECTED),
        (413, {}, Verdict.REJECTED),
        (422, {}, Verdict.REJECTED),
        (301, {}, Verdict.REFUSED),
        (307, {}, Verdict.REFUSED),
        (401, {}, Verdict.REFUSED),
        (403, {}, Verdict.REFUSED),
        (404, {}, Verdict.REFUSED),
        (405, {}, Verdict.REFUSED),
        (415, {}, Verdict.REFUSED),
    ],
)
def test_what_a_status_means(status: int, headers: dict[str, Any], verdict: Verdict) -> None:
    outcome = judge_otlp(answer(status, **headers))
    assert (outcome.verdict, outcome.status_code) == (verdict, status)
    assert outcome.reason.startswith(str(status))
    assert outcome.retry_after == headers.get("retry_after")


def test_a_web_page_is_no_receiver() -> None:
    outcome = judge_otlp(answer(200, b"<!doctype html>", content_type="text/html; charset=utf-8"))
    assert outcome.verdict is Verdict.REFUSED
    assert "web page" in outcome.reason


@pytest.mark.parametrize("rejected", ["3", 3])
def test_rejected_spans_are_counted_whether_string_or_number(rejected: object) -> None:
    body = json.dumps({"partialSuccess": {"rejectedSpans": rejected, "errorMessage": "too old"}}).encode()
    outcome = judge_otlp(answer(200, body))
    assert (outcome.verdict, outcome.rejected_spans) == (Verdict.PARTLY_DELIVERED, 3)
    assert "too old" in outcome.reason
    assert outcome.delivered


def test_rejected_spans_are_counted_in_protobuf() -> None:
    body = ExportTraceServiceResponse()
    body.partial_success.rejected_spans = 2
    response = answer(200, body.SerializeToString(), content_type="application/x-protobuf")
    assert judge_otlp(response).rejected_spans == 2


def test_a_message_without_rejected_spans_is_a_delivery_with_a_warning() -> None:
    body = b'{"partialSuccess":{"errorMessage":"deprecated"}}'
    assert judge_otlp(answer(200, body)).verdict is Verdict.DELIVERED
    assert partial_success(answer(200, body)) == (0, "deprecated")


@given(st.integers(200, 299), st.binary(max_size=80), st.sampled_from(["application/json", "x-protobuf", ""]))
def test_no_body_can_turn_a_success_into_a_failure(status: int, body: bytes, content_type: str) -> None:
    assert judge_otlp(answer(status, body, content_type=content_type)).delivered


@pytest.mark.parametrize(
    "body",
    [
        b'{"partialSuccess":{"rejectedSpans":-1}}',
        b'{"partialSuccess":{"rejectedSpans":"Infinity"}}',
        b"[]",
        b"1e999",
    ],
)
def test_nonsense_in_a_success_is_silence(body: bytes) -> None:
    assert judge_otlp(answer(200, body)).verdict is Verdict.DELIVERED


@pytest.mark.parametrize(
    "url",
    ["https://A.example/v1/", "https://a.example./v1/", "https://a.example:443/v1/", "HTTPS://a.example/v1/"],
)
def test_addresses_that_dial_the_same_are_equal(url: str) -> None:
    assert normalised(url) == "https://a.example:443/v1/"


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/v1/",
        "https://a.example:4318/v1/",
        "https://a.example/v1",
        "https://a.example/v1/?a=b",
        "https://b.example/v1/",
    ],
)
def test_addresses_that_dial_something_else_differ(url: str) -> None:
    assert normalised(url) != "https://a.example:443/v1/"


def test_an_ipv6_address_keeps_its_brackets() -> None:
    assert normalised("https://[2001:DB8::1]/x") == "https://[2001:db8::1]:443/x"


def test_a_batch_is_one_export_request() -> None:
    assert envelope("json", (b'{"a":1}', b'{"b":2}')) == b'{"resourceSpans":[{"a":1},{"b":2}]}'
    assert envelope("protobuf", (b"\n\x00", b"\n\x00")) == b"\n\x00\n\x00"
    assert envelope("json", ()) == b'{"resourceSpans":[]}'


def test_a_request_carries_the_type_the_credential_and_the_users_headers() -> None:
    made = example(headers={"X-Team": "search"}).request(Batch(id="b", at_us=1, pieces=(b"{}",)))
    assert made.url == "https://a.example/v1/traces"
    assert made.headers == {
        "content-type": "application/json",
        "authorization": "Basic MTIzOnN1cGVyc2VjcmV0dmFsdWU=",
        "x-team": "search",
    }


def test_settings_go_apart_and_come_together_again() -> None:
    made = example(region="eu", headers={"X-Team": "search"})
    assert made.plain() == {"baseUrl": "https://a.example", "region": "eu"}
    secrets = made.secrets()
    secrets["headers"] = json.loads(secrets["headers"])
    assert Example.parse({**made.plain(), **secrets}) == made


def test_masks_show_no_more_than_ends() -> None:
    assert example().masks() == {"apiKey": "supe…alue"}


def test_every_form_of_a_secret_is_known_for_scrubbing() -> None:
    values = example(headers={"X-Token": "Bearer abc"}).secret_values()
    assert {"supersecretvalue", "MTIzOnN1cGVyc2VjcmV0dmFsdWU=", "Bearer abc", "abc"} <= set(values)
    assert [len(value) for value in values] == sorted((len(value) for value in values), reverse=True)


def test_a_setting_may_not_hide_a_method_of_the_port() -> None:
    with pytest.raises(TypeError, match="hides a method"):

        class Wrong(Destination):
            """A setting named like a method."""

            endpoint: str = field("Endpoint")  # type: ignore[assignment]


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(SettingsError) as caught:
        example(colour="red")
    assert caught.value.problems == {"colour": "Unknown setting."}
