"""The operator's export with real programs: declared at start, changed by SIGHUP and `reload`, ended."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import pytest
import requests

from tests.databases import postgres_url
from tests.e2e.conftest import Served, environment, ready, start, stop
from tests.receiver import Receiver

T = TypeVar("T")
BOOTSTRAP = ("--email", "ann@example.com", "--password", "long enough", "--workspace", "Team")
UPSTREAMS = """
providers: {{local: {{base_url: "http://127.0.0.1:9/v1"}}}}
models: {{{model}: {{providers: [{{provider: local}}]}}}}
"""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A running program, a receiver, and the two files that its operator edits."""

    served: Served
    receiver: Receiver
    export: Path
    upstreams: Path

    def declare(self, path: str, token: str) -> None:
        self.export.write_text(
            f"endpoint: {self.receiver.url(path)}\nheaders: {{X-Operator: {token}}}\nservice_name: llm\n"
        )

    def ask(self, **body: object) -> requests.Response:
        asked = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hello"}], **body}
        return requests.post(
            f"{self.served.url}/api/v1/chat/completions",
            json=asked,
            headers={"Authorization": f"Bearer {self.served.api_key}"},
            stream=bool(body.get("stream")),
            timeout=60,
        )

    def arrived(self, receipt_id: str, path: str) -> list[str]:
        """Wait for a request's spans at a path, and return the operator's headers they came with."""

        def found() -> list[str]:
            return [
                seen.headers.get("x-operator", "")
                for seen in self.receiver.requests
                if seen.path == path and receipt_id.encode() in seen.body
            ]

        return until(found)

    def models(self) -> set[str]:
        answer = requests.get(
            f"{self.served.url}/api/v1/models",
            headers={"Authorization": f"Bearer {self.served.api_key}"},
            timeout=30,
        )
        return {model["id"] for model in answer.json()["data"]}

    def command(self, *words: str, **changed: str) -> "subprocess.CompletedProcess[str]":
        return run(self.served.folder, self.served.environment | changed, *words)


def until(look: Callable[[], T]) -> T:
    """Look until there is something, for at most a minute."""
    deadline = time.monotonic() + 60
    while not (found := look()):
        assert time.monotonic() < deadline, "It never came."
        time.sleep(0.05)
    return found


def run(folder: Path, values: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "broadcast", *words],
        cwd=folder,
        env=values,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("operator")
    export, upstreams = folder / "otel.yaml", folder / "upstreams.yaml"
    upstreams.write_text(UPSTREAMS.format(model="local/first"))
    with (
        postgres_url() if request.param == "postgresql" else nullcontext() as database_url,
        Receiver() as receiver,
    ):
        export.write_text(f"endpoint: {receiver.url('/ok/first')}\nheaders: {{X-Operator: one}}\n")
        values = environment(
            folder,
            database_url,
            BROADCAST_EGRESS_ALLOW=f"127.0.0.1:{receiver.port}",
            BROADCAST_OTEL_CONFIG=str(export),
            BROADCAST_UPSTREAMS=str(upstreams),
        )
        served = start(folder, values)
        try:
            yield Place(served=served, receiver=receiver, export=export, upstreams=upstreams)
        finally:
            code = stop(served)
        assert code == 0


def test_from_the_start_on_every_request_arrives(place: Place) -> None:
    place.declare("/ok/first", "one")
    place.served.process.send_signal(signal.SIGHUP)
    answer = place.ask().json()
    assert "one" in place.arrived(answer["id"], "/ok/first/v1/traces")


def test_a_hangup_reads_both_files_again_and_drops_no_stream(place: Place) -> None:
    before = place.served.process.pid
    with place.ask(model="demo/slow", stream=True) as stream:
        lines = stream.iter_lines()
        first = next(line for line in lines if line.startswith(b"data: {"))
        place.declare("/ok/second", "two")
        place.upstreams.write_text(UPSTREAMS.format(model="local/second"))
        place.served.process.send_signal(signal.SIGHUP)
        until(lambda: "local/second" in place.models())
        rest = [line for line in lines if line]
    assert "local/first" not in place.models()
    assert rest[-1] == b"data: [DONE]"
    assert "two" in place.arrived(json.loads(first[6:])["id"], "/ok/second/v1/traces")
    assert place.served.process.poll() is None
    assert place.served.process.pid == before


