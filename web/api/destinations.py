"""/observability/destinations, /observability/destination-types and /broadcast, for management keys."""

from typing import Any, Final

from flask import Blueprint, Response, request

from broadcast.errors import SecretRequired
from broadcast.report import fields_report
from broadcast.runtime import Services
from broadcast.store.workspaces import Workspace
from web.api.access import body_object, managed, number_of
from web.api.destination_types import describe
from web.responses import ApiError, answer, explain_errors

_BASE: Final = "/api/v1/observability/destinations"


def blueprint(services: Services) -> Blueprint:
    """Return the routes of destinations."""
    routes = Blueprint("destinations_api", __name__)
    explain_errors(routes)
    _collection(routes, services)
    _one(routes, services)
    _actions(routes, services)
    _history(routes, services)
    _switch(routes, services)
    return routes


def _collection(routes: Blueprint, services: Services) -> None:
    connections = services.connections

    @routes.get(_BASE)
    def list_destinations() -> Response:
        _, workspace = managed(services)
        offset, limit = number_of("offset", 0, low=0, high=10**6), number_of("limit", 50, low=1, high=100)
        found = [connections.view(item.stored, workspace) for item in connections.overview(workspace)]
        return answer({"data": found[offset : offset + limit], "total_count": len(found)})

    @routes.post(_BASE)
    def create_destination() -> Response:
        key, workspace = managed(services)
        stored = connections.create(workspace, key.user_id, _draft(), now_us=services.clock())
        return answer({"data": connections.view(stored, workspace)}, 201)

    @routes.post(f"{_BASE}/test")
    def test_draft() -> Response:
        _, workspace = managed(services)
        return _tested(services, workspace, None)

    @routes.get("/api/v1/observability/destination-types")
    def list_types() -> Response:
        managed(services)
        return answer({"data": [describe(slug, kind) for slug, kind in sorted(services.types.items())]})


def _one(routes: Blueprint, services: Services) -> None:
    connections = services.connections

    @routes.get(f"{_BASE}/<uid>")
    def get_destination(uid: str) -> Response:
        _, workspace = managed(services)
        return answer({"data": connections.view(connections.get(workspace, uid), workspace)})

    @routes.patch(f"{_BASE}/<uid>")
    def change_destination(uid: str) -> Response:
        key, workspace = managed(services)
        stored = connections.update(workspace, key.user_id, uid, _draft(), now_us=services.clock())
        return answer({"data": connections.view(stored, workspace)})

    @routes.delete(f"{_BASE}/<uid>")
    def delete_destination(uid: str) -> Response:
        key, workspace = managed(services)
        connections.delete(workspace, key.user_id, uid, now_us=services.clock())
        return answer({"deleted": True})


def _actions(routes: Blueprint, services: Services) -> None:
    connections = services.connections

    @routes.post(f"{_BASE}/<uid>/test")
    def test_saved(uid: str) -> Response:
        _, workspace = managed(services)
        connections.get(workspace, uid)
        return _tested(services, workspace, uid)

    @routes.post(f"{_BASE}/<uid>/pause")
    def pause(uid: str) -> Response:
        key, workspace = managed(services)
        stored = connections.pause(workspace, key.user_id, uid, now_us=services.clock())
        return answer({"data": connections.view(stored, workspace)})

    @routes.post(f"{_BASE}/<uid>/resume")
    def resume(uid: str) -> Response:
        key, workspace = managed(services)
        stored = connections.resume(workspace, key.user_id, uid, now_us=services.clock())
        return answer({"data": connections.view(stored, workspace)})

    @routes.post(f"{_BASE}/<uid>/send-trace")
    def send_trace(uid: str) -> Response:
        key, workspace = managed(services)
        return answer(connections.send_trace(workspace, key.user_id, uid, now_us=services.clock()).view())


def _history(routes: Blueprint, services: Services) -> None:
    connections = services.connections

    @routes.get(f"{_BASE}/<uid>/attempts")
    def attempts(uid: str) -> Response:
        _, workspace = managed(services)
        limit = number_of("limit", 50, low=1, high=100)
        return answer(connections.attempts(workspace, uid, limit=limit, cursor=request.args.get("cursor")))

    @routes.get(f"{_BASE}/<uid>/ledger")
    def ledger(uid: str) -> Response:
        _, workspace = managed(services)
        return answer(connections.ledger(workspace, uid))


def _switch(routes: Blueprint, services: Services) -> None:
    @routes.get("/api/v1/broadcast")
    def read_switch() -> Response:
        _, workspace = managed(services)
        return answer({"data": {"enabled": workspace.broadcast_enabled}})

    @routes.patch("/api/v1/broadcast")
    def turn_switch() -> Response:
        key, workspace = managed(services)
        enabled = _draft().get("enabled")
        if not isinstance(enabled, bool):
            raise ApiError(422, "enabled is true or false.", reason="invalid", field="enabled")
        services.connections.set_broadcast(workspace, key.user_id, enabled, now_us=services.clock())
        return answer({"data": {"enabled": enabled}})


def _tested(services: Services, workspace: Workspace, uid: str | None) -> Response:
    """Return the report of one test; an address that asks for its secret again is a failed test too."""
    now_us = services.clock()
    with services.accounts.testing(workspace.id, now_us):
        try:
            report = services.connections.test(workspace, _draft(), uid=uid, now_us=now_us)
        except SecretRequired as error:
            report = fields_report(dict.fromkeys(error.fields, "The address changed: enter this again."))
    return answer(report.view())


def _draft() -> dict[str, Any]:
    """Return the body without `workspace_id`, which has chosen the workspace already."""
    return {name: value for name, value in body_object().items() if name != "workspace_id"}
