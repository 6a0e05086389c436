"""A provider of a language model in a process of its own: answers chat requests, whole and streamed, on time.

It speaks just enough HTTP/1.1 for a gateway and for a client, and takes the same time for both.
"""

import asyncio
import json
import re
import subprocess
import sys
from typing import Any, Final, Self

THINKS_S: Final = 0.02
_EVENTS: Final = 10
_EVERY_S: Final = 0.004
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n"
_ANSWER: Final = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1,
        "model": "bench",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "word " * 200}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200},
    }
).encode()


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    chunk = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "bench",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return _chunk(b"data: %s\n\n" % json.dumps(chunk).encode())


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


_WHOLE: Final = (_HEAD % b"application/json") + b"Content-Length: %d\r\n\r\n%s" % (len(_ANSWER), _ANSWER)
_BEGIN: Final = (_HEAD % b"text/event-stream") + b"Transfer-Encoding: chunked\r\n\r\n"
_WORD: Final = _event({"content": "word "})
_END: Final = _event({}, "stop") + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class _Connection(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or not length or len(body) < int(length[1]):
            return
        self._buffer = b""
        later = asyncio.get_running_loop().call_later
        if b'"stream":true' not in body:
            later(THINKS_S, self._write, _WHOLE)
            return
        later(THINKS_S, self._write, _BEGIN + _WORD)
        for number in range(1, _EVENTS):
            later(THINKS_S + number * _EVERY_S, self._write, _WORD)
        later(THINKS_S + _EVENTS * _EVERY_S, self._write, _END)

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


class Model:
    """The process, seen from the benchmark."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.benchmarks.model"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdout
        self._process.stdout.close()
        self._process.kill()
        self._process.wait()


async def _main() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
