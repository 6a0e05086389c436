"""Charts: places that add up, round axes, gaps, and the same numbers as a table."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.charts import HEIGHT, TOP, Series, Step, lines, stacked

HOURS = tuple(
    Step(words=f"{hour}:00 to {hour + 1}:00", mark=f"{hour}:00", href=f"?at={hour}", unfinished=hour == 3)
    for hour in range(4)
)


def plain(value: float) -> str:
    return f"{value:g}"


def series(*values: float | None, name: str = "a", look: str = "s1") -> Series:
    return Series(name=name, look=look, values=values)


def test_a_column_is_as_high_as_its_parts_together() -> None:
    chart = stacked(
        "Spend", HOURS, [series(1, 0, 3, 4), series(1, 0, 1, 0, name="b", look="s2")], words=plain
    )

    first, second, third, _ = chart.columns
    assert [part.look for part in first.parts] == ["s1", "s2"]
    assert first.parts[0].y == pytest.approx(first.parts[1].y + first.parts[1].height)
    assert first.parts[0].y + first.parts[0].height == HEIGHT
    assert second.parts == ()
    assert third.parts[1].y == TOP


def test_the_axis_begins_at_zero_and_has_at_most_five_round_lines() -> None:
    chart = stacked("Spend", HOURS, [series(0, 1, 2, 3.34)], words=plain)
    assert [words for _, words in chart.grid] == ["0", "1", "2", "3", "4"]
    assert chart.grid[0][0] == HEIGHT
    assert chart.grid[-1][0] == TOP


@pytest.mark.parametrize(
    ("highest", "axis"),
    [
        (1, ["0", "1"]),
        (2, ["0", "1", "2"]),
        (5, ["0", "2", "4", "6"]),
        (9, ["0", "5", "10"]),
        (90, ["0", "25", "50", "75", "100"]),
    ],
)
def test_the_axis_of_what_is_counted_has_whole_numbers(highest: float, axis: list[str]) -> None:
    chart = stacked("Requests", HOURS, [series(highest, 0, 0, 0)], words=plain, counted=True)
    assert [words for _, words in chart.grid] == axis


def test_the_axis_is_as_wide_as_its_longest_words() -> None:
    narrow = stacked("Spend", HOURS, [series(4, 0, 0, 0)], words=plain)
    wide = stacked("Spend", HOURS, [series(4, 0, 0, 0)], words=lambda value: f"$0.00000{value:g}")
    assert narrow.axis_width == 36 < wide.axis_width


@given(highest=st.floats(min_value=1e-9, max_value=1e15))
def test_whatever_the_values_the_highest_fits_under_the_last_line(highest: float) -> None:
    chart = stacked("Any", HOURS, [series(highest, None, 0, highest / 3)], words=plain)
    assert 2 <= len(chart.grid) <= 5
    assert min(part.y for column in chart.columns for part in column.parts) >= TOP - 0.01


def test_an_empty_step_is_a_gap_in_a_line() -> None:
    chart = lines("Latency", HOURS, [series(1, 2, None, 4)], words=plain)
    (line,) = chart.lines
    assert len(line.pieces) == 2
    assert (line.end, line.end_y) == ("4", TOP)


def test_a_chart_of_nothing_is_empty_and_still_has_an_axis() -> None:
    for chart in (
        stacked("Spend", HOURS, [series(0, None, 0, 0)], words=plain),
        lines("Latency", HOURS, [series(None, None, None, None)], words=plain),
    ):
        assert chart.empty
        assert [words for _, words in chart.grid] == ["0", "1"]


def test_the_table_says_every_value_with_its_step() -> None:
    chart = lines("Latency", HOURS, [series(1, 2, None, 4), series(0, 0, 0, 0, name="b")], words=plain)
    assert chart.table[2] == ("2:00 to 3:00", "none", "0")
    assert len(chart.table) == len(HOURS)


def test_the_last_mark_says_now_while_the_step_goes_on() -> None:
    assert stacked("Spend", HOURS, [series(1, 1, 1, 1)], words=plain).marks[-1] == (100.0, "now", "end")


def test_a_column_says_its_step_and_its_parts() -> None:
    chart = stacked("Spend", HOURS, [series(1, 0, 3, 4), series(2, 0, 0, 0, name="b")], words=plain)
    assert chart.columns[0].words == "0:00 to 1:00: a 1, b 2"
    assert chart.columns[1].words == "1:00 to 2:00: none"


def test_last_values_never_cover_each_other() -> None:
    chart = lines("Latency", HOURS, [series(1, 1, 1, value) for value in (4, 3.99, 0.01, 0)], words=plain)
    heights = [y for y, _ in chart.ends]
    assert [words for _, words in chart.ends] == ["0", "0.01", "3.99", "4"]
    assert all(lower - higher >= 13 for lower, higher in pairwise(heights))


def test_a_day_of_several_steps_is_marked_where_it_begins() -> None:
    """The first of them is not there whole: its mark would stand beside the second's."""
    quarters = [Step(words="", mark=f"{(at + 1) // 4} Nov", href="") for at in range(28)]

    marks = stacked("Spend", quarters, [series(*range(28))], words=plain).marks

    assert [(round(at * 28 / 100), words) for at, words, _ in marks[:-1]] == [
        (3, "1 Nov"),
        (11, "3 Nov"),
        (19, "5 Nov"),
    ]
