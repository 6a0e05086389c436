"""Calls to real receivers over gRPC, by the transport that sends everything else too."""

import asyncio
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import trustme

from broadcast import grpc_transport
from broadcast.answers import judge_otlp
from broadcast.destination import Request, Response, Verdict
from broadcast.egress import Policy
from broadcast.errors import AddressRefused, SendFailed
from broadcast.exchange import MAX_ANSWER_BYTES
from broadcast.transport import USER_AGENT, Transport, send_once
from tests.broadcast.loops import both_loops  # noqa: F401 - used by every test here
from tests.broadcast.test_transport import LOOPBACK, Names, raw_server
from tests.grpc_receiver import Behaviour, GrpcReceiver, Wire, cut, hang, refuse, reject
from tests.receiver import Receiver

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
BODY = b"\n\x00" * 2_000
SECRET = "glc_topsecret"
CODES = grpc.StatusCode


@pytest.fixture(scope="module")
def receiver() -> Iterator[GrpcReceiver]:
    with GrpcReceiver() as running:
        yield running


@pytest.fixture(scope="module")
def tls_receiver() -> Iterator[GrpcReceiver]:
    with GrpcReceiver(tls=True, name="receiver.test") as running:
        yield running


def call(url: str, **changes: Any) -> Request:
    made = {
        "method": "POST",
        "url": f"{url}{EXPORT}",
        "headers": {"content-type": "application/grpc", "authorization": f"Bearer {SECRET}"},
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
    made = call(url, **changes)
    return send_once(policy, lambda transport: transport.send(made, deadline_s=deadline_s), tls=tls)


def fault(url: str, **options: Any) -> tuple[str, str]:
    with pytest.raises(SendFailed) as caught:
        send(url, **options)
    words = f"{caught.value} {caught.value.__cause__}"
    assert SECRET not in words
    assert "127.0.0.1" not in words
    return caught.value.stage, caught.value.reason


def trusting(*authorities: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for authority in authorities:
        authority.configure_trust(context)
    return context


# -- what goes out ---------------------------------------------------------------------------------


def test_a_call_arrives_as_built_with_headers_as_metadata(receiver: GrpcReceiver) -> None:
    response = send(
        receiver.url, headers={"content-type": "application/grpc", "x-team": "search", "x-trace-bin": "raw"}
    )
    seen = receiver.seen[-1]
    assert len(seen.request.resource_spans) == 2_000
    assert (seen.metadata["x-team"], seen.metadata["x-trace-bin"]) == ("search", b"raw")
    assert str(seen.metadata["user-agent"]).startswith(f"{USER_AGENT} grpc-python-asyncio/")
    assert "accept-encoding" not in seen.metadata
    assert 10 < seen.deadline_s < 17
    assert (response.status, response.reason, response.body) == (200, "gRPC OK", b"")
    assert (response.sent_bytes, response.host, response.tls) == (len(BODY), "127.0.0.1", None)
    assert response.duration_ms > 0


@pytest.mark.parametrize(("compress", "fewer"), [(True, True), (False, False)])
def test_a_message_is_compressed_where_it_is_to_be(
    receiver: GrpcReceiver, compress: bool, fewer: bool
) -> None:
    with Wire(receiver.port) as wire:
        send(f"http://127.0.0.1:{wire.port}", compress=compress)
        assert (wire.sent_bytes < len(BODY)) is fewer
    assert len(receiver.seen[-1].request.resource_spans) == 2_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-a", "one\r\nx-b: two"),
        ("x-a", "é"),
        ("x a", "b"),
        ("host", "evil"),
        ("te", "trailers"),
        ("grpc-timeout", "1n"),
        ("grpc-encoding", "none"),
    ],
)
def test_a_header_that_could_split_or_steer_a_call_is_not_sent(
    receiver: GrpcReceiver, name: str, value: str
) -> None:
    before = len(receiver.seen)
    headers = {"content-type": "application/grpc", name: value}
    assert fault(receiver.url, headers=headers) == ("credential", "bad_header")
    assert len(receiver.seen) == before


