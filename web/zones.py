"""In which zone a page says its times: UTC unless the viewer chose another one, kept in a cookie."""

from datetime import UTC, tzinfo
from typing import Final, cast

from flask import g, request
from werkzeug.wrappers import Response

from broadcast.times import known_zone as known

__all__ = ("COOKIE", "keep", "known", "name", "zone")

COOKIE: Final = "broadcast_zone"
_YEAR_S: Final = 31_536_000


def zone() -> tzinfo:
    """Return the viewer's zone; inside a request only."""
    if "zone" not in g:
        g.zone = known(request.cookies.get(COOKIE, "UTC")) or UTC
    return cast("tzinfo", g.zone)


def name() -> str:
    """Return what the viewer's zone is called."""
    return getattr(zone(), "key", "UTC")


def keep(answer: Response, chosen: str, *, secure: bool) -> Response:
    """Remember a zone for a year; UTC, the default, needs no cookie."""
    if chosen == "UTC":
        answer.delete_cookie(COOKIE, path="/", secure=secure, httponly=True, samesite="Lax")
    else:
        answer.set_cookie(
            COOKIE, chosen, max_age=_YEAR_S, path="/", secure=secure, httponly=True, samesite="Lax"
        )
    return answer
