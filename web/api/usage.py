"""GET /usage, exact for any span of time, and GET /activity in the shape OpenRouter's SDK reads."""

import re
from datetime import UTC, datetime
from typing import Any, Final

from flask import Blueprint, Response, request

from broadcast import usage
from broadcast.errors import SettingsError
from broadcast.runtime import Services
from broadcast.store.workspaces import Workspace
from broadcast.tally import DAY_US
from broadcast.wanted import instant_us
from web.api.access import managed, scoped
from web.api.queries import check_query, span
from web.responses import answer, explain_errors

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_KEY_HASH: Final = re.compile(r"[0-9a-f]{64}")


def blueprint(services: Services) -> Blueprint:
    """Return the routes of usage."""
    routes = Blueprint("usage", __name__)
    explain_errors(routes)

    @routes.get("/api/v1/usage")
    def get_usage() -> Response:
        _, workspace = scoped(services, "usage:read")
        check_query("from", "to")
        from_us, to_us = span(services.clock(), usage.SPAN_US)
        return answer(usage.of(services.store, workspace, from_us, to_us))

    @routes.get("/api/v1/activity")
    def get_activity() -> Response:
        key, workspace = managed(services)
        check_query("date", "api_key_hash", "user_id", "group_by")
        from_us, to_us = _days(services.clock())
        grouped = _grouped()
        asked = [workspace]
        if grouped and request.args.get("workspace_id") is None:
            asked = services.accounts.managed_by(key.user_id)
        return answer(
            {"data": [item for each in asked for item in _items(services, each, from_us, to_us, grouped)]}
        )

    return routes


def _items(
    services: Services, workspace: Workspace, from_us: int, to_us: int, grouped: bool
) -> list[dict[str, Any]]:
    found = usage.activity(
        services.store,
        workspace,
        from_us,
        to_us,
        key_hash=_key_hash(),
        maker_uid=request.args.get("user_id"),
    )
    return [{**item, "workspace_id": workspace.uid} for item in found] if grouped else found


def _days(now_us: int) -> tuple[int, int]:
    """Return the days asked for: one of the last 30 that are over, or all of them."""
    from_us, to_us = usage.completed_days(now_us)
    text = request.args.get("date")
    if text is None:
        return from_us, to_us
    day_us = instant_us(f"{text}T00:00:00Z") if _DAY.fullmatch(text) else None
    if day_us is None or not from_us <= day_us < to_us:
        first, last = (f"{datetime.fromtimestamp(at // 10**6, UTC):%F}" for at in (from_us, to_us - DAY_US))
        raise SettingsError({"date": f"Enter a day of UTC from {first} to {last}, as YYYY-MM-DD."})
    return day_us, day_us + DAY_US


def _grouped() -> bool:
    kind = request.args.get("group_by")
    if kind not in {None, "workspace"}:
        raise SettingsError({"group_by": "Enter workspace, or leave this out."})
    return kind is not None


def _key_hash() -> str | None:
    text = request.args.get("api_key_hash")
    if text is not None and not _KEY_HASH.fullmatch(text):
        raise SettingsError({"api_key_hash": "A key's hash is 64 lower-case hexadecimal digits."})
    return text
