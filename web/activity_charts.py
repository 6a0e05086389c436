"""Activity in figures: cards, charts and breakdowns, each number with the address of its requests."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from decimal import Decimal
from typing import Final

from broadcast.overview import Overview
from broadcast.tally import DAY_US, FAILED, FacetSums, Tally
from web import charts, formats
from web.asked import GROUPS, Asked
from web.charts import Chart, Series, Step

_TOP: Final = 3
_ROWS: Final = 20
_LOOKS: Final = ("s1", "s2", "s3", "s4")
_STATUSES: Final = {"succeeded": "s1", "error": "bad", "denied": "warn", "cancelled": "s4"}
Reading = Callable[[Tally], float]


@dataclass(frozen=True, kw_only=True)
class Card:
    """One figure of the window, with lines under it; `href` leads to its chart."""

    label: str
    value: str
    under: tuple[str, ...]
    href: str
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a breakdown; `share` is percent of the whole."""

    name: str
    href: str | None
    requests: int
    errors: int
    tokens: int
    spend_nano_usd: int
    unpriced: int
    p95_us: int | None
    share: float


# -- cards -----------------------------------------------------------------------------------------------


def cards(found: Overview, asked: Asked) -> list[Card]:
    """Return the five figures of the window, each with its change against as long a time before."""
    total = found.figures.total()
    tokens = total.input_tokens + total.output_tokens
    spend = None if total.unpriced and total.unpriced == total.requests else total.spend_nano_usd
    words = {
        "spend": ("Spend", formats.money(spend), _change(found, asked, lambda sums: sums.spend_nano_usd)),
        "requests": (
            "Requests",
            formats.count(total.requests),
            _change(found, asked, lambda sums: sums.requests),
        ),
        "tokens": (
            "Tokens",
            formats.count(tokens),
            f"{formats.count(total.input_tokens)} in, {formats.count(total.output_tokens)} out",
            _change(found, asked, lambda sums: sums.input_tokens + sums.output_tokens),
        ),
        "latency": (
            "Latency, median",
            formats.percentile(total.latency_us(50)),
            f"p95 {formats.percentile(total.latency_us(95))}",
            _change(found, asked, lambda sums: sums.latency_us(50) or 0),
        ),
        "errors": (
            "Errors",
            formats.percent(total.errors, total.requests),
            f"{formats.count(total.errors)} of {formats.count(total.requests)}",
            _change(found, asked, lambda sums: sums.errors / max(1, sums.requests), _points),
        ),
    }
    return [
        Card(
            label=label,
            value=value,
            under=tuple(under),
            href=asked.at(metric=name),
            chosen=asked.metric == name,
        )
        for name, (label, value, *under) in words.items()
    ]


def _percent(now: float, before: float) -> str:
    return f"{100 * (now - before) / before:+.1f}%"


def _points(now: float, before: float) -> str:
    """Return how a share changed: a percentage of a percentage says little."""
    return f"{100 * (now - before):+.2f} points"


def _change(
    found: Overview, asked: Asked, read: Reading, words: Callable[[float, float], str] = _percent
) -> str:
    """Return how a figure changed; from nothing there is no percentage."""
    if found.before is None:
        return "since the first request" if asked.length == "all" else "too many to compare"
    now, before = read(found.figures.total()), read(found.before)
    if before == 0:
        return f"{'none' if now else 'as'} in the {asked.length} before"
    return f"{words(now, before)} on the {asked.length} before"


# -- charts ----------------------------------------------------------------------------------------------


