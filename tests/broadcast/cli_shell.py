"""An installation as the command line meets it: this machine's database, or an instance at a URL."""

import base64
import contextlib
import json
import os
import secrets
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.serving import make_server

from broadcast import runtime
from broadcast.cli import main
from broadcast.config import load
from broadcast.runtime import Services
from destinations import TYPES
from tests.databases import postgres_url, sqlite_url
from tests.receiver import Receiver
from web import api

NOW = datetime.now(UTC).replace(microsecond=0)
PLACES = ("local on SQLite", "local on PostgreSQL", "at a URL")


class Shell:
    """Runs commands as a person would, and posts receipts as a router does."""

    def __init__(self, folder: Path, url: str, receiver: Receiver) -> None:
        names = [name for name in os.environ if name.startswith("BROADCAST_")]
        self.variables: dict[str, str | None] = {
            **dict.fromkeys(names),
            "BROADCAST_DATA_DIR": str(folder),
            "BROADCAST_DATABASE_URL": url,
            "BROADCAST_ENCRYPTION_KEYS": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
            "BROADCAST_SECRET_KEY": secrets.token_urlsafe(40),
            "BROADCAST_EGRESS_ALLOW": "127.0.0.1",
        }
        self.receiver = receiver
        self.services: Services = runtime.build(load(self.given), TYPES)
        self.services.ingest.start()
        self.app = Flask("api under test")
        api.register(self.app, self.services)
        made = self.make_workspace("Team")
        self.api_key: str = made["api_key"]
        self.management_key: str = made["management_key"]

    def make_workspace(self, name: str) -> dict[str, Any]:
        """Make a workspace of the same person, with its keys."""
        return self.services.accounts.bootstrap(
            email="ops@example.com",
            password="a long enough password",
            workspace=name,
            new_keys=False,
            now_us=self.services.clock(),
        )

    @property
    def given(self) -> dict[str, str]:
        return {name: value for name, value in self.variables.items() if value is not None}

    def run(self, *words: str, answer: str | None = None, **variables: str) -> Result:
        return CliRunner().invoke(main, words, env={**self.variables, **variables}, input=answer)

    def said(self, *words: str, **variables: str) -> Any:
        """Return the JSON that a command printed, and nothing else."""
        result = self.run(*words, "--json", **variables)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def api(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """Call the API itself; what a command prints has to be the same."""
        headers = {"Authorization": f"Bearer {key or self.management_key}"}
        answer = self.app.test_client().open(f"/api/v1{path}", method=method, headers=headers, json=body)
        assert answer.status_code < 300, answer.text
        return answer.json

    def post(self, *receipts: dict[str, Any]) -> None:
        """Post receipts; only what a test is about is said. The first began last."""
        body = [
            {
                "id": f"gen-{number}",
                "created_at": (NOW - timedelta(minutes=number)).isoformat(),
                "duration_ms": 10,
                "model": "m/x",
                "status": "succeeded",
                **receipt,
            }
            for number, receipt in enumerate(receipts)
        ]
        assert self.api("POST", "/receipts", body, key=self.api_key)["rejected"] == []

    def connect(self, name: str = "Collector", **body: Any) -> dict[str, Any]:
        """Save a destination whose test passes."""
        given = {
            "type": "otel-collector",
            "name": name,
            "config": {"endpoint": self.receiver.url("/ok"), "headers": {"x-token": "s3cr3t-of-the-test"}},
            **body,
        }
        made: dict[str, Any] = self.api("POST", "/observability/destinations", given)["data"]
        return made

    def close(self) -> None:
        self.services.ingest.stop()
        for thread in threading.enumerate():
            if thread.name == "key-used":
                thread.join()
        self.services.close()


@contextlib.contextmanager
def shell_at(place: str, folder: Path) -> Iterator[Shell]:
    """Return an installation; at a URL the database is out of the commands' reach."""
    database = postgres_url if "PostgreSQL" in place else sqlite_url
    with Receiver() as receiver, database() as url:
        shell = Shell(folder / "var", url, receiver)
        with serving(shell) if place == "at a URL" else contextlib.nullcontext(0):
            yield shell
        shell.close()


@contextlib.contextmanager
def serving(shell: Shell, port: int = 0) -> Iterator[int]:
    """Serve an installation's API, and leave the commands nothing but its address and a key."""
    server = make_server("127.0.0.1", port, shell.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    shell.variables = {
        **dict.fromkeys(shell.variables),
        "BROADCAST_URL": f"http://127.0.0.1:{server.server_port}",
        "BROADCAST_KEY": shell.management_key,
    }
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(params=PLACES)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    """Return an installation, once for each way to reach one."""
    with shell_at(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Shell]:
    """Return an instance at a URL."""
    with shell_at("at a URL", tmp_path) as opened:
        yield opened


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Shell]:
    """Return an installation on SQLite, for what no other place has."""
    with shell_at("local on SQLite", tmp_path) as opened:
        yield opened
