"""The gateway: chat, messages, responses, embeddings and models, as the official SDKs ask for them."""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from flask import Blueprint, Response, request

from broadcast import generation
from broadcast.errors import Forbidden, Unavailable
from broadcast.gateway import PATHS, SHAPES, Answer, Api, Refusal
from broadcast.runtime import Services
from broadcast.store.keys import ApiKey
from web.api import door
from web.api.access import bearer_of, number_of
from web.api.door import Environ, Found, Taker
from web.responses import ApiError, explain_errors

_log: Final = logging.getLogger(__name__)
_BODY_BYTES: Final = 32 * 2**20
_PREFIX: Final = "/api/v1"
_MODELS: Final = 500
_NO_KEY: Final = Refusal(
    status=401,
    reason="unauthorized",
    message="Send a valid API key: Authorization: Bearer sk-..., or x-api-key: sk-...",
)
_RESTING: Final = Refusal(
    status=401,
    reason="key_not_active",
    message="This key has expired or is switched off: Settings, under Keys, says which.",
    ends="denied",
)
_NO_SCOPE: Final = Refusal(
    status=403, reason="missing_scope", message="This key may not send requests to models.", ends="denied"
)
_TOO_LARGE: Final = f"The body is larger than {_BODY_BYTES} bytes: send less at once."
_FAULT: Final = Refusal(status=500, reason="internal", message="The router failed. Try again.")
_LEFT: Final = Refusal(
    status=400,
    reason="cancelled",
    message="The client has disconnected before its request was complete.",
    ends="cancelled",
)


ADDRESSES: Final[dict[str, Api]] = {f"{_PREFIX}{path}": api for api, path in PATHS.items()}
"""Where requests to models are posted."""


def takers(services: Services) -> dict[str, Taker]:
    """Return who answers at which address."""
    return {address: partial(_counted, services, api) for address, api in ADDRESSES.items()}


def blueprint(services: Services) -> Blueprint:
    """Return the routes that tell of models."""
    routes = Blueprint("chat", __name__)
    explain_errors(routes)

    @routes.get("/api/v1/models")
    def models() -> Response | dict[str, Any]:
        return _told(services, lambda: _models(services))

    @routes.get("/api/v1/model/<path:model>")
    def model(model: str) -> Response | dict[str, Any]:
        return _told(services, lambda: _model(services, model))

    return routes


def _told(services: Services, tell: Callable[[], dict[str, Any] | Refusal]) -> Response | dict[str, Any]:
    """Return what is told to whoever may ask models, or why it is not."""
    try:
        given = request.headers
        _, refusal = _asking(services, given.get("Authorization", ""), given.get("x-api-key", ""))
    except Unavailable as error:
        refusal = _unavailable(error)
    found = refusal or tell()
    if isinstance(found, Refusal):
        return Response(found.body(SHAPES["chat"]), found.status, found.headers)
    return found


def _model(services: Services, name: str) -> dict[str, Any] | Refusal:
    found = services.gateway.model(name)
    return found if isinstance(found, Refusal) else {"data": found}


def _models(services: Services) -> dict[str, Any]:
    """Return every model, or one page where the query asks for pages, as OpenRouter has it."""
    found = services.gateway.models()
    if not {"offset", "limit"} & request.args.keys():
        return found
    offset = number_of("offset", 0, low=0, high=10**6)
    end = offset + number_of("limit", _MODELS, low=1, high=1000)
    more = f"/api/v1/models?offset={end}&limit={end - offset}" if end < found["total_count"] else None
    return {**found, "data": found["data"][offset:end], "links": {"next": more}}


# -- requests to models ------------------------------------------------------------------------------------


def _counted(services: Services, api: Api, environ: Environ) -> Found:
    try:
        found = _ask(services, api, environ)
    except Unavailable as error:
        found = _refused(api, _unavailable(error))
    except Exception:  # noqa: BLE001 - the door of the process: the client hears 500, the log the cause
        _log.exception("action=request_failed")
        found = _refused(api, _FAULT)
    services.meters.gateway(found.status)
    return found


