"""GET /generation and /generation/content: one request in the shapes OpenRouter's SDK reads."""

from flask import Blueprint, Response, request

from broadcast import generation
from broadcast.generation_content import GenerationContents
from broadcast.runtime import Services
from web.api.access import scoped
from web.responses import ApiError, answer, explain_errors


def blueprint(services: Services) -> Blueprint:
    """Return the routes of generations."""
    routes = Blueprint("generation", __name__)
    explain_errors(routes)
    contents = GenerationContents(services.store, services.vault, services.config.content_ttl_us)

    @routes.get("/api/v1/generation")
    def get_generation() -> Response:
        _, workspace = scoped(services, "chat")
        _, receipt = generation.find(services.store, workspace, _wanted())
        return answer({"data": generation.view(receipt, workspace)})

    @routes.get("/api/v1/generation/content")
    def get_content() -> Response:
        key, workspace = scoped(services, "chat")
        row, receipt = generation.find(services.store, workspace, _wanted())
        return answer({"data": contents.view(key, workspace, row, receipt)})

    return routes


def _wanted() -> str:
    wanted = request.args.get("id", "")
    if not wanted:
        raise ApiError(422, "Say which: ?id=gen-...", reason="invalid", field="id")
    return wanted
