"""Calls to addresses the operator configured, such as providers; the door of `requests`."""

import contextlib
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter

from broadcast.errors import SendFailed

_PIECE_BYTES: Final = 64 * 1024
_READ_FAULTS: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
_TIMEOUTS: Final = (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError, TimeoutError)


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long an answer may take: to connect, to begin, to stand still, and as a whole."""

    connect_s: float = 10
    headers_s: float = 300
    silence_s: float = 300
    whole_s: float = 1800


class Reply:
    """An answer whose body is still to be read; header names are lower case."""

    def __init__(self, response: requests.Response, timeouts: Timeouts, deadline_s: float) -> None:
        self._response = response
        self._timeouts = timeouts
        self._deadline_s = deadline_s
        self.status: int = response.status_code
        self.headers: dict[str, str] = {name.lower(): value for name, value in response.headers.items()}

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it arrives, without waiting for more than there is; raise `SendFailed`."""
        try:
            while piece := self._piece():
                yield piece
        except _READ_FAULTS as error:
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
        """Give the connection back, or drop it when the body was not read to its end."""
        with contextlib.suppress(*_READ_FAULTS):
            self._response.close()

    def _piece(self) -> bytes:
        """Wait for more as long as silence and the whole may last."""
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        # None once the connection went back to the pool, where it may be somebody else's already.
        carrier = getattr(self._response.raw.connection, "carrier", None)
        if carrier is not None:
            with contextlib.suppress(OSError):
                carrier.settimeout(min(self._timeouts.silence_s, left_s))
        # `iter_content` would wait for a whole piece; `read1` returns what the socket has.
        piece: bytes = self._response.raw.read1(_PIECE_BYTES, decode_content=True)
        return piece

    def _broken(self, error: Exception) -> SendFailed:
        if not isinstance(error, _TIMEOUTS):
            return _failure(error, stage="data")
        if time.monotonic() >= self._deadline_s:
            return _too_late(f"The answer was not complete within {self._timeouts.whole_s:g} s.")
        return _too_late(f"The answer stood still for {self._timeouts.silence_s:g} s.")


class Outbound:
    """A pool of connections; no cookies, redirects, netrc or proxies from the environment, no retries."""

    def __init__(self, *, connections: int = 384) -> None:
        # An adapter alone: a session would only add cookies, redirects and the environment.
        self._adapter = HTTPAdapter(pool_connections=32, pool_maxsize=connections, max_retries=0)
        self._adapter.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

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
        limits = (timeouts.connect_s, min(timeouts.headers_s, timeouts.whole_s))
        try:
            request = _prepared(method, url).copy()
            request.headers.update(headers)
            request.prepare_body(body, None)
            try:
                response = self._adapter.send(request, stream=True, timeout=limits)
            except requests.ConnectionError as error:
                if not any(isinstance(cause, _StaleError) for cause in _causes(error)):
                    raise
                # The server closed an idle connection just as it was used again: nothing was answered.
                response = self._adapter.send(request, stream=True, timeout=limits)
        except _READ_FAULTS as error:
            raise _unanswered(error, limits[1]) from None
        return Reply(response, timeouts, deadline_s)

    def close(self) -> None:
        """Close every pooled connection."""
        self._adapter.close()


@lru_cache(maxsize=1024)
def _prepared(method: str, url: str) -> requests.PreparedRequest:
    """Return what every request to a URL has in common: taking a URL apart costs more than sending to it."""
    own = {"User-Agent": "llm-broadcast", "Accept-Encoding": "identity"}
    return requests.Request(method, url, headers=own).prepare()


class _StaleError(ConnectionResetError):
    """A connection that had served before was gone when it was used again."""


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


class _Connection(_Noting, urllib3.connection.HTTPConnection):
    pass


class _TlsConnection(_Noting, urllib3.connection.HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what its library wrapped in it."""
    yield error
    for inner in (*error.args, getattr(error, "reason", None)):
        if isinstance(inner, BaseException):
            yield from _causes(inner)


def _unanswered(error: Exception, headers_s: float) -> SendFailed:
    if isinstance(error, requests.exceptions.ReadTimeout):
        return _too_late(f"No answer began within {headers_s:g} s.")
    if any(isinstance(cause, TimeoutError) for cause in _causes(error)):
        return _too_late("The request was not taken in time.")
    return _failure(error, stage="connect")


def _too_late(message: str) -> SendFailed:
    return SendFailed("data", "timeout", message)


def _failure(error: Exception, *, stage: str) -> SendFailed:
    """Return the failure in our words; the library's text is left out because it holds the URL."""
    if isinstance(error, requests.exceptions.SSLError):
        return SendFailed("tls", "tls", "No secure connection could be made.")
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return SendFailed("connect", "connect_timeout", "The connection was not made in time.")
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.MissingSchema):
        return SendFailed("address", "bad_address", "The address is not a valid URL.")
    if stage == "connect":
        return SendFailed("connect", "connection_failed", "The connection failed before an answer came.")
    return SendFailed("data", "connection_lost", "The connection was lost before the answer was complete.")
