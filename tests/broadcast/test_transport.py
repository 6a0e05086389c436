import asyncio
import contextlib
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any, Self

import pytest

from broadcast.compression import gzip_fast
from broadcast.destination import Request, Response
from broadcast.egress import Policy
from broadcast.errors import AddressRefused, SendFailed
from broadcast.exchange import MAX_ANSWER_BYTES
from broadcast.transport import USER_AGENT, Transport, send_once
from tests.broadcast.loops import both_loops  # noqa: F401 - used by every test here
from tests.receiver import Receiver

BODY = b'{"resourceSpans":[]}'
SECRET = "glc_topsecret"
OVER_GRPC = {"content-type": "application/grpc"}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module")
def tls_receiver() -> Iterator[Receiver]:
    with Receiver(tls=True) as running:
        yield running


LOOPBACK = Policy.parse(["127.0.0.1", "::1", "receiver.test", "other.test"])


def request(url: str, **changes: Any) -> Request:
    made = {
        "method": "POST",
        "url": url,
        "headers": {"content-type": "application/json", "authorization": f"Bearer {SECRET}"},
        "body": BODY,
    }
    return Request(**{**made, **changes})


def send(
    url: str,
    *,
    policy: Policy = LOOPBACK,
    tls: ssl.SSLContext | None = None,
    deadline_s: float = 15.0,
    **changes: Any,
) -> Response:
    return send_once(
        policy, lambda transport: transport.send(request(url, **changes), deadline_s=deadline_s), tls=tls
    )


def fault(url: str, **options: Any) -> SendFailed:
    with pytest.raises(SendFailed) as caught:
        send(url, **options)
    words = f"{caught.value} {caught.value.reason} {caught.value.__cause__}"
    assert SECRET not in words
    assert url not in words
    return caught.value


# -- what goes out ---------------------------------------------------------------------------------


def test_a_request_arrives_as_built_and_the_answer_comes_back(receiver: Receiver) -> None:
    receiver.clear()
    response = send(receiver.url("/ok?tenant=a%20b"))
    seen = receiver.requests[0]
    assert (seen.method, seen.path, seen.raw) == ("POST", "/ok?tenant=a%20b", BODY)
    assert seen.headers["user-agent"] == USER_AGENT
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["accept-encoding"] == "identity"
    assert "content-encoding" not in seen.headers
    assert (response.status, response.reason, response.body) == (200, "OK", b"{}")
    assert (response.sent_bytes, response.host, response.tls) == (len(BODY), "127.0.0.1", None)
    assert response.duration_ms > 0


def test_a_compressed_request_says_so(receiver: Receiver) -> None:
    receiver.clear()
    response = send(receiver.url(), compress=True)
    seen = receiver.requests[0]
    assert seen.headers["content-encoding"] == "gzip"
    assert (seen.raw, seen.body) == (gzip_fast(BODY), BODY)
    assert response.sent_bytes == len(seen.raw)


def test_a_get_carries_no_body(receiver: Receiver) -> None:
    receiver.clear()
    send(receiver.url(), method="GET", body=b"")
    assert (receiver.requests[0].method, receiver.requests[0].raw) == ("GET", b"")
    assert "content-length" not in receiver.requests[0].headers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-a", "one\r\nx-b: two"),
        ("x-a", "nul\x00"),
        ("x-a", "line\x0b"),
        ("x-a", "next\x85"),
        ("x-a", " edge"),
        ("x-a", ""),
        ("x-a", "é"),
        ("x a", "b"),
        ("host", "evil"),
        ("transfer-encoding", "chunked"),
        ("content-length", "1"),
        ("cookie", "a=b"),
        ("proxy-authorization", "x"),
    ],
)
def test_a_header_that_could_split_or_steer_a_request_is_not_sent(
    receiver: Receiver, name: str, value: str
) -> None:
    receiver.clear()
    failed = fault(receiver.url(), headers={name: value})
    assert (failed.stage, failed.reason) == ("credential", "bad_header")
    assert receiver.requests == []


