"""Web and worker as real processes, killed at random: nothing answered with 202 is lost."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.receiver import Receiver

ROOT = Path(__file__).parents[2]
POST = 20


class Program:
    """`broadcast web` and `broadcast worker` on one SQLite database."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.folder = folder
        self.port = _free_port()
        own = {name: value for name, value in os.environ.items() if not name.startswith("BROADCAST_")}
        self.environment = own | {
            "BROADCAST_PORT": str(self.port),
            "BROADCAST_DATA_DIR": str(folder / "var"),
            "BROADCAST_EGRESS_ALLOW": f"127.0.0.1:{receiver.port}",
            "PYTHONPATH": str(ROOT),
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "broadcast", *arguments]
        ran = subprocess.run(command, env=self.environment, cwd=self.folder, capture_output=True, check=False)
        assert ran.returncode == 0, ran.stderr.decode()
        return ran.stdout.decode()

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "broadcast", name],
                env=self.environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """Kill a process and its children at once, as a machine that loses power does."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def wait_until_ready(self) -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                if requests.get(f"{self.url}/readyz", timeout=1).status_code == 200:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.05)
        pytest.fail("the web process did not become ready:\n" + (self.folder / "web.log").read_text()[-4000:])


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def program(tmp_path: Path, receiver: Receiver) -> Iterator[Program]:
    made = Program(tmp_path, receiver)
    yield made
    for name in list(made.running):
        made.kill(name)


@pytest.mark.timeout(120)
def test_nothing_accepted_is_lost_when_processes_are_killed(program: Program, receiver: Receiver) -> None:
    kill_for(10, program, receiver)


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_nothing_accepted_is_lost_in_a_minute_of_kills(program: Program, receiver: Receiver) -> None:
    kill_for(60, program, receiver)


def kill_for(seconds: float, program: Program, receiver: Receiver) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or time.time_ns() % 1_000_000)
    print(f"CHAOS_SEED={seed}")
    dice = random.Random(seed)
    made = prepared(program, receiver)
    sent: set[str] = set()
    until = time.monotonic() + seconds
    next_kill = time.monotonic() + dice.uniform(0.5, 1.5)
    while time.monotonic() < until:
        post(program, made["api_key"], sent)
        if time.monotonic() > next_kill:
            victim = dice.choice(["web", "worker"])
            program.kill(victim)
            program.start(victim)
            next_kill = time.monotonic() + dice.uniform(0.5, 3)
        time.sleep(dice.uniform(0, 0.05))
    missing = arrived_within(45, sent, receiver)
    assert sent
    assert not missing, (
        f"{len(missing)} of {len(sent)} are lost with CHAOS_SEED={seed}: {sorted(missing)[:5]}"
    )
    check_the_ledger(program, made, len(sent))


def prepared(program: Program, receiver: Receiver) -> dict[str, Any]:
    """Start both processes and connect the receiver, through the API and its live test."""
    arguments = ["--email", "chaos@example.com", "--password", "a password for chaos", "--workspace", "Chaos"]
    made: dict[str, Any] = json.loads(program.run("bootstrap", *arguments, "--json"))
    program.start("web")
    program.start("worker")
    program.wait_until_ready()
    body = {
        "type": "otel-collector",
        "name": "receiver",
        "enabled": True,
        "config": {"endpoint": receiver.url("/v1/traces")},
    }
    api, key = f"{program.url}/api/v1", {"Authorization": f"Bearer {made['management_key']}"}
    answer = requests.post(f"{api}/observability/destinations", json=body, headers=key, timeout=20)
    assert answer.status_code == 201, answer.text
    switched = requests.patch(f"{api}/broadcast", json={"enabled": True}, headers=key, timeout=20)
    assert switched.status_code == 200, switched.text
    receiver.clear()
    made["destination_id"] = answer.json()["data"]["id"]
    return made


def post(program: Program, api_key: str, sent: set[str]) -> None:
    """Post some receipts, again and again until they are answered, as a router does."""
    ids = [f"chaos-{len(sent) + number}" for number in range(POST)]
    now = datetime.now(UTC).isoformat()
    body = [
        {"id": one, "created_at": now, "duration_ms": 1, "model": "demo/echo", "status": "succeeded"}
        for one in ids
    ]
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            answer = requests.post(
                f"{program.url}/api/v1/receipts",
                json=body,
                headers={"Authorization": f"Bearer {api_key}"},
                timeout=10,
            )
        except requests.RequestException:
            time.sleep(0.05)
            continue
        if answer.status_code == 202:
            sent.update(ids)
            return
        assert answer.status_code == 503, answer.text
        time.sleep(0.05)
    pytest.fail("no answer to a post within 30 s:\n" + (program.folder / "web.log").read_text()[-4000:])


def arrived_within(seconds: float, sent: set[str], receiver: Receiver) -> set[str]:
    """Return what has not arrived, by the receipt's id in each span's resource."""
    until = time.monotonic() + seconds
    while True:
        missing = sent - {str(span.resource["openrouter.trace.id"]) for span in receiver.spans()}
        if not missing or time.monotonic() > until:
            return missing
        time.sleep(0.5)


def check_the_ledger(program: Program, made: dict[str, Any], appended: int) -> None:
    """Each receipt is counted once, however often its request was repeated."""
    place = f"{program.url}/api/v1/observability/destinations/{made['destination_id']}/ledger"
    until = time.monotonic() + 40
    while True:
        key = {"Authorization": f"Bearer {made['management_key']}"}
        ledger = requests.get(place, headers=key, timeout=10).json()
        ledger = ledger.get("data", ledger)
        if ledger["pending"] == 0 or time.monotonic() > until:
            break
        time.sleep(0.5)
    assert ledger["balanced"], ledger
    assert (ledger["appended"], ledger["delivered"]) == (appended, appended), ledger
