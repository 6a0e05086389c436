"""The command line against the real program at its address: another machine's view of it."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.conftest import Place


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """A machine that has the program, an address and a key, and no database."""

    url: str
    key: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        values = {name: value for name, value in os.environ.items() if not name.startswith("BROADCAST_")}
        values["PYTHONPATH"] = str(Path(__file__).parents[2])
        return values | {"BROADCAST_URL": self.url, "BROADCAST_KEY": self.key}

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "broadcast", *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def said(self, *words: str) -> Any:
        code, out, err = self.run(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    def api(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        return requests.get(f"{self.url}/api/v1{path}", headers=headers, timeout=20).json()


@pytest.fixture
def elsewhere(place: Place, tmp_path: Path) -> Elsewhere:
    served = place.served
    words = ("--email", served.email, "--password", "unused and long enough", "--workspace", "Demo")
    made = subprocess.run(
        [sys.executable, "-m", "broadcast", "bootstrap", *words, "--new-keys", "--json"],
        cwd=served.folder,
        env=served.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    key = json.loads(made.stdout)["management_key"]
    return Elsewhere(url=served.url, key=key, folder=tmp_path)


def chat(place: Place) -> str:
    """Send one request through the gateway and return its id."""
    answer = requests.post(
        f"{place.served.url}/api/v1/chat/completions",
        headers={"Authorization": f"Bearer {place.served.api_key}"},
        json={"model": "demo/echo", "messages": [{"role": "user", "content": "Say hello"}]},
        timeout=20,
    )
    return str(answer.json()["id"])


def test_requests_are_followed_while_they_are_made_and_counted_afterwards(
    place: Place, elsewhere: Elsewhere
) -> None:
    process = elsewhere.start("requests", "--follow", "--json", "--from", "2026-01-01T00:00:00Z")
    assert process.stdout is not None
    # The gateway answers first and commits afterwards: only what is known before the last one is in order.
    sent = {chat(place) for _ in range(3)}
    while not sent <= {row["id"] for row in elsewhere.api("/requests?limit=100")["data"]}:
        time.sleep(0.05)
    last = chat(place)
    printed: list[str] = []
    while last not in printed:
        printed.append(json.loads(process.stdout.readline())["id"])
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    assert (process.returncode, set(printed[-4:])) == (0, {*sent, last})
    assert len(printed) == len(set(printed)) == elsewhere.said("usage")["request_count"]
    assert elsewhere.said("requests", last)["receipt"]["id"] == last
    assert elsewhere.said("requests", "--limit", "2") == elsewhere.api("/requests?limit=2")


def test_settings_are_exported_applied_refused_and_seen_in_status(place: Place, elsewhere: Elsewhere) -> None:
    _, text, _ = elsewhere.run("export")
    file = elsewhere.folder / "destinations.yaml"
    # What the demo made has a secret that nobody was told; it is left alone.
    head = text[: text.index("destinations:")]
    good = f"- {{name: Here, type: otel-collector, config: {{endpoint: '{place.collector.url('/ok')}'}}}}"
    bad = "- {name: Nowhere, type: otel-collector, config: {endpoint: 'http://127.0.0.1:1/x'}}"

    file.write_text(f"{head}destinations:\n{good}\n{bad}\n")
    refused = elsewhere.run("apply", str(file), "--yes")
    file.write_text(f"{head}destinations:\n{good}\n")
    applied = elsewhere.run("apply", str(file), "--yes")
    again = elsewhere.run("apply", str(file), "--yes")

    assert (refused[0], "Nothing was changed." in refused[2]) == (1, True)
    assert (applied[0], "1 to add" in applied[1]) == (0, True)
    assert "Nothing to change." in again[1]
    states = {item["name"]: item["endpoint"] for item in elsewhere.said("status")["data"]}
    assert states["Here"] == place.collector.url("/ok")
    assert "Nowhere" not in states
    assert elsewhere.run("destinations", "test", "Here")[0] == 0
    assert list(elsewhere.folder.iterdir()) == [file]
