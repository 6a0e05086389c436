"""The real program as processes on loopback: started, killed, stopped, held up, and asked by its own API."""

import base64
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).parents[2]
PATIENCE_S = 45

# What a killed neighbour or a restarted database makes the program say; anything else is a fault.
EXPECTED = re.compile(r"action=worker_restarted|Worker-\d+ died|Unexpected exit from worker")


class Program:
    """`broadcast web` and `broadcast worker`, as many of each as are started, on one database.

    A process is named by its command and a number: `web-1`, `worker-2`.
    """

    def __init__(self, folder: Path, database_url: str | None, *, egress: str) -> None:
        self.folder = folder
        self.ports: dict[str, int] = {}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.api_key = self.management_key = ""
        own = {name: value for name, value in os.environ.items() if not name.startswith("BROADCAST_")}
        self.environment = own | {
            "BROADCAST_DATA_DIR": str(folder / "var"),
            "BROADCAST_EGRESS_ALLOW": egress,
            "PYTHONPATH": str(ROOT),
        }
        if database_url:
            self.environment |= {
                "BROADCAST_DATABASE_URL": database_url,
                "BROADCAST_ENCRYPTION_KEYS": "t1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
                "BROADCAST_SECRET_KEY": secrets.token_urlsafe(48),
            }

    # -- commands ------------------------------------------------------------------------------------

    def ran(self, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        """Run a command to its end."""
        command = [sys.executable, "-m", "broadcast", *arguments]
        return subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, check=False, timeout=120
        )

    def bootstrap(self) -> None:
        """Migrate, and make a workspace with its keys."""
        who = ["--email", "chaos@example.com", "--password", "a password for chaos", "--workspace", "Chaos"]
        done = self.ran("bootstrap", *who, "--json")
        assert done.returncode == 0, done.stderr.decode()
        made = json.loads(done.stdout)
        self.api_key, self.management_key = made["api_key"], made["management_key"]

    def doctor(self) -> list[dict[str, Any]]:
        """Return what `broadcast doctor` finds wrong."""
        found = json.loads(self.ran("doctor", "--json").stdout)["data"]
        return [finding for finding in found if not finding["ok"]]

    # -- processes -----------------------------------------------------------------------------------

    def start(
        self, name: str, *, failpoint: str = "", before: Callable[[], None] | None = None
    ) -> "subprocess.Popen[bytes]":
        """Start a process; `before` runs in the child, to limit it."""
        environment = dict(self.environment)
        if name.startswith("web"):
            self.ports.setdefault(name, free_port())
            environment["BROADCAST_PORT"] = str(self.ports[name])
        if failpoint:
            environment["BROADCAST_FAILPOINT"] = failpoint
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "broadcast", name.partition("-")[0]],
                env=environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=before,  # noqa: PLW1509 - the limit must be there before the program is
            )
        return self.running[name]

    def kill(self, name: str) -> None:
        """Kill a process and its children at once, as a machine that loses power does."""
        process = self.running.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def revive(self) -> dict[str, str]:
        """Start again what ended by itself, as a supervisor does; return its last words by its name."""
        fallen = [name for name, process in self.running.items() if process.poll() is not None]
        words = {name: self.log(name).rstrip().rpartition("\n")[2] for name in fallen}
        for name in fallen:
            self.start(name)
        return words

    def terminate(self, name: str) -> int:
        """Ask a process to stop, and return its exit code."""
        process = self.running.pop(name)
        process.terminate()
        try:
            return process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            pytest.fail(f"{name} did not stop within 30 s:\n{self.log(name)[-4000:]}")

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a process and its children."""
        os.killpg(self.running[name].pid, number)

    def close(self) -> None:
        """Kill whatever still runs."""
        for name in list(self.running):
            self.kill(name)

    def log(self, name: str) -> str:
        """Return what a process has written until now, over all its lives."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def complaints(self) -> list[str]:
        """Return every error and stack trace in any log that nothing here can have caused."""
        return [
            f"{path.name}: {line}"
            for path in sorted(self.folder.glob("*.log"))
            for line in path.read_text(errors="replace").splitlines()
            if re.search(r"\bERROR\b|Traceback|\bCRITICAL\b", line) and not EXPECTED.search(line)
        ]

    # -- the API -------------------------------------------------------------------------------------

    def url(self, name: str = "web-1") -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def wait_until_ready(self, name: str = "web-1") -> None:
        """Wait until a web process can serve."""

        def ready() -> bool:
            try:
                return requests.get(f"{self.url(name)}/readyz", timeout=2).status_code == 200
            except requests.RequestException:
                return False

        assert eventually(ready, PATIENCE_S), f"{name} is not ready:\n{self.log(name)[-4000:]}"

    def wait_until_at_work(self, name: str) -> None:
        """Wait until a worker says in its log that it has started, for the last of its lives."""
        assert eventually(lambda: "action=worker_started" in self.log(name), PATIENCE_S), self.log(name)[
            -4000:
        ]

    def ask(self, method: str, path: str, body: Any = None, *, web: str = "web-1") -> Any:
        """Call the API with the management key; return the `data` of its answer, or the whole of it."""
        answer = requests.request(
            method,
            f"{self.url(web)}/api/v1{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.management_key}"},
            timeout=30,
        )
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:1000]}"
        found = answer.json()
        return found.get("data", found)

    def connect(self, name: str, url: str, **settings: Any) -> str:
        """Make a destination through its live test, and return its id."""
        config = {"endpoint": url}
        body = {"type": "otel-collector", "name": name, "enabled": True, "config": config, **settings}
        made: dict[str, Any] = self.ask("POST", "/observability/destinations", body)
        return str(made["id"])

    def switch_on(self) -> None:
        """Switch Broadcast on."""
        self.ask("PATCH", "/broadcast", {"enabled": True})

    def ledger(self, destination_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/observability/destinations/{destination_id}/ledger")
        return found

    def attempts(self, destination_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask(
            "GET", f"/observability/destinations/{destination_id}/attempts"
        )
        return found

    def post(self, ids: list[str], *, web: str = "web-1", timeout_s: float = 20) -> requests.Response:
        """Post receipts once."""
        return requests.post(
            f"{self.url(web)}/api/v1/receipts",
            json=[document(one) for one in ids],
            headers={"Authorization": f"Bearer {self.api_key}"},
            timeout=timeout_s,
        )


def document(receipt_id: str) -> dict[str, Any]:
    """Return a small receipt, the same for an id whenever it is posted."""
    return {
        "id": receipt_id,
        "created_at": _MADE_AT,
        "duration_ms": 1,
        "model": "demo/echo",
        "status": "succeeded",
        "session_id": "chaos",
    }


_MADE_AT = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@contextmanager
def program(folder: Path, database_url: str | None, *, egress: str) -> Iterator[Program]:
    """Make a program of one's own; whatever runs when the block is left is killed."""
    made = Program(folder, database_url, egress=egress)
    try:
        yield made
    finally:
        made.close()


def eventually(true: Callable[[], object], timeout_s: float, *, every_s: float = 0.05) -> bool:
    """Return whether something becomes true in time."""
    until = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(every_s)
    return True


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
