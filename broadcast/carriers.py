"""Connections to servers that the operator named: made, kept while idle, and asked one thing at a time.

A request to a provider costs what its client waits for, so there is little here: one write a request, and
`http.client` to read the answer. No cookies, redirects, netrc or proxies of the environment.
"""

import contextlib
import http.client
import re
import select
import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote, urlsplit

from broadcast.errors import SendFailed

_JOINED_BYTES: Final = 256 * 1024
"""A body up to this goes out with its head in one piece; copying a larger one costs more than it saves."""
_OWN: Final = {"User-Agent": "llm-broadcast", "Accept-Encoding": "identity"}
_PORTS: Final = {"http": 80, "https": 443}
_AS_IS: Final = "!#$%&'()*+,/:;=?@[]~"
_HOST: Final = re.compile(r"[^\x00-\x20\x7f@/?#\\]+")
_BROKEN_LINE: Final = re.compile(r"[\r\n\x00]")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A URL taken apart: where to connect, and what to ask for there."""

    is_secure: bool
    host: str
    port: int
    authority: str
    target: str


class StaleError(ConnectionResetError):
    """A connection that had served before was gone when it was used again: nothing was answered."""


@lru_cache(maxsize=1024)
def place_of(url: str) -> Place:
    """Return a URL taken apart, once for all requests to it; raise `SendFailed` for what is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        name = host.encode("idna").decode() if not host.isascii() else host
    except (KeyError, ValueError):
        name, port = "", 0
    if not _HOST.fullmatch(name) or parts.username is not None:
        raise SendFailed("address", "bad_address", "The address is not a valid URL.")
    shown = f"[{name}]" if ":" in name else name
    query = f"?{parts.query}" if parts.query else ""
    return Place(
        is_secure=parts.scheme == "https",
        host=name,
        port=port,
        authority=shown if port == _PORTS[parts.scheme] else f"{shown}:{port}",
        target=quote(f"{parts.path or '/'}{query}", safe=_AS_IS),
    )


def head_of(method: str, place: Place, headers: Mapping[str, str], body: bytes | None) -> bytes:
    """Return the head of a request; raise `SendFailed` when a header cannot be sent."""
    lines = {name.lower(): f"{name}: {value}" for name, value in (*_OWN.items(), *headers.items())}
    if body is not None or method not in {"GET", "HEAD"}:
        lines["content-length"] = f"Content-Length: {len(body or b'')}"
    written = (f"{method} {place.target} HTTP/1.1", f"Host: {place.authority}", *lines.values())
    try:
        if not any(map(_BROKEN_LINE.search, written)):
            return "\r\n".join((*written, "", "")).encode("latin-1")
    except UnicodeEncodeError:
        pass
    raise SendFailed("fields", "bad_header", "A header holds characters that HTTP cannot send.")


class Carrier:
    """One connection; used for one request at a time."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        self._served = False

    @property
    def _socket(self) -> socket.socket:
        # There from `connect` on, which comes first.
        return self._connection.sock

    def connect(self) -> None:
        """Make the connection; raise `SendFailed`."""
        try:
            self._connection.connect()
        except ssl.SSLError:
            raise SendFailed("tls", "tls", "No secure connection could be made.") from None
        except TimeoutError:
            raise SendFailed("connect", "connect_timeout", "The connection was not made in time.") from None
        except (OSError, UnicodeError):
            raise _unanswered() from None

    def is_quiet(self) -> bool:
        """Whether the server neither closed the connection nor said anything unasked."""
        looking = select.poll()
        looking.register(self._socket, select.POLLIN)
        return not looking.poll(0)

    def wait_at_most(self, limit_s: float) -> None:
        """Bound each wait from now on."""
        self._socket.settimeout(limit_s)

    def ask(
        self, method: str, head: bytes, body: bytes, *, taken_s: float, begun_s: float
    ) -> http.client.HTTPResponse:
        """Return the answer once its headers are here; raise `SendFailed`, or `StaleError`."""
        try:
            self._send(head, body, taken_s)
            return self._answer(method, begun_s)
        except ConnectionResetError as error:
            # `http.client` calls a connection that ends without an answer a reset, too.
            if self._served:
                raise StaleError from error
            raise _unanswered() from None
        except (OSError, http.client.HTTPException):
            raise _unanswered() from None

    def _send(self, head: bytes, body: bytes, taken_s: float) -> None:
        pieces = (head + body,) if len(body) <= _JOINED_BYTES else (head, body)
        self.wait_at_most(taken_s)
        try:
            for piece in pieces:
                self._socket.sendall(piece)
        except TimeoutError:
            raise too_late("The request was not taken in time.") from None
        except BrokenPipeError:
            # A server that has read enough may answer and close its side: the answer is there to be read.
            pass

    def _answer(self, method: str, begun_s: float) -> http.client.HTTPResponse:
        self.wait_at_most(begun_s)
        response = http.client.HTTPResponse(self._socket, method=method)
        try:
            response.begin()
        except TimeoutError:
            response.close()
            raise too_late(f"No answer began within {begun_s:g} s.") from None
        except (OSError, http.client.HTTPException):
            response.close()
            raise
        self._served = True
        return response

    def drop(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self._connection.close()


class Idle:
    """The idle connections to one server: the one used last is used next, so that the others grow old."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[Carrier] = deque()

    def take(self, connect: Callable[[], Carrier]) -> Carrier:
        """Return a connection that is still there, else a new one."""
        while True:
            try:
                carrier = self._waiting.pop()
            except IndexError:
                return connect()
            if carrier.is_quiet():
                return carrier
            carrier.drop()

    def keep(self, carrier: Carrier) -> None:
        """Keep a connection for the next request, unless there are enough."""
        if len(self._waiting) < self._most:
            self._waiting.append(carrier)
        else:
            carrier.drop()

    def close(self) -> None:
        """Close every connection, now or when its request has ended."""
        self._most = 0
        while self._waiting:
            self._waiting.pop().drop()


def too_late(message: str) -> SendFailed:
    """Return the failure of what took too long."""
    return SendFailed("data", "timeout", message)


def _unanswered() -> SendFailed:
    """Return the failure in our words; the library's text is left out because it may hold the URL."""
    return SendFailed("connect", "connection_failed", "The connection failed before an answer came.")
