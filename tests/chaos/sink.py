"""A receiver in a process of its own that misbehaves by path and counts what it took, and how often.

    /good       takes everything            /flaky   fails 30 % of the calls, at most 3 in a row
    /slow       answers after 0.2 s         /poison  400 where a receipt's id ends in x
    /dead       never answers, until GET /mend

Until GET /arm every path is good, so that the test before saving passes. GET /told/N says, by path, what of
the first N receipts is missing and what came again. `CHAOS_SHARE` changes the share of failed calls.
"""

import asyncio
import contextlib
import gzip
import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from typing import Any, Final, Self

_TAKEN: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
_POISONED: Final = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 22\r\n\r\n"
    b'{"message":"bad span"}'
)
_SLOW_S: Final = 0.2
_IN_A_ROW: Final = 3
"""A fourth failure in a row would have the back-off outlast the time that a test waits for what is left."""
_RECEIPT: Final = re.compile(rb"chaos-(\d+)(x?)")
_RESET: Final = struct.pack("ii", 1, 0)


class _Tally:
    """How often each receipt came, by number."""

    def __init__(self) -> None:
        self.times = bytearray()
        self.requests = 0
        self.failed = 0
        self.in_a_row = 0
        self.last_at = 0.0

    def take(self, numbers: set[int]) -> None:
        if not numbers:
            return
        last = max(numbers)
        if last >= len(self.times):
            self.times.extend(bytes(last + 10_000 - len(self.times)))
        for number in numbers:
            self.times[number] = min(255, self.times[number] + 1)
        self.last_at = time.time()

    def told(self, upto: int) -> dict[str, Any]:
        known = bytes(self.times[:upto]).ljust(upto, b"\0")
        missing = [number for number, times in enumerate(known) if not times]
        return {
            "taken": upto - len(missing),
            "missing": len(missing),
            "first_missing": missing[:2000],
            "repeated": sum(times - 1 for times in known if times > 1),
            "requests": self.requests,
            "failed": self.failed,
            "last_at": self.last_at,
        }


class _Server:
    def __init__(self, seed: int, share: float) -> None:
        self.dice = random.Random(seed)
        self.share = share
        self.tallies: dict[str, _Tally] = {}
        self.armed = False
        self.mended = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, path, _ = head.split(" ", 2)
                headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                answer = self._told(path) if method == "GET" else await self._answer(path, body, writer)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        writer.close()

    async def _answer(self, path: str, body: bytes, writer: asyncio.StreamWriter) -> bytes | None:
        tally = self.tallies.setdefault(path, _Tally())
        tally.requests += 1
        found = _RECEIPT.findall(body)
        if self.armed:
            if path == "/poison" and any(mark for _, mark in found):
                tally.failed += 1
                return _POISONED
            if path == "/flaky" and self.dice.random() < self.share and tally.in_a_row < _IN_A_ROW:
                tally.failed += 1
                tally.in_a_row += 1
                return self._failure(writer)
            if path == "/dead" and not self.mended:
                tally.failed += 1
                while not self.mended:  # noqa: ASYNC110 - whoever waits gives up on its own
                    await asyncio.sleep(0.5)
                return None
            if path == "/slow":
                await asyncio.sleep(_SLOW_S)
        tally.in_a_row = 0
        tally.take({int(number) for number, _ in found})
        return _TAKEN

    def _failure(self, writer: asyncio.StreamWriter) -> bytes | None:
        kind = self.dice.choice(("429", "502", "503", "504", "close", "reset", "garbage"))
        if kind == "close":
            return None
        if kind == "reset":
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            return None
        if kind == "garbage":
            return b"220 mail.example ESMTP\r\n\xff\xfe\r\n\r\n"
        return f"HTTP/1.1 {kind} No\r\ncontent-length: 0\r\n\r\n".encode()

    def _told(self, path: str) -> bytes:
        told: dict[str, Any] = {}
        if path == "/arm":
            self.armed = True
            self.tallies.clear()
        elif path == "/mend":
            self.mended = True
        else:
            upto = int(path.rpartition("/")[2])
            told = {name.strip("/"): tally.told(upto) for name, tally in self.tallies.items()}
        text = json.dumps(told).encode()
        return b"HTTP/1.1 200 OK\r\ncontent-length: " + str(len(text)).encode() + b"\r\n\r\n" + text


class Sink:
    """The process, seen from a test."""

    def __init__(self, seed: int, *, share: float = 0.3) -> None:
        self._environment = {**os.environ, "CHAOS_SEED": str(seed), "CHAOS_SHARE": str(share)}

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.chaos.sink"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=self._environment)
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdout
        self._process.stdout.close()
        self._process.kill()
        self._process.wait()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def arm(self) -> None:
        """Begin to misbehave, and forget what came until now."""
        self._get("/arm")

    def mend(self) -> None:
        """Let the dead path answer."""
        self._get("/mend")

    def told(self, upto: int) -> dict[str, Any]:
        """Return, by path, what came of the first `upto` receipts."""
        return self._get(f"/told/{upto}")

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.url(path), timeout=60) as answer:
            told: dict[str, Any] = json.load(answer)
        return told


async def _main() -> None:
    made = _Server(int(os.environ["CHAOS_SEED"]), float(os.environ["CHAOS_SHARE"]))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, limit=2**20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
