import gzip
import os
import socket
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest

from broadcast.errors import SendFailed
from broadcast.outbound import Outbound, Timeouts
from tests.broadcast.gateway import provider as told
from tests.broadcast.gateway.provider import Provider
from tests.receiver import Receiver


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


def test_a_certificate_that_is_not_trusted_is_refused(outbound: Outbound) -> None:
    with Receiver(tls=True) as receiver, pytest.raises(SendFailed) as failed:
        outbound.send("POST", f"https://127.0.0.1:{receiver.port}/v1", headers={}, body=b"{}")
    assert (failed.value.stage, failed.value.reason, receiver.requests) == ("tls", "tls", [])


def test_a_trusted_certificate_is_answered_and_its_connection_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver(tls=True) as receiver:
        assert receiver.ca is not None
        bundle = tmp_path / "ca.pem"
        receiver.ca.cert_pem.write_to_path(str(bundle))
        # Whom we trust stands in a file that comes with us; the environment has no say in it.
        monkeypatch.setattr(certifi, "where", lambda: str(bundle))
        outbound = Outbound()
        url = f"https://127.0.0.1:{receiver.port}/v1"
        for _ in range(2):
            reply = outbound.send("POST", url, headers={}, body=b"{}")
            reply.read(1000)
            assert reply.status == 200
        outbound.close()
        assert (len(receiver.requests), receiver.connections) == (2, 1)


def test_silence_is_a_timeout(outbound: Outbound) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(SendFailed) as failed:
            outbound.send("GET", url, headers={}, timeouts=Timeouts(headers_s=0.1))
    assert failed.value.reason == "timeout"


def test_silence_in_the_middle_is_a_timeout(provider: Provider, outbound: Outbound) -> None:
    goes_on = threading.Event()

    def answer(_: Provider, handler: told.Handler) -> None:
        handler.stream([b"one"], pause_s=0.3)
        goes_on.set()

    provider.answerer = answer
    pieces = outbound.send(
        "POST", provider.url, headers={}, body=b"{}", timeouts=Timeouts(silence_s=0.1)
    ).pieces()
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


@pytest.mark.parametrize("pause_s", [0.01, 3])
def test_an_answer_may_not_take_longer_than_the_whole_may(
    provider: Provider, outbound: Outbound, pause_s: float
) -> None:
    provider.answerer = lambda _, handler: handler.stream([b"one"] * 300, pause_s=pause_s)
    timeouts = Timeouts(silence_s=30, whole_s=1)
    reply = outbound.send("POST", provider.url, headers={}, body=b"{}", timeouts=timeouts)
    with pytest.raises(SendFailed, match="not complete within 1 s") as failed:
        list(reply.pieces())
    reply.close()
    assert failed.value.reason == "timeout"


def test_a_request_that_is_not_taken_is_a_timeout(outbound: Outbound) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        with pytest.raises(SendFailed, match="not taken in time") as failed:
            outbound.send("POST", url, headers={}, body=b"x" * 32_000_000, timeouts=Timeouts(connect_s=0.2))
    assert failed.value.reason == "timeout"


def test_a_connection_that_was_closed_while_it_was_idle_is_made_anew(outbound: Outbound) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=closes_as_the_second_request_comes, args=(server, answer))
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        answers = [outbound.send("POST", url, headers={}, body=b"{}").read(10) for _ in range(2)]
        thread.join()
    assert answers == [b"{}", b"{}"]


def closes_as_the_second_request_comes(server: socket.socket, answer: bytes) -> None:
    first, _ = server.accept()
    take(first)
    first.sendall(answer)
    take(first)
    first.close()
    second, _ = server.accept()
    with second:
        take(second)
        second.sendall(answer)


def take(connection: socket.socket) -> bytes:
    """Read one request, whose body is `{}`."""
    taken = b""
    while not taken.endswith(b"{}"):
        taken += connection.recv(65536)
    return taken


