"""Test Connection of a destination whose metrics are on: the span first, then one point."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcast.errors import GateClosed
from broadcast.report import Report
from broadcast.store import Store
from tests.broadcast.sending import World, clock
from tests.receiver import Receiver


@pytest.fixture
def world(store: Store, tmp_path: Path) -> Iterator[World]:
    with Receiver() as receiver:
        yield World.build(store, receiver, tmp_path)


def body(world: World, every: str = "60s", **config: Any) -> dict[str, Any]:
    made = world.body()
    made["config"] |= {"metrics": every, **config}
    return made


def tried(world: World, every: str = "60s", **config: Any) -> Report:
    return world.connections.test(world.workspace, body(world, every, **config), now_us=clock())


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
def test_one_point_is_sent_after_the_span_and_the_report_says_so(world: World, encoding: str) -> None:
    report = tried(world, encoding=encoding)

    assert (report.ok, report.message) == (True, "The test span was accepted. So were metrics.")
    span, metrics = world.receiver.requests
    assert (span.path, metrics.path) == ("/ok", "/ok/v1/metrics")
    assert metrics.headers["authorization"] == "Bearer s3cr3t-value"
    ((point,),) = world.receiver.exports()
    assert (point.metric, point.value) == ("broadcast.connection_test", 1)
    assert point.resource["service.name"] == "openrouter"


def test_where_metrics_are_off_none_is_sent(world: World) -> None:
    assert tried(world, "off").message == "The test span was accepted."
    assert [seen.path for seen in world.receiver.requests] == ["/ok"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 415, 429, 500])
def test_where_metrics_are_not_taken_the_test_fails_and_says_which(world: World, status: int) -> None:
    world.receiver.answer("/ok/v1/metrics", status=status)
    report = tried(world)
    assert (report.ok, report.stage, report.status_code) == (False, "data", status)
    assert (report.reachable, report.credential_accepted, report.data_accepted) == ("yes", "yes", "no")
    assert report.message.startswith(f"The test span was accepted, metrics were not: {status} ")
    assert "switch Metrics off" in (report.hint or "")
    assert report.fingerprint is None


def test_points_that_are_rejected_fail_it_too(world: World) -> None:
    answer = {"partialSuccess": {"rejectedDataPoints": 1, "errorMessage": "delta only"}}
    world.receiver.answer("/ok/v1/metrics", body=answer)
    assert "1 points rejected: delta only" in tried(world).message


def test_where_nobody_answers_there_is_a_sentence(world: World) -> None:
    elsewhere = world.receiver.url("/drop/v1/metrics")
    report = tried(world, metricsEndpoint=elsewhere)
    assert not report.ok
    assert report.message.startswith("The test span was accepted, metrics were not: ")


def test_a_span_that_is_refused_ends_the_test(world: World) -> None:
    world.receiver.answer("/ok", status=401)
    assert tried(world).stage == "credential"
    assert [seen.path for seen in world.receiver.requests] == ["/ok"]


def test_nothing_is_saved_and_nothing_switched_on_by_a_test_that_failed(world: World) -> None:
    stored = world.destination()
    world.receiver.answer("/ok/v1/metrics", status=404)
    with pytest.raises(GateClosed):
        world.connections.create(world.workspace, None, body(world), now_us=clock())
    with pytest.raises(GateClosed):
        world.connections.update(
            world.workspace, None, stored.uid, {"config": {"metrics": "60s"}}, now_us=clock()
        )
    assert world.connections.get(world.workspace, stored.uid).config["metrics"] == "off"


def test_switching_metrics_on_asks_for_no_secret_again(world: World) -> None:
    stored = world.destination()
    changed = world.connections.update(
        world.workspace, None, stored.uid, {"config": {"metrics": "10s"}}, now_us=clock()
    )
    assert changed.config["metrics"] == "10s"
    assert changed.address == stored.address
