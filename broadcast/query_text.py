"""What a query asks, read from its texts: one reading for the API and for the command line."""

from collections.abc import Mapping
from typing import Final

from broadcast.errors import SettingsError
from broadcast.wanted import instant_us

_FIRST_US: Final = instant_us("0001-01-01T00:00:00Z") or 0
"""The first instant that can be written."""


def instant(given: Mapping[str, str], name: str) -> int | None:
    """Return microseconds since 1970 of a time, None where it is not given."""
    text = given.get(name)
    if text is None:
        return None
    # A plus that was not escaped arrives as a space.
    found = instant_us(text.replace(" ", "+"))
    if found is None:
        raise SettingsError({name: "Enter a time with its zone, such as 2026-11-20T02:00:00Z."})
    return found


def span(given: Mapping[str, str], now_us: int, length_us: int) -> tuple[int, int]:
    """Return `[from, to)`: up to now without an end, of a length without a beginning."""
    begin_us, end_us = instant(given, "from"), instant(given, "to")
    to_us = now_us if end_us is None else end_us
    from_us = max(to_us - length_us, _FIRST_US) if begin_us is None else begin_us
    if from_us >= to_us:
        at_fault = "to" if end_us is not None else "from"
        ends = "now" if end_us is None else "`to`"
        raise SettingsError(
            {at_fault: f"Enter a beginning before {ends}: what begins at `to` is not counted."}
        )
    return from_us, to_us


def flag(given: Mapping[str, str], name: str) -> bool | None:
    """Return true or false, None where it is not given."""
    text = given.get(name)
    if text not in {None, "true", "false"}:
        raise SettingsError({name: "Enter true or false."})
    return None if text is None else text == "true"
