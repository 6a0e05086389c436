"""POST /api/v1/receipts and below, in front of Flask: a posted receipt costs no routing and no cookies."""

import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import IO, Any, Final

import msgspec
from flask import Flask

from broadcast.compression import gunzip_bounded
from broadcast.errors import BroadcastError
from broadcast.foreign import accept_litellm
from broadcast.runtime import Services
from broadcast.store.keys import ApiKey
from web.api.access import check_scope, key_of
from web.responses import ApiError, body_of, explain

_log: Final = logging.getLogger(__name__)
_PIECE_BYTES: Final = 256 * 1024

StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
Taker = Callable[[Services, ApiKey, bytes, str | None], tuple[int, dict[str, Any]]]


def _take_receipts(
    services: Services, key: ApiKey, body: bytes, content_type: str | None
) -> tuple[int, dict[str, Any]]:
    return services.ingest.accept_body(key.workspace_id, key, body, content_type)


def _take_litellm(
    services: Services, key: ApiKey, body: bytes, content_type: str | None
) -> tuple[int, dict[str, Any]]:
    return accept_litellm(
        services.ingest,
        key.workspace_id,
        key,
        body,
        content_type,
        now_us=services.clock(),
        retention_us=services.config.retention_us,
    )


_TAKERS: Final[dict[str, Taker]] = {
    "/api/v1/receipts": _take_receipts,
    "/api/v1/receipts/litellm": _take_litellm,
}
PATHS: Final = tuple(_TAKERS)
"""The addresses answered here, which no route of the application shows."""


class ReceiptsDoor:
    """WSGI: takes posted receipts itself and hands everything else on."""

    def __init__(self, application: Application, services: Services) -> None:
        self._application = application
        self._services = services

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        take = _TAKERS.get(environ["PATH_INFO"])
        if take is None or environ["REQUEST_METHOD"] != "POST":
            return self._application(environ, start_response)
        status, body, headers = _answer(self._services, environ, take)
        data = msgspec.json.encode(body)
        headers.update({"Content-Type": "application/json", "Content-Length": str(len(data))})
        headers["Cache-Control"] = "no-store"
        start_response(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
        return [data]


def install(app: Flask, services: Services) -> None:
    """Put the door in front of the application."""
    app.wsgi_app = ReceiptsDoor(app.wsgi_app, services)  # type: ignore[method-assign, arg-type]  # as Flask says


def _answer(
    services: Services, environ: dict[str, Any], take: Taker
) -> tuple[int, dict[str, Any], dict[str, str]]:
    try:
        key = key_of(services, environ.get("HTTP_AUTHORIZATION", ""))
        check_scope(key, "receipts:write")
        body = sent_body(
            environ["wsgi.input"],
            length=environ.get("CONTENT_LENGTH", ""),
            encoding=environ.get("HTTP_CONTENT_ENCODING", ""),
            limit=services.config.max_body_bytes,
        )
        status, found = take(services, key, body, environ.get("CONTENT_TYPE"))
    except (BroadcastError, ApiError) as error:
        return explain(error)
    except Exception:  # noqa: BLE001 - the door of the process: the sender hears 500, the log the cause
        _log.exception("action=receipts_failed")
        return 500, body_of(500, "Nothing was stored. Send it again.", "internal"), {}
    return status, found, {}


def sent_body(stream: IO[bytes], *, length: str, encoding: str, limit: int) -> bytes:
    """Return what was sent, decompressed; at most `limit` bytes are held of either form."""
    raw = _read(stream, length, limit)
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return raw
    if encoding not in {"gzip", "x-gzip"}:
        raise ApiError(400, "Send the body plain or with Content-Encoding: gzip.", reason="unknown_encoding")
    try:
        return gunzip_bounded(raw, limit)
    except ValueError as error:
        if "too large" in str(error):
            raise _too_large(limit) from None
        raise ApiError(400, str(error), reason="not_gzip") from None


def _read(stream: IO[bytes], announced: str, limit: int) -> bytes:
    """Read up to the limit, whatever length was announced."""
    left = limit + 1
    if announced.isdigit():
        if int(announced) > limit:
            raise _too_large(limit)
        left = int(announced)
    pieces: list[bytes] = []
    while left > 0 and (piece := stream.read(min(left, _PIECE_BYTES))):
        pieces.append(piece)
        left -= len(piece)
    body = b"".join(pieces)
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> ApiError:
    return ApiError(
        413, f"The body is larger than {limit} bytes: send fewer receipts at once.", reason="too_large"
    )