def chart(found: Overview, asked: Asked, now_us: int, zone: tzinfo = UTC) -> Chart:
    """Return the chart of the chosen card."""
    steps = _steps(found, asked, now_us, zone)
    every = _every(found)
    if asked.metric == "requests":
        series = _by_status(found, _STATUSES)
        return _counted(f"Requests per {every}", steps, series)
    if asked.metric == "errors":
        wanted = {word: look for word, look in _STATUSES.items() if word in FAILED}
        return _counted(f"Errors per {every}", steps, _by_status(found, wanted))
    if asked.metric == "tokens":
        return _counted(f"Tokens per {every}", steps, _tokens(found))
    if asked.metric == "latency":
        kinds = (("p95", "s1", 95), ("p99", "s2", 99), ("median", "s1-dash", 50))
        return _lines(f"Latency per {every}", found, steps, kinds)
    return charts.stacked(f"Spend per {every}", steps, _spend(found), words=_dollars_in_full, axis=_dollars)


def latency(found: Overview, asked: Asked, now_us: int, zone: tzinfo = UTC) -> Chart:
    """Return the latency beside: p95, median and first token."""
    kinds = (("p95", "s1", 95), ("median", "s1-dash", 50))
    steps = _steps(found, asked, now_us, zone)
    return _lines(f"Latency per {_every(found)}", found, steps, kinds)


def _counted(title: str, steps: list[Step], series: list[Series]) -> Chart:
    return charts.stacked(title, steps, series, words=_whole, counted=True)


def _lines(title: str, found: Overview, steps: list[Step], kinds: Iterable[tuple[str, str, int]]) -> Chart:
    of_all = _all_over_time(found)
    times = found.figures.steps()

    def seconds(read: Callable[[Tally], int | None]) -> list[float | None]:
        values = (read(of_all[at_us]) if at_us in of_all else None for at_us in times)
        return [None if value is None else value / 1e6 for value in values]

    series = [
        Series(name=name, look=look, values=seconds(lambda sums, percent=percent: sums.latency_us(percent)))  # type: ignore[misc]
        for name, look, percent in kinds
    ]
    first = Series(
        name="first token, median", look="ink3-dot", values=seconds(lambda sums: sums.first_token_us(50))
    )
    # Without a streamed answer there is no first token, and no word of it.
    streamed = any(value is not None for value in first.values)
    return charts.lines(title, steps, [*series, first] if streamed else series, words=_seconds)


def _spend(found: Overview) -> list[Series]:
    """Return spend by model: the dearest three, and the others together."""
    by_model = found.figures.by("model")
    ranked = sorted(by_model, key=lambda name: (-by_model[name].spend_nano_usd, name))
    top = [name for name in ranked[:_TOP] if by_model[name].spend_nano_usd]
    rest = len(ranked) - len(top)
    others = "1 other" if rest == 1 else f"{rest} others"
    over_time = found.figures.over_time(lambda kind: kind.model if kind.model in top else others)
    named = [*zip(top, _LOOKS, strict=False), (others, "s4")]
    return [
        _series(found, over_time.get(name, {}), name.rpartition("/")[2], look, _spent, _dollars_in_full)
        for name, look in named
        if name in over_time and _sum(over_time[name], _spent)
    ]


def _all_over_time(found: Overview) -> Mapping[int, Tally]:
    return found.figures.over_time(lambda _: "all").get("all", {})


def _spent(sums: Tally) -> float:
    return sums.spend_nano_usd / 1e9


def _by_status(found: Overview, looks: Mapping[str, str]) -> list[Series]:
    over_time = found.figures.over_time(lambda kind: kind.status)
    return [
        _series(found, over_time[word], word, look, lambda sums: sums.requests, _whole)
        for word, look in looks.items()
        if word in over_time
    ]


def _tokens(found: Overview) -> list[Series]:
    """Return tokens by kind; what is cached is part of the input, and is counted once."""
    all_of = _all_over_time(found)
    kinds: tuple[tuple[str, str, Reading], ...] = (
        ("input, not cached", "s1", lambda sums: max(0, sums.input_tokens - sums.cached_tokens)),
        ("input, cached", "s2", lambda sums: sums.cached_tokens),
        ("output", "s3", lambda sums: sums.output_tokens),
    )
    return [_series(found, all_of, name, look, read, _whole) for name, look, read in kinds]


