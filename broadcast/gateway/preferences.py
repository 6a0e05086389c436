"""What a request wishes of the choice of provider: OpenRouter's `provider` object.

A provider that is a router itself gets the object and keeps to it; the wishes are about the others. What
cannot be known of a provider here (whether it retains data, say) is never promised: it is left out then.
"""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from broadcast.gateway.profiles import Profile
from broadcast.gateway.upstreams import Route

FIELD: Final = "provider"
_PROFILES: Final[dict[str, Profile | None]] = {
    "price": "cost",
    "latency": "latency",
    "throughput": "throughput",
    "exacto": None,  # OpenRouter's own measure of quality, of which nothing is known here
}
_LIMITED: Final = ("prompt", "completion", "request")


class BadPreference(ValueError):  # noqa: N818 - becomes an answer that names the field
    """A wish that is not written as it has to be."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class _Sort(msgspec.Struct):
    by: str | None = None


class _Given(msgspec.Struct):
    sort: str | _Sort | None = None
    order: list[str] | None = None
    only: list[str] | None = None
    ignore: list[str] | None = None
    allow_fallbacks: bool | None = None
    max_price: dict[str, str | int | float | None] | None = None
    data_collection: str | None = None
    zdr: bool | None = None
    enforce_distillable_text: bool | None = None
    quantizations: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """The wishes; providers are named by slug or by name, in any case."""

    profile: Profile | None = None
    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_fallbacks: bool = True
    most_usd: tuple[tuple[str, Decimal], ...] = ()
    unknowable: tuple[str, ...] = ()

    @property
    def demands(self) -> tuple[str, ...]:
        """The names of the wishes that leave providers out."""
        given = {"only": self.only, "ignore": self.ignore, "max_price": self.most_usd}
        return (*(name for name, value in given.items() if value), *self.unknowable)

    def allow(self, route: Route) -> bool:
        """Whether a route keeps to the wishes; a router keeps to them by itself."""
        if route.upstream.is_router:
            return True
        if (self.only and self.place(route, self.only) is None) or self.place(route, self.ignore) is not None:
            return False
        return not self.unknowable and self._is_cheap_enough(route)

    def place(self, route: Route, names: tuple[str, ...]) -> int | None:
        """Return where a list names the route's provider."""
        own = {route.upstream.slug.casefold(), route.upstream.name.casefold()}
        return next((place for place, name in enumerate(names) if name in own), None)

    def _is_cheap_enough(self, route: Route) -> bool:
        if not self.most_usd:
            return True
        prices = route.prices
        if prices is None:
            return False
        asked = {
            "prompt": prices.input,
            "completion": prices.output or Decimal(0),
            "request": prices.request_usd,
        }
        return all(asked[name] <= most for name, most in self.most_usd)


def wishes_of(value: Any) -> Preferences:
    """Return the wishes of a request's `provider`, None included; raise `BadPreference`."""
    if value is None:
        return Preferences()
    try:
        given = msgspec.convert(value, type=_Given)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        field = f"{FIELD}{place.rstrip('`')}".partition("[")[0]
        raise BadPreference(f"`{field}`: {what}.", field=field) from None
    return Preferences(
        profile=_profile(given.sort),
        order=_names(given.order),
        only=_names(given.only),
        ignore=_names(given.ignore),
        allow_fallbacks=given.allow_fallbacks is not False,
        most_usd=tuple(_limits(given.max_price or {})),
        unknowable=_unknowable(given),
    )


def _profile(sort: str | _Sort | None) -> Profile | None:
    word = sort.by if isinstance(sort, _Sort) else sort
    if word is None:
        return None
    if word not in _PROFILES:
        message = f"`{FIELD}.sort` must be one of {', '.join(_PROFILES)}."
        raise BadPreference(message, field=f"{FIELD}.sort")
    return _PROFILES[word]


def _names(given: list[str] | None) -> tuple[str, ...]:
    return tuple(name.casefold() for name in given or ())


def _limits(given: dict[str, str | int | float | None]) -> list[tuple[str, Decimal]]:
    limits = []
    for name in _LIMITED:
        if given.get(name) is None:
            continue
        try:
            limit = Decimal(str(given[name]))
        except InvalidOperation:
            limit = Decimal("NaN")
        if not limit.is_finite() or limit < 0:
            field = f"{FIELD}.max_price.{name}"
            raise BadPreference(f"`{field}` must be an amount of USD.", field=field)
        limits.append((name, limit))
    return limits


def _unknowable(given: _Given) -> tuple[str, ...]:
    wanted = {
        "data_collection": given.data_collection == "deny",
        "zdr": given.zdr is True,
        "enforce_distillable_text": given.enforce_distillable_text is True,
        "quantizations": bool(given.quantizations),
    }
    return tuple(name for name, is_wanted in wanted.items() if is_wanted)
