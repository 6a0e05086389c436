"""GET /generation: one request in the shape OpenRouter's SDK reads."""

from flask import Blueprint, Response, request

from broadcast import generation
from broadcast.runtime import Services
from web.api.access import scoped
from web.responses import ApiError, answer, explain_errors


def blueprint(services: Services) -> Blueprint:
    """Return the route of generations."""
    routes = Blueprint("generation", __name__)
    explain_errors(routes)

    @routes.get("/api/v1/generation")
    def get_generation() -> Response:
        _, workspace = scoped(services, "chat")
        wanted = request.args.get("id", "")
        if not wanted:
            raise ApiError(422, "Say which: ?id=gen-...", reason="invalid", field="id")
        _, receipt = generation.find(services.store, workspace, wanted)
        return answer({"data": generation.view(receipt, workspace)})

    return routes