def _series(  # noqa: PLR0917 - private, always called alike
    found: Overview, sums: Mapping[int, Tally], name: str, look: str, read: Reading, words: charts.Words
) -> Series:
    values = [read(sums[at_us]) if at_us in sums else None for at_us in found.figures.steps()]
    return Series(name=name, look=look, values=values, total=words(_sum(sums, read)))


def _sum(sums: Mapping[int, Tally], read: Reading) -> float:
    return sum(map(read, sums.values()))


def _steps(found: Overview, asked: Asked, now_us: int, zone: tzinfo) -> list[Step]:
    step_us = found.figures.step_us
    steps = []
    for at_us in found.figures.steps():
        end_us = at_us + step_us
        begin, end = (formats.moment(at).astimezone(zone) for at in (at_us, end_us))
        days = step_us >= DAY_US
        date = formats.moment(at_us) if days else begin
        day = f"{date.day} {date:%b}"
        steps.append(
            Step(
                words=day if days else f"{day} {begin:%H:%M} to {end:%H:%M}",
                mark=f"{begin:%H:%M}" if step_us <= DAY_US // 24 else day,
                href=asked.at(**{"from": formats.iso(at_us), "to": formats.iso(end_us)}),
                unfinished=at_us <= now_us < end_us,
            )
        )
    return steps


def _every(found: Overview) -> str:
    """Return what one step is."""
    hours = found.figures.step_us // (DAY_US // 24)
    if hours < 24:
        return "hour" if hours == 1 else f"{hours} hours"
    return "day of UTC" if hours == 24 else f"{hours // 24} days of UTC"


def _dollars(value: float) -> str:
    """Return money as an axis says it: whole dollars, cents, and below a cent as many places as it takes."""
    if value >= 10 or value == int(value):
        return f"${value:,.0f}"
    dollars, _, places = f"{Decimal(f'{value:.3g}'):f}".partition(".")
    return f"${dollars}.{places:0<2}"


def _dollars_in_full(value: float) -> str:
    return formats.money(round(value * 1e9))


def _whole(value: float) -> str:
    return f"{value / 1e6:,.3g} M" if value >= 1e6 else f"{value:,.3g}" if value < 10 else f"{value:,.0f}"


def _seconds(value: float) -> str:
    """Return a length as an axis says it."""
    return "0" if value == 0 else f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"


# -- breakdown -------------------------------------------------------------------------------------------


def breakdown(found: Overview, asked: Asked) -> tuple[list[Row], int]:
    """Return what the window comes to by what was asked, the dearest first, and how many lines more."""
    by_value: Mapping[str, Tally | FacetSums] = (
        found.figures.by(GROUPS[asked.by]) if asked.facet is None else found.by_facet
    )
    # Ranked and cut as sums: what people are told apart by has no end, and twenty lines are shown.
    ranked = sorted(by_value.items(), key=_rank)
    whole = found.figures.total().requests
    return [_row(asked, value, sums, whole) for value, sums in ranked[:_ROWS]], max(0, len(ranked) - _ROWS)


def _rank(item: tuple[str, Tally | FacetSums]) -> tuple[int, int, str]:
    value, sums = item
    return -sums.spend_nano_usd, -sums.requests, _named(value)


def _row(asked: Asked, value: str, sums: Tally | FacetSums, whole: int) -> Row:
    return Row(
        name=_named(value),
        # A capability is no filter: a request may have several.
        href=None if asked.by == "capability" else asked.at(**{asked.by: value}),
        requests=sums.requests,
        errors=sums.errors,
        tokens=sums.input_tokens + sums.output_tokens,
        spend_nano_usd=sums.spend_nano_usd,
        unpriced=sums.unpriced,
        # Of users, sessions and keys of `trace` no latency is kept.
        p95_us=sums.latency_us(95) if isinstance(sums, Tally) else None,
        share=round(100 * sums.requests / max(1, whole), 2),
    )


def _named(value: str) -> str:
    return value or "none"
