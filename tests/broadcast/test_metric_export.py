"""Metrics as a destination gets them: a real receiver, both databases, and a clock of our own."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from broadcast import metric_counting
from broadcast.destination import Request, Response
from broadcast.metric_export import HOLD_US
from broadcast.receipt import Cost, Error, KeyRef, Usage
from broadcast.retention import Retention
from broadcast.sending import Sender
from broadcast.series import LIMIT
from broadcast.store import Store, destinations, metrics, workspaces
from broadcast.store.destinations import StoredDestination
from broadcast.store.metrics import MetricPlace
from broadcast.transport import Transport
from destinations import TYPES
from tests.broadcast.measuring import export_due
from tests.broadcast.sending import POLICY, World, clock
from tests.grpc_receiver import GrpcReceiver
from tests.receiver import Receiver, SeenPoint

MINUTE_US = 60_000_000
TOKENS, DURATION = "gen_ai.client.token.usage", "gen_ai.client.operation.duration"


class Killed(BaseException):
    """The process ended here."""


class Killer:
    """Sends a request, or not, and ends the process."""

    def __init__(self, sender: Sender | None) -> None:
        self.sender = sender

    async def send(self, request: Request) -> Response:
        if self.sender is not None:
            await self.sender.send(request)
        raise Killed


@dataclass
class Measured:
    """A world whose destinations send metrics, with a clock that is moved by hand."""

    world: World
    passed_us: int = 0
    types: dict[str, Any] = field(default_factory=lambda: dict(TYPES))
    at_once: int = metric_counting.AT_ONCE
    series_limit: int = LIMIT

    def destination(self, path: str = "/ok", every: str = "60s", **settings: Any) -> StoredDestination:
        body = self.world.body(path, **settings)
        body["config"]["metrics"] = every
        made = self.world.connections.create(self.world.workspace, None, body, now_us=clock())
        self.world.receiver.clear()
        return made

    def passes(self, us: int) -> None:
        self.passed_us += us

    def exports(self, *, dies: str = "") -> None:
        """Let a worker look once at what is due; it may die before a request is sent, or after it."""
        asyncio.run(self._work(dies))

    async def _work(self, dies: str) -> None:
        async with Transport(POLICY) as transport:
            senders: dict[str, Sender] = {"before": Killer(None), "after": Killer(transport)}
            await export_due(
                self.world.store,
                self.world.vault,
                self.types,
                senders.get(dies, transport),
                namespace=self.world.config.service_name,
                now_us=lambda conn: self.world.store.now_us(conn) + self.passed_us,
                at_once=self.at_once,
                series_limit=self.series_limit,
            )

    def place(self, stored: StoredDestination) -> MetricPlace:
        with self.world.store.read() as conn:
            found = metrics.get(conn, stored.id)
        assert found is not None
        return found

    def patch(self, stored: StoredDestination, **body: Any) -> None:
        self.world.connections.update(self.world.workspace, None, stored.uid, body, now_us=clock())

    def sums(self, metric: str) -> list[float]:
        """Return what a metric came to in each export, its series added up."""
        return [
            sum(point.value or point.total for point in export if point.metric == metric)
            for export in self.world.receiver.exports()
        ]

    def last(self) -> list[SeenPoint]:
        return self.world.receiver.exports()[-1]


@pytest.fixture
def measured(store: Store, tmp_path: Path) -> Iterator[Measured]:
    with Receiver() as receiver:
        yield Measured(World.build(store, receiver, tmp_path))


# -- what is sent ----------------------------------------------------------------------------------------


def test_sums_are_those_of_the_receipts(measured: Measured) -> None:
    stored = measured.destination()
    items = measured.world.append(3) + measured.world.append(
        2, model="other/model", cost=None, status="error", error=Error(type="timeout"), duration_us=90_000_000
    )
    measured.exports()

    def tokens(kind: str) -> float:
        return sum(
            point.total
            for point in measured.last()
            if point.metric == TOKENS and point.labels["gen_ai.token.type"] == kind
        )

    assert tokens("input") == sum(item.usage.input_tokens or 0 for item in items if item.usage)
    assert tokens("output") == sum(item.usage.output_tokens or 0 for item in items if item.usage)
    assert measured.sums(DURATION) == [pytest.approx(sum(item.duration_us for item in items) / 1e6)]
    assert measured.sums("openrouter.requests") == [5]
    assert measured.sums("openrouter.errors") == [2]
    assert measured.sums("openrouter.cost") == [0.001161]
    assert measured.sums("openrouter.unpriced_requests") == [2]
    seen = measured.world.receiver.requests[-1]
    assert seen.path == "/ok/v1/metrics"
    assert seen.headers["authorization"] == "Bearer s3cr3t-value"
    assert {point.resource["service.instance.id"] for point in measured.last()} == {stored.uid}


def test_what_was_there_before_is_not_counted(measured: Measured) -> None:
    measured.world.append(4)
    measured.destination()
    measured.world.append(1)
    measured.exports()
    assert measured.sums("openrouter.requests") == [1]


def test_they_are_cumulative_since_they_were_switched_on(measured: Measured) -> None:
    stored = measured.destination()
    since_ns = measured.place(stored).since_at_us * 1000
    for count in (2, 3, 4):
        measured.world.append(count)
        measured.exports()
        measured.passes(MINUTE_US)

    assert measured.sums("openrouter.requests") == [2, 5, 9]
    every = measured.world.receiver.exports()
    assert {point.start_ns for export in every for point in export} == {since_ns}
    assert all(one[0].time_ns < other[0].time_ns for one, other in pairwise(every))
    assert every[0][0].time_ns >= since_ns


def test_they_are_sent_once_an_interval_also_when_nothing_came_in(measured: Measured) -> None:
    measured.destination(every="5m")
    measured.world.append(1)
    measured.exports()
    measured.exports()
    measured.passes(299_000_000)
    measured.exports()
    assert measured.sums("openrouter.requests") == [1]

    measured.passes(2_000_000)
    measured.exports()
    assert measured.sums("openrouter.requests") == [1, 1]


def test_nothing_is_sent_before_there_is_a_request(measured: Measured) -> None:
    stored = measured.destination()
    measured.exports()
    assert measured.world.receiver.requests == []
    assert measured.place(stored).last_sent_at_us is None


def test_a_log_far_ahead_is_counted_step_by_step(measured: Measured) -> None:
    measured.at_once = 7
    measured.destination()
    measured.world.append(30)
    measured.exports()
    assert measured.sums("openrouter.requests") == [30]


def test_no_prompt_no_user_and_no_secret_is_in_them(measured: Measured) -> None:
    measured.destination(privacy_level="full")
    measured.world.append(
        1,
        input=[{"role": "user", "content": "CANARY-prompt"}],
        output="CANARY-answer",
        user="CANARY-user",
        session_id="CANARY-session",
        trace={"key": "CANARY-trace"},
        status="error",
        error=Error(type="timeout", message="CANARY-message"),
        api_key=KeyRef(hash="c" * 64, name="CANARY-key"),
    )
    measured.exports()
    body = measured.world.receiver.requests[-1].body
    assert b"CANARY" not in body
    assert b"s3cr3t" not in body
    assert b"timeout" in body


def test_over_grpc_they_go_to_the_service_beside_that_of_the_spans(measured: Measured) -> None:
    with GrpcReceiver(with_metrics=True) as receiver:
        config = {"endpoint": receiver.url, "encoding": "grpc", "headers": {"X-Team": "search"}}
        measured.destination(config=config)
        ((probe, _),) = receiver.exports
        measured.world.append(3)
        measured.exports()

        assert [point.metric for point in probe] == ["broadcast.connection_test"]
        points, metadata = receiver.exports[-1]
        assert [point.value for point in points if point.metric == "openrouter.requests"] == [3]
        assert metadata["x-team"] == "search"


def test_a_receiver_of_spans_alone_says_so_over_grpc(measured: Measured) -> None:
    with GrpcReceiver() as receiver:
        config = {"endpoint": receiver.url, "encoding": "grpc", "metrics": "60s"}
        body = measured.world.body() | {"config": config}
        report = measured.world.connections.test(measured.world.workspace, body, now_us=clock())
    assert not report.ok
    assert report.message.startswith("The test span was accepted, metrics were not: ")


# -- what is counted -------------------------------------------------------------------------------------


def test_key_lists_apply(measured: Measured) -> None:
    measured.destination(api_key_hashes=["a" * 64])
    measured.world.append(2)
    measured.world.append(3, api_key=KeyRef(hash="b" * 64, name="other"))
    measured.exports()
    assert measured.sums("openrouter.requests") == [2]


def test_filter_rules_apply(measured: Measured) -> None:
    rule = {"field": "model", "operator": "equals", "value": "other/model"}
    measured.destination(filter_rules={"groups": [{"rules": [rule]}]})
    measured.world.append(2)
    measured.world.append(3, model="other/model")
    measured.exports()
    assert measured.sums("openrouter.requests") == [3]


def test_rules_about_content_apply_even_after_delivery_is_done_with_it(measured: Measured) -> None:
    rule = {"field": "input", "operator": "contains", "value": "weather"}
    measured.destination(filter_rules={"groups": [{"rules": [rule]}]})
    measured.world.append(2, input="How is the weather?")
    measured.world.append(1, input="How is the sea?")
    measured.world.deliver(rounds=2)
    measured.exports()
    assert measured.sums("openrouter.requests") == [2]

    measured.world.append(1)
    measured.world.deliver()
    with measured.world.store.read() as conn:
        kept = conn.exec_driver_sql("SELECT count(*) FROM contents").scalar_one()
    assert kept == 0, "once they are counted, contents go as ever"


def test_regions_apply(measured: Measured) -> None:
    measured.destination(regions=["eu"])
    measured.world.append(2, region="europe")
    measured.world.append(1)
    measured.exports()
    assert measured.sums("openrouter.requests") == [2]


def test_a_sample_is_not_taken(measured: Measured) -> None:
    measured.destination(sampling_rate=0.0001)
    measured.world.append(20)
    measured.exports()
    assert measured.sums("openrouter.requests") == [20]


def test_what_becomes_of_the_spans_does_not_matter(measured: Measured) -> None:
    stored = measured.destination()
    measured.world.append(3)
    measured.world.receiver.answer("/ok", status=503)
    measured.world.deliver()
    measured.exports()

    assert measured.sums("openrouter.requests") == [3]
    assert measured.world.cursor(stored).delivered == 0
    ledger = measured.world.connections.ledger(measured.world.workspace, stored.uid)
    assert (ledger["pending"], ledger["balanced"]) == (3, True)


def test_a_receipt_that_cannot_be_read_does_not_stop_the_others(measured: Measured) -> None:
    measured.destination()
    measured.world.append(3)
    with measured.world.store.write() as conn:
        conn.exec_driver_sql("UPDATE receipts SET document = CAST('{' AS BLOB) WHERE seq = 2"
                             if measured.world.store.dialect == "sqlite"
                             else "UPDATE receipts SET document = '{'::bytea WHERE seq = 2")  # fmt: skip
    measured.exports()
    assert measured.sums("openrouter.requests") == [2]


# -- the cap ---------------------------------------------------------------------------------------------


def test_beyond_the_cap_requests_are_counted_together(measured: Measured) -> None:
    measured.series_limit = 3
    stored = measured.destination()
    for number in range(6):
        measured.world.append(number + 1, model=f"m{number}")
        measured.exports()
        measured.passes(MINUTE_US)

    requests = [point for point in measured.last() if point.metric == "openrouter.requests"]
    assert {point.labels.get("gen_ai.request.model"): point.value for point in requests} == {
        "m0": 1,
        "m1": 2,
        "m2": 3,
        None: 15,
    }
    (other,) = (point for point in requests if "gen_ai.request.model" not in point.labels)
    assert other.labels == {"otel.metric.overflow": True}
    assert measured.sums("openrouter.requests")[-1] == 21
    with measured.world.store.read() as conn:
        assert metrics.count(conn, stored.id) == 3


# -- restarts, kills, two workers --------------------------------------------------------------------------


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_kill_neither_loses_nor_doubles(measured: Measured, dies: str) -> None:
    measured.destination()
    measured.world.append(3)
    measured.exports(dies=dies)
    measured.world.append(2)
    measured.passes(HOLD_US + 1_000_000)
    measured.exports()
    assert measured.sums("openrouter.requests") == ([5] if dies == "before" else [3, 5])


def test_a_kill_between_counting_and_its_commit_counts_again(measured: Measured) -> None:
    stored = measured.destination()
    measured.world.append(3)

    def count_and_die() -> None:
        with measured.world.store.write() as conn:
            metric_counting.step(conn, stored.id, measured.world.vault)
            raise Killed

    with pytest.raises(Killed):
        count_and_die()
    measured.exports()
    assert measured.sums("openrouter.requests") == [3]


def test_while_one_worker_holds_them_another_sends_nothing(measured: Measured) -> None:
    measured.destination()
    measured.world.append(3)
    measured.exports(dies="before")
    measured.exports()
    assert measured.world.receiver.requests == []


def test_two_workers_at_once_send_once(measured: Measured) -> None:
    for number in range(5):
        measured.destination(f"/ok/{number}")
    measured.world.append(10)
    workers = [threading.Thread(target=measured.exports) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(seen.path for seen in measured.world.receiver.requests) == [
        f"/ok/{number}/v1/metrics" for number in range(5)
    ]
    assert measured.sums("openrouter.requests") == [10] * 5


# -- retention -----------------------------------------------------------------------------------------------


def retain(measured: Measured) -> int:
    """Let go of all that is old, for one round, and return how many receipts are left."""
    day_us = 86_400_000_000
    retention = Retention(retention_us=day_us, holder="test")
    store = measured.world.store
    with store.write() as conn:
        conn.exec_driver_sql(f"UPDATE receipts SET received_at_us = received_at_us - {2 * day_us}")
    more = True
    while more:
        with store.write() as conn:
            more = retention.step(conn, store.now_us(conn))
    with store.read() as conn:
        return int(conn.exec_driver_sql("SELECT count(*) FROM receipts").scalar_one())


def test_what_is_not_counted_yet_is_kept(measured: Measured) -> None:
    measured.destination()
    measured.world.append(3)
    measured.world.deliver()
    assert retain(measured) == 3

    measured.exports()
    assert retain(measured) == 0
    assert measured.sums("openrouter.requests") == [3]


def test_what_retention_took_is_not_taken_back(measured: Measured) -> None:
    measured.destination()
    measured.world.append(3)
    measured.world.deliver()
    measured.exports()
    retain(measured)
    measured.world.append(1)
    measured.passes(MINUTE_US)
    measured.exports()
    assert measured.sums("openrouter.requests") == [3, 4]


def test_a_workspace_is_deleted_with_its_metrics(measured: Measured) -> None:
    stored = measured.destination()
    measured.world.append(2)
    measured.exports()
    with measured.world.store.write() as conn:
        head = workspaces.lock_head(conn, measured.world.workspace.id)
        destinations.delete(conn, stored.id, now_us=clock())
        metric_counting.keep(conn, measured.world.workspace.id, head, clock())
        assert metrics.get(conn, stored.id) is None
        assert metrics.every(conn, stored.id) == []


# -- on and off --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("switch", ["metrics", "enabled", "broadcast"])
def test_switched_off_and_on_they_begin_again(measured: Measured, switch: str) -> None:
    stored = measured.destination()
    measured.world.append(3)
    measured.exports()
    before = measured.place(stored)

    def turn(on: bool) -> None:
        if switch == "broadcast":
            measured.world.connections.set_broadcast(measured.world.workspace, None, on, now_us=clock())
        elif switch == "enabled":
            measured.patch(stored, enabled=on)
        else:
            measured.patch(stored, config={"metrics": "60s" if on else "off"})

    turn(False)
    with measured.world.store.read() as conn:
        assert metrics.get(conn, stored.id) is None
        assert metrics.every(conn, stored.id) == []
    measured.world.append(4)
    turn(True)
    measured.world.append(1)
    measured.world.receiver.clear()
    measured.exports()

    assert measured.sums("openrouter.requests") == [1]
    assert measured.place(stored).since_at_us > before.since_at_us


def test_another_interval_goes_on_with_the_same_sums(measured: Measured) -> None:
    stored = measured.destination()
    measured.world.append(3)
    measured.exports()
    since_us = measured.place(stored).since_at_us
    measured.patch(stored, config={"metrics": "10s"})
    measured.world.receiver.clear()
    measured.exports()
    assert measured.sums("openrouter.requests") == [3]
    assert (measured.place(stored).every_s, measured.place(stored).since_at_us) == (10, since_us)


def test_another_filter_is_of_what_comes_later(measured: Measured) -> None:
    stored = measured.destination()
    measured.world.append(3)
    measured.exports()
    measured.patch(stored, api_key_hashes=["b" * 64])
    measured.world.append(5)
    measured.passes(MINUTE_US)
    measured.exports()
    assert measured.sums("openrouter.requests") == [3, 3]


def test_while_a_person_holds_it_nothing_is_sent_and_all_is_counted(measured: Measured) -> None:
    stored = measured.destination()
    measured.world.append(3)
    measured.world.connections.pause(measured.world.workspace, None, stored.uid, now_us=clock())
    measured.exports()
    assert measured.world.receiver.requests == []
    assert measured.place(stored).counted_seq == 3

    measured.world.connections.resume(measured.world.workspace, None, stored.uid, now_us=clock())
    measured.passes(MINUTE_US)
    measured.exports()
    assert measured.sums("openrouter.requests") == [3]


def test_deleted_with_their_destination(measured: Measured) -> None:
    stored = measured.destination()
    measured.world.append(3)
    measured.exports()
    measured.world.connections.delete(measured.world.workspace, None, stored.uid, now_us=clock())
    with measured.world.store.read() as conn:
        assert metrics.get(conn, stored.id) is None
        assert metrics.every(conn, stored.id) == []


# -- what goes wrong ---------------------------------------------------------------------------------------


def test_an_error_is_kept_beside_the_metrics_and_made_good_by_the_next_success(measured: Measured) -> None:
    stored = measured.destination()
    measured.world.append(3)
    measured.world.receiver.answer("/ok/v1/metrics", status=503, body=b"no s3cr3t-value", times=1)
    measured.exports()

    failed = measured.place(stored)
    assert (failed.failures, failed.last_sent_at_us, failed.last_error_status_code) == (1, None, 503)
    assert failed.last_error_reason == "503 Service Unavailable: no [secret]"
    assert failed.due_at_us - (failed.last_error_at_us or 0) <= 600_000, "half a second, and its spread"
    assert measured.world.cursor(stored).last_reason is None, "the spans' ledger knows nothing of it"

    measured.passes(1_000_000)
    measured.exports()
    good = measured.place(stored)
    assert good.failures == 0
    assert good.last_sent_at_us is not None
    assert good.last_error_at_us == failed.last_error_at_us, "the last error stays, with its time"
    assert measured.sums("openrouter.requests") == [3, 3]


@pytest.mark.parametrize(("status", "least_us"), [(401, 48_000_000), (404, 48_000_000), (400, 48_000_000)])
def test_what_a_person_has_to_look_at_is_tried_seldom(measured: Measured, status: int, least_us: int) -> None:
    stored = measured.destination(every="10s")
    measured.world.append(3)
    measured.world.receiver.answer("/ok/v1/metrics", status=status)
    measured.exports()
    place = measured.place(stored)
    assert place.due_at_us - (place.last_error_at_us or 0) >= least_us


def test_a_wait_that_is_asked_for_is_kept(measured: Measured) -> None:
    stored = measured.destination(every="10s")
    measured.world.append(3)
    headers = {"retry-after": "90", "content-type": "application/json"}
    measured.world.receiver.answer("/ok/v1/metrics", status=429, headers=headers)
    measured.exports()
    place = measured.place(stored)
    assert place.due_at_us - (place.last_error_at_us or 0) == 90_000_000


def test_points_that_were_rejected_are_told(measured: Measured) -> None:
    stored = measured.destination()
    measured.world.append(1)
    answer = {"partialSuccess": {"rejectedDataPoints": "4", "errorMessage": "too many series"}}
    measured.world.receiver.answer("/ok/v1/metrics", body=answer)
    measured.exports()
    place = measured.place(stored)
    assert place.last_error_reason == "200 OK: 4 points rejected: too many series"
    assert place.last_sent_at_us is not None
    assert place.failures == 0


def test_no_answer_is_an_error_too(measured: Measured) -> None:
    stored = measured.destination()
    measured.world.append(1)
    measured.world.point_at(stored, measured.world.receiver.url("/drop"), metrics="60s")
    measured.exports()
    place = measured.place(stored)
    assert (place.last_error_status_code, place.failures) == (None, 1)
    assert place.last_error_reason


def test_settings_that_an_older_version_changed_end_them(measured: Measured) -> None:
    stored = measured.destination()
    measured.world.append(1)
    measured.world.point_at(stored, measured.world.receiver.url("/elsewhere"))
    measured.exports()
    with measured.world.store.read() as conn:
        assert metrics.get(conn, stored.id) is None
    assert measured.world.receiver.requests == []


def test_a_type_that_this_version_does_not_know_is_counted_and_told(measured: Measured) -> None:
    stored = measured.destination()
    measured.world.append(2)
    del measured.types["otel-collector"]
    measured.exports()
    place = measured.place(stored)
    assert place.counted_seq == 2
    assert place.last_error_reason == "This version does not know the destination's type."


def test_a_secret_that_does_not_open_is_told(measured: Measured) -> None:
    stored = measured.destination()
    measured.world.append(2)
    with measured.world.store.write() as conn:
        sealed = "x'00'" if measured.world.store.dialect == "sqlite" else r"'\x00'"
        conn.exec_driver_sql(f"UPDATE destinations SET sealed = {sealed}")
    measured.exports()
    assert "cannot be opened" in (measured.place(stored).last_error_reason or "")
    assert measured.place(stored).counted_seq == 2


def test_many_tokens_and_much_money_add_up_exactly(measured: Measured) -> None:
    measured.destination()
    nano, tokens = 123_456_789_012_345, 2**40 + 1
    measured.world.append(
        3, cost=Cost(total_nano_usd=nano), usage=Usage(input_tokens=tokens, output_tokens=0)
    )
    measured.exports()
    assert measured.sums("openrouter.cost") == [3 * nano / 1_000_000_000]
    assert measured.sums(TOKENS) == [3 * tokens]