def test_a_new_connection_that_ends_without_an_answer_is_not_tried_again(outbound: Outbound) -> None:
    accepted: list[object] = []

    def hang_up(server: socket.socket) -> None:
        for _ in range(2):
            try:
                connection, _ = server.accept()
            except OSError:
                return
            accepted.append(take(connection))
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=hang_up, args=(server,))
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with pytest.raises(SendFailed) as failed:
            outbound.send("POST", url, headers={}, body=b"{}")
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert (failed.value.reason, len(accepted)) == ("connection_failed", 1)


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("gzip", gzip.compress(b"hello" * 9000)), ("deflate", zlib.compress(b"hello" * 9000))],
)
def test_an_answer_that_comes_compressed_unasked_is_unpacked(
    provider: Provider, outbound: Outbound, encoding: str, packed: bytes
) -> None:
    provider.answerer = lambda _, handler: handler.whole(packed, Content_Encoding=encoding)
    reply = outbound.send("POST", provider.url, headers={}, body=b"{}")
    assert reply.read(10**6) == b"hello" * 9000
    assert provider.headers[0]["accept-encoding"] == "identity"


def test_a_length_that_is_not_reached_is_a_lost_connection(provider: Provider, outbound: Outbound) -> None:
    def answer(_: Provider, handler: told.Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        handler.close_connection = True

    provider.answerer = answer
    with pytest.raises(SendFailed) as failed:
        outbound.send("POST", provider.url, headers={}, body=b"{}").read(100)
    assert failed.value.reason == "connection_lost"


@pytest.mark.parametrize("value", ["a\r\nX-Forged: 1", "a\nb", "a\x00b", "\u4e16"])
def test_a_header_that_http_cannot_send_is_refused_before_anything_is_sent(
    provider: Provider, outbound: Outbound, value: str
) -> None:
    with pytest.raises(SendFailed, match="A header holds characters"):
        outbound.send("POST", provider.url, headers={"X-Odd": value}, body=b"{}")
    assert provider.connections == set()


def test_a_header_given_twice_in_any_case_is_sent_as_it_was_given_last(
    provider: Provider, outbound: Outbound
) -> None:
    headers = {"Anthropic-Beta": "one", "anthropic-beta": "two", "user-agent": "mine"}
    outbound.send("POST", provider.url, headers=headers, body=b"{}").read(10_000)
    assert (provider.headers[0]["anthropic-beta"], provider.headers[0]["user-agent"]) == ("two", "mine")


@pytest.mark.parametrize(
    "url", ["http://", "http:///x", "ftp://host/", "http://host:x/", "http://a b/", "http://u:p@host/"]
)
def test_every_kind_of_bad_address_is_one(outbound: Outbound, url: str) -> None:
    with pytest.raises(SendFailed) as failed:
        outbound.send("GET", url, headers={})
    assert (failed.value.stage, failed.value.reason) == ("address", "bad_address")


@pytest.mark.parametrize(("closes", "connections"), [(False, 1), (True, 3)])
def test_a_connection_is_used_again_unless_the_server_ends_it(
    provider: Provider, outbound: Outbound, closes: bool, connections: int
) -> None:
    more = {"Connection": "close"} if closes else {}
    provider.answerer = lambda _, handler: handler.whole({}, 200, **more)
    for _ in range(3):
        outbound.send("POST", provider.url, headers={}, body=b"{}").read(100)
    assert len(provider.connections) == connections


def test_a_connection_whose_answer_was_not_read_is_not_used_again(
    provider: Provider, outbound: Outbound
) -> None:
    provider.answerer = lambda _, handler: handler.stream([b"x"] * 1000)
    first = outbound.send("POST", provider.url, headers={}, body=b"{}")
    assert next(first.pieces()) == b"x"
    first.close()
    outbound.send("POST", provider.url, headers={}, body=b"{}").read(10_000)
    assert len(provider.connections) == 2


def test_no_more_idle_connections_are_kept_than_are_to_be(provider: Provider) -> None:
    outbound = Outbound(connections=1)
    for _ in range(2):
        under_way = [outbound.send("POST", provider.url, headers={}, body=b"{}") for _ in range(2)]
        for reply in under_way:
            reply.read(10_000)
    outbound.close()
    assert len(provider.connections) == 3


def test_a_large_body_is_refused_by_a_server_that_reads_none_of_it(outbound: Outbound) -> None:
    def refuse(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(2**20):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=refuse, args=(server,))
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        reply = outbound.send("POST", url, headers={}, body=b"x" * 4_000_000)
        assert (reply.status, reply.read(10)) == (413, b"{}")
        outbound.close()
        thread.join()