def test_the_environment_steers_nothing(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login operator password operatorpassword")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    receiver.clear()
    send(receiver.url())
    assert receiver.requests[0].headers["authorization"] == f"Bearer {SECRET}"


def test_cookies_are_neither_kept_nor_sent(receiver: Receiver) -> None:
    async def twice(transport: Transport) -> None:
        await transport.send(request(receiver.url("/cookie")))
        await transport.send(request(receiver.url("/ok")))

    receiver.clear()
    send_once(LOOPBACK, twice)
    assert "cookie" not in receiver.requests[1].headers


# -- what comes back -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 202, 204, 301, 400, 401, 403, 404, 413, 429, 500, 503, 599])
def test_every_status_is_an_answer(receiver: Receiver, status: int) -> None:
    assert send(receiver.url(f"/status/{status}")).status == status


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_never_followed(receiver: Receiver, status: int) -> None:
    receiver.clear()
    receiver.answer(f"/go/{status}", status=status, headers={"location": receiver.url("/elsewhere")})
    assert send(receiver.url(f"/go/{status}")).status == status
    assert [seen.path for seen in receiver.requests] == [f"/go/{status}"]


def test_retry_after_comes_with_the_answer(receiver: Receiver) -> None:
    assert send(receiver.url("/status/429/7")).headers["retry-after"] == "7"


@pytest.mark.parametrize("path", ["/bomb", "/big"])
def test_no_more_than_64_kib_are_read_and_nothing_is_unpacked_beyond(receiver: Receiver, path: str) -> None:
    assert len(send(receiver.url(path)).body) == MAX_ANSWER_BYTES


def test_a_small_answer_that_is_compressed_unasked_is_read(receiver: Receiver) -> None:
    receiver.answer("/zipped", body=gzip_fast(b'{"a":1}'), headers={"content-encoding": "gzip"})
    assert send(receiver.url("/zipped")).body == b'{"a":1}'


def test_a_small_bomb_is_left_as_it_came(receiver: Receiver) -> None:
    bomb = gzip_fast(bytes(1 << 20))
    receiver.answer("/small-bomb", body=bomb, headers={"content-encoding": "gzip"})
    assert send(receiver.url("/small-bomb")).body == bomb


def test_odd_header_bytes_become_printable_text(receiver: Receiver) -> None:
    response = send(receiver.url("/bad-headers"))
    for text in (response.reason, *response.headers.values()):
        assert text.isprintable()
        text.encode()


@pytest.mark.parametrize(
    ("path", "stage", "reason"),
    [
        ("/garbage", "data", "bad_answer"),
        ("/reset", "data", "connection_lost"),
        ("/drop", "data", "connection_lost"),
    ],
)
def test_what_is_no_answer_has_a_stage_and_a_word(
    receiver: Receiver, path: str, stage: str, reason: str
) -> None:
    failed = fault(receiver.url(path))
    assert (failed.stage, failed.reason) == (stage, reason)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"\x00" * 1000,
        b"",
        b"HTTP/1.1 999 \xf0\x9f\x92\xa9\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200\r\nset-cookie: \xff=\xfe; expires=x\r\nlocation: //[\r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_no_answer_whatever_can_raise_anything_else(answer: bytes) -> None:
    with raw_server(lambda connection: connection.sendall(answer)) as port, contextlib.suppress(SendFailed):
        assert isinstance(send(f"http://127.0.0.1:{port}/", deadline_s=2), Response)


@pytest.mark.parametrize("path", ["/slow", "/drip", "/drip-headers"])
def test_the_deadline_covers_everything_to_the_last_byte(receiver: Receiver, path: str) -> None:
    failed = fault(receiver.url(path), deadline_s=0.3)
    assert (failed.stage, failed.reason) == ("data", "timeout")


def test_a_reused_connection_that_dies_before_the_first_byte_is_tried_once_more(receiver: Receiver) -> None:
    async def twice(transport: Transport) -> list[int]:
        return [(await transport.send(request(receiver.url("/drop-reused")))).status for _ in range(2)]

    receiver.clear()
    before = receiver.connections
    assert send_once(LOOPBACK, twice) == [200, 200]
    assert len(receiver.requests) == 3
    assert receiver.connections == before + 2


def test_a_fresh_connection_that_dies_is_not_tried_again(receiver: Receiver) -> None:
    receiver.clear()
    fault(receiver.url("/drop"))
    assert len(receiver.requests) == 1


def test_a_large_body_arrives_whole(receiver: Receiver) -> None:
    receiver.clear()
    body = b'{"resourceSpans":[%s]}' % (b" " * 3_000_000)
    response = send(receiver.url("/ok"), body=body)
    assert (response.status, response.sent_bytes) == (200, len(body))
    assert receiver.requests[0].raw == body


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter, asyncio.Event], Coroutine[Any, Any, None]]


