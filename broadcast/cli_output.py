"""How commands print: aligned tables for people, the API's object for machines. Door: click."""

import contextlib
import json
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

import click

_TICK_S: Final = 1.0
_NO_DESTINATIONS: Final = "No destinations yet. Requests are recorded; nothing leaves this server."
_GOOD: Final = frozenset(("succeeded", "delivering", "delivered"))
_BAD: Final = frozenset(("error", "denied", "rejected", "paused", "retrying", "throttled", "expired"))
_COLOURS: Final = {**dict.fromkeys(_GOOD, "green"), **dict.fromkeys(_BAD, "red")}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table: its head, whether it holds numbers, and how wide it is at least."""

    head: str
    is_number: bool = False
    width: int = 0


def example(*lines: str) -> str:
    """Return the end of a command's help: examples that stand as they are written."""
    return "\n".join(("\b", "Example:", *(f"  {line}" for line in lines)))


def columns(*heads: str, numbers: Iterable[str] = ()) -> tuple[Column, ...]:
    """Return columns by their heads; those of `numbers` stand on the right."""
    right = frozenset(numbers)
    return tuple(Column(head=head, is_number=head in right) for head in heads)


@contextlib.contextmanager
def waiting(told: str) -> Iterator[None]:
    """Say what takes long; a terminal shows for how long it has."""
    if not sys.stderr.isatty():
        click.echo(f"{told} ...", err=True)
        yield
        return
    begun_s, done = time.monotonic(), threading.Event()

    def tick() -> None:
        while True:
            click.echo(f"\r{told} ... {time.monotonic() - begun_s:.0f} s", nl=False, err=True)
            if done.wait(_TICK_S):
                break

    ticking = threading.Thread(target=tick, name="waiting", daemon=True)
    ticking.start()
    try:
        yield
    finally:
        done.set()
        ticking.join()
        click.echo(err=True)


def print_json(answer: Any) -> None:
    """Print one object on one line."""
    click.echo(json.dumps(answer))


def print_table(shape: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Print a table as wide as its widest cells."""
    cells = [tuple(clean(cell) for cell in row) for row in rows]
    heads = tuple(column.head for column in shape)
    widths = [max(map(_width, column)) for column in zip(heads, *cells, strict=True)]
    for line in _lines(shape, widths, (heads, *cells)):
        click.echo(line)


def print_destinations(
    found: Mapping[str, Any],
    shape: Sequence[Column],
    row: Callable[[Mapping[str, Any]], Sequence[str]],
    *,
    as_json: bool,
) -> None:
    """Print a row a destination, or the API's object alone."""
    if as_json:
        print_json(found)
    elif found["data"]:
        print_table(shape, map(row, found["data"]))
    else:
        click.echo(_NO_DESTINATIONS)


def print_rows(shape: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Print rows as they come, in columns of the widths they have at least."""
    widths = [max(column.width, len(column.head)) for column in shape]
    for line in _lines(shape, widths, (tuple(clean(cell) for cell in row) for row in rows)):
        click.echo(line)


def print_facts(facts: Iterable[tuple[str, str]], *, err: bool = False) -> None:
    """Print names and values beside each other."""
    known = [(name, clean(value)) for name, value in facts]
    wide = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        click.echo(f"{name.ljust(wide)}  {coloured(value)}", err=err)


def coloured(word: str) -> str:
    """Return a state in its colour, which a terminal alone gets to see."""
    colour = _COLOURS.get(word)
    return word if colour is None else click.style(word, fg=colour)


def clean(text: str) -> str:
    """Return a text that moves no cursor: what others sent may hold a terminal's commands."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def _lines(shape: Sequence[Column], widths: Sequence[int], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in rows:
        padded = []
        for column, width, cell in zip(shape, widths, row, strict=True):
            gap = " " * (width - _width(cell))
            padded.append(f"{gap}{coloured(cell)}" if column.is_number else f"{coloured(cell)}{gap}")
        yield "  ".join(padded).rstrip()


def _width(text: str) -> int:
    """Return how many places of a terminal a text takes: wide letters take two, combining marks none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in {"W", "F"} for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)


# -- values ------------------------------------------------------------------------------------------


def words(name: str) -> str:
    """Return a name of the API, such as a state, as people write it."""
    return name.replace("_", " ")


def count(number: int | None) -> str:
    """Return a whole number with its thousands apart."""
    return "" if number is None else f"{number:,}"


def dollars(micro_usd: int | None) -> str:
    """Return money; what is not known is not zero."""
    return "unknown" if micro_usd is None else f"${micro_usd / 1_000_000:,.6f}"


def milliseconds(value: float | None) -> str:
    """Return a duration."""
    if value is None:
        return ""
    return f"{value:,.1f} ms" if value < 10 else f"{value:,.0f} ms"


def size(length: int) -> str:
    """Return a number of bytes."""
    if length < 1000:
        return f"{length} B"
    return f"{length / 1000:,.1f} kB" if length < 999_950 else f"{length / 1_000_000:,.1f} MB"


def receipts(number: int) -> str:
    """Return so many receipts."""
    return f"{number:,} receipt{'' if number == 1 else 's'}"


def moment(text: str | None, zone: tzinfo = UTC) -> str:
    """Return an instant of the API in a zone, to the second; in UTC where the zone's calendar ends."""
    if text is None:
        return ""
    at = datetime.fromisoformat(text)
    with contextlib.suppress(OverflowError):
        at = at.astimezone(zone)
    return f"{at:%Y-%m-%d %H:%M:%S}"