def test_no_proxy_of_the_environment_is_asked(
    receiver: GrpcReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("GRPC_ADDRESS_HTTP_PROXY", "127.0.0.1:1")
    monkeypatch.setenv("GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES", "127.0.0.0/8")
    monkeypatch.delenv("no_proxy", raising=False)
    assert send(receiver.url).status == 200


# -- what comes back -------------------------------------------------------------------------------

REFUSED, RETRYING, REJECTED, THROTTLED = (
    Verdict.REFUSED,
    Verdict.RETRYING,
    Verdict.REJECTED,
    Verdict.THROTTLED,
)
MEANINGS = {
    CODES.CANCELLED: RETRYING,
    CODES.UNKNOWN: RETRYING,
    CODES.INVALID_ARGUMENT: REJECTED,
    CODES.DEADLINE_EXCEEDED: RETRYING,
    CODES.NOT_FOUND: REFUSED,
    CODES.ALREADY_EXISTS: REFUSED,
    CODES.PERMISSION_DENIED: REFUSED,
    CODES.RESOURCE_EXHAUSTED: THROTTLED,
    CODES.FAILED_PRECONDITION: REFUSED,
    CODES.ABORTED: RETRYING,
    CODES.OUT_OF_RANGE: RETRYING,
    CODES.UNIMPLEMENTED: REFUSED,
    CODES.INTERNAL: RETRYING,
    CODES.UNAVAILABLE: RETRYING,
    CODES.DATA_LOSS: RETRYING,
    CODES.UNAUTHENTICATED: REFUSED,
}


def test_every_status_that_is_no_success_has_a_meaning() -> None:
    assert MEANINGS.keys() == set(CODES) - {CODES.OK}


@pytest.mark.parametrize("code", MEANINGS, ids=lambda code: code.name)
def test_what_a_status_means(receiver: GrpcReceiver, code: CODES) -> None:
    receiver.script(refuse(code, "the receiver's words"))
    response = send(receiver.url)
    assert (response.reason, response.body) == (f"gRPC {code.name}", b"the receiver's words")
    outcome = judge_otlp(response)
    assert (outcome.verdict, outcome.retry_after) == (MEANINGS[code], None)
    assert outcome.reason == f"{response.status} gRPC {code.name}"


@pytest.mark.parametrize("code", [CODES.RESOURCE_EXHAUSTED, CODES.UNAVAILABLE], ids=lambda code: code.name)
@pytest.mark.parametrize(("said_s", "waits"), [(7.0, "7"), (0.25, "1"), (0.0, "0")])
def test_a_receiver_says_how_long_to_wait(
    receiver: GrpcReceiver, code: CODES, said_s: float, waits: str
) -> None:
    receiver.script(refuse(code, "slower", retry_after_s=said_s))
    outcome = judge_otlp(send(receiver.url))
    assert (outcome.verdict, outcome.retry_after) == (THROTTLED, waits)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (CODES.RESOURCE_EXHAUSTED, "grpc: received message larger than max (5000000 vs. 4194304)"),
        (CODES.RESOURCE_EXHAUSTED, "grpc: message after decompression larger than max (5 vs. 4)"),
        (CODES.RESOURCE_EXHAUSTED, "SERVER: Received message larger than max (5000000 vs. 4194304)"),
        (CODES.RESOURCE_EXHAUSTED, "Decompressed message larger than max"),
        (CODES.RESOURCE_EXHAUSTED, "gRPC message exceeds maximum size 4194304: 5000000"),
        (CODES.RESOURCE_EXHAUSTED, "Received message exceeds the maximum configured message size."),
        (CODES.OUT_OF_RANGE, "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes"),
    ],
)
def test_a_message_that_is_too_large_is_told_from_a_quota(
    receiver: GrpcReceiver, code: CODES, words: str
) -> None:
    receiver.script(refuse(code, words))
    response = send(receiver.url)
    assert (response.status, judge_otlp(response).verdict) == (413, REJECTED)


