"""Pass a stream of server-sent events on as it comes, measuring; only the id of each chunk changes."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from broadcast.errors import SendFailed
from broadcast.gateway.plain import plain
from broadcast.gateway.record import Record
from broadcast.gateway.splice import with_id
from broadcast.receipt import Error

_EVENT_END: Final = re.compile(rb"\n\r?\n|\r\r")
_DATA: Final = re.compile(rb"^(data: ?)([^\r\n]*)", re.MULTILINE)
_EVENT_BYTES: Final = 16 * 2**20


class Relay:
    """The body of a streamed answer: iterate to send it, `close` always; closing early is a cancel."""

    def __init__(
        self,
        record: Record,
        pieces: Iterator[bytes],
        *,
        hide_usage: bool,
        on_end: Callable[[], None],
    ) -> None:
        self._record = record
        self._pieces = pieces
        self._hide_usage = hide_usage
        self._on_end = on_end
        self._buffer = b""
        self._done = False
        self._ended = False

    def __iter__(self) -> "Relay":
        return self

    def __next__(self) -> bytes:
        while not self._ended:
            if out := self._step():
                return out
        raise StopIteration

    def close(self) -> None:
        """Let go of the provider; a client that leaves before the end has cancelled."""
        if not self._record.finished:
            if self._done:
                self._finish()
            else:
                self._record.finish(
                    "cancelled", Error(type="cancelled", message="The client has disconnected")
                )
        self._ended = True
        self._on_end()

    def _step(self) -> bytes:
        try:
            piece = next(self._pieces, None)
        except SendFailed as error:
            return self._broken(error.reason, str(error))
        if piece is None:
            return self._rest()
        if len(self._buffer) > _EVENT_BYTES:
            return self._broken("too_large", "The provider sent an event without end.")
        return self._events(piece)

    def _events(self, piece: bytes) -> bytes:
        self._buffer += piece
        out, position = [], 0
        for end in _EVENT_END.finditer(self._buffer):
            out.append(self._event(self._buffer[position : end.end()]))
            position = end.end()
        self._buffer = self._buffer[position:]
        return b"".join(out)

    def _event(self, event: bytes) -> bytes:
        lines = list(_DATA.finditer(event))
        data = b"\n".join(line.group(2) for line in lines)
        if data.strip() == b"[DONE]":
            self._done = True
        if not data.lstrip().startswith(b"{"):
            return event
        document = plain(data)
        if self._record.reading.chunk(document) and self._record.first_token_ms is None:
            self._record.first_token_ms = self._record.offset_ms()
        if self._hide_usage and _is_extra(document):
            return b""
        if (
            len(lines) != 1
            or not isinstance(document, dict)
            or ("error" in document and "id" not in document)
        ):
            return event
        line = lines[0]
        return event[: line.start(2)] + with_id(data, self._record.id) + event[line.end(2) :]

    def _rest(self) -> bytes:
        """End the stream; what came after the last blank line still goes on."""
        rest = self._event(self._buffer) if self._buffer else b""
        self._buffer = b""
        if not self._done and self._record.reading.finish_reason is None and not self._record.reading.error:
            return rest + self._broken("connection_lost", "The provider ended its answer early.")
        self._finish()
        self._ended = True
        return rest

    def _finish(self) -> None:
        error = self._record.reading.error
        self._record.finish("error" if error else "succeeded", error)

    def _broken(self, reason: str, message: str) -> bytes:
        """End in the middle: the status has gone out, so the error goes as an event, as OpenRouter does."""
        self._ended = True
        if self._done:
            self._finish()
            return b""
        self._record.finish("error", Error(type=reason, message=message, code=502))
        chunk = {
            "id": self._record.id,
            "object": "chat.completion.chunk",
            "created": int(self._record.id.split("-")[1]),
            "model": self._record.request.model,
            "error": {"code": 502, "message": message, "metadata": {"error_type": "provider_unavailable"}},
            "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
        }
        return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


def _is_extra(document: Any) -> bool:
    """Whether a chunk is the one that `include_usage` adds: usage and no choices."""
    return isinstance(document, dict) and document.get("choices") == [] and bool(document.get("usage"))
