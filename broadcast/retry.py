"""When to try again: one back-off per destination, which is also its breaker."""

from email.utils import parsedate_to_datetime
from typing import Final

_SECOND_US: Final = 1_000_000
_SCHEDULE_US: Final = tuple(int(seconds * _SECOND_US) for seconds in (0.5, 1, 2, 5, 10, 20, 30, 60))
_JITTER: Final = 0.2
_SHORTEST_US: Final = _SECOND_US
_LONGEST_US: Final = 3600 * _SECOND_US


def delay_us(failures: int, *, jitter: float, retry_after: str | None = None, now_us: int = 0) -> int:
    """Return how long to wait after so many failures in a row; `jitter` is random in [-1, 1].

    A `Retry-After` that can be read wins, within 1 second and 1 hour.
    """
    asked_us = retry_after_us(retry_after, now_us=now_us)
    if asked_us is not None:
        return asked_us
    step = min(max(failures, 1), len(_SCHEDULE_US)) - 1
    return round(_SCHEDULE_US[step] * (1 + _JITTER * max(-1.0, min(1.0, jitter))))


def retry_after_us(header: str | None, *, now_us: int) -> int | None:
    """Return the wait a `Retry-After` asks for, in seconds or as an HTTP date; None when it is junk."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        asked_us = int(text[:9]) * _SECOND_US
    else:
        at_us = _http_date_us(text)
        if at_us is None:
            return None
        asked_us = at_us - now_us
    return max(_SHORTEST_US, min(_LONGEST_US, asked_us))


def _http_date_us(text: str) -> int | None:
    try:
        return int(parsedate_to_datetime(text).timestamp()) * _SECOND_US
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
