"""Calls to addresses the operator configured, such as providers; the door of `urllib3`.

A pool and nothing around it: a request to a provider costs what its client waits for.
"""

import contextlib
import re
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import certifi
import urllib3
from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Timeout, parse_url

from broadcast.errors import SendFailed

_PIECE_BYTES: Final = 64 * 1024
_SERVERS: Final = 32
_FAULTS: Final = (exceptions.HTTPError, OSError)
_TIMEOUTS: Final = (exceptions.ReadTimeoutError, TimeoutError)
_OWN: Final = {"User-Agent": "llm-broadcast", "Accept-Encoding": "identity"}
_BROKEN: Final = re.compile(r"[\r\n\x00]|[^\x00-\xff]")


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long an answer may take: to connect, to begin, to stand still, and as a whole."""

    connect_s: float = 10
    headers_s: float = 300
    silence_s: float = 300
    whole_s: float = 1800


class Reply:
    """An answer whose body is still to be read; header names are lower case."""

    def __init__(self, response: urllib3.BaseHTTPResponse, timeouts: Timeouts, deadline_s: float) -> None:
        self._response = response
        self._timeouts = timeouts
        self._deadline_s = deadline_s
        self.status: int = response.status
        self.headers: dict[str, str] = {name.lower(): value for name, value in response.headers.items()}

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it arrives, without waiting for more than there is; raise `SendFailed`."""
        try:
            while piece := self._piece():
                yield piece
        except _FAULTS as error:
            raise self._broken(error) from None

    def read(self, limit: int) -> bytes:
        """Return the whole body; raise `SendFailed` when it breaks off or exceeds `limit` bytes."""
        parts: list[bytes] = []
        size = 0
        for piece in self.pieces():
            size += len(piece)
            if size > limit:
                raise SendFailed("data", "too_large", f"The answer is larger than {limit} bytes.")
            parts.append(piece)
        return b"".join(parts)

    def close(self) -> None:
        """Drop the connection when the body was not read to its end; else it was given back already."""
        with contextlib.suppress(*_FAULTS):
            self._response.close()

    def _piece(self) -> bytes:
        """Wait for more as long as silence and the whole may last."""
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        # None once the connection went back to the pool, where it may be somebody else's already.
        carrier = getattr(self._response.connection, "carrier", None)
        if carrier is not None:
            with contextlib.suppress(OSError):
                carrier.settimeout(min(self._timeouts.silence_s, left_s))
        # `stream` would wait for a whole piece; `read1` returns what the socket has.
        piece: bytes = self._response.read1(_PIECE_BYTES, decode_content=True)
        return piece

    def _broken(self, error: Exception) -> SendFailed:
        if not isinstance(error, _TIMEOUTS):
            return SendFailed(
                "data", "connection_lost", "The connection was lost before the answer was complete."
            )
        if time.monotonic() >= self._deadline_s:
            return _too_late(f"The answer was not complete within {self._timeouts.whole_s:g} s.")
        return _too_late(f"The answer stood still for {self._timeouts.silence_s:g} s.")


class Outbound:
    """A pool of connections; no cookies, redirects, netrc or proxies from the environment.

    No retries but one: when the server closed an idle connection just as it was used again.
    """

    def __init__(self, *, connections: int = 384) -> None:
        self._servers = urllib3.PoolManager(
            num_pools=_SERVERS, maxsize=connections, ca_certs=certifi.where(), retries=False
        )
        self._servers.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeouts: Timeouts = Timeouts(),
    ) -> Reply:
        """Return the answer once its headers are here; raise `SendFailed` when there is none."""
        deadline_s = time.monotonic() + timeouts.whole_s
        place = _place(url)
        asked = _PLAIN | {
            "body": body,
            "headers": _written(headers),
            "timeout": Timeout(connect=timeouts.connect_s, read=min(timeouts.headers_s, timeouts.whole_s)),
        }
        try:
            pool = self._servers.connection_from_host(place.host, place.port, place.scheme)
            try:
                response = pool.urlopen(method, place.target, **asked)
            except exceptions.ProtocolError as error:
                if not any(isinstance(cause, _StaleError) for cause in error.args):
                    raise
                response = pool.urlopen(method, place.target, **asked)
        except _FAULTS as error:
            raise _unanswered(error, timeouts) from None
        return Reply(response, timeouts, deadline_s)

    def close(self) -> None:
        """Close every pooled connection, those in use when their answers have ended."""
        servers = self._servers.pools
        for pool in [servers[key] for key in servers.keys()]:  # noqa: SIM118 - it refuses to be walked
            pool.close()
        servers.clear()


