import os
import socket
import threading
from collections.abc import Iterator

import pytest

from broadcast.errors import SendFailed
from broadcast.outbound import Outbound
from tests.broadcast.gateway import provider as told
from tests.broadcast.gateway.provider import Provider


@pytest.fixture
def provider() -> Iterator[Provider]:
    with told.running() as running:
        yield running


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    made = Outbound()
    yield made
    made.close()


def test_an_answer_is_read_whole(provider: Provider, outbound: Outbound) -> None:
    reply = outbound.send("POST", provider.url, headers={"X-Odd": "1"}, body=b"{}")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.read(10_000).startswith(b'{"id"')
    assert provider.headers[0]["x-odd"] == "1"


def test_pieces_come_as_they_are_sent(provider: Provider, outbound: Outbound) -> None:
    provider.answerer = lambda _, handler: handler.stream([b"one", b"two"], pause_s=0.05)
    assert list(outbound.send("POST", provider.url, headers={}, body=b"{}").pieces()) == [b"one", b"two"]


def test_an_answer_over_the_limit_is_refused(provider: Provider, outbound: Outbound) -> None:
    reply = outbound.send("POST", provider.url, headers={}, body=b"{}")
    with pytest.raises(SendFailed) as failed:
        reply.read(10)
    assert failed.value.reason == "too_large"
    reply.close()


def test_a_redirect_is_not_followed(provider: Provider, outbound: Outbound) -> None:
    provider.answerer = lambda _, handler: handler.whole({}, 307, Location=provider.url)
    reply = outbound.send("POST", provider.url, headers={}, body=b"{}")
    reply.read(100)
    assert (reply.status, len(provider.bodies)) == (307, 1)


def test_cookies_are_not_kept(provider: Provider, outbound: Outbound) -> None:
    provider.answerer = lambda _, handler: handler.whole({}, Set_Cookie="a=b; Path=/")
    for _ in range(2):
        outbound.send("POST", provider.url, headers={}, body=b"{}").read(100)
    assert "cookie" not in provider.headers[1]


def test_proxies_of_the_environment_are_not_used(
    provider: Provider, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "http_proxy", "http://127.0.0.1:1")
    reply = outbound.send("POST", provider.url, headers={}, body=b"{}")
    assert reply.status == 200
    reply.read(10_000)


def test_nobody_listening_is_a_failed_connection(outbound: Outbound) -> None:
    with pytest.raises(SendFailed) as failed:
        outbound.send("POST", "http://127.0.0.1:1/secret", headers={}, body=b"{}")
    assert (failed.value.stage, failed.value.reason) == ("connect", "connection_failed")
    assert "secret" not in str(failed.value)


def test_silence_is_a_timeout(outbound: Outbound) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(SendFailed) as failed:
            outbound.send("GET", url, headers={}, read_timeout_s=0.1)
    assert failed.value.reason == "timeout"


def test_silence_in_the_middle_is_a_timeout(provider: Provider, outbound: Outbound) -> None:
    goes_on = threading.Event()

    def answer(_: Provider, handler: told.Handler) -> None:
        handler.stream([b"one"], pause_s=0.3)
        goes_on.set()

    provider.answerer = answer
    pieces = outbound.send("POST", provider.url, headers={}, body=b"{}", read_timeout_s=0.1).pieces()
    assert next(pieces) == b"one"
    with pytest.raises(SendFailed) as failed:
        next(pieces)
    assert failed.value.reason == "timeout"
    assert goes_on.wait(2)


def test_an_answer_that_breaks_off_is_a_lost_connection(provider: Provider, outbound: Outbound) -> None:
    provider.answerer = lambda _, handler: handler.stream([b"one"], breaks=True)
    with pytest.raises(SendFailed) as failed:
        list(outbound.send("POST", provider.url, headers={}, body=b"{}").pieces())
    assert failed.value.reason == "connection_lost"


def test_what_is_not_a_url_is_a_bad_address(outbound: Outbound) -> None:
    with pytest.raises(SendFailed) as failed:
        outbound.send("GET", "not a url", headers={})
    assert failed.value.stage == "address"
