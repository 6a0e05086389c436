"""What operates it sees of real processes: figures that stay right over kills, and lines without secrets."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from broadcast.config import load
from broadcast.store import Store
from tests.chaos.program import Program, document, eventually, program
from tests.databases import postgres_url, sqlite_url
from tests.receiver import Receiver

CANARY = "CANARY7f3a"
SECRET = f"Bearer {CANARY}-of-a-header"
PATHS = ("/ok", "/status/503", "/status/401", "/echo", "/drop")
VERDICTS = {"delivered", "retrying", "refused", "no_answer"}
"""What is answered at these paths."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def made(request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver) -> Iterator[Program]:
    """Start a web process that logs for machines, with a destination at each of the paths."""
    with (
        (sqlite_url if request.param == "sqlite" else postgres_url)() as url,
        program(tmp_path, url, egress=f"127.0.0.1:{receiver.port}") as running,
    ):
        running.environment |= {"BROADCAST_LOG_FORMAT": "json", "BROADCAST_LOG_LEVEL": "debug"}
        running.bootstrap()
        running.start("web-1")
        running.wait_until_ready()
        running.switch_on()
        yield running


def connect_all(made: Program, receiver: Receiver) -> dict[str, str]:
    """Connect a destination to each path, by way of the test that comes before saving."""
    found = {}
    for path in PATHS:
        receiver.answer(f"/case{path}", times=1)
        config = {"endpoint": receiver.url(f"/case{path}"), "headers": {"Authorization": SECRET}}
        found[path] = made.connect(f"At {path}", "", config=config)
    return found


def talkative(receipt_id: str) -> dict[str, Any]:
    return document(receipt_id) | {
        "input": [{"role": "user", "content": f"{CANARY} asks"}],
        "output": f"{CANARY} answers",
        "status": "error",
        "error": {"type": "x", "message": f"{CANARY} fails"},
        "trace": {"note": CANARY},
    }


def post(made: Program, *bodies: Any) -> int:
    """Post receipts, or whatever a broken sender says."""
    answer = requests.post(
        f"{made.url()}/api/v1/receipts",
        data=bodies[0] if isinstance(bodies[0], str) else json.dumps(bodies),
        headers={"Authorization": f"Bearer {made.api_key}"},
        timeout=20,
    )
    return answer.status_code


def scraped(made: Program) -> dict[str, float]:
    """Return every sample, named with its labels' values."""
    answer = requests.get(f"{made.url()}/metrics", timeout=20)
    assert answer.status_code == 200
    return {
        ":".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def attempts(figures: dict[str, float]) -> dict[str, int]:
    """Return the counters of attempts that are not nothing, by verdict."""
    prefix = "broadcast_attempts_total:"
    return {
        name.removeprefix(prefix): int(value)
        for name, value in figures.items()
        if name.startswith(prefix) and value
    }


def lines(made: Program, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in made.log(name).splitlines()]


def rows(made: Program) -> dict[str, int]:
    """Return the attempts in the database, by verdict."""
    store = Store.open(load(made.environment).database_url)
    with store.read() as conn:
        found = conn.exec_driver_sql("SELECT verdict, count(*) FROM attempts GROUP BY verdict")
        counted = {str(verdict): int(count) for verdict, count in found}
    store.close()
    return counted


def test_counters_of_workers_equal_the_attempts_whatever_ends_them(made: Program, receiver: Receiver) -> None:
    connected = connect_all(made, receiver)
    for name in ("worker-1", "worker-2"):
        made.start(name)
    for number in range(6):
        assert post(made, *(talkative(f"one-{number}-{one}") for one in range(5))) == 202
    assert eventually(lambda: made.ledger(connected["/ok"])["pending"] == 0, 45)
    assert eventually(lambda: set(attempts(scraped(made))) >= VERDICTS, 30)
    assert eventually(lambda: scraped(made)["broadcast_workers"] == 2, 30)

    made.kill("worker-1")
    made.start("worker-3")
    for number in range(6):
        assert post(made, *(talkative(f"two-{number}-{one}") for one in range(5))) == 202
    assert eventually(lambda: made.ledger(connected["/ok"])["pending"] == 0, 60)
    before = attempts(scraped(made))
    made.kill("worker-3")
    assert made.terminate("worker-2") == 0

    figures = scraped(made)
    assert attempts(figures) == rows(made)
    assert all(attempts(figures)[verdict] >= count for verdict, count in before.items())
    assert set(attempts(figures)) >= VERDICTS
    assert figures["broadcast_settled_receipts_total:delivered"] >= 60

    made.terminate("web-1")
    made.start("web-1")
    made.wait_until_ready()
    assert attempts(scraped(made)) == rows(made)


def test_every_line_is_an_object_and_none_holds_a_secret_or_a_prompt(
    made: Program, receiver: Receiver
) -> None:
    connect_all(made, receiver)
    made.start("worker-1")
    for number in range(3):
        assert post(made, talkative(f"gen-{number}")) == 202
    assert post(made, talkative("gen-0") | {"output": f"{CANARY} other"}) == 422
    assert post(made, '{"id": "' + CANARY) == 400
    assert post(made, talkative("wrong") | {CANARY: 1}) == 422
    assert eventually(lambda: len(rows(made)) >= 4, 45), rows(made)
    assert made.terminate("worker-1") == 0
    assert made.terminate("web-1") == 0

    told = [line for name in ("web-1", "worker-1") for line in lines(made, name)]
    for line in told:
        assert {"time", "level", "action", "logger"} <= set(line), line
    everything = made.log("web-1") + made.log("worker-1")
    for secret in (CANARY, made.api_key, made.management_key):
        assert secret not in everything
    tried = [line for line in told if line["action"] == "attempt"]
    assert len(tried) == sum(rows(made).values())
    assert all(
        {"destination", "from", "to", "verdict", "status", "ms", "bytes", "kept", "reason"} <= set(line)
        for line in tried
    )
    assert {line["kept"] for line in tried} == {True}
