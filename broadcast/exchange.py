"""One HTTP request and its answer, over a connection of aiohttp's pool.              doors: aiohttp, yarl.

aiohttp makes and keeps the connections, and its parser reads what comes back. Its client session, which
stands above them, costs twice as much as they do, for what no delivery has: redirects, cookies, forms,
proxies, uploads, and a task that writes the body.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import aiohttp
from yarl import URL

MAX_ANSWER_BYTES: Final = 65_536
_JOINED_BYTES: Final = 16_384
"""A body of at most so many bytes is copied behind its head, so that both leave at once."""

_SWITCHING: Final = 101
_FINAL: Final = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """Where the requests to one address go; read from it once."""

    path: str
    host: str
    asked: aiohttp.ClientRequest
    """All that a connector asks of a request before there is a connection."""


class Answer(NamedTuple):
    """What came back; of a body at most `MAX_ANSWER_BYTES`, as they came from the wire."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes
    tls: str | None


def way(url: URL) -> Way:
    """Return the way to an address; called while the event loop runs."""
    asked = aiohttp.ClientRequest("GET", url, loop=asyncio.get_running_loop())
    return Way(path=url.raw_path_qs, host=asked.headers["host"], asked=asked)


class Exchange:
    """Requests over one pool of connections, which is closed with it."""

    def __init__(self, connector: aiohttp.BaseConnector, *, connect_s: float) -> None:
        self._connector = connector
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_s, ceil_threshold=1e9)

    async def close(self) -> None:
        """Close every connection."""
        await self._connector.close()

    async def send(self, way: Way, method: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Return the answer to a request; the caller has checked every header, and sets the time."""
        connection = await self._connector.connect(way.asked, [], self._timeout)
        transport: Any = connection.transport
        try:
            _write(transport, _head(way, method, headers, body), body or b"")
            answer = await _read(connection.protocol, transport)
        except BaseException:
            transport.abort()
            connection.close()
            raise
        if transport.get_write_buffer_size():
            # It answered before it had read everything, and may never read the rest.
            transport.abort()
        connection.release()
        return answer


def _head(way: Way, method: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    lines = [f"{method} {way.path} HTTP/1.1", f"Host: {way.host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "\r\n"]).encode("ascii")


def _write(transport: Any, head: bytes, body: bytes) -> None:
    if len(body) <= _JOINED_BYTES:
        transport.write(head + body)
    else:
        transport.write(head)
        transport.write(body)


async def _read(protocol: Any, transport: Any) -> Answer:
    protocol.set_response_params(read_until_eof=True, auto_decompress=False, read_bufsize=MAX_ANSWER_BYTES)
    channel = transport.get_extra_info("ssl_object")
    tls = None if channel is None else channel.version()
    while True:
        head, content = await protocol.read()
        if head.code >= _FINAL or head.code == _SWITCHING:
            break
    body = await _body(content)
    return Answer(status=head.code, reason=head.reason or "", headers=head.headers, body=body, tls=tls)


async def _body(content: Any) -> bytes:
    """Read as much as may be; the pool keeps no connection on which there is more to come."""
    if content.is_eof():
        # Most answers are short, and came with their head.
        return bytes(content.read_nowait(MAX_ANSWER_BYTES))
    found = bytearray()
    while len(found) < MAX_ANSWER_BYTES and not content.at_eof():
        found += await content.read(MAX_ANSWER_BYTES - len(found))
    return bytes(found)
