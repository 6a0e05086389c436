"""Providers that hang: before a connection, before an answer, within it."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from broadcast.gateway import Gateway, load_upstreams
from tests.broadcast.gateway.conftest import now_us, read, receipt_of
from tests.broadcast.gateway.provider import STREAM, Answerer, Handler, Provider, completion, delta
from tests.broadcast.gateway.two_providers import Build, send

STANDING_STILL = "{headers_timeout_s: 30, read_timeout_s: 0.3}"


@contextmanager
def deaf() -> Iterator[str]:
    """A server whose backlog is full, so that no connection comes about."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}/v1"
        for one in waiting:
            one.close()


@contextmanager
def mute() -> Iterator[str]:
    """A server that takes a connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"


@pytest.mark.parametrize(
    ("hanging", "timeout", "error_type", "message"),
    [
        (deaf, "connect_timeout_s", "connect_timeout", "The connection was not made in time."),
        (mute, "headers_timeout_s", "timeout", "No answer began within 0.2 s."),
        (mute, "read_timeout_s", "timeout", "No answer began within 0.2 s."),
        (mute, "total_timeout_s", "timeout", "No answer began within 0.2 s."),
    ],
)
def test_a_provider_that_hangs_before_its_answer_is_left(
    *, tmp_path: Path, second: Provider, hanging: Any, timeout: str, error_type: str, message: str
) -> None:
    with hanging() as url:
        file = tmp_path / "upstreams.yaml"
        file.write_text(f"""
providers:
  first: {{base_url: "{url}", {timeout}: 0.2}}
  second: {{base_url: "{second.url}"}}
models: {{acme/one: {{providers: [{{provider: first}}, {{provider: second}}]}}}}
""")
        receipt = receipt_of(send(Gateway(load_upstreams(file, {}, with_demo=False), "openrouter", now_us)))
    assert receipt.status == "succeeded"
    assert (receipt.attempts[0].error_type, receipt.attempts[0].error_message) == (error_type, message)


def begins(headers: dict[str, str], parts: list[bytes], goes_on: threading.Event) -> Answerer:
    """Return what sends the beginning of an answer, and then nothing until told."""

    def answer(_: Provider, handler: Handler) -> None:
        handler.send_response(200)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        for part in parts:
            handler.wfile.write(part)
        goes_on.wait(10)
        handler.close_connection = True

    return answer


@pytest.fixture
def goes_on() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("timeouts", "message"),
    [
        (STANDING_STILL, "The answer stood still for 0.3 s."),
        ("{total_timeout_s: 1}", "The answer was not complete within 1 s."),
    ],
)
def test_an_answer_that_stands_still_before_the_client_has_any_of_it_is_left(
    *,
    build: Build,
    provider: Provider,
    second: Provider,
    goes_on: threading.Event,
    stream: bool,
    timeouts: str,
    message: str,
) -> None:
    kind = "text/event-stream" if stream else "application/json"
    headers = {"Content-Type": kind, "Content-Length": "1000"}
    provider.answerer = begins(headers, [] if stream else [b'{"id":'], goes_on)
    second.answerer = lambda _, handler: handler.stream(STREAM) if stream else handler.whole(completion())
    answer = send(build(first=timeouts), stream=stream)
    read(answer)
    receipt = receipt_of(answer)
    assert (receipt.status, receipt.provider) == ("succeeded", "second")
    first = receipt.attempts[0]
    assert (first.status_code, first.error_type, first.error_message) == (200, "timeout", message)


def test_a_stream_that_stands_still_ends_with_an_error(
    build: Build, provider: Provider, goes_on: threading.Event
) -> None:
    headers = {"Content-Type": "text/event-stream"}
    provider.answerer = begins(headers, STREAM[:2], goes_on)
    answer = send(build(first=STANDING_STILL), stream=True)
    last = json.loads(read(answer).rstrip().rpartition(b"data: ")[2])
    receipt = receipt_of(answer)
    assert last["error"]["message"] == "The answer stood still for 0.3 s."
    assert (receipt.status, receipt.error and receipt.error.type) == ("error", "timeout")
    assert [attempt.error_type for attempt in receipt.attempts] == ["timeout"]
    assert receipt.output == [{"role": "assistant", "content": "Hel"}]


def test_a_stream_that_never_ends_is_ended(build: Build, provider: Provider) -> None:
    provider.answerer = lambda _, handler: handler.stream([delta(content="x")] * 500, pause_s=0.01)
    answer = send(build(first="{total_timeout_s: 1}"), stream=True)
    assert b"The answer was not complete within 1 s." in read(answer)
    assert receipt_of(answer).status == "error"
