"""What was measured: one row a comparison, printed as one table and kept as JSON."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison; `ratio` says how many times better ours is, `target` what is owed."""

    name: str
    unit: str
    ours: float
    peer: float | None = None
    peer_name: str = ""
    ratio: float | None = None
    target: float | None = None
    absolute: bool = False
    at_most: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the target is met; an absolute target judges our own figure, `at_most` from above."""
        reached = self.ours if self.absolute else self.ratio
        if self.target is None or reached is None:
            return None
        return reached <= self.target if self.at_most else reached >= self.target

    def view(self) -> dict[str, Any]:
        """Return the row as JSON holds it."""
        return {**asdict(self), "met": self.met}


def rendered(rows: list[Row]) -> str:
    """Return the table as Markdown, so that the README can hold it."""
    lines = ["| measured | ours | peer | ratio | target |", "| --- | ---: | ---: | ---: | ---: |"]
    for row in rows:
        beside = f"{_short(row.peer)} ({row.peer_name})" if row.peer is not None else ""
        ratio = f"{_short(row.ratio)}x" if row.ratio is not None else ""
        lines.append(f"| {row.name}, {row.unit} | {_short(row.ours)} | {beside} | {ratio} | {_target(row)} |")
    return "\n".join(lines)


def _target(row: Row) -> str:
    if row.target is None:
        return ""
    shown = f"{'<=' if row.at_most else '>='} {row.target:,g}" + ("" if row.absolute else "x")
    return shown if row.met else f"{shown} MISSED"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}" if value < 2 else f"{value:,.1f}"
