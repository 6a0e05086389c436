"""GET /requests and /requests/{id}: what was asked, newest first, and where each receipt went."""

from flask import Blueprint, Response, request

from broadcast import request_log
from broadcast.runtime import Services
from web.api.access import number_of, scoped
from web.api.queries import check_query
from web.responses import answer, explain_errors


def blueprint(services: Services) -> Blueprint:
    """Return the routes of requests."""
    routes = Blueprint("requests", __name__)
    explain_errors(routes)

    @routes.get("/api/v1/requests")
    def list_requests() -> Response:
        _, workspace = scoped(services, "usage:read")
        check_query(*request_log.NAMES)
        limit = number_of("limit", 50, low=1, high=100)
        return answer(request_log.page(services.store, workspace, request.args, limit=limit))

    @routes.get("/api/v1/requests/<receipt_id>")
    def get_request(receipt_id: str) -> Response:
        _, workspace = scoped(services, "usage:read")
        check_query()
        return answer(request_log.one(services.store, services.connections, workspace, receipt_id))

    return routes