def test_details_that_cannot_be_read_say_nothing(receiver: GrpcReceiver) -> None:
    def odd(_: GrpcReceiver, context: grpc.ServicerContext) -> Any:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff"),))
        context.abort(CODES.UNAVAILABLE, "busy")

    receiver.script(odd)
    assert judge_otlp(send(receiver.url)).verdict is RETRYING


def test_a_part_may_be_rejected(receiver: GrpcReceiver) -> None:
    receiver.script(reject(3, "too old"))
    outcome = judge_otlp(send(receiver.url))
    assert (outcome.verdict, outcome.rejected_spans) == (Verdict.PARTLY_DELIVERED, 3)
    assert "too old" in outcome.reason


def test_a_message_without_rejected_spans_is_a_warning(receiver: GrpcReceiver) -> None:
    receiver.script(reject(0, "deprecated"))
    outcome = judge_otlp(send(receiver.url))
    assert (outcome.verdict, outcome.reason) == (Verdict.DELIVERED, "200 gRPC OK: deprecated")


def test_a_server_without_this_service_is_no_receiver() -> None:
    with GrpcReceiver(with_traces=False) as other:
        assert judge_otlp(send(other.url)).verdict is REFUSED


def test_no_answer_can_turn_a_success_into_a_failure(receiver: GrpcReceiver) -> None:
    receiver.script(reject(1, "x" * (MAX_ANSWER_BYTES + 1)))
    outcome = judge_otlp(send(receiver.url))
    assert outcome.verdict is Verdict.DELIVERED
    assert outcome.reason == "200 gRPC OK, with an answer that is too long to be read"


def compressed(behave: Behaviour) -> Behaviour:
    def packed(one: GrpcReceiver, context: grpc.ServicerContext) -> Any:
        context.set_compression(grpc.Compression.Gzip)
        return behave(one, context)

    return packed


def test_an_answer_may_be_compressed(receiver: GrpcReceiver) -> None:
    receiver.script(compressed(reject(2, "too old" * 100)))
    outcome = judge_otlp(send(receiver.url, compress=True))
    assert (outcome.verdict, outcome.rejected_spans) == (Verdict.PARTLY_DELIVERED, 2)


def test_a_bomb_is_left_as_it_came(receiver: GrpcReceiver) -> None:
    receiver.script(compressed(reject(2, "x" * 10_000_000)))
    response = send(receiver.url, compress=True)
    assert len(response.body) < MAX_ANSWER_BYTES
    assert judge_otlp(response).verdict is Verdict.DELIVERED


# -- what is no answer -------------------------------------------------------------------------------


def test_a_closed_port_is_a_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert fault(f"http://127.0.0.1:{port}") == ("connect", "connection_refused")


def test_a_web_server_is_no_receiver() -> None:
    with Receiver() as web:
        assert fault(f"http://127.0.0.1:{web.port}") == ("data", "bad_answer")


def test_a_connection_that_is_closed_at_once_is_lost() -> None:
    with raw_server(lambda connection: connection.close()) as port:
        assert fault(f"http://127.0.0.1:{port}") == ("data", "connection_lost")


def test_the_deadline_covers_an_answer_that_does_not_come(receiver: GrpcReceiver) -> None:
    receiver.script(hang)
    assert fault(receiver.url, deadline_s=2) == ("data", "timeout")


def test_a_server_that_accepts_and_says_nothing_is_not_connected_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert fault(f"http://127.0.0.1:{port}", deadline_s=0.5) == ("connect", "timeout")


def test_a_connection_that_dies_under_a_call_is_lost(receiver: GrpcReceiver) -> None:
    with Wire(receiver.port) as wire:
        receiver.script(cut(wire))
        assert fault(f"http://127.0.0.1:{wire.port}") == ("data", "connection_lost")


