"""In front of Flask: what is asked most often costs no routing, no cookies and no request object."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Any, Final

import msgspec
from flask import Flask

from web.responses import ApiError
from web.security import HEADERS

_log: Final = logging.getLogger(__name__)
_PIECE_BYTES: Final = 256 * 1024
_DRESS: Final = list(HEADERS.items())
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


@dataclass(frozen=True, kw_only=True)
class Found:
    """An answer; the server closes a body that has `close` once it is sent, or its client has gone."""

    status: int
    body: Iterable[bytes]
    headers: Mapping[str, str]


Taker = Callable[[Environ], Found]


def told(status: int, body: object, headers: Mapping[str, str]) -> Found:
    """Return an answer in JSON that no cache keeps."""
    data = msgspec.json.encode(body)
    own = {"Content-Type": "application/json", "Content-Length": str(len(data)), "Cache-Control": "no-store"}
    return Found(status=status, body=[data], headers={**headers, **own})


class Door:
    """WSGI: answers what is posted to some addresses, and hands everything else on."""

    def __init__(self, application: Application, takers: Mapping[str, Taker]) -> None:
        self._application = application
        self._takers = takers

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        take = self._takers.get(environ["PATH_INFO"])
        if take is None or environ["REQUEST_METHOD"] != "POST":
            return self._application(environ, start_response)
        found = take(environ)
        phrase = _PHRASES.get(found.status, "Unknown")
        start_response(f"{found.status} {phrase}", [*found.headers.items(), *_DRESS])
        return found.body


def install(app: Flask, takers: Mapping[str, Taker]) -> None:
    """Put the door in front of the application."""
    app.wsgi_app = Door(app.wsgi_app, takers)  # type: ignore[method-assign, arg-type]  # as Flask says


def read(stream: IO[bytes], announced: str, limit: int, message: str) -> bytes:
    """Return what was sent; 413 and `message` for more than `limit` bytes, whatever length was announced."""
    left = limit + 1
    if announced.isdigit():
        if int(announced) > limit:
            raise ApiError(413, message, reason="too_large")
        left = int(announced)
    pieces: list[bytes] = []
    while left > 0 and (piece := stream.read(min(left, _PIECE_BYTES))):
        pieces.append(piece)
        left -= len(piece)
    body = b"".join(pieces)
    if len(body) > limit:
        raise ApiError(413, message, reason="too_large")
    return body
