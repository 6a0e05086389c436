"""Send one request to an address that a tenant typed.

The address judged is the address dialled: every answer of the resolver is judged, and again the address of
the socket, which is where IP literals come by. No redirects, no proxies or netrc from the environment, no
cookies, no DNS cache; at most 64 KiB of an answer are read. Whatever goes wrong is a `SendFailed` or an
`AddressRefused` whose text holds neither URL nor secret.
"""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import aiodns
import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http import HttpProcessingError
from yarl import URL

from broadcast import config, send_faults
from broadcast.compression import gunzip_bounded, gzip_fast
from broadcast.destination import Request, Response
from broadcast.egress import Policy, Target, address_of
from broadcast.errors import AddressRefused, SendFailed
from broadcast.exchange import MAX_ANSWER_BYTES, Exchange, Way, way

if TYPE_CHECKING:
    from broadcast.grpc_transport import GrpcTransport

USER_AGENT: Final = "Broadcast/1.0.0 OTel-OTLP-Exporter-Python/1.0.0"
DEADLINE_S: Final = 15.0
_DNS_S: Final = 5.0
_CONNECT_S: Final = 6.0
_IDLE_S: Final = 55.0
"""How long a connection waits for its next request: servers and what stands before them wait a minute."""

_HEADER_NAME: Final = re.compile(r"[a-z0-9-]{1,64}")
_HEADER_VALUE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_OURS: Final = re.compile(
    r"host|content-length|content-encoding|accept-encoding|transfer-encoding|te|trailer|connection|keep-alive"
    r"|upgrade|expect|cookie|user-agent|proxy-.*"
)
_FAULTS: Final[tuple[tuple[type[Exception], tuple[str, str, str]], ...]] = (
    (aiohttp.ClientConnectorDNSError, send_faults.NAME_NOT_FOUND),
    (aiohttp.ClientSSLError, send_faults.TLS_FAILED),
    (aiohttp.ClientConnectorError, send_faults.UNREACHABLE),
    (HttpProcessingError, ("data", "bad_answer", "The answer is not HTTP.")),
    (aiohttp.ClientConnectionError, send_faults.LOST),
    (aiohttp.ClientPayloadError, ("data", "connection_lost", "The answer broke off.")),
    (OSError, send_faults.LOST),
)
_KNOWN: Final = 16_384
_T = TypeVar("_T")


class _Course:
    """How far one attempt has come; found through a context variable where aiohttp hands nothing down."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.stage = "connect" if target.address else "dns"
        self.refused = False
        self.made = self.reused = False
        self.timer: asyncio.TimerHandle | None = None

    def watch(self, made: socket.socket) -> None:
        """Tell a hanging handshake from a connection never made, just before both run out of time."""
        self.timer = asyncio.get_running_loop().call_later(_CONNECT_S - 0.2, self._look, made)

    def connected(self) -> None:
        """Note that a connection is there."""
        self.stage, self.reused = "data", not self.made
        if self.timer is not None:
            self.timer.cancel()

    def _look(self, made: socket.socket) -> None:
        try:
            made.getpeername()
        except OSError:
            return
        if self.stage == "connect":
            self.stage = "tls"


_course: ContextVar[_Course] = ContextVar("course")


class _JudgingResolver(AbstractResolver):
    """Resolves by aiodns; one answer that may not be dialled refuses them all."""

    def __init__(self, policy: Policy, nameservers: tuple[str, ...]) -> None:
        self._policy = policy
        self._inner = aiodns.DNSResolver(nameservers=nameservers or None, timeout=1.0, tries=2)
        self._open: set[asyncio.Future[Any]] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return addresses of both families, so that the judgement does not depend on this machine's own."""
        course = _course.get()
        look_up = self._inner.getaddrinfo(host, family, port=port, type=socket.SOCK_STREAM)
        self._open.add(look_up)
        look_up.add_done_callback(self._settled)
        try:
            async with asyncio.timeout(_DNS_S):
                found = await asyncio.shield(look_up)
        except (TimeoutError, aiodns.error.DNSError):
            raise OSError(None, "The look-up failed.") from None
        answers = [_resolved(host, port, node) for node in found.nodes]
        for answer in answers:
            _judge(self._policy, course, answer["host"], port)
        course.stage = "connect"
        return answers

    async def hosts(self, course: _Course) -> list[str]:
        """Return what a call dials, judged here: there is no socket of ours to judge."""
        target = course.target
        try:
            found = [] if target.address else await self.resolve(target.host, target.port)
        except OSError:
            if course.refused:
                raise
            raise SendFailed(*send_faults.NAME_NOT_FOUND) from None
        hosts = [answer["host"] for answer in found] or [str(target.address)]
        for host in hosts:
            _judge(self._policy, course, host, target.port)
        return hosts

    async def close(self) -> None:
        """End every look-up still open while the loop runs: the resolver's thread reports to the loop."""
        if self._open:
            await asyncio.wait(self._open, timeout=_DNS_S + 1)
        await self._inner.close()

    def _settled(self, look_up: "asyncio.Future[Any]") -> None:
        self._open.discard(look_up)
        if not look_up.cancelled():
            look_up.exception()  # one that nobody waits for any more is no warning


