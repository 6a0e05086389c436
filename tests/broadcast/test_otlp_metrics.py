import json
from typing import Any

import pytest

from broadcast import otlp_metrics, series
from broadcast.destination import CONTENT_TYPES, Encoding
from broadcast.otlp_metrics import ENCODERS, Frame
from broadcast.receipt import Cost, Error, Usage
from broadcast.series import OTHER, Series, counted
from tests.broadcast.test_series import SECONDS, TOKENS
from tests.factories import AT_US, receipt
from tests.receiver import Seen, SeenPoint, points_of

FRAME = Frame("openrouter", {"service.name": "openrouter", "answer": 42}, AT_US, AT_US + 60_000_000)
ENCODINGS: tuple[Encoding, ...] = ("json", "protobuf")
LABELS = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "openai/gpt-4o-mini",
    "gen_ai.response.model": "openai/gpt-4o-mini-2024-07-18",
}


def read(every: list[Series], encoding: Encoding = "protobuf") -> dict[str, list[SeenPoint]]:
    """Return the points of an export by metric, decoded with the official types."""
    body = ENCODERS[encoding](otlp_metrics.request_of(every, FRAME))
    seen = Seen(
        method="POST", path="/", headers={"content-type": CONTENT_TYPES[encoding]}, raw=body, body=body
    )
    found: dict[str, list[SeenPoint]] = {}
    for point in points_of(seen.metrics()):
        found.setdefault(point.metric, []).append(point)
    return found


def of(*receipts: Any) -> list[Series]:
    return list(counted(receipts).values())


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_request_becomes_every_metric(encoding: Encoding) -> None:
    found = read(of(receipt(), receipt()), encoding)

    assert {name: points[0].unit for name, points in found.items()} == {
        "gen_ai.client.token.usage": "{token}",
        "gen_ai.client.operation.duration": "s",
        "gen_ai.client.operation.time_to_first_chunk": "s",
        "openrouter.requests": "{request}",
        "openrouter.cost": "{USD}",
    }
    (requests,), (cost,) = found["openrouter.requests"], found["openrouter.cost"]
    assert (requests.value, cost.value) == (2, 0.000774)
    (duration,) = found["gen_ai.client.operation.duration"]
    assert (duration.count, duration.total, duration.bounds) == (2, 2.469134, SECONDS)
    assert duration.buckets == (0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0)
    (first,) = found["gen_ai.client.operation.time_to_first_chunk"]
    assert (first.count, first.total, first.bounds) == (2, 0.825, SECONDS)


def test_every_point_is_cumulative_since_one_instant_and_says_whose_it_is() -> None:
    for point in (each for points in read(of(receipt())).values() for each in points):
        assert point.temporality == 2
        assert (point.start_ns, point.time_ns) == (AT_US * 1000, (AT_US + 60_000_000) * 1000)
        assert point.resource == {"service.name": "openrouter", "answer": 42}
        assert point.scope == "openrouter"
        assert point.labels.items() >= LABELS.items()
        assert point.monotonic == (not point.bounds)


def test_tokens_are_told_apart_by_their_kind() -> None:
    points = read(of(receipt(usage=Usage(input_tokens=1200, output_tokens=345))))["gen_ai.client.token.usage"]
    assert [(each.labels["gen_ai.token.type"], each.count, each.total) for each in points] == [
        ("input", 1, 1200),
        ("output", 1, 345),
    ]
    assert {each.bounds for each in points} == {tuple(map(float, TOKENS))}


def test_the_kind_of_error_is_a_label_of_durations_and_errors_alone() -> None:
    failed = receipt(status="error", error=Error(type="timeout"))
    found = read(of(receipt(), failed, receipt(status="cancelled")))

    durations = found["gen_ai.client.operation.duration"]
    assert [each.labels.get("error.type") for each in durations] == [None, "timeout", "cancelled"]
    errors = found["openrouter.errors"]
    assert [(each.labels["error.type"], each.value) for each in errors] == [("timeout", 1)]
    for name in ("gen_ai.client.token.usage", "openrouter.requests", "openrouter.cost"):
        assert all("error.type" not in each.labels for each in found[name])
    assert [each.value for each in found["openrouter.requests"]] == [3]


def test_a_cost_that_nobody_knows_is_no_point_and_is_counted() -> None:
    found = read(of(receipt(cost=None)))
    assert "openrouter.cost" not in found
    assert [each.value for each in found["openrouter.unpriced_requests"]] == [1]


def test_a_request_that_cost_nothing_is_a_point_of_0() -> None:
    assert [each.value for each in read(of(receipt(cost=Cost(total_nano_usd=0))))["openrouter.cost"]] == [0.0]


def test_what_a_receipt_does_not_say_is_no_label() -> None:
    bare = receipt(provider_slug=None, system=None, response_model=None)
    (point,) = read(of(bare))["openrouter.requests"]
    assert point.labels == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "openai/gpt-4o-mini",
    }


def test_the_other_series_says_so_and_keeps_the_kind_of_tokens() -> None:
    other = series.merged(counted([receipt(), receipt(status="error")]), [], 0, limit=0)
    found = read(other)
    assert [each.labels for each in other] == [OTHER]
    overflow = {"otel.metric.overflow": True}
    assert [each.labels for each in found["gen_ai.client.token.usage"]] == [
        {**overflow, "gen_ai.token.type": "input"},
        {**overflow, "gen_ai.token.type": "output"},
    ]
    for name in ("gen_ai.client.operation.duration", "openrouter.requests", "openrouter.errors"):
        assert [each.labels for each in found[name]] == [overflow]


def test_an_export_that_is_too_long_becomes_several_and_no_series_is_split() -> None:
    failed = ((f"m{number}", status) for number in range(20) for status in ("error", "denied"))
    every = of(*(receipt(model=model, status=status) for model, status in failed))
    bodies = list(otlp_metrics.bodies(series.together(every), FRAME, "protobuf", 8_000))

    assert len(bodies) > 2
    assert all(len(body) <= 8_000 for body in bodies)
    models = []
    for body in bodies:
        seen = Seen(method="POST", path="/", headers={}, raw=body, body=body)
        models += [
            (point.labels["gen_ai.request.model"], point.value)
            for point in points_of(seen.metrics())
            if point.metric == "openrouter.requests"
        ]
    assert sorted(models) == sorted((f"m{number}", 2) for number in range(20))


def test_json_is_as_otlp_writes_it() -> None:
    body = json.loads(ENCODERS["json"](otlp_metrics.request_of(of(receipt()), FRAME)))
    (metrics,) = body["resourceMetrics"][0]["scopeMetrics"]
    usage = metrics["metrics"][0]
    assert usage["name"] == "gen_ai.client.token.usage"
    assert usage["histogram"]["aggregationTemporality"] == 2
    point = usage["histogram"]["dataPoints"][0]
    assert point["timeUnixNano"] == str((AT_US + 60_000_000) * 1000)
    assert point["count"] == "1"
    assert point["bucketCounts"][6] == "1"


def test_the_test_point_is_no_request() -> None:
    (point,) = points_of(otlp_metrics.probe(FRAME))
    assert (point.metric, point.value, point.labels) == ("broadcast.connection_test", 1, {})
