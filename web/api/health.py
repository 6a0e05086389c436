"""Is the process there, and can it serve: /healthz and /readyz, outside the API's base."""

from flask import Blueprint, Response

from broadcast.errors import Unavailable, VaultError
from broadcast.runtime import Services
from web.responses import answer, body_of


def blueprint(services: Services) -> Blueprint:
    """Return the routes of health."""
    routes = Blueprint("health", __name__)

    @routes.get("/healthz")
    def healthz() -> Response:
        """The process answers."""
        return answer({"status": "ok"})

    @routes.get("/readyz")
    def readyz() -> Response:
        """The database is reachable and migrated, and its keys open; a missing worker is no fault here."""
        reason = _fault(services)
        if reason is None:
            return answer({"status": "ready"})
        return answer(body_of(503, reason, "not_ready"), 503, {"Retry-After": "2"})

    return routes


def _fault(services: Services) -> str | None:
    try:
        if (wrong := services.store.schema_fault()) is not None:
            return str(wrong)
        services.accounts.check_encryption()
    except Unavailable:
        return "The database is not available."
    except VaultError:
        return "BROADCAST_ENCRYPTION_KEYS does not open what is stored."
    return None
