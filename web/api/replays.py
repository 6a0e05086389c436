"""Replays of a destination: count, begin, look at, stop; for management keys."""

from typing import Any, Final

from flask import Blueprint, Response

from broadcast.errors import Conflict, SettingsError
from broadcast.replay import NothingToReplay, view, wanted_from
from broadcast.runtime import Services
from broadcast.store.keys import ApiKey
from broadcast.store.workspaces import Workspace
from web.api.access import managed, number_of
from web.api.queries import body_of, check_query, cursor, draft
from web.responses import ApiError, answer, explain_errors

_BASE: Final = "/api/v1/observability/destinations/<uid>"


def blueprint(services: Services) -> Blueprint:
    """Return the routes of replays."""
    routes = Blueprint("replays_api", __name__)
    explain_errors(routes)
    _begin(routes, services)
    _running(routes, services)
    return routes


def _begin(routes: Blueprint, services: Services) -> None:
    replays = services.replays

    @routes.post(f"{_BASE}/replay")
    def replay(uid: str) -> Response:
        key, workspace = managed(services)
        check_query()
        body = draft()
        dry_run = body.pop("dry_run", False)
        if not isinstance(dry_run, bool):
            raise SettingsError({"dry_run": "Enter true or false."})
        wanted, now_us = wanted_from(body), services.clock()
        if dry_run:
            return answer({"data": replays.preview(workspace, uid, wanted, now_us=now_us).view()})
        try:
            begun = replays.start(workspace, key.user_id, uid, wanted, now_us=now_us)
        except NothingToReplay as error:
            raise ApiError(422, str(error), reason="nothing_to_replay") from None
        return answer({"data": view(begun)}, 201)


def _running(routes: Blueprint, services: Services) -> None:
    replays = services.replays

    @routes.get(f"{_BASE}/replays")
    def list_replays(uid: str) -> Response:
        _, workspace = managed(services)
        check_query("limit", "cursor")
        limit = number_of("limit", 50, low=1, high=100)
        return answer(replays.list(workspace, uid, limit=limit, cursor=cursor()))

    @routes.get(f"{_BASE}/replays/<replay_uid>")
    def get_replay(uid: str, replay_uid: str) -> Response:
        _, workspace = managed(services)
        check_query()
        return answer({"data": view(replays.get(workspace, uid, replay_uid))})

    @routes.post(f"{_BASE}/replays/<replay_uid>/stop")
    def stop_replay(uid: str, replay_uid: str) -> Response:
        key, workspace = managed(services)
        check_query()
        body_of()
        stopped = replays.stop(workspace, key.user_id, uid, replay_uid, now_us=services.clock())
        return answer({"data": view(stopped)})


def backfilled(
    services: Services, key: ApiKey, workspace: Workspace, uid: str, from_us: int
) -> dict[str, Any]:
    """Begin a new destination's backfill; say in words when there is none, for the destination is saved."""
    try:
        begun = services.replays.backfill(workspace, key.user_id, uid, from_us, now_us=services.clock())
    except (Conflict, SettingsError) as error:
        return {"replay": None, "message": f"The destination is saved, its past was not sent: {error}"}
    if begun is None:
        return {"replay": None, "message": "Nothing was recorded since then, so there is nothing to send."}
    return {"replay": view(begun), "message": f"{begun.total:,} receipts follow behind fresh traffic."}
