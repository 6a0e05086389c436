"""GET /requests and /requests/{id}: what was asked, newest first, and where each receipt went."""

import base64
import binascii
from typing import Final

import msgspec
from flask import Blueprint, Response, request

from broadcast import generation
from broadcast.runtime import Services
from web.api.access import number_of, scoped
from web.responses import ApiError, answer, explain_errors

_PLACE: Final = msgspec.json.Decoder(tuple[int, int])


def blueprint(services: Services) -> Blueprint:
    """Return the routes of requests."""
    routes = Blueprint("requests", __name__)
    explain_errors(routes)

    @routes.get("/api/v1/requests")
    def list_requests() -> Response:
        _, workspace = scoped(services, "usage:read")
        limit = number_of("limit", 50, low=1, high=100)
        before = _place(request.args.get("cursor"))
        data, following = generation.request_page(services.store, workspace, before=before, limit=limit)
        return answer({"data": data, "next_cursor": _cursor(following)})

    @routes.get("/api/v1/requests/<receipt_id>")
    def get_request(receipt_id: str) -> Response:
        _, workspace = scoped(services, "usage:read")
        row, receipt = generation.find(services.store, workspace, receipt_id)
        return answer(
            {
                **generation.request_view(row.id, receipt),
                "receipt": msgspec.Raw(row.document),
                "delivery": services.connections.delivery(workspace, row),
            }
        )

    return routes


def _cursor(place: tuple[int, int] | None) -> str | None:
    if place is None:
        return None
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _place(cursor: str | None) -> tuple[int, int] | None:
    if cursor is None:
        return None
    try:
        return _PLACE.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise ApiError(422, "This cursor is not one of ours.", reason="invalid", field="cursor") from None
