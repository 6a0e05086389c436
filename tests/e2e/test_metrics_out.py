"""Metrics with real programs: counted from the log, killed between the count and the send, started again."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.chaos.program import Program, eventually
from tests.databases import postgres_url
from tests.receiver import Receiver, SeenPoint

PATIENCE_S = 60
REQUESTS = "openrouter.requests"


@dataclass
class Place:
    """A program whose one destination sends metrics every 10 seconds, and all that it was sent."""

    program: Program
    receiver: Receiver
    destination_id: str = ""
    sent: list[dict[str, Any]] = field(default_factory=list)

    def send(self, count: int, **fields: Any) -> None:
        """Post requests as a router does."""
        receipts = [
            {
                "id": f"gen-{len(self.sent) + number}",
                "created_at": datetime.now(UTC).isoformat(),
                "duration_ms": 1500,
                "model": "openai/gpt-4o-mini",
                "provider_slug": "openai",
                "status": "succeeded",
                "usage": {"input_tokens": 100, "output_tokens": 7},
                "cost": {"total_usd": "0.0003"},
                **fields,
            }
            for number in range(count)
        ]
        answer = requests.post(
            f"{self.program.url()}/api/v1/receipts",
            json=receipts,
            headers={"Authorization": f"Bearer {self.program.api_key}"},
            timeout=30,
        )
        assert answer.json()["accepted"] == count, answer.text
        self.sent += receipts

    def last(self) -> list[SeenPoint]:
        exports = self.receiver.exports()
        return exports[-1] if exports else []

    def total(self, metric: str) -> float:
        return sum(point.value or point.total for point in self.last() if point.metric == metric)

    def arrived(self) -> bool:
        """Wait until an export says of every request that was sent."""
        return eventually(lambda: self.total(REQUESTS) == len(self.sent), PATIENCE_S)

    def status(self) -> dict[str, Any]:
        said = json.loads(self.program.ran("status", "--json").stdout)
        found: dict[str, Any] = said["data"][0]["metrics"]
        return found


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("metrics")
    database = postgres_url(migrated=False) if request.param == "postgresql" else nullcontext()
    with Receiver() as receiver, database as url:
        program = Program(folder, url, egress=f"127.0.0.1:{receiver.port}")
        try:
            program.bootstrap()
            program.start("web-1")
            program.wait_until_ready()
            program.switch_on()
            made = Place(program, receiver)
            config = {"endpoint": receiver.url("/ok/v1/traces"), "metrics": "10s", "encoding": "protobuf"}
            made.destination_id = program.connect("Measured", config["endpoint"], config=config)
            receiver.clear()
            yield made
        finally:
            program.close()


def test_sums_are_exact_over_a_kill_and_restarts(place: Place) -> None:
    program = place.program
    place.send(3)
    killed = program.start("worker-1", failpoint="metrics_before_send")
    assert eventually(lambda: killed.poll() is not None, PATIENCE_S), "it dies after it has counted"
    assert place.receiver.exports() == []

    place.send(2, status="error", error={"type": "timeout", "message": "It took too long."}, cost=None)
    program.start("worker-1")
    assert place.arrived(), place.total(REQUESTS)
    since_ns = {point.start_ns for point in place.last()}

    assert program.terminate("worker-1") == 0
    place.send(4, model="other/model")
    program.start("worker-1")
    program.start("worker-2")
    assert place.arrived(), place.total(REQUESTS)

    assert {point.start_ns for point in place.last()} == since_ns
    assert len(since_ns) == 1
    assert place.total("gen_ai.client.token.usage") == sum(
        sum(receipt["usage"].values()) for receipt in place.sent
    )
    assert place.total("openrouter.errors") == 2
    assert place.total("openrouter.unpriced_requests") == 2
    assert place.total("openrouter.cost") == pytest.approx(7 * 0.0003)
    assert place.total("gen_ai.client.operation.duration") == pytest.approx(9 * 1.5)
    counts = [
        sum(point.value for point in export if point.metric == REQUESTS)
        for export in place.receiver.exports()
    ]
    assert counts == sorted(counts), "what only grows never falls"
    status = place.status()
    assert (status["counted_to"], status["series"], status["other_requests"]) == (9, 3, 0)
    assert status["last_error"] is None
    ledger = program.ledger(place.destination_id)
    assert (ledger["delivered"], ledger["balanced"]) == (9, True)
    assert program.complaints() == []