def _resolved(host: str, port: int, node: Any) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=node.addr[0].decode("ascii"),
        port=port,
        family=node.family,
        proto=0,
        flags=socket.AI_NUMERICHOST,
    )


def _judge(policy: Policy, course: _Course, address: str, port: int) -> None:
    """Raise `OSError`, the only kind that aiohttp lets through unchanged, and mark the course."""
    try:
        if port != course.target.port:
            raise AddressRefused  # noqa: TRY301 - one way out for every refusal
        policy.check_address(course.target, address_of(address))
    except AddressRefused:
        course.refused = True
        raise OSError(None, "refused") from None


class _Connector(aiohttp.TCPConnector):
    """Notes when a connection is there, and whether it was there before."""

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:  # noqa: ASYNC109 - inherited
        """Return a connection of the pool, or a new one."""
        course = _course.get()
        course.made = course.reused = False
        found = await super().connect(req, traces, timeout)
        course.connected()
        return found


class Transport:
    """One session; `async with Transport(policy) as transport: await transport.send(request)`."""

    def __init__(
        self, policy: Policy, *, tls: ssl.SSLContext | None = None, nameservers: tuple[str, ...] = ()
    ) -> None:
        if tls and not (tls.check_hostname and tls.verify_mode is ssl.CERT_REQUIRED):
            raise ValueError("TLS is always verified.")
        self._policy = policy
        self._tls = tls
        self._nameservers = nameservers
        self._exchange: Exchange | None = None
        self._calls: GrpcTransport | None = None
        self._known: dict[str, tuple[Target, Way]] = {}

    async def __aenter__(self) -> Self:
        self._resolver = _JudgingResolver(self._policy, self._nameservers)
        connector = _Connector(
            # aiohttp has one context that verifies: another would read every authority again.
            ssl=self._tls or True,
            resolver=self._resolver,
            socket_factory=self._socket,
            use_dns_cache=False,
            keepalive_timeout=_IDLE_S,
            limit=0,
        )
        self._exchange = Exchange(connector, connect_s=_CONNECT_S)
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._calls:
            await self._calls.close()
        if self._exchange:
            # The connector closes no resolver but one of its own.
            await self._exchange.close()
            await self._resolver.close()

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Make a socket for an address that has been judged, and judge it."""
        course = _course.get()
        family, kind, protocol, _, address = info
        _judge(self._policy, course, address[0], address[1])
        made = socket.socket(family=family, type=kind, proto=protocol)
        course.made = True
        course.watch(made)
        return made

    async def send(self, request: Request, *, deadline_s: float = DEADLINE_S) -> Response:
        """Return the answer to a request; raise `AddressRefused` or `SendFailed`, and nothing else."""
        target, where = self._read(request.url)
        headers, body = _outgoing(request)
        course = _Course(target)
        token = _course.set(course)
        try:
            async with asyncio.timeout(deadline_s):
                if request.is_call:
                    return await self._call(request, headers, course, deadline_s)
                try:
                    return await self._once(course, where, request.method, headers, body)
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                    # The other side may close an idle connection while we write to it.
                    if not course.reused:
                        raise
                    return await self._once(course, where, request.method, headers, body)
        except SendFailed:
            raise
        except Exception as error:  # noqa: BLE001 - a foreign server must not be able to raise anything else
            raise _fault(error, course, deadline_s) from None
        finally:
            _course.reset(token)

    async def _call(
        self, request: Request, headers: Mapping[str, str], course: _Course, deadline_s: float
    ) -> Response:
        """Send over gRPC: what its channel is to dial is looked up and judged before."""
        target, calls = course.target, self._grpc()
        if not calls.knows(target):
            calls.add(target, await self._resolver.hosts(course))
        course.stage = "connect"
        return await calls.call(request, headers, target, deadline_s=deadline_s, on_waiting=course.connected)

    def _grpc(self) -> "GrpcTransport":
        """Return what holds the channels, made for the first call: most processes make none."""
        if self._calls is None:
            # Its own log goes past ours, and tells nothing that a status does not.
            config.preset("GRPC_VERBOSITY", "NONE")
            from broadcast.grpc_transport import GrpcTransport  # noqa: PLC0415 - 15 MB that most never need

            self._calls = GrpcTransport(
                self._tls, user_agent=USER_AGENT, connect_s=_CONNECT_S, max_answer_bytes=MAX_ANSWER_BYTES
            )
        return self._calls

    def _read(self, text: str) -> tuple[Target, Way]:
        """Return where an address leads; it reads the same every time, and is judged when it is dialled."""
        known = self._known.get(text)
        if known is None:
            target = self._policy.check_url(text)
            known = target, way(_url(text, target))
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[text] = known
        return known

    async def _once(
        self, course: _Course, where: Way, method: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        if self._exchange is None:
            raise RuntimeError("The transport is not open.")
        started = time.perf_counter()
        sent = body if body or method != "GET" else None
        answer = await self._exchange.send(where, method, headers, sent)
        duration_ms = (time.perf_counter() - started) * 1000
        found = {name.lower(): _clean(value, 1024) for name, value in answer.headers.items()}
        return Response(
            status=answer.status,
            reason=_clean(answer.reason, 200),
            headers=found,
            body=_inflated(answer.body, found.get("content-encoding", "")),
            duration_ms=duration_ms,
            sent_bytes=len(body),
            host=course.target.host,
            tls=answer.tls,
        )


def _url(text: str, target: Target) -> URL:
    """Refuse an address that aiohttp would read differently from us."""
    try:
        url = URL(text, encoded=True)
        host = (url.host or "").removesuffix(".")
        same = (url.scheme, host, url.port) == (target.scheme, target.host, target.port)
    except ValueError:
        same = False
    if not same or url.user is not None:
        raise AddressRefused
    return url


def _outgoing(request: Request) -> tuple[dict[str, str], bytes]:
    """The destination's headers were checked when they were saved; here nothing unchecked can slip out."""
    for name, value in request.headers.items():
        if not _HEADER_NAME.fullmatch(name) or _OURS.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise SendFailed(*send_faults.BAD_HEADER)
    headers = {"accept": "*/*", **request.headers, "user-agent": USER_AGENT, "accept-encoding": "identity"}
    if not request.packs:
        return headers, request.body
    headers["content-encoding"] = "gzip"
    return headers, request.packed or gzip_fast(request.body)


