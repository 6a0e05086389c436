"""What docs/delivery.md says of metrics, made of an export: their names, kinds, units and labels."""

from typing import Any

from broadcast import otlp_metrics
from broadcast.otlp_metrics import Frame
from broadcast.receipt import Error
from broadcast.series import LIMIT, counted
from destinations import TYPES
from tests.factories import AT_US, receipt

_KINDS = {"histogram": "histogram", "sum": "counter"}


def table() -> str:
    """Return the table of metrics, in the order in which they are sent."""
    receipts = (receipt(), receipt(cost=None, status="error", error=Error(type="timeout")))
    frame = Frame("openrouter", {}, AT_US, AT_US)
    request = otlp_metrics.request_of(list(counted(receipts).values()), frame)
    rows = [_row(metric) for metric in request.resource_metrics[0].scope_metrics[0].metrics]
    head = [
        "| metric | kind | unit | what it says | labels besides those of all |",
        "| --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *rows, "", f"Labels of all: {_joined(_common(request))}.", "", _takers(), ""])


def _row(metric: Any) -> str:
    kind = metric.WhichOneof("data")
    labels = {pair.key for point in getattr(metric, kind).data_points for pair in point.attributes}
    own = _joined(sorted(labels - set(otlp_metrics.COMMON)))
    return f"| `{metric.name}` | {_KINDS[kind]} | `{metric.unit}` | {metric.description} | {own} |"


def _common(request: Any) -> list[str]:
    """Return the labels that every point has where its receipt says them."""
    metrics = request.resource_metrics[0].scope_metrics[0].metrics
    points = (
        point for metric in metrics for point in (*metric.histogram.data_points, *metric.sum.data_points)
    )
    every = [{pair.key for pair in point.attributes} for point in points]
    return [name for name in otlp_metrics.COMMON if all(name in labels for labels in every)]


def _takers() -> str:
    names = sorted((kind.title for kind in TYPES.values() if kind.takes_metrics()), key=str.lower)
    return f"Destinations that take them: {', '.join(names)}. Each tells at most {LIMIT:,} series apart."


def _joined(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
