import json
from typing import Any

import pytest

from broadcast.destination import Batch, Response
from destinations.honeycomb import Honeycomb

KEY = "a1b2c3d4e5f6a7b8c9d0e1"
BATCH = Batch(id="b", at_us=1, pieces=(b'{"scopeSpans":[]}',))


def honeycomb(**config: str) -> Honeycomb:
    return Honeycomb.parse({"apiKey": KEY, **config})


def answer(body: Any, status: int = 200) -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(
        status=status, reason="", headers={}, body=content, duration_ms=1.0, sent_bytes=0, host="h"
    )


def about_key(*, events: bool = True, environment: str = "prod") -> dict[str, Any]:
    return {"api_key_access": {"events": events}, "environment": {"slug": environment}, "team": {"slug": "t"}}


def test_the_request_names_the_team_and_the_bare_content_type() -> None:
    request = honeycomb().request(BATCH)
    assert (request.method, request.url) == ("POST", "https://api.honeycomb.io/v1/traces")
    assert request.headers == {"content-type": "application/json", "x-honeycomb-team": KEY}
    assert request.compress


def test_the_region_chooses_the_host_of_every_call() -> None:
    destination = honeycomb(region="eu")
    assert destination.address() == (
        "https://api.eu1.honeycomb.io:443/v1/traces",
        "https://api.eu1.honeycomb.io:443/1/auth",
    )


def test_a_classic_key_names_its_dataset() -> None:
    assert honeycomb(dataset="llm").request(BATCH).headers["x-honeycomb-dataset"] == "llm"


def test_the_key_is_asked_about_before_any_span() -> None:
    check = honeycomb().credential_check(1)
    assert (check.method, check.url) == ("GET", "https://api.honeycomb.io/1/auth")
    assert check.headers["x-honeycomb-team"] == KEY


def test_a_key_that_may_send_events_is_accepted() -> None:
    assert honeycomb().judge_credential(answer(about_key())) is None


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (about_key(events=False), 200, "may not send events"),
        (about_key(environment=""), 200, "dataset"),
        ({}, 401, "unknown"),
        ({}, 500, "500"),
        ([], 200, "cannot be read"),
        ({"api_key_access": None}, 200, "cannot be read"),
        (b"\xff<html>", 200, "cannot be read"),
    ],
)
def test_every_other_answer_names_the_fault(body: Any, status: int, word: str) -> None:
    assert word in (honeycomb().judge_credential(answer(body, status)) or "")


def test_a_classic_key_with_a_dataset_is_accepted() -> None:
    assert honeycomb(dataset="llm").judge_credential(answer(about_key(environment=""))) is None


@pytest.mark.parametrize("key", ["hcamk_" + "a" * 58, "not-a-key"])
def test_keys_of_another_kind_are_warned_about(key: str) -> None:
    assert honeycomb(apiKey=key).warnings().keys() == {"apiKey"}


@pytest.mark.parametrize("key", [KEY, "a" * 32, "hcaik_" + "a" * 58])
def test_every_known_form_of_a_key_passes(key: str) -> None:
    assert honeycomb(apiKey=key).warnings() == {}


def test_a_trace_has_a_page_where_the_dataset_is_known() -> None:
    dataset = "https://ui.honeycomb.io/acme/environments/prod/datasets/openrouter"
    link = honeycomb(datasetUrl=dataset).trace_url("ab", 10_000_000_000)
    assert link == f"{dataset}/trace?trace_id=ab&trace_start_ts=6400&trace_end_ts=13600"
    assert honeycomb().trace_url("ab", 0) is None