def test_after_an_answer_that_did_not_come_the_next_call_makes_another_connection(
    receiver: GrpcReceiver,
) -> None:
    async def twice(transport: Transport, url: str) -> Response:
        with pytest.raises(SendFailed):
            await transport.send(call(url), deadline_s=2)
        return await transport.send(call(url))

    receiver.script(hang)
    with Wire(receiver.port) as wire:
        url = f"http://127.0.0.1:{wire.port}"
        assert send_once(LOOPBACK, lambda transport: twice(transport, url)).status == 200
        assert wire.made == 2


def test_a_channel_that_nobody_uses_is_closed(
    receiver: GrpcReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def apart(transport: Transport, url: str) -> None:
        for _ in range(2):
            assert (await transport.send(call(url))).status == 200
            while wire.open:  # noqa: ASYNC110 - a test may poll
                await asyncio.sleep(0.01)

    monkeypatch.setattr(grpc_transport, "_IDLE_S", 0.05)
    with Wire(receiver.port) as wire:
        send_once(LOOPBACK, lambda transport: apart(transport, f"http://127.0.0.1:{wire.port}"))
        assert wire.made == 2


def test_after_a_connection_died_the_next_call_makes_another(receiver: GrpcReceiver) -> None:
    async def twice(transport: Transport, url: str) -> Response:
        with pytest.raises(SendFailed):
            await transport.send(call(url))
        return await transport.send(call(url))

    with Wire(receiver.port) as wire:
        receiver.script(cut(wire))
        url = f"http://127.0.0.1:{wire.port}"
        assert send_once(LOOPBACK, lambda transport: twice(transport, url)).status == 200
        assert wire.made == 2


def test_calls_share_a_connection_and_one_that_hangs_holds_no_other_up(receiver: GrpcReceiver) -> None:
    async def together(transport: Transport, url: str) -> list[int]:
        hung = asyncio.create_task(transport.send(call(url)))
        await asyncio.to_thread(receiver.wait_for_calls, 1)
        answers = await asyncio.gather(*(transport.send(call(url)) for _ in range(20)))
        assert not hung.done()
        hung.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hung
        return [answer.status for answer in answers]

    receiver.seen.clear()
    receiver.script(hang)
    with Wire(receiver.port) as wire:
        url = f"http://127.0.0.1:{wire.port}"
        assert send_once(LOOPBACK, lambda transport: together(transport, url)) == [200] * 20
        assert wire.made == 1


def test_a_call_that_fails_ends_no_other_on_its_channel(receiver: GrpcReceiver) -> None:
    async def both(transport: Transport) -> tuple[str, int]:
        slow = asyncio.create_task(transport.send(call(receiver.url)))
        await asyncio.to_thread(receiver.wait_for_calls, 1)
        with pytest.raises(SendFailed) as caught:
            await transport.send(call(receiver.url), deadline_s=2)
        go_on.set()
        return caught.value.reason, (await slow).status

    def waiting(one: GrpcReceiver, context: grpc.ServicerContext) -> Any:
        go_on.wait(30)
        return reject(0)(one, context)

    go_on = threading.Event()
    receiver.seen.clear()
    receiver.script(waiting)
    receiver.script(hang)
    assert send_once(LOOPBACK, both) == ("timeout", 200)


def test_a_program_that_makes_no_call_never_loads_the_library() -> None:
    code = "import sys, broadcast.__main__, broadcast.worker; print('grpc' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


def test_threads_may_each_have_a_loop(receiver: GrpcReceiver) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(send(receiver.url).status)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [200] * 8


# -- TLS -------------------------------------------------------------------------------------------


def of_name(
    tls_receiver: GrpcReceiver, name: str, context: ssl.SSLContext, *, answers: list[str] | None = None
) -> Response:
    async def attempt(server: str) -> Response:
        async with Transport(LOOPBACK, tls=context, nameservers=(server,)) as transport:
            return await transport.send(call(f"https://{name}:{tls_receiver.port}"))

    with Names(lambda _, v6, __: [] if v6 else (answers or ["127.0.0.1"])) as names:
        return asyncio.run(attempt(names.server))


def test_a_trusted_certificate_for_the_right_name_is_accepted(tls_receiver: GrpcReceiver) -> None:
    response = of_name(tls_receiver, "receiver.test", trusting(tls_receiver.authority))
    assert (response.status, response.host, response.tls) == (200, "receiver.test", "TLS")


def test_a_certificate_may_be_for_an_address() -> None:
    with GrpcReceiver(tls=True) as bare:
        assert send(bare.url, tls=trusting(bare.authority)).status == 200


def test_a_certificate_for_another_name_is_refused(tls_receiver: GrpcReceiver) -> None:
    with pytest.raises(SendFailed) as caught:
        of_name(tls_receiver, "other.test", trusting(tls_receiver.authority))
    assert (caught.value.stage, caught.value.reason) == ("tls", "certificate_name")


def test_a_certificate_of_an_unknown_authority_is_refused(tls_receiver: GrpcReceiver) -> None:
    before = len(tls_receiver.seen)
    with pytest.raises(SendFailed) as caught:
        of_name(tls_receiver, "receiver.test", trusting(trustme.CA()))
    assert (caught.value.stage, caught.value.reason) == ("tls", "certificate_untrusted")
    assert len(tls_receiver.seen) == before


def test_plaintext_on_the_other_side_of_https_is_a_tls_fault(receiver: GrpcReceiver) -> None:
    assert fault(f"https://127.0.0.1:{receiver.port}") == ("tls", "tls_failed")


def test_tls_on_the_other_side_of_http_is_no_connection(tls_receiver: GrpcReceiver) -> None:
    assert fault(f"http://127.0.0.1:{tls_receiver.port}") == ("data", "connection_lost")


# -- names; what egress refuses, it refuses to every request of the transport: test_transport ---------


def test_a_name_that_is_bound_anew_is_judged_before_it_is_dialled_anew(receiver: GrpcReceiver) -> None:
    async def attempts(server: str, url: str) -> list[type[Exception]]:
        kinds: list[type[Exception]] = []
        async with Transport(policy, nameservers=(server,)) as transport:
            assert (await transport.send(call(url))).status == 200
            receiver.script(cut(wire))
            for _ in range(2):
                with pytest.raises((SendFailed, AddressRefused)) as caught:
                    await transport.send(call(url))
                kinds.append(caught.type)
        return kinds

    answers = [["127.0.0.1"], ["169.254.169.254"]]
    with Wire(receiver.port) as wire, Names(lambda _, v6, n: [] if v6 else answers[n - 1]) as names:
        policy = Policy.parse([f"127.0.0.1:{wire.port}"])
        kinds = asyncio.run(attempts(names.server, f"http://receiver.test:{wire.port}"))
    assert kinds == [SendFailed, AddressRefused]


def test_a_server_with_addresses_of_both_families_is_reached(receiver: GrpcReceiver) -> None:
    async def attempt(server: str) -> Response:
        async with Transport(LOOPBACK, nameservers=(server,)) as transport:
            return await transport.send(call(f"http://receiver.test:{receiver.port}"))

    with Names(lambda _, v6, __: ["::1"] if v6 else ["127.0.0.1"]) as names:
        assert asyncio.run(attempt(names.server)).status == 200


def test_a_name_that_does_not_exist_is_a_dns_fault() -> None:
    async def attempt(server: str) -> None:
        async with Transport(LOOPBACK, nameservers=(server,)) as transport:
            await transport.send(call("https://other.test"))

    with Names(lambda *_: []) as names, pytest.raises(SendFailed) as caught:
        asyncio.run(attempt(names.server))
    assert (caught.value.stage, caught.value.reason) == ("dns", "name_not_found")
