"""Numbers and instants as people read them: every page says the same quantity in the same words."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from broadcast.sketch import SHORTEST_US

NONE: Final = "\u2013"
SOURCES: Final = {"credits": "Credits", "byok": "BYOK", "mpp": "MPP"}
"""What a request was paid with, in words."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = 1_000_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


def moment(at_us: int) -> datetime:
    """Return an instant as an aware UTC datetime."""
    return _EPOCH + timedelta(microseconds=at_us)


def iso(at_us: int) -> str:
    """Return RFC 3339 with milliseconds, for machines and `<time datetime>`."""
    return moment(at_us).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(text: str) -> int:
    """Return RFC 3339 as the API says it in microseconds since 1970."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


def local(at_us: int, zone: tzinfo) -> datetime:
    """Return an instant in a zone; in UTC on the first and the last day there is, which a zone may lack."""
    at = moment(at_us)
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at


def exact(at_us: int, zone: tzinfo = UTC) -> str:
    """Return an instant in full with its zone, as shown on hover and focus."""
    at = local(at_us, zone)
    return f"{at.day} {at:%b %Y %H:%M:%S}.{at.microsecond // 1000:03d} {at:%Z}"


def clock(at_us: int, now_us: int, zone: tzinfo = UTC) -> str:
    """Return the time alone today, with the day this year, with the year before that."""
    at, now = local(at_us, zone), local(now_us, zone)
    if at.date() == now.date():
        return f"{at:%H:%M:%S}"
    if at.year == now.year:
        return f"{at.day} {at:%b %H:%M}"
    return f"{at.day} {at:%b %Y %H:%M}"


def since(at_us: int, now_us: int, zone: tzinfo = UTC) -> str:
    """Return since when, to the minute, and within a day how long ago."""
    at, now = local(at_us, zone), local(now_us, zone)
    if now_us - at_us >= _DAY:
        return f"since {clock(at_us, now_us, zone)}"
    begun = f"{at:%H:%M}" if at.date() == now.date() else f"{at.day} {at:%b %H:%M}"
    return f"since {begun}, {ago(at_us, now_us, zone)}"


def day(at_us: int, zone: tzinfo = UTC) -> str:
    """Return a day with its year."""
    at = local(at_us, zone)
    return f"{at.day} {at:%b %Y}"


def minute(at_us: int, zone: tzinfo = UTC) -> str:
    """Return an instant as a form's field for date and time takes it."""
    return f"{local(at_us, zone):%Y-%m-%dT%H:%M}"


def from_minute(text: str, zone: tzinfo = UTC) -> int:
    """Return the instant a form's field for date and time holds; raise `ValueError` for anything else."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is not None:
        raise ValueError("The field's text has no zone of its own.")
    return (at.replace(tzinfo=zone) - _EPOCH) // timedelta(microseconds=1)


def ago(at_us: int, now_us: int, zone: tzinfo = UTC) -> str:
    """Return how long ago within a day, and the date beyond it."""
    passed = max(0, now_us - at_us)
    if passed >= _DAY:
        return clock(at_us, now_us, zone)
    if passed < _SECOND:
        return "just now"
    if passed < _MINUTE:
        return f"{passed // _SECOND} s ago"
    return f"{passed // _MINUTE} min ago" if passed < _HOUR else f"{passed // _HOUR} h ago"


def percentile(length_us: int | None) -> str:
    """Return a percentile of many durations, as `duration` does; of short ones it is known that they were."""
    return "\u2264 1 ms" if length_us == SHORTEST_US else duration(length_us)


def duration(length_us: int | None) -> str:  # noqa: PLR0911 - one a unit
    """Return 41 ms, 1.24 s, 15.0 s, 12 min 36 s, 7 h 27 min or 3 d 4 h."""
    if length_us is None:
        return NONE
    if 0 < length_us < 50:
        return "< 0.1 ms"
    if 0 < length_us < 10_000:
        return f"{length_us / 1000:.1f} ms"
    if length_us < 999_500:
        return f"{(length_us + 500) // 1000} ms"
    seconds = length_us / _SECOND
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def wait(length_us: int) -> str:
    """Return how long something still takes: "now", 38 s, 12 min, 1 h 5 min."""
    seconds = -(-length_us // _SECOND)
    if seconds <= 0:
        return "now"
    if seconds < 120:
        return f"{seconds} s"
    minutes = -(-seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def millis(length_ms: float | None) -> str:
    """Return a length given in milliseconds like any other length."""
    return NONE if length_ms is None else duration(round(length_ms * 1000))


def money(nano_usd: int | None) -> str:
    """Return a sum of money with cents, below one cent like a request's price; unknown is never zero."""
    if nano_usd is not None and 0 < nano_usd < 10_000_000:
        return request_money(nano_usd)
    return "unknown" if nano_usd is None else f"${(nano_usd + 5_000_000) // 10_000_000 / 100:,.2f}"


def request_money(nano_usd: int | None) -> str:
    """Return the price of one request with six places; unknown is never zero."""
    return "unknown" if nano_usd is None else f"${(nano_usd + 500) // 1000 / 1_000_000:,.6f}"


def count(number: int | None) -> str:
    """Return 148,217, and from a million on 13.62 M."""
    if number is None:
        return NONE
    return f"{number / 1_000_000:,.2f} M" if number >= 1_000_000 else f"{number:,}"


def sequence(number: int) -> str:
    """Return the place of a receipt in its workspace's log."""
    return f"#{number:,}"


def run(from_seq: int, to_seq: int) -> str:
    """Return the places of receipts in a row, both ends included."""
    return sequence(from_seq) if from_seq == to_seq else f"{sequence(from_seq)}\u2013{to_seq:,}"


def size(length_bytes: int | None) -> str:
    """Return bytes in steps of 1000."""
    if length_bytes is None:
        return NONE
    if length_bytes < 1000:
        return f"{length_bytes} B"
    if length_bytes < 999_950:
        return f"{length_bytes / 1000:.1f} kB"
    return f"{length_bytes / 1_000_000:.1f} MB"


def source(word: str | None) -> str:
    """Return what a request was paid with; a word that is not known here stands as it came."""
    return SOURCES.get(word or "", word or NONE)


def percent(part: int, whole: int) -> str:
    """Return a share with two places; of nothing there is none."""
    return NONE if whole == 0 else f"{100 * part / whole:.2f}%"


def rate(share: float) -> str:
    """Return a sampling rate without needless places."""
    return f"{100 * share:.6g}%"


def plural(number: int, noun: str, several: str | None = None) -> str:
    """Return "1 span", "2 spans"."""
    return f"{count(number)} {noun if number == 1 else several or noun + 's'}"
