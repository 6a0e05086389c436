"""A receiver in a process of its own, so that its CPU is nobody's cost: keeps every body, decodes when asked.

It speaks just enough HTTP/1.1 for both exporters, without streams, so that two thousand requests a second
leave a small machine to those that are measured. What a POST is answered follows from its path:

    /hang/{seconds}/...  200, but only after so long
    /status/{code}/...   that status, at once
    anything else        200, at once

GET / tells what came and forgets it; GET /arrivals tells for each POST its path, its moment and its traces.
"""

import asyncio
import gc
import gzip
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from broadcast.worker import new_event_loop

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TRACE: Final = re.compile(rb'"traceId":"([0-9a-f]{32})"')
_END: Final = b"\r\n\r\n"
_BACKLOG: Final = 4_096


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """One request as it came: its path, when its first byte was seen, and the traces in it."""

    path: str
    at_us: int
    traces: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Body:
    path: str
    at_us: int
    body: bytes
    zipped: bool
    is_json: bool

    @property
    def plain(self) -> bytes:
        return gzip.decompress(self.body) if self.zipped else self.body


def _answer(status: int, body: bytes = b"{}") -> bytes:
    head = (
        f"HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


_OK: Final = _answer(200)
_kept: list[_Body] = []


class _Connection(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._first_us = 0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._buffer:
            self._first_us = time.time_ns() // 1000
        self._buffer += data
        while self._take():
            pass

    def _take(self) -> bool:
        """Answer the next request when all of it is here."""
        end = self._buffer.find(_END)
        if end < 0:
            return False
        head = bytes(self._buffer[:end])
        found = _LENGTH.search(head)
        total = end + len(_END) + (int(found[1]) if found else 0)
        if len(self._buffer) < total:
            return False
        body = bytes(self._buffer[end + len(_END) : total])
        del self._buffer[:total]
        method, path = head.split(b" ", 2)[:2]
        if method == b"GET":
            self._transport.write(_answer(200, _told(path)))
        else:
            self._keep(path.decode(), head.lower(), body)
        return bool(self._buffer)

    def _keep(self, path: str, head: bytes, body: bytes) -> None:
        zipped = b"\r\ncontent-encoding: gzip" in head
        is_json = b"\r\ncontent-type: application/json" in head
        _kept.append(_Body(path=path, at_us=self._first_us, body=body, zipped=zipped, is_json=is_json))
        _, kind, value, *_ = (*path.split("/", 3), "", "")
        if kind == "hang":
            asyncio.get_running_loop().call_later(float(value), self._late)
        else:
            self._transport.write(_answer(int(value)) if kind == "status" else _OK)

    def _late(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(_OK)


def _told(path: bytes) -> bytes:
    """Return what is known about everything that came since the last time, and forget it."""
    bodies = _kept.copy()
    _kept.clear()
    if path == b"/arrivals":
        return json.dumps([[one.path, one.at_us, _traces(one)] for one in bodies]).encode()
    spans = Counter(span for one in bodies for span in _spans(one))
    told = {
        "requests": len(bodies),
        "bytes": sum(len(one.body) for one in bodies),
        "distinct": len(spans),
        "spans": spans.total(),
    }
    return json.dumps(told).encode()


def _traces(one: _Body) -> list[str]:
    return sorted({found.decode() for found in _TRACE.findall(one.plain)})


def _spans(one: _Body) -> Iterator[str]:
    if one.is_json:
        for resource in json.loads(one.plain)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    yield span["traceId"] + span["spanId"]
        return
    for resource in ExportTraceServiceRequest.FromString(one.plain).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield (span.trace_id + span.span_id).hex()


class Sink:
    """The process, seen from the benchmark."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.benchmarks.sink"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *exc: object) -> None:
        assert self.process.stdout
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()

    @property
    def url(self) -> str:
        """Return the address that OTLP is posted to."""
        return f"http://127.0.0.1:{self.port}/v1/traces"

    def told(self) -> dict[str, int]:
        """Return what came since the last time."""
        told: dict[str, int] = self._get("/")
        return told

    def arrivals(self) -> list[Arrival]:
        """Return every request since the last time; only of OTLP/JSON the traces are known."""
        return [
            Arrival(path=path, at_us=at_us, traces=tuple(traces))
            for path, at_us, traces in self._get("/arrivals")
        ]

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=120) as answer:
            return json.load(answer)


async def _main() -> None:
    # Every loopback address reaches it, so that destinations may have hosts of their own.
    server = await asyncio.get_running_loop().create_server(_Connection, "0.0.0.0", 0, backlog=_BACKLOG)
    # Bodies are plain bytes: looking for cycles among them would only delay answers.
    gc.disable()
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_main())
