"""Pass a stream of server-sent events on as it comes, measuring; only the id of the answer changes.

https://html.spec.whatwg.org/multipage/server-sent-events.html : lines end with CRLF, LF or CR, an empty line
ends an event, and several `data` lines are one text with line breaks between them.
"""

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from broadcast.errors import SendFailed
from broadcast.gateway.failures import covered
from broadcast.gateway.plain import plain
from broadcast.gateway.record import Record
from broadcast.receipt import Error

_log: Final = logging.getLogger(__name__)
_EVENT_END: Final = re.compile(rb"\n\r?\n|\r\r")
_DATA: Final = re.compile(rb"(?:\A|(?<=[\r\n]))(data: ?)([^\r\n]*)")
_EVENT_BYTES: Final = 16 * 2**20
_OPENING_BYTES: Final = 16 * 1024
_OVERLAP: Final = 2
"""So many bytes of the end of an event may have come with an earlier piece."""


def opening(pieces: Iterator[bytes]) -> tuple[bytes, dict[str, Any] | None]:
    """Wait for the end of the first event; return what came, and its data where that may tell an error."""
    begun = b""
    for piece in pieces:
        begun += piece
        if _EVENT_END.search(begun) or len(begun) > _OPENING_BYTES:
            break
    if b"error" not in begun:
        return begun, None
    told = (_object(_text(list(_DATA.finditer(event)))) for event in _EVENT_END.split(begun))
    return begun, next((document for document in told if document is not None), None)


class Relay:
    """The body of a streamed answer: iterate to send it, `close` always; closing early is a cancel."""

    def __init__(self, record: Record, pieces: Iterator[bytes], *, on_end: Callable[[], None]) -> None:
        self._record = record
        self._shape = record.request.shape
        self._pieces = pieces
        self._hide_usage = record.request.hides_usage
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

    def close(self, why: str = "The client has disconnected") -> None:
        """Let go of the provider; a client that leaves before the end has cancelled."""
        if not self._record.finished:
            if self._done:
                self._finish()
            else:
                self._record.finish("cancelled", Error(type="cancelled", message=why))
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
        seen = max(0, len(self._buffer) - _OVERLAP)
        self._buffer += piece
        out, position = [], 0
        for end in _EVENT_END.finditer(self._buffer, seen):
            out.append(self._event(self._buffer[position : end.end()]))
            position = end.end()
        self._buffer = self._buffer[position:]
        return b"".join(out)

    def _event(self, event: bytes) -> bytes:
        """Return one event as it goes out."""
        lines = list(_DATA.finditer(event))
        data = _text(lines)
        document = _object(data)
        if document is None:
            # Without the empty line between them, the events of some providers come as one.
            return _with_texts(event, lines, [self._line(line.group(2)) for line in lines])
        own = self._told(data, document)
        if self._hide_usage and self._shape.is_extra(document):
            return b""
        return _with_texts(event, lines, own.split(b"\n"))

    def _line(self, data: bytes) -> bytes:
        if data.strip() == b"[DONE]":
            self._done = True
        document = _object(data)
        if document is None:
            return data
        return self._told(data, document)

    def _told(self, data: bytes, document: dict[str, Any]) -> bytes:
        """Read one event's document, and return its JSON as it goes out."""
        if (told := covered(document)) is not document:
            # As many lines as it came in, because each is put back in its place.
            data = msgspec.json.encode(told) + b"\n" * data.count(b"\n")
        self._read(told)
        return self._shape.own(data, told, self._record.id)

    def _read(self, document: dict[str, Any]) -> None:
        """Take in what the receipt wants to know; the client's answer never suffers for it."""
        reading = self._record.reading
        try:
            brought = reading.chunk(document)
        except Exception as error:  # noqa: BLE001 - a provider may send anything
            _log.warning("action=chunk_not_read receipt=%s error=%s", self._record.id, type(error).__name__)
            return
        if brought and self._record.first_token_ms is None:
            self._record.first_token_ms = self._record.offset_ms()
        self._done = self._done or reading.ended

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
        return self._shape.broken(
            self._record.reading,
            generation_id=self._record.id,
            model=self._record.request.model,
            message=message,
        )


def _text(lines: list["re.Match[bytes]"]) -> bytes:
    """Return the data of an event."""
    return b"\n".join(line.group(2) for line in lines)


def _object(data: bytes) -> dict[str, Any] | None:
    """Return an event's data where it is a JSON object."""
    document = plain(data) if data.lstrip().startswith(b"{") else None
    return document if isinstance(document, dict) else None


def _with_texts(event: bytes, lines: list["re.Match[bytes]"], texts: list[bytes]) -> bytes:
    """Return an event with other texts in its data lines."""
    out, position = [], 0
    for line, text in zip(lines, texts, strict=True):
        out.append(event[position : line.start(2)] + text)
        position = line.end(2)
    return b"".join(out) + event[position:]
