"""Calls to addresses the operator configured, such as providers; whom `requests` trusts is trusted.

No retries but one: when the server closed an idle connection just as it was used again.
"""

import contextlib
import http.client
import ssl
import threading
import time
import weakref
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from requests import adapters

from broadcast.carriers import Carrier, Idle, Place, StaleError, head_of, place_of, too_late
from broadcast.errors import SendFailed

_PIECE_BYTES: Final = 64 * 1024
_FAULTS: Final = (http.client.HTTPException, OSError, zlib.error)
_DEFLATED: Final = frozenset({"gzip", "x-gzip", "deflate"})
_EITHER: Final = zlib.MAX_WBITS | 32
"""Tells zlib to know gzip and deflate apart by itself."""


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long an answer may take: to connect, to begin, to stand still, and as a whole."""

    connect_s: float = 10
    headers_s: float = 300
    silence_s: float = 300
    whole_s: float = 1800


class Reply:
    """An answer whose body is still to be read; header names are lower case."""

    def __init__(
        self,
        response: http.client.HTTPResponse,
        carrier: Carrier,
        keep: Callable[[Carrier], None],
        timeouts: Timeouts,
        deadline_s: float,
    ) -> None:
        self._response = response
        self._carrier: Carrier | None = carrier
        self._keep = keep
        self._timeouts = timeouts
        self._deadline_s = deadline_s
        self.status: int = response.status
        self.headers = _lower(response)

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it arrives, without waiting for more than there is; raise `SendFailed`."""
        # We ask for neither; some servers send it even so.
        deflated = self.headers.get("content-encoding", "").strip().lower() in _DEFLATED
        try:
            yield from _inflated(self._raw()) if deflated else self._raw()
        except _FAULTS as error:
            self.close()
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
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            with contextlib.suppress(*_FAULTS):
                self._response.close()
            carrier.drop()

    def _raw(self) -> Iterator[bytes]:
        response = self._response
        while self._carrier is not None:
            self._wait(self._carrier)
            piece = response.read1(_PIECE_BYTES)
            if not piece and response.length:
                raise http.client.IncompleteRead(b"", response.length)
            if not piece or response.length == 0:
                self._end()
            if piece:
                yield piece

    def _wait(self, carrier: Carrier) -> None:
        """Wait for more as long as silence and the whole may last."""
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        carrier.wait_at_most(min(self._timeouts.silence_s, left_s))

    def _end(self) -> None:
        """Give the connection back: it may be somebody else's from now on."""
        carrier, self._carrier = self._carrier, None
        self._response.close()
        if carrier is not None:
            carrier.drop() if self._response.will_close else self._keep(carrier)

    def _broken(self, error: Exception) -> SendFailed:
        if not isinstance(error, TimeoutError):
            return SendFailed(
                "data", "connection_lost", "The connection was lost before the answer was complete."
            )
        if time.monotonic() >= self._deadline_s:
            return too_late(f"The answer was not complete within {self._timeouts.whole_s:g} s.")
        return too_late(f"The answer stood still for {self._timeouts.silence_s:g} s.")


class Outbound:
    """Connections to any number of servers; for each, at most `connections` idle ones are kept."""

    def __init__(self, *, connections: int = 384) -> None:
        self._most_idle = connections
        self._idle: dict[tuple[bool, str, int], Idle] = {}
        self._lock = threading.Lock()
        # Providers that were declared anew leave the connections to the old ones to nobody.
        self._close = weakref.finalize(self, _close_all, self._idle)

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
        place = place_of(url)
        head = head_of(method, place, headers, body)
        idle = self._idle_at(place)

        def connect() -> Carrier:
            return _connected(place, timeouts.connect_s)

        def ask(carrier: Carrier) -> Reply:
            try:
                begun_s = min(timeouts.headers_s, timeouts.whole_s)
                response = carrier.ask(method, head, body or b"", taken_s=timeouts.connect_s, begun_s=begun_s)
            except BaseException:
                carrier.drop()
                raise
            return Reply(response, carrier, idle.keep, timeouts, deadline_s)

        try:
            return ask(idle.take(connect))
        except StaleError:
            return ask(connect())

    def close(self) -> None:
        """Close every connection that is not in use; those in use when their answers have ended."""
        self._close()

    def _idle_at(self, place: Place) -> Idle:
        server = place.is_secure, place.host, place.port
        with self._lock:
            return self._idle.setdefault(server, Idle(self._most_idle))


def _close_all(servers: dict[tuple[bool, str, int], Idle]) -> None:
    while servers:
        _, idle = servers.popitem()
        idle.close()


def _connected(place: Place, connect_s: float) -> Carrier:
    made: http.client.HTTPConnection
    if place.is_secure:
        trust = _trust(adapters.DEFAULT_CA_BUNDLE_PATH)
        made = http.client.HTTPSConnection(place.host, place.port, timeout=connect_s, context=trust)
    else:
        made = http.client.HTTPConnection(place.host, place.port, timeout=connect_s)
    carrier = Carrier(made)
    try:
        carrier.connect()
    except BaseException:
        carrier.drop()
        raise
    return carrier


@cache
def _trust(bundle: str) -> ssl.SSLContext:
    """Return the authorities of a file, read once; the environment has no say in it."""
    context = ssl.create_default_context(cafile=bundle)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _lower(response: http.client.HTTPResponse) -> dict[str, str]:
    """Return the headers by their names in lower case, those of one name as one."""
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def _inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    inflate: Any = zlib.decompressobj(_EITHER)
    for piece in pieces:
        if inflated := inflate.decompress(piece):
            yield inflated
    if not inflate.eof:
        raise http.client.IncompleteRead(b"")
