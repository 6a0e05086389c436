"""GET /key, and GET/POST /keys, GET/PATCH/DELETE /keys/{hash}, in the shapes OpenRouter's SDK reads."""

from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, Response

from broadcast import usage
from broadcast.errors import SettingsError
from broadcast.runtime import Services
from broadcast.store.keys import ApiKey
from broadcast.store.workspaces import Workspace
from broadcast.times import rfc3339, rfc3339_or_none
from broadcast.wanted import instant_us
from web.api.access import asking, managed
from web.api.queries import body_of, check_query, flag, part, require_neutral
from web.responses import answer, explain_errors

_PATH: Final = "/api/v1/keys"
_NO_BYOK: Final = {f"byok_usage{period}": 0.0 for period in ("", "_daily", "_weekly", "_monthly")}
"""Whoever paid the provider, a request's cost stands in `usage`: what was spent is counted once."""

_NO_LIMIT: Final = {
    "limit": None,
    "limit_remaining": None,
    "limit_reset": None,
    "include_byok_in_limit": False,
}
_NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "limit": (None,),
    "limit_reset": (None,),
    "include_byok_in_limit": (None, False),
}


def blueprint(services: Services) -> Blueprint:
    """Return the routes of keys."""
    routes = Blueprint("keys_api", __name__)
    explain_errors(routes)
    _read(routes, services)
    _make(routes, services)
    _change(routes, services)
    return routes


def _read(routes: Blueprint, services: Services) -> None:
    accounts = services.accounts

    @routes.get("/api/v1/key")
    def get_own_key() -> Response:
        key = asking(services)
        workspace, maker = accounts.workspace_of(key), accounts.uid_of(key.user_id)
        spent = usage.of_keys(services.store, workspace, (key.hash,), services.clock())
        return answer({"data": spent[key.hash] | _own(key, workspace, maker)})

    @routes.get(_PATH)
    def list_keys() -> Response:
        _, workspace = managed(services)
        check_query("offset", "limit", "include_disabled", "include_expired")
        asked, disabled, expired = part(100), flag("include_disabled"), flag("include_expired")
        now_us = services.clock()
        found = [
            key
            for key in accounts.keys_of(workspace.id)
            if key.kind == "api" and (disabled or not key.disabled) and (expired or not key.expired(now_us))
        ]
        shown = _views(services, found[asked], workspace)
        return answer({"data": shown, "total_count": len(found)})

    @routes.get(f"{_PATH}/<key_hash>")
    def get_key(key_hash: str) -> Response:
        _, workspace = managed(services)
        check_query()
        return _shown(services, accounts.key_of(workspace.id, key_hash), workspace)


def _make(routes: Blueprint, services: Services) -> None:
    accounts = services.accounts

    @routes.post(_PATH)
    def create_key() -> Response:
        key, workspace = managed(services)
        check_query()
        # Nobody makes a key for somebody else: it acts for whoever made it.
        maker = {"creator_user_id": (None, accounts.uid_of(key.user_id)), "external": (None,)}
        body = require_neutral(
            body_of("name", "expires_at", "scopes", *_NEUTRAL, *maker), {**_NEUTRAL, **maker}
        )
        plain, made = accounts.make_key(
            workspace_id=workspace.id,
            user_id=key.user_id,
            kind="api",
            name=_name(body.get("name")),
            scopes=_scopes(body.get("scopes")),
            expires_at_us=_instant(body.get("expires_at")),
            now_us=services.clock(),
        )
        [view] = _views(services, [made], workspace)
        return answer({"data": view, "key": plain}, 201)


def _change(routes: Blueprint, services: Services) -> None:
    accounts = services.accounts

    @routes.patch(f"{_PATH}/<key_hash>")
    def change_key(key_hash: str) -> Response:
        key, workspace = managed(services)
        check_query()
        body = require_neutral(body_of("name", "disabled", "expires_at", *_NEUTRAL), _NEUTRAL)
        changed = accounts.change_key(
            workspace_id=workspace.id,
            user_id=key.user_id,
            key_hash=key_hash,
            changes=_changes(body),
            now_us=services.clock(),
        )
        return _shown(services, changed, workspace)

    @routes.delete(f"{_PATH}/<key_hash>")
    def revoke_key(key_hash: str) -> Response:
        key, workspace = managed(services)
        check_query()
        accounts.revoke_key(
            workspace_id=workspace.id, user_id=key.user_id, key_hash=key_hash, now_us=services.clock()
        )
        return answer({"deleted": True})


# -- what is shown ---------------------------------------------------------------------------------


def _own(key: ApiKey, workspace: Workspace, maker: str | None) -> dict[str, Any]:
    manages = key.kind == "management"
    return {
        **_NO_BYOK,
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


def _shown(services: Services, key: ApiKey, workspace: Workspace) -> Response:
    [view] = _views(services, [key], workspace)
    return answer({"data": view})


def _views(services: Services, found: list[ApiKey], workspace: Workspace) -> list[dict[str, Any]]:
    makers = services.accounts.makers_of(found)
    spent = usage.of_keys(services.store, workspace, {key.hash for key in found}, services.clock())
    return [
        {
            **spent[key.hash],
            **_NO_BYOK,
            **_NO_LIMIT,
            "hash": key.hash,
            "name": key.name,
            "label": key.label,
            "scopes": list(key.scopes),
            "disabled": key.disabled,
            "external_user": None,
            "creator_user_id": makers.get(key.user_id),
            "created_at": rfc3339(key.created_at_us),
            "updated_at": rfc3339_or_none(key.updated_at_us),
            "last_used_at": rfc3339_or_none(key.last_used_at_us),
            "expires_at": rfc3339_or_none(key.expires_at_us),
            "workspace_id": workspace.uid,
        }
        for key in found
    ]


# -- what is given ---------------------------------------------------------------------------------


def _changes(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a body changes, by the names of columns."""
    found: dict[str, Any] = {}
    if "name" in body:
        found["name"] = _name(body["name"])
    if "disabled" in body:
        if not isinstance(body["disabled"], bool):
            raise SettingsError({"disabled": "Enter true or false."})
        found["disabled"] = body["disabled"]
    if "expires_at" in body:
        found["expires_at_us"] = _instant(body["expires_at"])
    return found


def _name(given: Any) -> str:
    if not isinstance(given, str):
        raise SettingsError({"name": "Give the key a name."})
    return given


def _scopes(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise SettingsError({"scopes": "Enter a list of words."})
    return tuple(given)


def _instant(given: Any) -> int | None:
    """Return microseconds of an RFC 3339 text with a zone; null is never."""
    found = None if given is None else instant_us(given)
    if given is not None and found is None:
        raise SettingsError({"expires_at": "Enter a time with its zone, such as 2026-11-20T02:00:00Z."})
    return found
