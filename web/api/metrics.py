"""GET /metrics, outside the API's base: for loopback, and beyond it for whoever has the token."""

import hmac

from flask import Blueprint, Response, request

from broadcast import scrape
from broadcast.config import Config
from broadcast.runtime import Services
from web.api.access import bearer_of
from web.client_address import client_of, is_loopback
from web.responses import ApiError, explain_errors


def blueprint(services: Services) -> Blueprint:
    """Return the route of metrics."""
    routes = Blueprint("metrics", __name__)
    explain_errors(routes)

    @routes.get("/metrics")
    def metrics() -> Response:
        _check(services.config)
        answer = Response(scrape.text(services.store, services.meters), content_type=scrape.CONTENT_TYPE)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return routes


def _check(config: Config) -> None:
    if is_loopback(client_of(request, config.trusted_proxies)):
        return
    if not config.metrics_token:
        words = "Beyond loopback this needs a token. Set BROADCAST_METRICS_TOKEN on the server."
        raise ApiError(403, words, reason="metrics_closed")
    given = bearer_of(request.headers.get("Authorization", ""))
    if not hmac.compare_digest(given.encode(), config.metrics_token.encode()):
        words = "Send the server's BROADCAST_METRICS_TOKEN as Authorization: Bearer <token>."
        raise ApiError(401, words, reason="unauthorized")
