"""Instants as the outside reads them."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ZONE_CHARS: Final = 64


def rfc3339(at_us: int) -> str:
    """Return an instant of microseconds since 1970 as RFC 3339 UTC with milliseconds and `Z`."""
    instant = _EPOCH + timedelta(milliseconds=at_us // 1000)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rfc3339_or_none(at_us: int | None) -> str | None:
    """Return the same for an instant that may not have come yet."""
    return None if at_us is None else rfc3339(at_us)


def known_zone(name: str) -> tzinfo | None:
    """Return a zone by its IANA name, None for one that this machine does not know."""
    if not 0 < len(name) <= _ZONE_CHARS or not name.isascii():
        return None
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
