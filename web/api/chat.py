"""POST /api/v1/chat/completions and GET /api/v1/models, for the OpenAI and OpenRouter SDKs."""

import logging
from typing import Any, Final

from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from broadcast.errors import Forbidden, Unavailable
from broadcast.gateway import error_body
from broadcast.runtime import Services

_log: Final = logging.getLogger(__name__)
_BODY_BYTES: Final = 32 * 2**20


def blueprint(services: Services) -> Blueprint:
    """Return the routes of the gateway."""
    routes = Blueprint("chat", __name__)

    @routes.post("/api/v1/chat/completions")
    def chat_completions() -> Response:
        key = _allowed(services)
        return key if isinstance(key, Response) else _chat(services, key)

    @routes.get("/api/v1/models")
    def models() -> Response | dict[str, Any]:
        key = _allowed(services)
        return key if isinstance(key, Response) else services.gateway.models()

    return routes


def _allowed(services: Services) -> Any:
    """Return the key that asks, or the answer that refuses it."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    try:
        key = services.accounts.authenticate(bearer) if bearer else None
        if key is not None:
            services.accounts.require_sender(key)
    except Unavailable as error:
        return _unavailable(error)
    except Forbidden as error:
        return _error(403, str(error), reason="forbidden")
    if key is None:
        refused = _error(401, "Send a valid API key: Authorization: Bearer sk-...", reason="unauthorized")
        refused.headers["WWW-Authenticate"] = "Bearer"
        return refused
    if key.kind != "management" and "chat" not in key.scopes:
        return _error(403, "This key may not send chat requests.", reason="missing_scope")
    return key


def _chat(services: Services, key: Any) -> Response:
    request.max_content_length = _BODY_BYTES
    try:
        body = request.get_data(cache=False)
        answer = services.gateway.chat(
            body,
            workspace_id=key.workspace_id,
            key=key,
            headers=dict(request.headers),
            now_us=services.clock(),
        )
    except RequestEntityTooLarge:
        return _error(413, f"The body is larger than {_BODY_BYTES} bytes.", reason="too_large")
    except Unavailable as error:
        return _unavailable(error)

    def offer() -> None:
        """Keep the receipt; the client has its answer, so a failure is only logged."""
        try:
            receipt = answer.receipt()
            if receipt is not None:
                services.ingest.offer(key.workspace_id, receipt, key)
        except Exception:  # noqa: BLE001 - the request has been answered and must not fail for its receipt
            _log.exception("action=receipt_lost")

    response = Response(answer.body, answer.status, answer.headers)
    response.call_on_close(offer)
    return response


def _unavailable(error: Unavailable) -> Response:
    response = _error(503, str(error), reason="unavailable")
    response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _error(status: int, message: str, *, reason: str) -> Response:
    return Response(error_body(status, message, reason=reason), status, content_type="application/json")