async def talking(talk: Talk, *sends: Request, deadline_s: float = 15.0) -> list[Response | SendFailed]:
    """Return the answers of a server that talks as it is told to; it is told when all sends are over."""
    answers: list[Response | SendFailed] = []
    over, talks = asyncio.Event(), []

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await talk(reader, writer, over)
        writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        async with Transport(LOOPBACK) as transport:
            for one in sends:
                asked = replace(one, url=f"http://127.0.0.1:{port}{one.url}")
                try:
                    answers.append(await transport.send(asked, deadline_s=deadline_s))
                except SendFailed as error:
                    answers.append(error)
            over.set()
        await asyncio.gather(*filter(None, talks))
    return answers


def test_a_server_that_answers_before_it_has_read_everything_gets_a_new_connection() -> None:
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, over: asyncio.Event) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await over.wait()

    large = request("/", body=b" " * 16_000_000)
    answers = asyncio.run(talking(talk, large, large))
    assert [answer.status for answer in answers if isinstance(answer, Response)] == [413, 413]
    assert connections == 2


def test_what_a_server_does_not_read_is_not_kept_for_it_after_the_deadline() -> None:
    body = b" " * 16_000_000
    read = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, over: asyncio.Event) -> None:
        nonlocal read
        del writer
        await over.wait()
        while some := await reader.read(1_000_000):
            read += len(some)

    (failed,) = asyncio.run(talking(talk, request("/", body=body), deadline_s=0.3))
    assert isinstance(failed, SendFailed)
    assert (failed.stage, failed.reason) == ("data", "timeout")
    assert read < len(body)


@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
def test_whatever_is_asked_is_tried_once_more_where_an_idle_connection_was_closed(method: str) -> None:
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, over: asyncio.Event) -> None:
        nonlocal connections
        del over
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        # It reads the next request, and goes without a word.
        await reader.readuntil(b"\r\n\r\n")

    answers = asyncio.run(talking(talk, *[request("/", method=method, body=b"")] * 2))
    assert [answer.status for answer in answers if isinstance(answer, Response)] == [200, 200]
    assert connections == 2


def test_cancelling_a_send_is_not_swallowed(receiver: Receiver) -> None:
    async def cancelled(transport: Transport) -> bool:
        task = asyncio.create_task(transport.send(request(receiver.url("/slow"))))
        await asyncio.sleep(0.1)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert send_once(LOOPBACK, cancelled)


def test_many_sends_at_once_keep_their_own_course(receiver: Receiver) -> None:
    words = {
        "/ok": 200,
        "/status/503": 503,
        "/html": 200,
        "/drop": "connection_lost",
        "/drip-headers": "timeout",
    }
    paths = [*words] * 8

    async def together(transport: Transport) -> list[Any]:
        # Only what would never end is given up soon: a busy machine may take a second for the others.
        sends = [
            transport.send(request(receiver.url(path)), deadline_s=1 if words[path] == "timeout" else 15)
            for path in paths
        ]
        return await asyncio.gather(*sends, return_exceptions=True)

    for path, result in zip(paths, send_once(LOOPBACK, together), strict=True):
        assert words[path] == (result.status if isinstance(result, Response) else result.reason)


# -- connecting and TLS ----------------------------------------------------------------------------


def test_a_closed_port_is_a_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    failed = fault(f"http://127.0.0.1:{port}/")
    assert (failed.stage, failed.reason) == ("connect", "connection_refused")


def test_a_trusted_certificate_for_the_right_name_is_accepted(tls_receiver: Receiver) -> None:
    response = send(tls_receiver.url(), tls=tls_receiver.client_context())
    assert (response.status, response.tls) == (200, "TLSv1.3")


def test_a_certificate_from_elsewhere_is_refused_before_a_byte_is_sent(tls_receiver: Receiver) -> None:
    tls_receiver.clear()
    failed = fault(tls_receiver.url())
    assert (failed.stage, failed.reason) == ("tls", "certificate_untrusted")
    assert tls_receiver.requests == []


def test_a_certificate_for_another_name_is_refused() -> None:
    with Receiver(tls=True, names=("elsewhere.test",)) as other:
        failed = fault(other.url(), tls=other.client_context())
    assert failed.stage == "tls"
    assert failed.reason == "certificate_name"


