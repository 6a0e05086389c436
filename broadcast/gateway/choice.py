"""Which routes of a model may serve a request, and in which order they are tried."""

from dataclasses import dataclass
from typing import Final

from broadcast.gateway.apis import APIS, PATHS, Api
from broadcast.gateway.measures import Measures, Way
from broadcast.gateway.preferences import FIELD, Preferences
from broadcast.gateway.profiles import Facts, Profile, ordered
from broadcast.gateway.upstreams import Model, Route

_BASE_PATH: Final = "/api/v1"


class NoRoute(Exception):  # noqa: N818 - becomes an answer
    """No provider of the model may serve the request."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The routes to try in this order; `candidates` counts those that may serve it at all."""

    profile: Profile | None
    candidates: int
    routes: tuple[Route, ...]


def choose(model: Model, api: Api, wishes: Preferences, measures: Measures, *, streamed: bool) -> Choice:
    """Return what to try for a request; raise `NoRoute`."""
    speaking = [route for route in model.routes if api in route.upstream.apis]
    if not speaking:
        raise NoRoute(_elsewhere(model, api), reason="wrong_endpoint")
    allowed = [route for route in speaking if wishes.allow(route)]
    profile = wishes.profile or model.profile
    if profile:
        facts = [_facts(route, measures, way(route, api, streamed=streamed)) for route in allowed]
        allowed = [allowed[place] for place in ordered(profile, facts)]
    tried = _as_wished(allowed, wishes)
    if not tried:
        wished = " and ".join(f"`{FIELD}.{name}`" for name in wishes.demands or ("order",))
        raise NoRoute(f"No provider of {model.id} keeps to {wished}. Wish for less.", reason="no_provider")
    return Choice(profile=profile, candidates=len(allowed), routes=tuple(tried))


def way(route: Route, api: Api, *, streamed: bool) -> Way:
    """Return what a route's answers are measured as."""
    return Way(provider=route.upstream.slug, model=route.model, api=api, streamed=streamed)


def _facts(route: Route, measures: Measures, one: Way) -> Facts:
    return Facts(
        usd=route.prices.typical_usd if route.prices else None,
        first_ms=measures.first_ms(one),
        tokens_per_s=measures.tokens_per_s(one),
        is_ailing=measures.is_ailing(one),
    )


def _as_wished(routes: list[Route], wishes: Preferences) -> list[Route]:
    """Put the providers of `order` first; without fallbacks leave the others out."""
    places = [wishes.place(route, wishes.order) for route in routes]
    named = sorted((place, at) for at, place in enumerate(places) if place is not None)
    first = [routes[at] for _, at in named]
    if not wishes.allow_fallbacks:
        return first if wishes.order else routes[:1]
    return first + [route for route, place in zip(routes, places, strict=True) if place is None]


def _elsewhere(model: Model, api: Api) -> str:
    spoken = {one for route in model.routes for one in route.upstream.apis}
    places = " or ".join(f"{_BASE_PATH}{PATHS[one]}" for one in APIS if one in spoken)
    here = f"{_BASE_PATH}{PATHS[api]}"
    return f"The model {model.id} does not answer at {here}. Send the request to {places}."
