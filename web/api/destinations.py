"""/observability/destinations, /observability/destination-types and /broadcast, for management keys."""

from collections.abc import Callable
from typing import Final

from flask import Blueprint, Response, request

from broadcast import generation
from broadcast.errors import NotFound, SecretRequired, SettingsError
from broadcast.report import fields_report
from broadcast.runtime import Services
from broadcast.status import statuses
from broadcast.store.destinations import StoredDestination
from broadcast.store.workspaces import Workspace
from web.api.access import managed, number_of
from web.api.destination_types import describe
from web.api.queries import body_of, check_query, cursor, draft, instant, part
from web.api.replays import backfilled
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
        check_query("offset", "limit")
        asked, found = part(50), connections.listed(workspace)
        return answer({"data": found[asked], "total_count": len(found)})

    @routes.post(_BASE)
    def create_destination() -> Response:
        key, workspace = managed(services)
        check_query()
        body = draft()
        from_us = None
        if body.get("backfill_from") is not None:
            from_us = services.replays.backfill_from(workspace, body)
        body.pop("backfill_from", None)
        stored = connections.create(workspace, key.user_id, body, now_us=services.clock())
        made = {"data": connections.shown(workspace, stored)}
        if from_us is not None:
            made["backfill"] = backfilled(services, key, workspace, stored.uid, from_us)
        return answer(made, 201)

    @routes.post(f"{_BASE}/test")
    def testdraft() -> Response:
        _, workspace = managed(services)
        check_query()
        return _tested(services, workspace, None)

    @routes.post("/api/v1/observability/apply")
    def apply_settings() -> Response:
        key, workspace = managed(services)
        check_query()
        applied = services.whole_settings.apply(
            workspace,
            key.user_id,
            draft(),
            clock=services.clock,
            place=services.accounts.testing_whole(workspace.id, services.clock()),
        )
        return answer({"data": applied})

    @routes.get("/api/v1/observability/status")
    def read_status() -> Response:
        _, workspace = managed(services)
        check_query()
        return answer({"data": [item.view() for item in statuses(services, (workspace,))]})

    @routes.get("/api/v1/observability/destination-types")
    def list_types() -> Response:
        managed(services)
        check_query()
        return answer({"data": [describe(slug, kind) for slug, kind in sorted(services.types.items())]})


def _one(routes: Blueprint, services: Services) -> None:
    connections = services.connections

    @routes.get(f"{_BASE}/<uid>")
    def get_destination(uid: str) -> Response:
        _, workspace = managed(services)
        check_query()
        return answer({"data": connections.shown(workspace, connections.get(workspace, uid))})

    @routes.patch(f"{_BASE}/<uid>")
    def change_destination(uid: str) -> Response:
        key, workspace = managed(services)
        check_query()
        stored = connections.update(workspace, key.user_id, uid, draft(), now_us=services.clock())
        return answer({"data": connections.shown(workspace, stored)})

    @routes.delete(f"{_BASE}/<uid>")
    def delete_destination(uid: str) -> Response:
        key, workspace = managed(services)
        check_query()
        connections.delete(workspace, key.user_id, uid, now_us=services.clock())
        return answer({"deleted": True})


def _actions(routes: Blueprint, services: Services) -> None:
    connections = services.connections

    @routes.post(f"{_BASE}/<uid>/test")
    def test_saved(uid: str) -> Response:
        _, workspace = managed(services)
        check_query()
        connections.get(workspace, uid)
        return _tested(services, workspace, uid)

    @routes.post(f"{_BASE}/<uid>/pause")
    def pause(uid: str) -> Response:
        return _turned(services, uid, connections.pause)

    @routes.post(f"{_BASE}/<uid>/resume")
    def resume(uid: str) -> Response:
        return _turned(services, uid, connections.resume)

    @routes.post(f"{_BASE}/<uid>/send-trace")
    def send_trace(uid: str) -> Response:
        key, workspace = managed(services)
        check_query()
        body_of()
        return answer(connections.send_trace(workspace, key.user_id, uid, now_us=services.clock()).view())


def _history(routes: Blueprint, services: Services) -> None:
    connections = services.connections

    @routes.get(f"{_BASE}/<uid>/attempts")
    def attempts(uid: str) -> Response:
        _, workspace = managed(services)
        check_query("limit", "cursor", "verdict", "from", "to", "receipt_id")
        found = connections.attempts(
            workspace,
            uid,
            limit=number_of("limit", 50, low=1, high=100),
            cursor=cursor(),
            verdict=request.args.get("verdict"),
            from_us=instant("from"),
            to_us=instant("to"),
            seq=_seq_of(services, workspace, request.args.get("receipt_id")),
        )
        return answer(found)

    @routes.get(f"{_BASE}/<uid>/dead-letters")
    def dead_letters(uid: str) -> Response:
        _, workspace = managed(services)
        check_query("limit", "cursor")
        limit = number_of("limit", 50, low=1, high=100)
        return answer(connections.dead_letters(workspace, uid, limit=limit, cursor=cursor()))

    @routes.get(f"{_BASE}/<uid>/preview")
    def preview(uid: str) -> Response:
        _, workspace = managed(services)
        check_query("receipt_id")
        wanted = request.args.get("receipt_id")
        if not wanted:
            raise SettingsError({"receipt_id": "Say which receipt: ?receipt_id=gen-..."})
        found = connections.specimen(workspace, uid, wanted, now_us=services.clock())
        return answer({"data": found})

    @routes.get(f"{_BASE}/<uid>/ledger")
    def ledger(uid: str) -> Response:
        _, workspace = managed(services)
        check_query()
        return answer(connections.ledger(workspace, uid))


def _switch(routes: Blueprint, services: Services) -> None:
    @routes.get("/api/v1/broadcast")
    def read_switch() -> Response:
        _, workspace = managed(services)
        check_query()
        return answer({"data": {"enabled": workspace.broadcast_enabled}})

    @routes.patch("/api/v1/broadcast")
    def turn_switch() -> Response:
        key, workspace = managed(services)
        check_query()
        enabled = body_of("enabled").get("enabled")
        if not isinstance(enabled, bool):
            raise ApiError(422, "enabled is true or false.", reason="invalid", field="enabled")
        services.connections.set_broadcast(workspace, key.user_id, enabled, now_us=services.clock())
        return answer({"data": {"enabled": enabled}})


def _turned(services: Services, uid: str, turn: Callable[..., StoredDestination]) -> Response:
    """Pause or resume a destination, and return it."""
    key, workspace = managed(services)
    check_query()
    body_of()
    stored = turn(workspace, key.user_id, uid, now_us=services.clock())
    return answer({"data": services.connections.shown(workspace, stored)})


def _tested(services: Services, workspace: Workspace, uid: str | None) -> Response:
    """Return the report of one test; an address that asks for its secret again is a failed test too."""
    now_us = services.clock()
    with services.accounts.testing(workspace.id, now_us):
        try:
            report = services.connections.test(workspace, draft(), uid=uid, now_us=now_us)
        except SecretRequired as error:
            report = fields_report(dict.fromkeys(error.fields, "The address changed: enter this again."))
    return answer(report.view())


def _seq_of(services: Services, workspace: Workspace, receipt_id: str | None) -> int | None:
    """Return the number of a receipt by which attempts are filtered."""
    if receipt_id is None:
        return None
    try:
        row, _ = generation.find(services.store, workspace, receipt_id)
    except NotFound:
        problem = "There is no such receipt in this workspace, or it is no longer kept."
        raise SettingsError({"receipt_id": problem}) from None
    return row.seq
