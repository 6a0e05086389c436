"""What a viewer asks Activity for, all of it in the address: a window, filters, what to look at."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from flask import url_for
from werkzeug.datastructures import MultiDict

from broadcast.figures import SESSION
from broadcast.overview import LENGTHS, Length
from broadcast.store.activity import Only
from broadcast.wanted import instant_us

METRICS: Final = ("spend", "requests", "tokens", "latency", "errors")
GROUPS: Final[Mapping[str, str]] = {
    "model": "model",
    "provider": "provider",
    "key": "api_key_name",
    "status": "status",
    "capability": "capabilities",
}
"""What requests are told apart by, and the field of a group that says it."""

FACETS: Final = ("user", SESSION)
"""What else requests are told apart by, besides keys of `trace`."""

LABELS: Final[Mapping[str, str]] = {
    "model": "Model",
    "provider": "Provider",
    "key": "API key",
    "status": "Status",
    "capability": "Capability",
    "source": "Source",
    "user": "User",
    "session": "Session",
}
_FILTERS: Final[Mapping[str, str]] = {
    "model": "model",
    "provider": "provider_name",
    "key": "api_key_name",
    "status": "status",
    "source": "funding_source",
    "user": "user",
    "session": "session_id",
}
_TRACE_KEY: Final = re.compile(r"trace\.([A-Za-z0-9_.:-]{1,64})")
_LONGEST: Final = 256
_MOST_KEYS: Final = 8


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One view of Activity: filters by parameter, and a narrower time from `from_text` to `to_text`."""

    slug: str
    length: Length = "day"
    metric: str = "spend"
    by: str = "model"
    more: bool = False
    filters: Mapping[str, str] = field(default_factory=dict)
    from_text: str | None = None
    to_text: str | None = None

    @property
    def only(self) -> Only:
        """The filters as the store takes them."""
        given: dict[str, Any] = {
            _FILTERS[name]: value for name, value in self.filters.items() if name in _FILTERS
        }
        found = ((_TRACE_KEY.fullmatch(name), value) for name, value in self.filters.items())
        traced = tuple((key[1], value) for key, value in found if key)
        return Only(**given, trace=traced or None)

    @property
    def facet(self) -> str | None:
        """The facet to tell requests apart by, where it is none of a group's fields."""
        return self.by if self.by in FACETS or _TRACE_KEY.fullmatch(self.by) else None

    @property
    def span_us(self) -> tuple[int | None, int | None]:
        """The narrower time that the log shows."""
        return instant_us(self.from_text), instant_us(self.to_text)

    def chosen(self) -> list[tuple[str, str, str]]:
        """Return each filter with its label, its value in words and the address without it."""
        return [
            (LABELS.get(name, name), value or "none", self.at(**{name: None}))
            for name, value in self.filters.items()
        ]

    def at(self, endpoint: str = "activity.requests", /, **changes: str | None) -> str:
        """Return the address of this view with changes; None leaves a parameter out."""
        given: dict[str, Any] = {
            "window": None if self.length == "day" else self.length,
            "metric": None if self.metric == "spend" else self.metric,
            "by": None if self.by == "model" else self.by,
            "more": "1" if self.more else None,
            **self.filters,
            "from": self.from_text,
            "to": self.to_text,
            **changes,
        }
        return url_for(
            endpoint, slug=self.slug, **{name: value for name, value in given.items() if value is not None}
        )


def asked(slug: str, args: "MultiDict[str, str]") -> Asked:
    """Return what an address asks for; what it asks that does not exist is left out."""
    length = args.get("window", "day")
    metric, by = args.get("metric", "spend"), args.get("by", "model")
    since, until = args.get("from"), args.get("to")
    return Asked(
        slug=slug,
        length=length if length in LENGTHS else "day",
        metric=metric if metric in METRICS else "spend",
        by=by if by in GROUPS or by in FACETS or _TRACE_KEY.fullmatch(by) else "model",
        more=args.get("more") == "1",
        filters=dict(_filters(args)),
        from_text=since if instant_us(since) is not None else None,
        to_text=until if instant_us(until) is not None else None,
    )


def _filters(args: "MultiDict[str, str]") -> Iterable[tuple[str, str]]:
    """Yield the filters of an address; of keys of `trace` the first few.

    A form sends the fields that are left empty too: nobody is called so, and no session.
    """
    traced = 0
    for name, value in args.items():
        is_key = _TRACE_KEY.fullmatch(name) is not None
        left_empty = name in FACETS and not value
        if len(value) > _LONGEST or left_empty or not (name in _FILTERS or (is_key and traced < _MOST_KEYS)):
            continue
        traced += is_key
        yield name, value
