"""Instants as the outside reads them."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(at_us: int) -> str:
    """Return an instant of microseconds since 1970 as RFC 3339 UTC with milliseconds and `Z`."""
    instant = _EPOCH + timedelta(milliseconds=at_us // 1000)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rfc3339_or_none(at_us: int | None) -> str | None:
    """Return the same for an instant that may not have come yet."""
    return None if at_us is None else rfc3339(at_us)
