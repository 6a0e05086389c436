"""What a management route may be given: names that are unknown are refused by name."""

from typing import Any

from flask import request

from broadcast import paging
from broadcast.errors import SettingsError
from broadcast.wanted import instant_us
from web.api.access import body_object


def check_query(*names: str) -> None:
    """Raise for a query that holds more than these names and `workspace_id`."""
    _refuse(request.args.keys() - {*names, "workspace_id"})


def body_of(*names: str) -> dict[str, Any]:
    """Return the body without `workspace_id`; raise when it holds more than these names."""
    body = draft()
    _refuse(body.keys() - set(names))
    return body


def draft() -> dict[str, Any]:
    """Return the body without `workspace_id`, which has chosen the workspace already."""
    return {name: value for name, value in body_object().items() if name != "workspace_id"}


def instant(name: str) -> int | None:
    """Return microseconds since 1970 of a time in the query, None where it is not given."""
    text = request.args.get(name)
    if text is None:
        return None
    # A plus that was not escaped arrives as a space.
    found = instant_us(text.replace(" ", "+"))
    if found is None:
        raise SettingsError({name: "Enter a time with its zone, such as 2026-11-20T02:00:00Z."})
    return found


def cursor() -> str | None:
    """Return the cursor of a list of attempts, dead letters or replays; raise for somebody else's."""
    text = request.args.get("cursor")
    paging.before(text)
    return text


def _refuse(unknown: set[str]) -> None:
    if unknown:
        raise SettingsError(dict.fromkeys(sorted(unknown), "This field is not known here."))