def _ask(services: Services, api: Api, environ: Environ) -> Found:
    """Answer one request; from here on a key that is known has a receipt, whatever comes."""
    key, refusal = _asking(services, environ.get("HTTP_AUTHORIZATION", ""), environ.get("HTTP_X_API_KEY", ""))
    if key is None:
        return _refused(api, refusal or _NO_KEY)
    body, unread = _body(environ)
    refusal = refusal or unread
    headers, now_us = _headers(environ), services.clock()
    if refusal is None:
        answer = services.gateway.serve(
            api,
            body,
            workspace_id=key.workspace_id,
            key=key,
            headers=headers,
            now_us=now_us,
            upstream_id=partial(generation.upstream_id, services.store, key.workspace_id),
        )
    else:
        answer = services.gateway.refuse(api, body, refusal, key=key, headers=headers, now_us=now_us)
    return _with_receipt(services, key, answer)


def _asking(services: Services, authorization: str, api_key: str) -> tuple[ApiKey | None, Refusal | None]:
    """Return the key that asks, and why it may not; without a key there is nobody to keep a receipt for."""
    token = bearer_of(authorization) or api_key.strip()
    key = services.accounts.authenticate(token) if token else None
    if key is None:
        resting = services.accounts.resting(token) if token else None
        return resting, _NO_KEY if resting is None else _RESTING
    try:
        services.accounts.require_sender(key)
    except Forbidden as error:
        # It ended with its maker's role: what it says is no longer the workspace's.
        return None, Refusal(status=403, reason="forbidden", message=str(error))
    return key, None if key.kind == "management" or "chat" in key.scopes else _NO_SCOPE


def _body(environ: Environ) -> tuple[bytes, Refusal | None]:
    """Return what was sent, or nothing and why."""
    announced = environ.get("CONTENT_LENGTH", "")
    try:
        body = door.read(environ["wsgi.input"], announced, _BODY_BYTES, _TOO_LARGE)
    except ApiError as error:
        return b"", Refusal(status=error.status, reason=error.reason, message=error.message)
    except OSError:
        return b"", _LEFT
    # Some servers tell a client that left by a body that is shorter than announced.
    return body, _LEFT if announced.isdigit() and len(body) < int(announced) else None


def _headers(environ: Environ) -> dict[str, str]:
    """Return the headers of a request, by names in small letters."""
    return {name[5:].replace("_", "-").lower(): environ[name] for name in environ if name.startswith("HTTP_")}


class _Sent:
    """A whole answer; its receipt is offered once it is sent, or when the client has gone."""

    def __init__(self, body: bytes, then: Callable[[], None]) -> None:
        self._body = body
        self._then = then

    def __iter__(self) -> Iterator[bytes]:
        return iter((self._body,))

    def close(self) -> None:
        """Take the receipt, as the server says that it is done."""
        self._then()


def _with_receipt(services: Services, key: ApiKey, answer: Answer) -> Found:
    """Return the answer; its receipt is offered after the last byte, or when the client has gone."""

    def offer() -> None:
        try:
            receipt = answer.receipt()
        except Exception as error:  # noqa: BLE001 - the request has been answered and must not fail for its receipt
            services.ingest.lose(answer.id, error)
        else:
            services.ingest.offer(key.workspace_id, receipt, key)

    if isinstance(answer.body, bytes):
        sized = {**answer.headers, "Content-Length": str(len(answer.body))}
        return Found(status=answer.status, body=_Sent(answer.body, offer), headers=sized)
    # Also when the client stalls: then nobody closes.
    answer.body.then(offer)
    return Found(status=answer.status, body=answer.body, headers=answer.headers)


def _unavailable(error: Unavailable) -> Refusal:
    return Refusal(status=503, reason="unavailable", message=str(error), retry_after=str(error.retry_after_s))


def _refused(api: Api, refusal: Refusal) -> Found:
    body = refusal.body(SHAPES[api])
    return Found(
        status=refusal.status, body=[body], headers={**refusal.headers, "Content-Length": str(len(body))}
    )
