"""Activity's figures: an axis that says money; a breakdown ranked as sums, cut, and then written as lines."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest
from flask import Flask

from broadcast import sketch
from broadcast.figures import Figures, Window
from broadcast.overview import Overview
from broadcast.tally import DAY_US, FacetSums, Group, Tally
from web import activity_charts
from web.asked import Asked

MANY = 2_000
SHOWN = 20


@dataclass(kw_only=True)
class Watched(Figures):
    """Figures that note each time everything is added up."""

    totals: list[int] = field(default_factory=list)

    def total(self) -> Tally:
        found = super().total()
        self.totals.append(found.requests)
        return found


@pytest.fixture(autouse=True)
def page() -> Iterator[None]:
    """Lines hold addresses, so a page is being made."""
    app = Flask("charts under test")
    app.add_url_rule("/w/<slug>/activity", endpoint="activity.requests")
    with app.test_request_context():
        yield


def tally(requests: int = 1, spend_nano_usd: int = 0) -> Tally:
    made = Tally()
    made.requests, made.spend_nano_usd = requests, spend_nano_usd
    return made


def sums(requests: int = 1, spend_nano_usd: int = 0) -> FacetSums:
    return FacetSums(requests, 0, 0, spend_nano_usd, 0, 0)


def overview(models: Mapping[str, Tally], by_facet: Mapping[str, FacetSums] | None = None) -> Overview:
    figures = Watched(window=Window(from_us=0, to_us=DAY_US, step_us=DAY_US))
    for model, found in models.items():
        figures.add(0, Group(model, "", "", "", "succeeded", ""), found)
    return Overview(
        figures=figures,
        before=None,
        whole=True,
        whole_by_facet=True,
        facets=("user",),
        by_facet=dict(by_facet or {}),
    )


def test_however_many_values_there_are_everything_is_added_up_once() -> None:
    found = overview(
        {"m": tally(MANY)}, {f"user-{number}": sums(spend_nano_usd=number) for number in range(MANY)}
    )

    rows, more = activity_charts.breakdown(found, Asked(slug="team", by="user"))

    assert [row.name for row in rows] == [f"user-{MANY - place}" for place in range(1, SHOWN + 1)]
    assert more == MANY - SHOWN
    assert isinstance(found.figures, Watched)
    assert found.figures.totals == [MANY]


@pytest.mark.parametrize(
    ("spend_nano_usd", "axis"),
    [
        (3_000, ["$0", "$0.000001", "$0.000002", "$0.000003"]),
        (9_000, ["$0", "$0.0000025", "$0.000005", "$0.0000075", "$0.00001"]),
        (90_000_000, ["$0", "$0.025", "$0.05", "$0.075", "$0.10"]),
        (2_000_000_000, ["$0", "$0.50", "$1", "$1.50", "$2"]),
        (3_000_000_000_000, ["$0", "$1,000", "$2,000", "$3,000"]),
    ],
)
def test_the_axis_of_spend_says_money_and_never_a_power_of_ten(spend_nano_usd: int, axis: list[str]) -> None:
    found = overview({"m": tally(spend_nano_usd=spend_nano_usd)})
    chart = activity_charts.chart(found, Asked(slug="team"), now_us=DAY_US)
    assert [words for _, words in chart.grid] == axis


def test_a_column_and_the_table_say_money_in_full_where_the_axis_says_whole_dollars() -> None:
    found = overview({"m": tally(spend_nano_usd=12_340_000_000)})
    chart = activity_charts.chart(found, Asked(slug="team"), now_us=DAY_US)
    assert [words for _, words in chart.grid] == ["$0", "$5", "$10", "$15"]
    assert [column.words for column in chart.columns] == ["1 Jan: m $12.34"]
    assert chart.table == (("1 Jan", "$12.34"),)


@pytest.mark.parametrize(
    ("first_token_us", "legend"),
    [(None, ["p95", "median"]), (300_000, ["p95", "median", "first token, median"])],
)
def test_of_the_first_token_the_latency_speaks_where_answers_were_streamed(
    first_token_us: int | None, legend: list[str]
) -> None:
    one = tally()
    one.latency = sketch.of(900_000)
    one.first_token = sketch.EMPTY if first_token_us is None else sketch.of(first_token_us)

    chart = activity_charts.latency(overview({"m": one}), Asked(slug="team"), now_us=DAY_US)

    assert [series.name for series in chart.legend] == legend


@pytest.mark.parametrize("by", ["model", "user"])
def test_the_dearest_come_first_then_the_busiest_then_by_the_name_that_is_shown(by: str) -> None:
    ranked = {"dear": (1, 9), "busy": (5, 3), "a": (2, 3), "": (2, 3), "z": (2, 3)}
    found = overview(
        {name: tally(*given) for name, given in ranked.items()},
        {name: sums(*given) for name, given in ranked.items()},
    )

    rows, more = activity_charts.breakdown(found, Asked(slug="team", by=by))

    assert [row.name for row in rows] == ["dear", "busy", "a", "none", "z"]
    assert [row.share for row in rows] == [8.33, 41.67, 16.67, 16.67, 16.67]
    assert [row.href for row in rows] == [
        Asked(slug="team", by=by, filters={by: name}).at() for name in ("dear", "busy", "a", "", "z")
    ]
    assert more == 0
