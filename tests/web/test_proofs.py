from dataclasses import replace
from typing import Any

import pytest

from broadcast.errors import SendFailed
from broadcast.report import Report, failed_report, fields_report, refused_report
from destinations import TYPES
from web.proofs import problems, proofs

HOST = "otlp.example.com"


def report(status: int, facts: tuple[str, str, str], words: str = "Words", **more: Any) -> Report:
    evidence = {"host": HOST, "tls": "TLS 1.3", "status_words": words, "rejected_spans": 0, **more}
    credential: Any
    reachable, credential, data = facts
    return Report(
        ok=facts == ("yes", "yes", "yes"),
        stage="credential" if credential == "no" else "data",
        reachable=reachable,  # type: ignore[arg-type]
        credential_accepted=credential,
        data_accepted=data,  # type: ignore[arg-type]
        status_code=status,
        latency_ms=84.0,
        message="m",
        evidence=evidence,
    )


def failed(stage: str) -> Report:
    return failed_report(SendFailed(stage, "why", "What happened."), latency_ms=84.0, host=HOST)


def lines(found: Report | None) -> list[tuple[str, str]]:
    shown = proofs(found)
    assert [proof.label for proof in shown] == ["Reachable", "Credential accepted", "Data accepted"]
    return [(proof.fact, proof.words) for proof in shown]


UNTRIED = [("not_tried", "Needs a connection")] * 2
REACHED = ("yes", "otlp.example.com, TLS 1.3, 84 ms")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, [("not_tried", "")] * 3),
        (
            report(200, ("yes", "yes", "yes"), "OK"),
            [REACHED, ("yes", "Accepted with the span"), ("yes", "200, 1 of 1 span accepted, 0 rejected")],
        ),
        (
            report(401, ("yes", "no", "not_tried"), "Unauthorized"),
            [REACHED, ("no", "401 Unauthorized, 84 ms"), ("not_tried", "Needs an accepted credential")],
        ),
        (
            report(404, ("yes", "not_tried", "no"), "Not Found"),
            [REACHED, ("not_tried", "404 Not Found does not tell"), ("no", "404 Not Found, 84 ms")],
        ),
        (
            report(413, ("yes", "yes", "no"), "Too Large"),
            [REACHED, ("yes", "Not what 413 Too Large is about"), ("no", "413 Too Large, 84 ms")],
        ),
        (
            report(200, ("yes", "yes", "no"), "OK", rejected_spans=1),
            [REACHED, ("yes", "Not what 200 OK is about"), ("no", "200, 0 of 1 span accepted, 1 rejected")],
        ),
        (
            replace(report(200, ("yes", "yes", "not_tried"), "OK"), ok=True),
            [
                REACHED,
                ("yes", "Accepted by a call of its own"),
                ("not_tried", "200 OK is the answer to anything: look for the span there"),
            ],
        ),
        (
            report(200, ("yes", "yes", "yes"), "OK", data_seen="yes"),
            [REACHED, ("yes", "Accepted with the span"), ("yes", "200, and the span was read back")],
        ),
        (
            refused_report(HOST),
            [
                ("no", "otlp.example.com: this server does not send there"),
                ("not_tried", "Needs a connection"),
                ("not_tried", "Needs a connection"),
            ],
        ),
        (failed("dns"), [("no", "otlp.example.com: no address for this name"), *UNTRIED]),
        (failed("connect"), [("no", "otlp.example.com: no connection"), *UNTRIED]),
        (
            failed("tls"),
            [
                ("no", "otlp.example.com: answers, but its certificate is not accepted"),
                *UNTRIED,
            ],
        ),
        (
            failed("data"),
            [
                ("yes", "otlp.example.com, 84 ms"),
                ("not_tried", "No complete answer came"),
                ("not_tried", "No complete answer came"),
            ],
        ),
        (
            failed("credential"),
            [
                ("not_tried", "Nothing was sent"),
                ("no", "It cannot be sent as it is"),
                ("not_tried", "Needs an accepted credential"),
            ],
        ),
        (
            fields_report({"apiKey": "Enter the API key."}),
            [("not_tried", "Needs corrected values"), *UNTRIED],
        ),
    ],
)  # fmt: skip
def test_every_report_is_three_facts_with_evidence(
    found: Report | None, expected: list[tuple[str, str]]
) -> None:
    assert lines(found) == expected


@pytest.mark.parametrize(
    ("slug", "found", "field", "words"),
    [
        (
            "grafana",
            report(401, ("yes", "no", "not_tried")),
            "apiKey",
            "Grafana Cloud refused this key (401).",
        ),
        ("grafana", report(403, ("yes", "no", "not_tried")), "apiKey", "does not allow writing traces (403)"),
        (
            "grafana",
            report(404, ("yes", "not_tried", "no")),
            "baseUrl",
            "takes no traces at this address (404)",
        ),
        (
            "langfuse",
            report(401, ("yes", "no", "not_tried")),
            "secretKey",
            "Langfuse refused this key (401).",
        ),
        ("honeycomb", report(401, ("yes", "no", "not_tried")), "apiKey", "Honeycomb refused this key (401)."),
        ("otel-collector", report(401, ("yes", "no", "not_tried")), "headers", "refused these headers (401)"),
        (
            "langfuse",
            replace(report(404, ("yes", "not_tried", "not_tried")), stage="credential"),
            "baseUrl",
            "Langfuse takes no traces at this address (404).",
        ),
        ("webhook", report(302, ("yes", "not_tried", "no")), "url", "(302)"),
        (
            "webhook",
            replace(report(200, ("yes", "not_tried", "no")), message="200 OK, but the answer is a web page"),
            "url",
            "A web page answers at this address.",
        ),
        ("webhook", refused_report(HOST), "url", "does not send to this address"),
        ("webhook", failed("dns"), "url", "has no address"),
        ("webhook", failed("connect"), "url", "Nothing answers"),
        ("webhook", failed("tls"), "url", "certificate"),
        ("grafana", failed("credential"), "apiKey", "What happened."),
    ],
)
def test_a_failure_is_shown_under_the_field_at_fault(
    slug: str, found: Report, field: str, words: str
) -> None:
    shown = problems(TYPES[slug], found)
    assert list(shown) == [field]
    assert words in shown[field]


def test_a_vendor_in_trouble_puts_no_field_in_the_wrong() -> None:
    busy = replace(report(503, ("yes", "not_tried", "not_tried")), stage="credential")
    assert problems(TYPES["langfuse"], busy) == {}


def test_a_rejected_span_is_no_web_page() -> None:
    assert problems(TYPES["webhook"], report(200, ("yes", "yes", "no"), rejected_spans=1)) == {}


@pytest.mark.parametrize("status", [413, 500, 503, 400])
def test_what_is_no_fields_fault_is_shown_under_none(status: int) -> None:
    assert problems(TYPES["grafana"], report(status, ("yes", "yes", "no"))) == {}


def test_a_type_without_an_address_of_its_own_has_no_field_for_a_404() -> None:
    assert problems(TYPES["axiom"], report(404, ("yes", "not_tried", "no"))) == {}


@pytest.mark.parametrize(("status", "said"), [(404, " (404)"), (None, "")])
def test_metrics_that_are_not_taken_are_said_under_their_setting(status: int | None, said: str) -> None:
    refused = replace(
        report(200, ("yes", "yes", "no"), "Not Found", metrics="no"), ok=False, status_code=status
    )
    title = TYPES["grafana"].title
    assert problems(TYPES["grafana"], refused) == {"metrics": f"{title} took the span, and no metrics{said}."}
