from typing import Any

import pytest

from broadcast.destination import Outcome, Response, Verdict
from broadcast.errors import SendFailed
from broadcast.report import failed_report, fields_report, judged_report, refused_report, scrub


def response(status: int, body: bytes = b"", **more: Any) -> Response:
    known = {"reason": "Words", "headers": {}, "duration_ms": 131.04, "sent_bytes": 700, "host": "otlp.test"}
    return Response(status=status, body=body, **{**known, **more})


def judged(status: int, verdict: Verdict, body: bytes = b"", hints: Any = None, rejected: int = 0) -> Any:
    outcome = Outcome(verdict=verdict, reason=f"{status} Words", status_code=status, rejected_spans=rejected)
    return judged_report(outcome, response(status, body), hints=hints or {}, secrets=("s3cr3t",))


def test_the_apis_object_has_these_names_and_no_others() -> None:
    assert list(judged(200, Verdict.DELIVERED).view()) == [
        "ok", "stage", "reachable", "credential_accepted", "data_accepted", "status_code", "latency_ms",
        "message", "hint",
    ]  # fmt: skip


def test_a_success_needs_no_hint_and_keeps_its_evidence() -> None:
    report = judged(200, Verdict.DELIVERED)
    assert (report.ok, report.hint) == (True, None)
    assert report.evidence == {
        "host": "otlp.test", "tls": None, "latency_ms": 131.0, "status": 200, "status_words": "Words",
        "sent_bytes": 700, "rejected_spans": 0,
    }  # fmt: skip


def test_the_types_own_hint_comes_before_the_general_one() -> None:
    assert judged(401, Verdict.REFUSED, hints={401: "Own."}).hint == "Own."
    assert "Copy it again" in judged(401, Verdict.REFUSED).hint


@pytest.mark.parametrize(
    "status", [300, 302, 400, 401, 403, 404, 405, 407, 413, 415, 418, 422, 429, 500, 503]
)
def test_every_failure_has_a_sentence_that_says_what_to_do(status: int) -> None:
    hint = judged(status, Verdict.REFUSED).hint
    assert hint.endswith((".", "."))
    assert "please" not in hint.lower()


@pytest.mark.parametrize("stage", ["dns", "connect", "tls", "credential", "data", "unheard-of"])
def test_a_request_without_an_answer_has_a_stage_a_host_and_a_fix(stage: str) -> None:
    report = failed_report(SendFailed(stage, "why", "What happened."), latency_ms=12.34, host="otlp.test")
    assert report.stage == (stage if stage != "unheard-of" else "connect")
    assert (report.message, report.latency_ms, report.evidence["host"]) == (
        "What happened.",
        12.3,
        "otlp.test",
    )
    assert report.hint


def test_every_refused_address_gets_the_same_words() -> None:
    assert refused_report("a").message == refused_report("b").message == "This address is not allowed."


def test_wrong_settings_are_named() -> None:
    report = fields_report({"apiKey": "Enter the API key."})
    assert (report.stage, report.problems) == ("fields", {"apiKey": "Enter the API key."})
    assert report.reachable == "not_tried"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"key s3cr3t refused", "key [secret] refused"),
        (b'{"key": "a\\"b"}', '{"key": "[secret]"}'),
        ("pass%20word", "[secret]"),
        ("pass+word", "[secret]"),
        (b"\xff\x00two\n\nlines", "\ufffd two lines"),
        (b"x" * 1000, "x" * 300),
        (b"x" * 298 + b"s3cr3t", "x" * 298 + "[s"),
    ],
)
def test_a_destinations_words_lose_every_secret_and_stay_short(said: Any, shown: str) -> None:
    assert scrub(said, ("s3cr3t", 'a"b', "pass word")) == shown


@pytest.mark.parametrize(
    ("content_type", "words"), [("text/html", "web page"), ("application/json", "did not take the span")]
)
def test_a_success_that_was_none_says_which_kind(content_type: str, words: str) -> None:
    outcome = Outcome(verdict=Verdict.REFUSED, reason="200 Words", status_code=200)
    answer = response(200, b"<html>", headers={"content-type": content_type})
    hint = judged_report(outcome, answer, hints={}, secrets=()).hint
    assert words in str(hint)