_PLAIN: Final[dict[str, Any]] = {
    "retries": False,
    "redirect": False,
    "assert_same_host": False,
    "preload_content": False,
}


# -- what is sent ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A URL taken apart: where to connect, and what to ask for there."""

    scheme: str
    host: str
    port: int | None
    target: str


@lru_cache(maxsize=1024)
def _place(url: str) -> _Place:
    """Return a URL taken apart, once for all requests to it; raise `SendFailed` for what is none."""
    try:
        parts = parse_url(url)
    except exceptions.LocationParseError:
        parts = parse_url("")
    if parts.scheme not in {"http", "https"} or not parts.host or parts.auth is not None:
        raise SendFailed("address", "bad_address", "The address is not a valid URL.")
    return _Place(scheme=parts.scheme, host=parts.host, port=parts.port, target=parts.request_uri)


def _written(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what is sent, one header a name; raise `SendFailed` when one cannot be sent."""
    lines = {name.lower(): (name, value) for name, value in (*_OWN.items(), *headers.items())}
    if any(map(_BROKEN.search, (text for line in lines.values() for text in line))):
        raise SendFailed("fields", "bad_header", "A header holds characters that HTTP cannot send.")
    return dict(lines.values())


# -- connections -----------------------------------------------------------------------------------


class _StaleError(ConnectionResetError):
    """A connection that had served before was gone when it was used again: nothing was answered."""


class _Noting:
    """A connection that notes what `http.client` forgets: its socket, and whether it has served before."""

    sock: socket.socket | None
    carrier: socket.socket | None = None
    served = False

    def request(self, *args: Any, **options: Any) -> None:
        with self._told_when_stale():
            super().request(*args, **options)  # type: ignore[misc]

    def getresponse(self) -> Any:
        self.carrier = self.sock
        with self._told_when_stale():
            response = super().getresponse()  # type: ignore[misc]
        self.served = True
        return response

    def connect(self) -> None:
        self.served = False
        super().connect()  # type: ignore[misc]

    @contextlib.contextmanager
    def _told_when_stale(self) -> Iterator[None]:
        try:
            yield
        except ConnectionResetError as error:
            # `http.client` calls a connection that ends without an answer a reset, too.
            if self.served:
                raise _StaleError from error
            raise


class _Connection(_Noting, HTTPConnection):
    pass


class _TlsConnection(_Noting, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


# -- what went wrong -------------------------------------------------------------------------------


def _unanswered(error: Exception, timeouts: Timeouts) -> SendFailed:
    """Return the failure in our words; the library's text is left out because it holds the URL."""
    if isinstance(error, exceptions.ReadTimeoutError):
        return _too_late(f"No answer began within {min(timeouts.headers_s, timeouts.whole_s):g} s.")
    if isinstance(error, exceptions.SSLError):
        return SendFailed("tls", "tls", "No secure connection could be made.")
    if isinstance(error, exceptions.ConnectTimeoutError) and not isinstance(
        error, exceptions.NewConnectionError
    ):
        return SendFailed("connect", "connect_timeout", "The connection was not made in time.")
    if isinstance(error, TimeoutError) or any(isinstance(cause, TimeoutError) for cause in error.args):
        return _too_late("The request was not taken in time.")
    return SendFailed("connect", "connection_failed", "The connection failed before an answer came.")


def _too_late(message: str) -> SendFailed:
    """Return the failure of what took too long."""
    return SendFailed("data", "timeout", message)
