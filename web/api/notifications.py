"""GET and PATCH /notifications: how the workspace is told of a destination that needs attention."""

from typing import Final

from flask import Blueprint, Response

from broadcast.notice_settings import view
from broadcast.runtime import Services
from web.api.access import managed
from web.api.queries import draft
from web.responses import answer, explain_errors

_PATH: Final = "/api/v1/notifications"


def blueprint(services: Services) -> Blueprint:
    """Return the routes of notifications."""
    routes = Blueprint("notifications_api", __name__)
    explain_errors(routes)

    @routes.get(_PATH)
    def read_settings() -> Response:
        _, workspace = managed(services)
        return answer({"data": view(workspace)})

    @routes.patch(_PATH)
    def change_settings() -> Response:
        key, workspace = managed(services)
        changed = services.notice_settings.change(workspace, key.user_id, draft(), now_us=services.clock())
        return answer({"data": view(changed)})

    @routes.post(f"{_PATH}/test")
    def test_webhook() -> Response:
        key, workspace = managed(services)
        now_us = services.clock()
        with services.accounts.testing(workspace.id, now_us):
            posted = services.notice_settings.test(workspace, key.user_id, now_us=now_us)
        return answer({"ok": posted.ok, "message": posted.message, "hint": posted.hint or None})

    return routes
