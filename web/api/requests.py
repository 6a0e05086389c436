"""GET /requests and /requests/{id}: what was asked, newest first, and where each receipt went."""

import base64
import binascii
from typing import Annotated, Any, Final, get_args

import msgspec
from flask import Blueprint, Response, request

from broadcast import generation
from broadcast.errors import SettingsError
from broadcast.receipt import Status
from broadcast.runtime import Services
from broadcast.store.activity import Only
from web.api.access import number_of, scoped
from web.api.queries import check_query, flag, instant
from web.responses import ApiError, answer, explain_errors

STATUSES: Final[tuple[str, ...]] = get_args(Status)
_Whole = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_PLACE: Final = msgspec.json.Decoder(tuple[_Whole, _Whole])
_EQUAL: Final = {
    "status": "status",
    "model_id": "model",
    "provider_id": "provider",
    "funding_source": "funding_source",
    "api_key_name": "api_key_name",
    "api_key_hash": "api_key_hash",
    "session_id": "session_id",
    "user": "user",
    "request_id": "request_id",
}
"""The fields of a row that a list can be of, and what the store calls them."""


def blueprint(services: Services) -> Blueprint:
    """Return the routes of requests."""
    routes = Blueprint("requests", __name__)
    explain_errors(routes)

    @routes.get("/api/v1/requests")
    def list_requests() -> Response:
        _, workspace = scoped(services, "usage:read")
        check_query("cursor", "limit", "from", "to", "since", "streamed", *_EQUAL)
        limit = number_of("limit", 50, low=1, high=100)
        before = _place(request.args.get("cursor"))
        data, following = generation.request_page(
            services.store, workspace, before=before, limit=limit, only=_only()
        )
        return answer({"data": data, "next_cursor": _cursor(following)})

    @routes.get("/api/v1/requests/<receipt_id>")
    def get_request(receipt_id: str) -> Response:
        _, workspace = scoped(services, "usage:read")
        check_query()
        row, receipt = generation.find(services.store, workspace, receipt_id)
        return answer(
            {
                **generation.request_view(row.id, receipt),
                "receipt": msgspec.Raw(row.document),
                "delivery": services.connections.delivery(workspace, row),
            }
        )

    return routes


def _only() -> Only:
    """Return which requests are asked for; `since` is `from` for whoever comes back for what is new."""
    begins = [name for name in ("from", "since") if name in request.args]
    if len(begins) > 1:
        raise SettingsError({"since": "Leave this out, or `from`: both say where to begin."})
    status = request.args.get("status")
    if status not in {None, *STATUSES}:
        raise SettingsError({"status": "Choose one of " + ", ".join(STATUSES) + "."})
    from_us, to_us = instant(begins[0]) if begins else None, instant("to")
    if from_us is not None and to_us is not None and to_us <= from_us:
        raise SettingsError({"to": "Enter a time after the beginning: what begins at `to` is not included."})
    equal: dict[str, Any] = {of: request.args.get(name) for name, of in _EQUAL.items()}
    return Only(from_us=from_us, to_us=to_us, streamed=flag("streamed"), **equal)


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
