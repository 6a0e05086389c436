"""The waterfall: spans as bars on one axis of time."""

from dataclasses import dataclass
from typing import Final

from broadcast.receipt import Receipt
from broadcast.span import Span
from web import formats

_MAX_DEPTH: Final = 4
_TICKS: Final = 4


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One span in the waterfall; places are percent of the whole trace."""

    span: Span
    depth: int
    start: float
    width: float
    first: float | None
    main: bool
    bad: bool
    words: str


def bars_of(spans: tuple[Span, ...], receipt: Receipt | None = None) -> list[Bar]:
    """Return the spans as bars, parents before children, the trace's whole length as 84 percent."""
    if not spans:
        return []
    begin, end = min(span.start_ns for span in spans), max(span.end_ns for span in spans)
    scale = 84 / max(1, end - begin)
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
                words=_words(span, bad=bad),
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


def _words(span: Span, *, bad: bool) -> str:
    length = formats.duration((span.end_ns - span.start_ns) // 1000)
    status = span.attributes.get("http.response.status_code", span.attributes.get("error.type"))
    return f"{status}, {length}" if bad and status is not None else length


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
        (round(84 * number * step_us / max(1.0, length_us), 3), _tick(round(number * step_us)))
        for number in range(min(count, _TICKS + 1))
    ]


def _tick(at_us: int) -> str:
    if at_us == 0:
        return "0"
    return f"{at_us / 1_000_000:g} s" if at_us >= 1_000_000 else f"{at_us / 1000:g} ms"
