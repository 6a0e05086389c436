"""The waterfall: spans as bars on one axis of time."""

from dataclasses import dataclass
from typing import Final

from broadcast.receipt import Receipt
from broadcast.span import Span
from web import formats

_MAX_DEPTH: Final = 4
_TICKS: Final = 4
_WHOLE: Final = 80
"""How much of the lane the whole trace takes, in percent; the rest holds the words behind its bars."""

_HALF: Final = 50
_LONGEST_WHY: Final = 14
"""How many characters of why a span failed fit there, behind a bar that ends late."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One span in the waterfall; places are percent of the lane, `why` is empty unless it failed."""

    span: Span
    depth: int
    start: float
    width: float
    first: float | None
    main: bool
    bad: bool
    why: str
    length: str

    @property
    def words(self) -> str:
        """All that is said of the span."""
        return f"{self.why}, {self.length}" if self.why else self.length

    @property
    def late(self) -> bool:
        """Whether it ends in the half of the lane where a phone has room for the length alone."""
        return self.start + self.width > _HALF

    @property
    def why_beside(self) -> str:
        """Why it failed, where there is room for it behind the bar."""
        return "" if self.late and len(self.why) > _LONGEST_WHY else self.why


def bars_of(spans: tuple[Span, ...], receipt: Receipt | None = None) -> list[Bar]:
    """Return the spans as bars, parents before children, from the trace's first instant to its last."""
    if not spans:
        return []
    begin, end = min(span.start_ns for span in spans), max(span.end_ns for span in spans)
    scale = _WHOLE / max(1, end - begin)
    depth: dict[str, int] = {}
    bars = []
    for span in _ordered(spans):
        depth[span.span_id] = min(_MAX_DEPTH, depth.get(span.parent_span_id, -1) + 1)
        main = "gen_ai.operation.name" in span.attributes
        bad = span.status_code == 2 or "error.type" in span.attributes
        bars.append(
            Bar(
                span=span,
                depth=depth[span.span_id],
                start=round((span.start_ns - begin) * scale, 3),
                width=max(0.3, round((span.end_ns - span.start_ns) * scale, 3)),
                first=_first_token(receipt, scale) if main else None,
                main=main,
                bad=bad,
                why=_why(span) if bad else "",
                length=formats.duration((span.end_ns - span.start_ns) // 1000),
            )
        )
    return bars


def _ordered(spans: tuple[Span, ...]) -> list[Span]:
    """Return parents before children, children by start; a span whose parent is elsewhere is a root."""
    known = {span.span_id for span in spans}
    children: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda item: item.start_ns):
        children.setdefault(span.parent_span_id if span.parent_span_id in known else "", []).append(span)
    ordered: list[Span] = []
    waiting = list(reversed(children.get("", [])))
    while waiting:
        span = waiting.pop()
        ordered.append(span)
        waiting.extend(reversed(children.pop(span.span_id, [])))
    return ordered


def _first_token(receipt: Receipt | None, scale: float) -> float | None:
    first_ms = receipt.timing.first_token_ms if receipt and receipt.timing else None
    if receipt is None or first_ms is None or first_ms * 1000 >= receipt.duration_us:
        return None
    return round(first_ms * 1_000_000 * scale, 3)


def _why(span: Span) -> str:
    return str(span.attributes.get("http.response.status_code", span.attributes.get("error.type", "")))


def ticks_of(spans: tuple[Span, ...]) -> list[tuple[float, str]]:
    """Return at most five marks of the time axis, each with its place in percent."""
    if not spans:
        return []
    length_us = (max(span.end_ns for span in spans) - min(span.start_ns for span in spans)) / 1000
    step_us = 1.0
    while length_us / step_us > _TICKS:
        step_us *= 2.5 if f"{step_us:.0e}"[0] == "2" else 2
    count = int(length_us // step_us) + 1
    return [
        (round(_WHOLE * number * step_us / max(1.0, length_us), 3), _tick(round(number * step_us)))
        for number in range(min(count, _TICKS + 1))
    ]


def _tick(at_us: int) -> str:
    if at_us == 0:
        return "0"
    return f"{at_us / 1_000_000:g} s" if at_us >= 1_000_000 else f"{at_us / 1000:g} ms"