def test_plain_http_on_the_other_side_of_https_is_a_tls_fault(receiver: Receiver) -> None:
    failed = fault(receiver.url().replace("http:", "https:"))
    assert (failed.stage, failed.reason) == ("tls", "tls_failed")


def test_a_handshake_that_hangs_is_told_from_a_connection_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcast.transport._CONNECT_S", 0.5)
    with raw_server(lambda connection: connection.recv(1 << 16) and threading.Event().wait(1)) as port:
        failed = fault(f"https://127.0.0.1:{port}/")
    assert (failed.stage, failed.reason) == ("tls", "timeout")


def test_verification_cannot_be_switched_off() -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    with pytest.raises(ValueError, match="always verified"):
        Transport(LOOPBACK, tls=context)


# -- what egress refuses ---------------------------------------------------------------------------


class Names:
    """A real DNS server on loopback; `answer(name, is_v6, count)` gives addresses."""

    def __init__(self, answer: Callable[[str, bool, int], list[str]]) -> None:
        self._answer = answer
        self._counts: dict[tuple[str, bool], int] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.server = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._socket.getsockname())
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(4096)
            if not query:
                return
            self._socket.sendto(self._reply(query), client)

    def _reply(self, query: bytes) -> bytes:
        end = query.index(0, 12)
        labels, at = [], 12
        while at < end:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind = int.from_bytes(query[end + 1 : end + 3], "big")
        key = (".".join(labels).lower(), kind == 28)
        self._counts[key] = self._counts.get(key, 0) + 1
        found = self._answer(*key, self._counts[key]) if kind in {1, 28} else []
        records = b"".join(
            struct.pack(">HHHIH", 0xC00C, kind, 1, 0, len(packed)) + packed
            for packed in (ipaddress.ip_address(text).packed for text in found)
        )
        head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, len(found), 0, 0)
        return head + query[12 : end + 5] + records


@contextlib.contextmanager
def raw_server(behave: Callable[[socket.socket], object]) -> Iterator[int]:
    """Accept connections and let each be answered by hand."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.settimeout(0.2)
                        behave(connection)
                        with contextlib.suppress(TimeoutError):
                            connection.recv(1 << 16)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.fixture(scope="module")
def canary() -> Iterator[Receiver]:
    """Listens on every address of this machine; nothing refused may ever reach it."""
    with Receiver(host="0.0.0.0", tls=True, names=("receiver.test", "127.0.0.1")) as running:
        yield running


def on_its_port(canary: Receiver) -> Policy:
    """The public policy, with the canary's port among the public ones: the address alone must refuse it."""
    return Policy(public_ports=frozenset({canary.port}))


def refused(canary: Receiver, url: str, names: tuple[str, ...] = ()) -> None:
    """Neither a request over HTTP nor a call over gRPC connects."""

    async def attempt(made: Request) -> None:
        async with Transport(on_its_port(canary), nameservers=names) as transport:
            await transport.send(made)

    before = canary.connections
    for made in (request(url), request(url, headers=OVER_GRPC)):
        with pytest.raises(AddressRefused, match=r"^This address is not allowed\.$"):
            asyncio.run(attempt(made))
    assert canary.connections == before


def test_the_canary_sings_when_it_is_permitted(canary: Receiver) -> None:
    policy = Policy.parse([f"127.0.0.1:{canary.port}"])
    before = canary.connections
    send(canary.url(host="127.0.0.1"), policy=policy, tls=canary.client_context())
    assert canary.connections == before + 1
    with pytest.raises(SendFailed):
        send(canary.url(host="127.0.0.1"), policy=policy, tls=canary.client_context(), headers=OVER_GRPC)
    assert canary.connections > before + 1


LITERALS = [
    "127.0.0.1", "127.1", "0", "0.0.0.0", "2130706433", "0x7f.1", "0x7f000001",
    "017700000001",
    "0177.0.0.1", "127.000.000.1", "127.0.0.1.", "127.255.255.254", "localhost", "LOCALHOST.",
    "foo.localhost",
    "ip6-localhost",
    "[::1]", "[::]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
    "[fe80::1%25lo]", "ok.example@127.0.0.1", "ok.example\\@127.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", LITERALS)
def test_no_spelling_of_this_machine_is_ever_connected_to(canary: Receiver, host: str) -> None:
    refused(canary, f"https://{host}:{canary.port}/v1/traces")