def _inflated(body: bytes, encoding: str) -> bytes:
    """Some servers compress although we ask them not to; what does not fit is left as it is."""
    try:
        return gunzip_bounded(body, MAX_ANSWER_BYTES) if body and encoding.lower() == "gzip" else body
    except ValueError:
        return body


def _clean(text: str, limit: int) -> str:
    if text.isascii() and text.isprintable():
        return text[:limit]
    shown = text[:limit].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "\ufffd" for char in shown)


def _fault(error: Exception, course: _Course, deadline_s: float) -> SendFailed | AddressRefused:
    if course.refused:
        return AddressRefused()
    if isinstance(error, TimeoutError):
        return send_faults.too_late(course.stage, deadline_s)
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
        cause = getattr(error, "certificate_error", error)
        return send_faults.certificate(getattr(cause, "verify_code", None))
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
        return SendFailed(*send_faults.REFUSED)
    for kind, fault in _FAULTS:
        if isinstance(error, kind):
            return SendFailed(*fault)
    return SendFailed("data", "unexpected", f"The request failed unexpectedly ({type(error).__name__}).")


def send_once(
    policy: Policy,
    talk: Callable[[Transport], Awaitable[_T]],
    *,
    tls: ssl.SSLContext | None = None,
) -> _T:
    """Run a short conversation over a session of its own, from a thread that has no event loop."""

    async def conversation() -> _T:
        async with Transport(policy, tls=tls) as transport:
            return await talk(transport)

    return asyncio.run(conversation())
