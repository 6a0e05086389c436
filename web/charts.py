"""Charts as plain records of places and words; a template draws them as inline SVG, with a table beside.

Across, places are percent, so that a chart fits any width and its words keep their size; upwards, pixels.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

HEIGHT: Final = 160
TOP: Final = 8
_PLOT: Final = HEIGHT - TOP
_GRID: Final = 4
_GAP: Final = 0.12
_MOST_MARKS: Final = 5
_LINE_HEIGHT: Final = 13
_LEAST_AXIS: Final = 36
_SIGN_WIDTH: Final = 6.5

Words = Callable[[float], str]


@dataclass(frozen=True, kw_only=True)
class Series:
    """One kind of thing over time: a value a step, None where a step has none; `look` names its style."""

    name: str
    look: str
    values: Sequence[float | None]
    total: str = ""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of time: its words, where a click leads, and whether it still goes on."""

    words: str
    mark: str
    href: str
    unfinished: bool = False


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a column."""

    look: str
    y: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Column:
    """One step as a stack, the first series at the bottom."""

    step: Step
    x: float
    width: float
    parts: tuple[Part, ...]
    words: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """One series as points, each piece without a gap; `end` is the last value in words, at a height."""

    look: str
    pieces: tuple[str, ...]
    end: str
    end_y: float


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart: gridlines as height and words, marks of time as place and words, and the same as a table."""

    title: str
    grid: tuple[tuple[float, str], ...]
    marks: tuple[tuple[float, str, str], ...]
    legend: tuple[Series, ...]
    columns: tuple[Column, ...] = ()
    lines: tuple[Line, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()

    @property
    def axis_width(self) -> int:
        """The pixels that the words of the axis take."""
        longest = max(len(words) for _, words in self.grid)
        return max(_LEAST_AXIS, math.ceil(longest * _SIGN_WIDTH))

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(column.parts for column in self.columns) and not any(
            line.pieces for line in self.lines
        )

    @property
    def ends(self) -> tuple[tuple[float, str], ...]:
        """The lines' last values with their heights, moved apart where they would cover each other."""
        placed: list[tuple[float, str]] = []
        for line in sorted((line for line in self.lines if line.end), key=lambda line: -line.end_y):
            y = min(line.end_y, placed[-1][0] - _LINE_HEIGHT) if placed else line.end_y
            placed.append((y, line.end))
        return tuple(placed)


def stacked(
    title: str,
    steps: Sequence[Step],
    series: Sequence[Series],
    *,
    words: Words,
    axis: Words | None = None,
    counted: bool = False,
) -> Chart:
    """Return a chart of columns; what a step has none of is left out, never drawn as a line.

    An `axis` may have shorter words than a column and the table. That of what is `counted` has whole numbers
    alone: there is no half a request.
    """
    heights = [sum(one.values[at] or 0 for one in series) for at in range(len(steps))]
    ceiling, grid = _grid(max(heights, default=0), axis or words, counted=counted)
    width = 100 / max(1, len(steps))
    columns = []
    for at, step in enumerate(steps):
        said = ", ".join(f"{one.name} {words(value)}" for one in series if (value := one.values[at]))
        columns.append(
            Column(
                step=step,
                x=round((at + _GAP / 2) * width, 3),
                width=round(width * (1 - _GAP), 3),
                parts=_parts(series, at, ceiling),
                words=f"{step.words}: {said or 'none'}",
            )
        )
    return Chart(
        title=title,
        grid=grid,
        marks=_marks(steps),
        legend=tuple(series),
        columns=tuple(columns),
        table=_table(steps, series, words),
    )


def _parts(series: Sequence[Series], at: int, ceiling: float) -> tuple[Part, ...]:
    parts, y = [], float(HEIGHT)
    for one in series:
        height = (one.values[at] or 0) / ceiling * _PLOT
        if height > 0:
            y -= height
            parts.append(Part(look=one.look, y=round(y, 2), height=round(height, 2)))
    return tuple(parts)


def lines(title: str, steps: Sequence[Step], series: Sequence[Series], *, words: Words) -> Chart:
    """Return a chart of lines; an empty step is a gap, and each line ends in its value."""
    known = [value for one in series for value in one.values if value is not None]
    ceiling, grid = _grid(max(known, default=0), words)
    drawn = tuple(_line(one, len(steps), ceiling, words) for one in series)
    return Chart(
        title=title,
        grid=grid,
        marks=_marks(steps),
        legend=tuple(series),
        lines=drawn,
        table=_table(steps, series, words),
    )


def _line(series: Series, count: int, ceiling: float, words: Words) -> Line:
    pieces: list[list[str]] = [[]]
    last: float | None = None
    width = 100 / max(1, count)
    for at, value in enumerate(series.values):
        if value is None:
            pieces.append([])
            continue
        last = value
        y = HEIGHT - value / ceiling * _PLOT
        pieces[-1] += [f"{round((at + 0.5) * width, 3)},{round(y, 2)}"]
    drawn = tuple(" ".join(_visible(piece, width)) for piece in pieces if piece)
    end_y = 0.0 if last is None else round(HEIGHT - last / ceiling * _PLOT, 2)
    return Line(look=series.look, pieces=drawn, end="" if last is None else words(last), end_y=end_y)


def _visible(piece: list[str], width: float) -> list[str]:
    """Return points that draw something: one alone becomes a short dash."""
    if len(piece) > 1:
        return piece
    x, _, y = piece[0].partition(",")
    return [f"{round(float(x) - width / 4, 3)},{y}", f"{round(float(x) + width / 4, 3)},{y}"]


def _grid(
    highest: float, words: Words, *, counted: bool = False
) -> tuple[float, tuple[tuple[float, str], ...]]:
    """Return where the axis ends, and its lines: from 0, evenly, at round values."""
    step = _round_up(highest / _GRID, counted=counted) if highest > 0 else 1.0
    count = max(1, math.ceil(highest / step - 1e-6)) if highest > 0 else 1
    ceiling = step * count
    return ceiling, tuple(
        (round(HEIGHT - step * at / ceiling * _PLOT, 2), words(step * at)) for at in range(count + 1)
    )


def _round_up(value: float, *, counted: bool) -> float:
    """Return the next of 1, 2, 2.5 or 5 times a power of ten; of what is counted the next whole one."""
    wanted = max(1, value) if counted else value
    power = float(10 ** math.floor(math.log10(wanted)))
    steps = (power * factor for factor in (1, 2, 2.5, 5, 10))
    return next(step for step in steps if step >= wanted * (1 - 1e-9) and (step.is_integer() or not counted))


def _marks(steps: Sequence[Step]) -> tuple[tuple[float, str, str], ...]:
    """Return a few marks of time: place, words, and how these are held to it.

    Steps of one day have its mark together: it stands where the day begins, as far as it is there whole.
    """
    if not steps:
        return ()
    begun = [at for at, step in enumerate(steps) if not at or step.mark != steps[at - 1].mark]
    length = begun[2] - begun[1] if len(begun) > 2 else 1
    if len(begun) > 2 and begun[1] < length:
        del begun[0]
    every = max(1, math.ceil(len(begun) / _MOST_MARKS))
    width = 100 / len(steps)
    chosen = [at for at in begun[::every] if len(steps) - at >= every * length]
    marks = [(round(at * width, 3), steps[at].mark, "start") for at in chosen]
    return (*marks, (100.0, "now" if steps[-1].unfinished else "", "end"))


def _table(steps: Sequence[Step], series: Sequence[Series], words: Words) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (step.words, *("none" if (value := one.values[at]) is None else words(value) for one in series))
        for at, step in enumerate(steps)
    )