ANSWERS: dict[str, Callable[[bool, int], list[str]]] = {
    "private": lambda v6, _: [] if v6 else ["127.0.0.1"],
    "public first": lambda v6, _: [] if v6 else ["8.8.8.8", "127.0.0.1"],
    "private first": lambda v6, _: [] if v6 else ["127.0.0.1", "8.8.8.8"],
    "any": lambda v6, _: [] if v6 else ["0.0.0.0"],
    "metadata": lambda v6, _: [] if v6 else ["169.254.169.254"],
    "private v6": lambda v6, _: ["::1"] if v6 else [],
    "mapped v6": lambda v6, _: ["::ffff:127.0.0.1"] if v6 else [],
    "public A, private AAAA": lambda v6, _: ["::1"] if v6 else ["127.0.0.1"],
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_one_private_answer_refuses_a_name(canary: Receiver, kind: str) -> None:
    with Names(lambda _, v6, count: ANSWERS[kind](v6, count)) as names:
        refused(canary, f"https://receiver.test:{canary.port}/", (names.server,))


def test_a_name_that_is_bound_anew_is_judged_anew() -> None:
    """Rebinding: the first look-up gives what is permitted, later ones what is not."""

    async def attempts(server: str, url: str) -> list[type[Exception]]:
        kinds: list[type[Exception]] = []
        async with Transport(policy, nameservers=(server,)) as transport:
            for _ in range(3):
                with pytest.raises((SendFailed, AddressRefused)) as caught:
                    await transport.send(request(url))
                kinds.append(caught.type)
        return kinds

    answers = [["127.0.0.2"], ["127.0.0.1"], ["127.0.0.2", "127.0.0.1"]]
    with Receiver(host="0.0.0.0") as plain, Names(lambda _, v6, n: [] if v6 else answers[n - 1]) as names:
        policy = Policy.parse([f"127.0.0.2:{plain.port}"])
        kinds = asyncio.run(attempts(names.server, plain.url("/drop", host="receiver.test")))
        assert kinds == [SendFailed, AddressRefused, AddressRefused]
        assert plain.connections == 1


def test_a_host_permitted_by_name_is_looked_up_and_reached(canary: Receiver) -> None:
    async def attempt(server: str) -> Response:
        policy = Policy.parse([f"receiver.test:{canary.port}"])
        async with Transport(policy, tls=canary.client_context(), nameservers=(server,)) as transport:
            return await transport.send(request(f"https://receiver.test:{canary.port}/ok"))

    with Names(lambda _, v6, count: [] if v6 else ["127.0.0.1"]) as names:
        response = asyncio.run(attempt(names.server))
    assert (response.status, response.host) == (200, "receiver.test")


def test_the_socket_is_judged_even_if_the_resolver_were_fooled(canary: Receiver) -> None:
    async def attempt() -> None:
        async with Transport(on_its_port(canary)) as transport:
            transport._exchange._connector._resolver.resolve = fooled  # type: ignore[union-attr]
            await transport.send(request(f"https://receiver.test:{canary.port}/"))

    async def fooled(host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
        ]

    before = canary.connections
    with pytest.raises(AddressRefused):
        asyncio.run(attempt())
    assert canary.connections == before


def test_a_name_that_does_not_exist_is_a_dns_fault() -> None:
    async def attempt(server: str) -> None:
        async with Transport(LOOPBACK, nameservers=(server,)) as transport:
            await transport.send(request("https://other.test/"))

    with Names(lambda *_: []) as names, pytest.raises(SendFailed) as caught:
        asyncio.run(attempt(names.server))
    assert (caught.value.stage, caught.value.reason) == ("dns", "name_not_found")


def test_a_resolver_that_says_nothing_is_a_dns_fault() -> None:
    async def attempt(server: str) -> None:
        async with Transport(LOOPBACK, nameservers=(server,)) as transport:
            await transport.send(request("https://other.test/"))

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(SendFailed) as caught:
            asyncio.run(attempt(f"127.0.0.1:{silent.getsockname()[1]}"))
    assert caught.value.stage == "dns"


def test_nothing_is_sent_by_a_transport_that_is_not_open() -> None:
    with pytest.raises(SendFailed, match="unexpectedly"):
        asyncio.run(Transport(LOOPBACK).send(request("http://127.0.0.1:1/")))
