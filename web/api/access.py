"""Who calls the API: bearer keys alone, never cookies; what a key may do, and in which workspace."""

from typing import Any, Final, cast

import msgspec
from flask import g, request
from werkzeug.exceptions import RequestEntityTooLarge

from broadcast.runtime import Services
from broadcast.store.keys import ApiKey
from broadcast.store.workspaces import Workspace
from web.responses import ApiError

_MAX_BODY_BYTES: Final = 1024 * 1024


def bearer_of(header: str) -> str:
    """Return the token of an Authorization header, empty when there is none."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def key_of(services: Services, authorization: str) -> ApiKey:
    """Return a key that may send to its own workspace; 401 for no live one, 403 past its maker's role."""
    key = _live(services, authorization)
    services.accounts.require_sender(key)
    return key


def asking(services: Services) -> ApiKey:
    """Return the key of this request; where it may act is for the route to ask."""
    return _live(services, request.headers.get("Authorization", ""))


def _live(services: Services, authorization: str) -> ApiKey:
    """Return the key; 401 for none, an unknown, an expired or a revoked one."""
    key = services.accounts.authenticate(bearer_of(authorization))
    if key is None:
        raise ApiError(401, "Send a valid key as Authorization: Bearer <key>.", reason="unauthorized")
    return key


def check_scope(key: ApiKey, scope: str) -> None:
    """Raise 403 when a key lacks a scope; a management key has every one."""
    if key.kind != "management" and scope not in key.scopes:
        raise ApiError(403, f"This key does not have the scope {scope}.", reason="missing_scope")


def scoped(services: Services, scope: str) -> tuple[ApiKey, Workspace]:
    """Return the key and the workspace it acts in, for a route that needs a scope."""
    key = asking(services)
    check_scope(key, scope)
    return key, services.accounts.workspace_of(key, request.args.get("workspace_id"))


def management_key(services: Services) -> ApiKey:
    """Return the key of this request; 403 for any but a management key."""
    key = asking(services)
    if key.kind != "management":
        raise ApiError(
            403, "Only management keys can perform this operation.", reason="management_key_required"
        )
    return key


def managed(services: Services) -> tuple[ApiKey, Workspace]:
    """Return the management key and its workspace: `workspace_id` of the query, or of the body."""
    key = management_key(services)
    wanted = request.args.get("workspace_id")
    if wanted is None and request.method in {"POST", "PATCH"}:
        wanted = body_object().get("workspace_id")
    if wanted is not None and not isinstance(wanted, str):
        raise ApiError(422, "workspace_id is a UUID.", reason="invalid", field="workspace_id")
    return key, services.accounts.workspace_of(key, wanted)


def body_object() -> dict[str, Any]:
    """Return the JSON object that was sent, read once; an empty body is an empty object."""
    if "body" not in g:
        g.body = _read_object()
    return cast("dict[str, Any]", g.body)


def _read_object() -> dict[str, Any]:
    request.max_content_length = _MAX_BODY_BYTES
    try:
        raw = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise ApiError(413, f"The body is larger than {_MAX_BODY_BYTES} bytes.", reason="too_large") from None
    if not raw.strip():
        return {}
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ApiError(400, "The body is not JSON.", reason="not_json") from None
    if not isinstance(found, dict):
        raise ApiError(422, "Send a JSON object.", reason="invalid")
    return found


def number_of(name: str, default: int, *, low: int, high: int) -> int:
    """Return a whole number of the query; 422 when it is none or out of range."""
    text = request.args.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        raise ApiError(422, f"{name} is a whole number from {low} to {high}.", reason="invalid", field=name)
    return int(text)
