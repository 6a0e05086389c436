"""A client that reads no more, over real sockets: the production server, and a provider that never ends."""

import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
import requests

from broadcast.receipt import Receipt
from tests.broadcast.gateway import provider as told
from tests.broadcast.gateway.provider import Handler, Provider, delta
from tests.web.api import stalled_app

KEY = {"Authorization": "Bearer sk-chat"}
PATH = "/api/v1/chat/completions"
WITHIN_S = 60
LONG = delta(content="x" * 16_384)


@pytest.fixture
def left() -> threading.Event:
    """Set when the provider has lost its client."""
    return threading.Event()


@pytest.fixture
def provider(left: threading.Event) -> Iterator[Provider]:
    def endless(_: Provider, handler: Handler) -> None:
        handler.stream(itertools.repeat(LONG))
        left.set()

    with told.running() as running:
        running.answerer = endless
        yield running


@pytest.fixture
def server(provider: Provider, tmp_path: Path) -> Iterator[str]:
    file = tmp_path / "upstreams.yaml"
    file.write_text(f"""
providers: {{endless: {{base_url: "{provider.url}"}}}}
models: {{acme/endless: {{providers: [{{provider: endless}}]}}}}
""")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", "--port", str(port)]
    with subprocess.Popen(
        [
            *command,
            "--blocking-threads",
            "8",
            "--workers-kill-timeout",
            "5",
            f"{stalled_app.__name__}:application",
        ],
        env={**os.environ, stalled_app.FILE_VARIABLE: str(file)},
    ) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: is_up(url), "The server did not come up.")
            yield url
        finally:
            process.terminate()


def until(is_so: Callable[[], bool], otherwise: str) -> None:
    """Wait until something is so; fail when it takes too long for any machine."""
    end_s = time.monotonic() + WITHIN_S
    while not is_so():
        if time.monotonic() > end_s:
            pytest.fail(otherwise)
        time.sleep(0.05)


def is_up(url: str) -> bool:
    try:
        return requests.get(f"{url}/offered", timeout=2).ok
    except requests.ConnectionError:
        return False


def receipts(url: str) -> list[Receipt]:
    content = requests.get(f"{url}/offered", timeout=5).content
    return msgspec.json.decode(content, type=tuple[int, list[Receipt]])[1]


def status_of_another(url: str) -> int:
    body = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hi"}]}
    return requests.post(f"{url}{PATH}", json=body, headers=KEY, timeout=10).status_code


@contextmanager
def stalled(url: str) -> Iterator[None]:
    """Ask for a stream, read its beginning and nothing more."""
    address = urlsplit(url)
    body = b'{"model":"acme/endless","messages":[{"role":"user","content":"Hi"}],"stream":true}'
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer sk-chat\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((str(address.hostname), int(address.port or 0))) as client:
        client.sendall(head.encode() + body)
        assert client.recv(64).startswith(b"HTTP/1.1 200")
        yield


def test_a_stalled_client_loses_its_provider_and_gets_a_cancelled_receipt(
    server: str, left: threading.Event
) -> None:
    with stalled(server):
        until(lambda: bool(receipts(server)), "No receipt while the client stalls.")
        [receipt] = receipts(server)
        assert left.wait(WITHIN_S)
    assert receipt.status == "cancelled"
    assert receipt.error is not None
    assert receipt.error.message == "The client took nothing for 0.5 s."
    assert [(attempt.provider, attempt.status_code) for attempt in receipt.attempts] == [("endless", 200)]


def test_a_stalled_client_costs_one_slot_until_it_goes(server: str) -> None:
    with stalled(server):
        until(lambda: bool(receipts(server)), "No receipt while the client stalls.")
        assert status_of_another(server) == 503
    until(lambda: status_of_another(server) == 200, "The slot was not given back.")
    cancelled = [receipt for receipt in receipts(server) if receipt.status == "cancelled"]
    assert len(cancelled) == 1