def test_a_file_that_cannot_be_read_changes_nothing(place: Place) -> None:
    place.declare("/ok/third", "three")
    assert place.command("reload").returncode == 0
    place.export.write_text("endpoint: [\n")
    place.served.process.send_signal(signal.SIGHUP)
    refused = place.command("reload")
    assert refused.returncode == 1
    assert "BROADCAST_OTEL_CONFIG: the file is not valid YAML" in refused.stderr
    assert "three" in place.arrived(place.ask().json()["id"], "/ok/third/v1/traces")


def test_reload_says_what_is_declared_and_without_it_the_export_ends(place: Place) -> None:
    place.declare("/ok/fourth", "four")
    declared = place.command("reload")
    assert "The operator's export is in 1 workspace." in declared.stdout
    assert "four" in place.arrived(place.ask().json()["id"], "/ok/fourth/v1/traces")
    ended = place.command("reload", BROADCAST_OTEL_CONFIG="")
    assert "No operator's export is declared." in ended.stdout
    last = place.ask().json()["id"]
    # The demo's receiver shows it, so that it is certain that it was delivered, and not here.
    listed = until(lambda: delivered(place, last))
    assert {each["name"] for each in listed} == {"Receiver"}
    assert not any(last.encode() in seen.body for seen in place.receiver.requests)


def test_web_and_worker_apart_each_take_a_hangup(tmp_path: Path) -> None:
    with Receiver() as receiver:
        export = tmp_path / "otel.yaml"
        export.write_text(f"endpoint: {receiver.url('/ok/first')}\n")
        allowed = f"127.0.0.1:{receiver.port}"
        values = environment(
            tmp_path, None, BROADCAST_EGRESS_ALLOW=allowed, BROADCAST_OTEL_CONFIG=str(export)
        )
        made = run(tmp_path, values, "bootstrap", *BOOTSTRAP, "--json")
        key = json.loads(made.stdout)["api_key"]
        url = f"http://127.0.0.1:{values['BROADCAST_PORT']}"
        with started(tmp_path, values, "web") as web, started(tmp_path, values, "worker") as worker:
            assert ready(url, web)
            for path, process in (("/ok/web", web), ("/ok/worker", worker)):
                export.write_text(f"endpoint: {receiver.url(path)}\n")
                process.send_signal(signal.SIGHUP)
                until(partial(is_declared, tmp_path, values, path))
                posted = requests.post(
                    f"{url}/api/v1/chat/completions",
                    json={"model": "demo/echo", "messages": [{"role": "user", "content": "Hello"}]},
                    headers={"Authorization": f"Bearer {key}"},
                    timeout=60,
                )
                until(partial(came, receiver, path, posted.json()["id"]))
            assert (web.poll(), worker.poll()) == (None, None)


@contextmanager
def started(folder: Path, values: dict[str, str], command: str) -> Iterator["subprocess.Popen[str]"]:
    with (folder / f"{command}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "broadcast", command],
            cwd=folder,
            env=values,
            stdout=log,
            stderr=log,
            text=True,
        )
    try:
        # A hangup before it listens for one would end it.
        until(lambda: requests_taken(process, command, values))
        yield process
    finally:
        process.terminate()
        process.wait(40)


def requests_taken(process: "subprocess.Popen[str]", command: str, values: dict[str, str]) -> bool:
    """Whether a process is up: the web process answers, the worker is known to the database."""
    assert process.poll() is None
    if command == "web":
        return ready(f"http://127.0.0.1:{values['BROADCAST_PORT']}", process)
    folder = Path(values["BROADCAST_DATA_DIR"])
    with sqlite3.connect(folder / "broadcast.db") as conn:
        return bool(conn.execute("SELECT count(*) FROM workers").fetchone()[0])


def came(receiver: Receiver, path: str, receipt_id: str) -> bool:
    return any(
        seen.path == f"{path}/v1/traces" and receipt_id.encode() in seen.body for seen in receiver.requests
    )


def is_declared(folder: Path, values: dict[str, str], path: str) -> bool:
    listed = run(folder, values, "destinations", "list", "--json")
    (found,) = json.loads(listed.stdout)["data"]
    return bool(urlsplit(found["config"]["endpoint"]).path == f"{path}/v1/traces")


def delivered(place: Place, receipt_id: str) -> list[dict[str, str]]:
    answer = requests.get(
        f"{place.served.url}/api/v1/requests/{receipt_id}",
        headers={"Authorization": f"Bearer {place.served.api_key}"},
        timeout=30,
    ).json()
    found: list[dict[str, str]] = answer.get("data", answer).get("delivery", [])
    return found if found and all(each["fate"] == "delivered" for each in found) else []
