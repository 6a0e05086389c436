"""What a management route may be given: names that are unknown are refused by name."""

from collections.abc import Mapping
from typing import Any

from flask import request

from broadcast import paging, query_text
from broadcast.errors import SettingsError
from web.api.access import body_object, number_of


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


def part(limit: int) -> slice:
    """Return which part of a list the query asks for: `offset` left out, then at most `limit`."""
    offset = number_of("offset", 0, low=0, high=10**6)
    return slice(offset, offset + number_of("limit", limit, low=1, high=100))


def instant(name: str) -> int | None:
    """Return microseconds since 1970 of a time in the query, None where it is not given."""
    return query_text.instant(request.args, name)


def span(now_us: int, length_us: int) -> tuple[int, int]:
    """Return `[from, to)` of the query: up to now without an end, of a length without a beginning."""
    return query_text.span(request.args, now_us, length_us)


def flag(name: str) -> bool | None:
    """Return true or false of the query, None where it is not given."""
    return query_text.flag(request.args, name)


def require_neutral(body: dict[str, Any], neutral: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    """Return a body without fields that exist for OpenRouter's SDK alone; raise where one asks for something.

    `neutral` holds what may be said of each, because it asks for what is so anyway.
    """
    asked = [name for name, values in neutral.items() if name in body and body[name] not in values]
    if asked:
        raise SettingsError(dict.fromkeys(asked, "This is not offered here: leave it out."))
    return {name: value for name, value in body.items() if name not in neutral}


def cursor() -> str | None:
    """Return the cursor of a list of attempts, dead letters or replays; raise for somebody else's."""
    text = request.args.get("cursor")
    paging.before(text)
    return text


def _refuse(unknown: set[str]) -> None:
    if unknown:
        raise SettingsError(dict.fromkeys(sorted(unknown), "This field is not known here."))
