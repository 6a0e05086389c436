"""Calls over gRPC, to addresses that `transport` has judged. Door: grpcio.

What is dialled is an IP literal: no name is looked up here, and no proxy, service configuration or redirect
leads elsewhere; the name stays what the certificate has to be for. As OTLP's exporters do, http is plaintext
and https is TLS: https://opentelemetry.io/docs/specs/otel/protocol/exporter/, read 2026-11-21.
"""

import asyncio
import re
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

import grpc
from grpc import aio

from broadcast import grpc_answers, send_faults
from broadcast.destination import Request, Response
from broadcast.egress import Target
from broadcast.errors import SendFailed

_IDLE_S: Final = 60.0
_PLAIN_OR_GZIP: Final = 0b101
_OF_HTTP: Final = re.compile(r"content-type|accept-encoding|user-agent")
_OF_GRPC: Final = re.compile(r"grpc-.*")


@dataclass(kw_only=True)
class _Line:
    """One channel and the calls on it, which its end would cancel."""

    channel: aio.Channel
    calls: int = 0
    retired: bool = False
    idle: asyncio.TimerHandle | None = field(default=None, repr=False)

    @property
    def connected(self) -> bool:
        """Whether the server is connected to just now."""
        return self.channel.get_state() is grpc.ChannelConnectivity.READY

    def method(self, path: str) -> "aio.UnaryUnaryMultiCallable[bytes, bytes]":
        """Return a method that takes and gives messages as they are encoded."""
        return self.channel.unary_unary(path, _as_it_is, _as_it_is)


class GrpcTransport:
    """The channels of one event loop: one a server, for as long as it is used and answers."""

    def __init__(
        self, tls: ssl.SSLContext | None, *, user_agent: str, connect_s: float, max_answer_bytes: int
    ) -> None:
        self._tls = tls
        self._credentials: grpc.ChannelCredentials | None = None
        self._lines: dict[Target, _Line] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._max_answer_bytes = max_answer_bytes
        self._options = (
            ("grpc.primary_user_agent", user_agent),
            ("grpc.max_receive_message_length", max_answer_bytes),
            ("grpc.min_reconnect_backoff_ms", int(connect_s * 1000)),
            # Answers are unpacked here, within their bounds; of what can be unpacked only gzip is asked for.
            ("grpc.per_message_decompression", 0),
            ("grpc.compression_enabled_algorithms_bitset", _PLAIN_OR_GZIP),
            # No proxy of the environment, by either of the two ways there are.
            ("grpc.enable_http_proxy", 0),
            ("grpc.address_http_proxy_enabled_addresses", ""),
            ("grpc.service_config_disable_resolution", 1),
            # Otherwise what one channel has failed to reach, another would wait for.
            ("grpc.use_local_subchannel_pool", 1),
        )

    def knows(self, target: Target) -> bool:
        """Whether there is a channel to this server, which dials the addresses that it was given."""
        return target in self._lines

    def add(self, target: Target, addresses: Sequence[str]) -> None:
        """Open a channel to a server at these addresses, which have been judged."""
        if target in self._lines:
            return
        name = f"[{target.host}]" if ":" in target.host else target.host
        options = (*self._options, ("grpc.default_authority", f"{name}:{target.port}"))
        where = _dialled(addresses, target.port)
        if target.scheme == "https":
            certified = (*options, ("grpc.ssl_target_name_override", target.host))
            channel = aio.secure_channel(where, self._verifying(), options=certified)
        else:
            channel = aio.insecure_channel(where, options=options)
        self._lines[target] = _Line(channel=channel)

    async def call(
        self,
        request: Request,
        headers: Mapping[str, str],
        target: Target,
        *,
        deadline_s: float,
        on_waiting: Callable[[], None],
    ) -> Response:
        """Return the answer to one call; raise `SendFailed` where none came.

        The caller's clock ends it; `on_waiting` is called where it does so after the connection was made.
        """
        line = self._lines[target]
        line.calls += 1
        if line.idle is not None:
            line.idle.cancel()
        started = time.perf_counter()
        try:
            # The deadline that the server is told of is a little behind, so that there is one clock here.
            message = await line.method(urlsplit(request.url).path)(
                request.body,
                timeout=deadline_s + 1,
                metadata=_metadata(headers),
                compression=grpc.Compression.Gzip if request.compress else None,
            )
            answer = grpc_answers.success(message, self._max_answer_bytes)
        except aio.AioRpcError as error:
            try:
                answer = grpc_answers.failure(error, connected=line.connected)
            except SendFailed:
                # The next call looks the name up again, and dials at once.
                self._retire(target, line)
                raise
        except asyncio.CancelledError:
            # A connection may be dead without anybody having said so: the next call makes another.
            if line.connected:
                on_waiting()
            self._retire(target, line)
            raise
        finally:
            line.calls -= 1
            self._rest(target, line)
        return Response(
            status=answer.status,
            reason=answer.reason,
            headers={"content-type": "application/x-protobuf", **answer.headers},
            body=answer.body,
            duration_ms=(time.perf_counter() - started) * 1000,
            sent_bytes=len(request.body),
            host=target.host,
            tls="TLS" if target.scheme == "https" else None,
        )

    async def close(self) -> None:
        """End every channel."""
        for target, line in list(self._lines.items()):
            self._retire(target, line)
            self._end(line)
        # From Python 3.12 on, to gather what is done waits for nothing, and no callback would ever run.
        while closing := [one for one in self._closing if not one.done()]:
            await asyncio.gather(*closing)

    def _verifying(self) -> grpc.ChannelCredentials:
        """Trust whom the other requests trust; the library's own choice where no authority is listed."""
        if self._credentials is None:
            trusted = (self._tls or ssl.create_default_context()).get_ca_certs(binary_form=True)
            roots = "".join(ssl.DER_cert_to_PEM_cert(found) for found in trusted).encode()
            self._credentials = grpc.ssl_channel_credentials(roots or None)
        return self._credentials

    def _retire(self, target: Target, line: _Line) -> None:
        line.retired = True
        if self._lines.get(target) is line:
            del self._lines[target]

    def _rest(self, target: Target, line: _Line) -> None:
        """Let the last call on a channel end it: at once if it has failed, else after a while."""
        if line.calls:
            return
        if line.retired:
            self._end(line)
        else:
            line.idle = asyncio.get_running_loop().call_later(_IDLE_S, self._expire, target, line)

    def _expire(self, target: Target, line: _Line) -> None:
        self._retire(target, line)
        self._end(line)

    def _end(self, line: _Line) -> None:
        if line.idle is not None:
            line.idle.cancel()
        closing = asyncio.get_running_loop().create_task(line.channel.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


def _as_it_is(message: bytes) -> bytes:
    return message


def _dialled(addresses: Sequence[str], port: int) -> str:
    """Return literals as the library takes them: both families together only as IPv6."""
    found = [ip_address(address) for address in addresses]
    if all(isinstance(address, IPv4Address) for address in found):
        return "ipv4:" + ",".join(f"{address}:{port}" for address in found)
    return "ipv6:" + ",".join(
        f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"[::ffff:{address}]:{port}"
        for address in found
    )


def _metadata(headers: Mapping[str, str]) -> tuple[tuple[str, str | bytes], ...]:
    """Return headers as metadata, without those that HTTP needs; a name in `-bin` means bytes."""
    if any(_OF_GRPC.fullmatch(name) for name in headers):
        raise SendFailed(*send_faults.BAD_HEADER)
    return tuple(
        (name, value.encode() if name.endswith("-bin") else value)
        for name, value in headers.items()
        if not _OF_HTTP.fullmatch(name)
    )
