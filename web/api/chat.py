"""The gateway: chat, messages, responses, embeddings and models, as the official SDKs ask for them."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from flask import Blueprint, Response, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from broadcast import generation
from broadcast.errors import Forbidden, Unavailable
from broadcast.gateway import PATHS, SHAPES, Answer, Api, Refusal
from broadcast.runtime import Services
from broadcast.store.keys import ApiKey
from web.api.access import bearer_of, number_of
from web.responses import explain_errors

_BODY_BYTES: Final = 32 * 2**20
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
_TOO_LARGE: Final = Refusal(
    status=413,
    reason="too_large",
    message=f"The body is larger than {_BODY_BYTES} bytes: send less at once.",
)
_LEFT: Final = Refusal(
    status=400,
    reason="cancelled",
    message="The client has disconnected before its request was complete.",
    ends="cancelled",
)


def blueprint(services: Services) -> Blueprint:
    """Return the routes of the gateway."""
    routes = Blueprint("chat", __name__)
    explain_errors(routes)
    for api, path in PATHS.items():
        routes.add_url_rule(
            f"/api/v1{path}", endpoint=api, view_func=partial(_ask, services, api), methods=["POST"]
        )

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
        _, refusal = _asking(services)
    except Unavailable as error:
        refusal = _unavailable(error)
    found = refusal or tell()
    return _refused("chat", found) if isinstance(found, Refusal) else found


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


def _ask(services: Services, api: Api) -> Response:
    """Answer one request; from here on a key that is known has a receipt, whatever comes."""
    try:
        key, refusal = _asking(services)
    except Unavailable as error:
        return _refused(api, _unavailable(error))
    if key is None:
        return _refused(api, refusal or _NO_KEY)
    body, unread = _body()
    refusal = refusal or unread
    headers, now_us = dict(request.headers), services.clock()
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


def _asking(services: Services) -> tuple[ApiKey | None, Refusal | None]:
    """Return the key that asks, and why it may not; without a key there is nobody to keep a receipt for."""
    token = (
        bearer_of(request.headers.get("Authorization", "")) or request.headers.get("x-api-key", "").strip()
    )
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


def _body() -> tuple[bytes, Refusal | None]:
    """Return what was sent, or nothing and why."""
    request.max_content_length = _BODY_BYTES
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        return b"", _TOO_LARGE
    except (ClientDisconnected, OSError):
        return b"", _LEFT
    # Some servers tell a client that left by a body that is shorter than announced.
    return body, _LEFT if len(body) < (request.content_length or 0) else None


def _with_receipt(services: Services, key: ApiKey, answer: Answer) -> Response:
    """Return the answer; its receipt is offered after the last byte, or when the client has gone."""

    def offer() -> None:
        try:
            receipt = answer.receipt()
        except Exception as error:  # noqa: BLE001 - the request has been answered and must not fail for its receipt
            services.ingest.lose(answer.id, error)
        else:
            services.ingest.offer(key.workspace_id, receipt, key)

    response = Response(answer.body, answer.status, answer.headers)
    if isinstance(answer.body, bytes):
        response.call_on_close(offer)
    else:
        # Also when the client stalls: then nobody closes.
        answer.body.then(offer)
    return response


def _unavailable(error: Unavailable) -> Refusal:
    return Refusal(status=503, reason="unavailable", message=str(error), retry_after=str(error.retry_after_s))


def _refused(api: Api, refusal: Refusal) -> Response:
    return Response(refusal.body(SHAPES[api]), refusal.status, refusal.headers)
