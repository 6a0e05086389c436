"""POST /api/v1/receipts and below, in front of Flask."""

import logging
from collections.abc import Callable
from functools import partial
from typing import IO, Any, Final

from broadcast.compression import gunzip_bounded
from broadcast.errors import BroadcastError
from broadcast.foreign import accept_litellm
from broadcast.runtime import Services
from broadcast.store.keys import ApiKey
from web.api import door
from web.api.access import check_scope, key_of
from web.api.door import Environ, Found, Taker
from web.responses import ApiError, body_of, explain

_log: Final = logging.getLogger(__name__)

Store = Callable[[Services, ApiKey, bytes, str | None], tuple[int, dict[str, Any]]]


def _store_receipts(
    services: Services, key: ApiKey, body: bytes, content_type: str | None
) -> tuple[int, dict[str, Any]]:
    return services.ingest.accept_body(key.workspace_id, key, body, content_type)


def _store_litellm(
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


_STORES: Final[dict[str, Store]] = {
    "/api/v1/receipts": _store_receipts,
    "/api/v1/receipts/litellm": _store_litellm,
}
PATHS: Final = tuple(_STORES)


def takers(services: Services) -> dict[str, Taker]:
    """Return who answers at which address."""
    return {path: partial(_take, services, store) for path, store in _STORES.items()}


def _take(services: Services, store: Store, environ: Environ) -> Found:
    return door.told(*_answer(services, store, environ))


def _answer(services: Services, store: Store, environ: Environ) -> tuple[int, dict[str, Any], dict[str, str]]:
    try:
        key = key_of(services, environ.get("HTTP_AUTHORIZATION", ""))
        check_scope(key, "receipts:write")
        body = sent_body(
            environ["wsgi.input"],
            length=environ.get("CONTENT_LENGTH", ""),
            encoding=environ.get("HTTP_CONTENT_ENCODING", ""),
            limit=services.config.max_body_bytes,
        )
        status, found = store(services, key, body, environ.get("CONTENT_TYPE"))
    except (BroadcastError, ApiError) as error:
        return explain(error)
    except Exception:  # noqa: BLE001 - the door of the process: the sender hears 500, the log the cause
        _log.exception("action=receipts_failed")
        return 500, body_of(500, "Nothing was stored. Send it again.", "internal"), {}
    return status, found, {}


def sent_body(stream: IO[bytes], *, length: str, encoding: str, limit: int) -> bytes:
    """Return what was sent, decompressed; at most `limit` bytes are held of either form."""
    too_large = f"The body is larger than {limit} bytes: send fewer receipts at once."
    raw = door.read(stream, length, limit, too_large)
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return raw
    if encoding not in {"gzip", "x-gzip"}:
        raise ApiError(400, "Send the body plain or with Content-Encoding: gzip.", reason="unknown_encoding")
    try:
        return gunzip_bounded(raw, limit)
    except ValueError as error:
        if "too large" in str(error):
            raise ApiError(413, too_large, reason="too_large") from None
        raise ApiError(400, str(error), reason="not_gzip") from None
