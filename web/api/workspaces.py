"""GET/POST /workspaces and GET/PATCH/DELETE /workspaces/{id}, in the shapes OpenRouter's SDK reads."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, Response

from broadcast.errors import Conflict, SettingsError
from broadcast.runtime import Services
from broadcast.store.keys import ApiKey
from broadcast.store.workspaces import Workspace
from broadcast.times import rfc3339, rfc3339_or_none
from web.api.access import managed, management_key
from web.api.queries import body_of, check_query, flag, part, require_neutral
from web.responses import answer, explain_errors

_PATH: Final = "/api/v1/workspaces"
_SWITCH: Final = "is_observability_broadcast_enabled"
_LACKING: Final[Mapping[str, Any]] = {
    "default_image_model": None,
    "default_provider_sort": None,
    "default_text_model": None,
    "disabled_server_tools": None,
    "io_logging_api_key_ids": None,
    "io_logging_sampling_rate": 1.0,
    "is_data_discount_logging_enabled": False,
    "is_observability_io_logging_enabled": False,
}
_NEUTRAL: Final = {
    **{name: (None, value) for name, value in _LACKING.items()},
    "disabled_server_tools": (None, []),
}
_GUARDRAILS: Final = uuid.UUID("ab62424c-ef13-5a1a-8c8d-89cf5d95c30e")


def blueprint(services: Services) -> Blueprint:
    """Return the routes of workspaces."""
    routes = Blueprint("workspaces_api", __name__)
    explain_errors(routes)
    _collection(routes, services)
    _one(routes, services)
    return routes


def _collection(routes: Blueprint, services: Services) -> None:
    accounts = services.accounts

    @routes.get(_PATH)
    def list_workspaces() -> Response:
        key, _ = managed(services)
        check_query("offset", "limit")
        asked, found = part(50), accounts.managed_by(key.user_id)
        return answer({"data": [_view(workspace) for workspace in found[asked]], "total_count": len(found)})

    @routes.post(_PATH)
    def create_workspace() -> Response:
        key, _ = managed(services)
        check_query()
        body, switch = _given("name", "slug", "description")
        made = accounts.create_workspace(
            name=body.get("name") or "",
            slug=body.get("slug"),
            description=body.get("description"),
            owner=accounts.user_of(key),
            now_us=services.clock(),
        )
        return answer({"data": _view(_switched(services, key, made, switch))}, 201)


def _one(routes: Blueprint, services: Services) -> None:
    accounts = services.accounts

    @routes.get(f"{_PATH}/<ref>")
    def get_workspace(ref: str) -> Response:
        check_query()
        return answer({"data": _view(accounts.workspace_of(management_key(services), ref))})

    @routes.patch(f"{_PATH}/<ref>")
    def change_workspace(ref: str) -> Response:
        key = management_key(services)
        workspace = accounts.workspace_of(key, ref)
        check_query()
        body, switch = _given("name", "slug", "description")
        changed = accounts.change_workspace(workspace, key.user_id, body, now_us=services.clock())
        return answer({"data": _view(_switched(services, key, changed, switch))})

    @routes.delete(f"{_PATH}/<ref>")
    def delete_workspace(ref: str) -> Response:
        key = management_key(services)
        workspace = accounts.workspace_of(key, ref)
        check_query("confirm_default_workspace_deletion")
        if workspace.id == key.workspace_id and not flag("confirm_default_workspace_deletion"):
            raise Conflict(
                "This key was made in this workspace and ends with it. To delete it all the same, send "
                "confirm_default_workspace_deletion=true.",
                field="confirm_default_workspace_deletion",
                reason="confirmation_required",
            )
        accounts.delete_workspace(workspace, key.user_id, now_us=services.clock())
        return answer({"deleted": True})


def _given(*names: str) -> tuple[dict[str, Any], bool | None]:
    """Return what the body says of a workspace, and of its switch; names are its texts."""
    body = require_neutral(body_of(*names, _SWITCH, *_NEUTRAL), _NEUTRAL)
    switch = body.pop(_SWITCH, None)
    problems = {
        name: "Enter a text." for name, value in body.items() if not (value is None or isinstance(value, str))
    }
    if not (switch is None or isinstance(switch, bool)):
        problems[_SWITCH] = "Enter true or false."
    if problems:
        raise SettingsError(problems)
    return body, switch


def _switched(services: Services, key: ApiKey, workspace: Workspace, switch: bool | None) -> Workspace:
    """Turn Broadcast on or off where that was asked for; the same switch as /broadcast."""
    if switch is None or switch == workspace.broadcast_enabled:
        return workspace
    services.connections.set_broadcast(workspace, key.user_id, switch, now_us=services.clock())
    return services.accounts.workspace_of(key, workspace.uid)


def _view(workspace: Workspace) -> dict[str, Any]:
    return {
        **_LACKING,
        "id": workspace.uid,
        "name": workspace.name,
        "slug": workspace.slug,
        "description": workspace.description,
        "created_at": rfc3339(workspace.created_at_us),
        "created_by": workspace.created_by,
        "updated_at": rfc3339_or_none(workspace.updated_at_us),
        "default_guardrail_id": str(uuid.uuid5(_GUARDRAILS, workspace.uid)),
        "include_byok_in_budgets": False,
        _SWITCH: workspace.broadcast_enabled,
    }
