import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from broadcast.answers import Response, Verdict, judge_api, judge_otlp, judge_status, partial_success


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


@pytest.mark.parametrize("status", [*range(300, 309), *range(400, 600)])
def test_a_failure_means_the_same_by_its_status_as_by_otlp(status: int) -> None:
    assert judge_status(answer(status)) == judge_otlp(answer(status))


def test_an_api_answers_with_no_page_for_people() -> None:
    page = judge_api(answer(200, b"<title>Log in", content_type="Text/HTML"))
    assert (page.verdict, page.reason) == (
        Verdict.REFUSED,
        "200 Because, but the answer is a web page: check the address",
    )
    assert judge_api(answer(200, b" \n", content_type="text/html")).verdict is Verdict.DELIVERED
    assert judge_api(answer(502, b"<p>", content_type="text/html")).verdict is Verdict.RETRYING


def test_by_its_status_alone_any_success_is_a_delivery() -> None:
    assert judge_status(answer(200, b"<p>ok", content_type="text/html")).verdict is Verdict.DELIVERED
