"""When to try again: one back-off per destination, which is also its breaker."""

from email.utils import parsedate_to_datetime
from typing import Final

_SECOND_US: Final = 1_000_000
_SCHEDULE_US: Final = tuple(int(seconds * _SECOND_US) for seconds in (0.5, 1, 2, 5, 10, 20, 30, 60))
_PROBES_US: Final = tuple(minutes * 60 * _SECOND_US for minutes in (1, 2, 5, 10, 20, 30, 60))
_JITTER: Final = 0.2
_SHORTEST_US: Final = _SECOND_US
_LONGEST_US: Final = 3600 * _SECOND_US


def delay_us(
    failures: int,
    *,
    jitter: float,
    retry_after: str | None = None,
    answered_at: str | None = None,
    now_us: int = 0,
) -> int:
    """Return how long to wait after so many failures in a row; `jitter` is random in [-1, 1].

    A `Retry-After` that can be read wins, within 1 second and 1 hour.
    """
    asked_us = retry_after_us(retry_after, answered_at=answered_at, now_us=now_us)
    return _step_us(_SCHEDULE_US, failures, jitter) if asked_us is None else asked_us


def probe_us(failures: int, *, jitter: float) -> int:
    """Return how long to wait before the next probe of a destination that needs a person."""
    return _step_us(_PROBES_US, failures, jitter)


def _step_us(steps: tuple[int, ...], failures: int, jitter: float) -> int:
    step = min(max(failures, 1), len(steps)) - 1
    return round(steps[step] * (1 + _JITTER * max(-1.0, min(1.0, jitter))))


def retry_after_us(header: str | None, *, now_us: int, answered_at: str | None = None) -> int | None:
    """Return the wait a `Retry-After` asks for, in seconds or as an HTTP date; None when it is junk.

    A date is read against the answer's own `Date`: the sender's clock may be wrong, and so may ours.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        asked_us = int(text[:9]) * _SECOND_US
    else:
        at_us = _http_date_us(text)
        if at_us is None:
            return None
        asked_us = at_us - (_http_date_us(answered_at or "") or now_us)
    return max(_SHORTEST_US, min(_LONGEST_US, asked_us))


def _http_date_us(text: str) -> int | None:
    try:
        return int(parsedate_to_datetime(text).timestamp()) * _SECOND_US
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
