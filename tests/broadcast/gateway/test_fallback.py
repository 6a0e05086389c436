"""Which failures of a provider send a request on to the next, and which end it."""

import json
import time

import pytest

from broadcast.gateway.failures import FAILURES, FALLBACK_ON, Failure
from tests.broadcast.gateway.conftest import read, receipt_of
from tests.broadcast.gateway.provider import STREAM, Answerer, Handler, Provider
from tests.broadcast.gateway.two_providers import Build, refuses, send, served_by


def breaks_off(_: Provider, handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"id":')
    handler.close_connection = True


def patience(answerer: Answerer) -> str:
    """Return settings that give up soon where waiting is the point, and never for a slow machine."""
    return "{headers_timeout_s: 0.2}" if answerer is hangs else "{}"


def hangs(_: Provider, handler: Handler) -> None:
    time.sleep(0.5)
    handler.close_connection = True


def of_type(content_type: str, body: bytes) -> Answerer:
    def answer(_: Provider, handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


TOO_LONG = {"error": {"message": "Too long.", "code": "context_length_exceeded"}}
FAILING: list[tuple[Failure, str, Answerer]] = [
    ("connect", "connection_lost", breaks_off),
    ("timeout", "timeout", hangs),
    ("timeout", "408", refuses(408)),
    ("rate_limit", "429", refuses(429)),
    ("server_error", "500", refuses(500)),
    ("server_error", "529", refuses(529, {"type": "error", "error": {"type": "overloaded_error"}})),
    ("credential", "401", refuses(401)),
    ("credential", "402", refuses(402)),
    ("credential", "403", refuses(403)),
    ("not_found", "404", refuses(404)),
    ("bad_answer", "bad_answer", of_type("text/html", b"<html>Welcome</html>")),
    ("bad_answer", "bad_answer", of_type("application/json", b'{"id": "x"')),
    ("bad_answer", "bad_answer", of_type("application/json", b"")),
    ("bad_answer", "bad_answer", of_type("text/event-stream", b"".join(STREAM))),
    ("bad_answer", "bad_answer", refuses(400, b"<html>Bad request</html>")),
    ("bad_answer", "302", refuses(302, {})),
    ("bad_answer", "204", refuses(204, {})),
    ("server_error", "503", refuses(200, {"error": {"message": "Down.", "code": 503}})),
    ("context_length", "400", refuses(400, TOO_LONG)),
    ("context_length", "413", refuses(413)),
    ("context_length", "400", refuses(400, {"error": {"message": "prompt is too long: 9 tokens"}})),
    ("bad_request", "400", refuses(400)),
    ("bad_request", "422", refuses(422)),
]
NAMES = [f"{kind}-{number}" for number, (kind, _, _) in enumerate(FAILING)]


def test_every_class_of_failure_is_tried_here() -> None:
    assert {kind for kind, _, _ in FAILING} == set(FAILURES)


@pytest.mark.parametrize(("kind", "error_type", "answerer"), FAILING, ids=NAMES)
def test_a_failure_in_the_list_sends_the_request_on(
    build: Build, provider: Provider, kind: str, error_type: str, answerer: Answerer
) -> None:
    provider.answerer = answerer
    gateway = build(model=f"fallback_on: [{kind}]", first=patience(answerer))
    answer = send(gateway)
    receipt = receipt_of(answer)
    assert (answer.status, receipt.status, receipt.provider) == (200, "succeeded", "second")
    assert [attempt.error_type for attempt in receipt.attempts] == [error_type, None]


@pytest.mark.parametrize(("kind", "error_type", "answerer"), FAILING, ids=NAMES)
def test_a_failure_that_is_not_in_the_list_ends_the_request(
    build: Build, provider: Provider, kind: str, error_type: str, answerer: Answerer
) -> None:
    provider.answerer = answerer
    others = ", ".join(word for word in FAILURES if word != kind)
    gateway = build(model=f"fallback_on: [{others}]", first=patience(answerer))
    answer = send(gateway)
    receipt = receipt_of(answer)
    assert (receipt.status, receipt.provider) == ("error", "first")
    assert [attempt.error_type for attempt in receipt.attempts] == [error_type]
    assert json.loads(read(answer))["error"]


@pytest.mark.parametrize(("kind", "error_type", "answerer"), FAILING, ids=NAMES)
def test_by_default_a_request_goes_on_unless_the_client_has_to_mend_it(
    build: Build, provider: Provider, kind: Failure, error_type: str, answerer: Answerer
) -> None:
    provider.answerer = answerer
    tried = served_by(send(build(first=patience(answerer))))
    assert tried == (["first", "second"] if kind in FALLBACK_ON else ["first"]), error_type


def test_what_the_client_has_to_mend_passes_as_it_came(
    build: Build, provider: Provider, second: Provider
) -> None:
    body = b'{ "error": {"message":"Too long.","code":"context_length_exceeded"} }'
    provider.answerer = refuses(400, body)
    second.answerer = refuses(400, body)
    answer = send(build(model="fallback_on: [context_length]"))
    assert (answer.status, answer.body) == (400, body)
    assert served_by(answer) == ["first", "second"]


def test_every_try_is_told_with_its_time(build: Build, provider: Provider, second: Provider) -> None:
    provider.answerer = refuses(503, {"error": {"message": "Overloaded."}})
    second.answerer = refuses(500)
    receipt = receipt_of(send(build()))
    first, last = receipt.attempts
    assert (first.status_code, first.error_type, first.error_message) == (503, "503", "Overloaded.")
    assert (last.status_code, last.error_type, last.error_message) == (500, "500", "No.")
    assert 0 <= first.start_ms <= first.start_ms + first.duration_ms <= last.start_ms
    assert last.start_ms + last.duration_ms <= receipt.duration_us / 1000


@pytest.mark.parametrize(("first", "last", "told"), [("7", "9", "9"), ("7", None, "7"), (None, "9", "9")])
def test_retry_after_passes(
    *,
    build: Build,
    provider: Provider,
    second: Provider,
    first: str | None,
    last: str | None,
    told: str,
) -> None:
    provider.answerer = refuses(429, **({"Retry_After": first} if first else {}))
    second.answerer = refuses(503, **({"Retry_After": last} if last else {}))
    answer = send(build())
    assert (answer.status, answer.headers["Retry-After"]) == (503, told)


BEGINNING: list[tuple[Failure, str, bytes]] = [
    ("server_error", "503", b'data: {"error": {"message": "Down.", "code": 503}}\n\n'),
    ("rate_limit", "429", b'data: {"error": {"message": "Slowly.", "code": 429}}\n\n'),
    ("bad_answer", "overloaded_error", b'event: error\ndata: {"error": {"type": "overloaded_error"}}\n\n'),
]


@pytest.mark.parametrize(("kind", "error_type", "begins"), BEGINNING)
@pytest.mark.parametrize("size", [1, 1000])
def test_a_stream_that_begins_with_an_error_sends_the_request_on(
    *,
    build: Build,
    provider: Provider,
    second: Provider,
    kind: str,
    error_type: str,
    begins: bytes,
    size: int,
) -> None:
    pieces = [begins[at : at + size] for at in range(0, len(begins), size)]
    provider.answerer = lambda _, handler: handler.stream(pieces)
    second.answerer = lambda _, handler: handler.stream(STREAM)
    answer = send(build(model=f"fallback_on: [{kind}]"), stream=True)
    read(answer)
    receipt = receipt_of(answer)
    assert (receipt.status, receipt.provider) == ("succeeded", "second")
    assert [attempt.error_type for attempt in receipt.attempts] == [error_type, None]


@pytest.mark.parametrize(("kind", "error_type", "begins"), BEGINNING)
def test_a_stream_whose_error_is_not_in_the_list_passes_as_it_came(
    build: Build, provider: Provider, kind: str, error_type: str, begins: bytes
) -> None:
    provider.answerer = lambda _, handler: handler.stream([begins])
    others = ", ".join(word for word in FAILURES if word != kind)
    answer = send(build(model=f"fallback_on: [{others}]"), stream=True)
    assert read(answer).startswith(begins)
    assert (receipt_of(answer).status, served_by(answer)) == ("error", ["first"]), error_type
