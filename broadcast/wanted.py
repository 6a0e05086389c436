"""What somebody wants replayed: one way to say it for API, page and command line."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from broadcast.errors import SettingsError
from broadcast.store.replays import Source

MAX_IDS: Final = 10_000
_NAMES: Final = ("from", "to", "receipt_ids", "dead_letters", "include_delivered")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A range of creation, `to_us` not included and None for up to now; or a list; or all dead letters."""

    from_us: int | None = None
    to_us: int | None = None
    receipt_ids: tuple[str, ...] | None = None
    dead_letters: bool = False
    include_delivered: bool = False
    backfill: bool = False

    @property
    def source(self) -> Source:
        """Return the word that is kept of it."""
        if self.dead_letters:
            return "dead_letters"
        if self.receipt_ids is not None:
            return "list"
        return "backfill" if self.backfill else "range"


def wanted_from(body: Mapping[str, Any]) -> Wanted:
    """Return what a body asks for; raise `SettingsError` by field for what is wrong, or unknown."""
    given = {name: value for name, value in body.items() if value is not None}
    unknown = sorted(given.keys() - set(_NAMES))
    if unknown:
        raise SettingsError(dict.fromkeys(unknown, "This field is not known here."))
    letters = _flag(given, "dead_letters")
    _require_one(given, letters=letters)
    from_us, to_us = (_instant(given, name) for name in ("from", "to"))
    if from_us is not None and to_us is not None and to_us <= from_us:
        raise SettingsError({"to": "Enter a time after `from`: what is created at `to` is not included."})
    return Wanted(
        from_us=from_us,
        to_us=to_us,
        receipt_ids=_ids(given.get("receipt_ids")),
        dead_letters=letters,
        include_delivered=_flag(given, "include_delivered"),
    )


def instant_us(text: Any) -> int | None:
    """Return microseconds since 1970 of an RFC 3339 time with a zone; None where none can be, in UTC too."""
    try:
        at = datetime.fromisoformat(text)
        since = at - _EPOCH
        at.astimezone(UTC)  # which is how it is shown again
        return since // timedelta(microseconds=1)
    except (TypeError, ValueError, OverflowError):
        return None


def _require_one(given: Mapping[str, Any], *, letters: bool) -> None:
    chosen = [name for name in ("from", "receipt_ids") if name in given] + ["dead_letters"] * letters
    if "to" in given and "from" not in given:
        raise SettingsError({"from": "Enter the beginning of the range too."})
    if not chosen:
        raise SettingsError(
            {"from": "Say what to replay: `from` and `to`, `receipt_ids`, or `dead_letters`."}
        )
    if len(chosen) > 1:
        raise SettingsError({chosen[1]: f"Leave this out, or `{chosen[0]}`: one replay does one of them."})


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise SettingsError({name: "Enter true or false."})
    return value


def _instant(given: Mapping[str, Any], name: str) -> int | None:
    if name not in given:
        return None
    found = instant_us(given[name])
    if found is None:
        raise SettingsError({name: "Enter a time with its zone, such as 2026-11-20T02:00:00Z."})
    return found


def _ids(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not value or not all(isinstance(each, str) for each in value):
        raise SettingsError({"receipt_ids": "Enter a list of receipt ids."})
    ids = tuple(dict.fromkeys(value))
    if len(ids) > MAX_IDS:
        raise SettingsError({"receipt_ids": f"Enter at most {MAX_IDS:,} ids, or choose a range of time."})
    return ids
