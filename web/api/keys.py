"""GET /key, and GET/POST /keys, GET/DELETE /keys/{hash}, in the shapes OpenRouter's SDK reads."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from flask import Blueprint, Response

from broadcast.runtime import Services
from broadcast.store.keys import ApiKey
from broadcast.store.workspaces import Workspace
from broadcast.times import rfc3339, rfc3339_or_none
from web.api.access import asking, body_object, managed, number_of
from web.responses import ApiError, answer, explain_errors

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NO_USAGE: Final = {
    f"{name}{period}": 0.0
    for name in ("usage", "byok_usage")
    for period in ("", "_daily", "_weekly", "_monthly")
}
_NO_LIMIT: Final = {
    "limit": None,
    "limit_remaining": None,
    "limit_reset": None,
    "include_byok_in_limit": False,
}


def blueprint(services: Services) -> Blueprint:
    """Return the routes of keys."""
    routes = Blueprint("keys_api", __name__)
    explain_errors(routes)
    _read(routes, services)
    _change(routes, services)
    return routes


def _read(routes: Blueprint, services: Services) -> None:
    accounts = services.accounts

    @routes.get("/api/v1/key")
    def get_own_key() -> Response:
        key = asking(services)
        return answer({"data": _own(key, accounts.workspace_of(key), accounts.uid_of(key.user_id))})

    @routes.get("/api/v1/keys")
    def list_keys() -> Response:
        _, workspace = managed(services)
        offset = number_of("offset", 0, low=0, high=10**6)
        found = [key for key in accounts.keys_of(workspace.id) if key.kind == "api"]
        shown = found[offset : offset + 100]
        return answer({"data": [_listed(services, key, workspace) for key in shown]})

    @routes.get("/api/v1/keys/<key_hash>")
    def get_key(key_hash: str) -> Response:
        _, workspace = managed(services)
        return answer({"data": _listed(services, accounts.key_of(workspace.id, key_hash), workspace)})


def _change(routes: Blueprint, services: Services) -> None:
    accounts = services.accounts

    @routes.post("/api/v1/keys")
    def create_key() -> Response:
        key, workspace = managed(services)
        body = body_object()
        name = body.get("name")
        if not isinstance(name, str):
            raise ApiError(422, "Give the key a name.", reason="invalid", field="name")
        plain, made = accounts.make_key(
            workspace_id=workspace.id,
            user_id=key.user_id,
            kind="api",
            name=name,
            scopes=_scopes(body.get("scopes")),
            expires_at_us=_instant(body.get("expires_at")),
            now_us=services.clock(),
        )
        return answer({"data": _listed(services, made, workspace), "key": plain}, 201)

    @routes.delete("/api/v1/keys/<key_hash>")
    def revoke_key(key_hash: str) -> Response:
        key, workspace = managed(services)
        accounts.revoke_key(
            workspace_id=workspace.id, user_id=key.user_id, key_hash=key_hash, now_us=services.clock()
        )
        return answer({"deleted": True})


def _own(key: ApiKey, workspace: Workspace, maker: str | None) -> dict[str, Any]:
    manages = key.kind == "management"
    return {
        **_NO_USAGE,
        **_NO_LIMIT,
        "label": key.label,
        "name": key.name,
        "hash": key.hash,
        "scopes": list(key.scopes),
        "allowed_data_regions": ["global"],
        "budgets": [],
        "effective_budget": None,
        "creator_user_id": maker,
        "free_model_daily_requests": {"limit": 0, "remaining": 0, "used": 0},
        "is_free_tier": False,
        "is_management_key": manages,
        "is_provisioning_key": manages,
        "organization_id": None,
        "rate_limit": {"requests": -1, "interval": "10s", "note": "There is no limit."},
        "workspace_id": workspace.uid,
        "expires_at": rfc3339_or_none(key.expires_at_us),
    }


def _listed(services: Services, key: ApiKey, workspace: Workspace) -> dict[str, Any]:
    return {
        **_NO_USAGE,
        **_NO_LIMIT,
        "hash": key.hash,
        "name": key.name,
        "label": key.label,
        "scopes": list(key.scopes),
        "disabled": key.revoked_at_us is not None,
        "external_user": None,
        "creator_user_id": services.accounts.uid_of(key.user_id),
        "created_at": rfc3339(key.created_at_us),
        "updated_at": None,
        "last_used_at": rfc3339_or_none(key.last_used_at_us),
        "expires_at": rfc3339_or_none(key.expires_at_us),
        "workspace_id": workspace.uid,
    }


def _scopes(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise ApiError(422, "scopes is a list of words.", reason="invalid", field="scopes")
    return tuple(given)


def _instant(given: Any) -> int | None:
    """Return microseconds of an RFC 3339 text with a zone; null is never."""
    if given is None:
        return None
    try:
        at = datetime.fromisoformat(given)
        return (at - _EPOCH) // timedelta(microseconds=1)
    except (TypeError, ValueError):
        raise ApiError(
            422, "expires_at is an RFC 3339 time with a zone.", reason="invalid", field="expires_at"
        ) from None
