"""A receiver in a process of its own, so that its CPU is nobody's cost: keeps every body, decodes when asked.

It speaks just enough HTTP/1.1 for both exporters: POST is kept and answered at once, GET / tells what came.
"""

import asyncio
import contextlib
import gzip
import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class _Kept:
    """Every body as it came."""

    def __init__(self) -> None:
        self.bodies: list[tuple[bytes, bool, bool]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it closes."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                writer.write(self._answer(head, headers, body))
                await writer.drain()
        writer.close()

    def _answer(self, head: str, headers: dict[str, str], body: bytes) -> bytes:
        if head.startswith("post"):
            zipped = headers.get("content-encoding") == "gzip"
            self.bodies.append((body, zipped, "json" in headers.get("content-type", "")))
            return _ANSWER
        told = json.dumps(self.told()).encode()
        return b"HTTP/1.1 200 OK\r\ncontent-length: " + str(len(told)).encode() + b"\r\n\r\n" + told

    def told(self) -> dict[str, Any]:
        """Return how often each span came, and forget everything."""
        spans: Counter[str] = Counter()
        size = 0
        for body, zipped, is_json in self.bodies:
            size += len(body)
            plain = gzip.decompress(body) if zipped else body
            spans.update(_of_json(plain) if is_json else _of_protobuf(plain))
        requests = len(self.bodies)
        self.bodies.clear()
        return {
            "requests": requests,
            "bytes": size,
            "distinct": len(spans),
            "spans": sum(spans.values()),
        }


def _of_json(body: bytes) -> Iterator[str]:
    for resource in json.loads(body)["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                yield span["traceId"] + span["spanId"]


def _of_protobuf(body: bytes) -> Iterator[str]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
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
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=120) as answer:
            told: dict[str, int] = json.load(answer)
        return told


async def _main() -> None:
    server = await asyncio.start_server(_Kept().serve, "127.0.0.1", 0, limit=2**20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
