"""The real program for end-to-end tests: `broadcast serve` as a process, on both databases, and a browser."""

import base64
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, sync_playwright

from tests import chromium
from tests.databases import postgres_url
from tests.receiver import Receiver

WORKSPACE = "/w/demo"
OBSERVABILITY = f"{WORKSPACE}/settings/observability"
ADD_COLLECTOR = f"{OBSERVABILITY}/add/otel-collector"
PRINTED_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running program, and what it printed on its first start."""

    url: str
    email: str
    password: str
    api_key: str
    curl: str
    process: "subprocess.Popen[str]"
    environment: dict[str, str]
    folder: Path


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(folder: Path, database_url: str | None, **more: str) -> dict[str, str]:
    """Return the variables of one program of its own."""
    values = {name: value for name, value in os.environ.items() if not name.startswith("BROADCAST_")}
    values |= {
        "BROADCAST_PORT": str(free_port()),
        "BROADCAST_DATA_DIR": str(folder / "var"),
        "BROADCAST_DEMO": "1",
    }
    values["PYTHONPATH"] = str(Path(__file__).parents[2])
    if database_url:
        values["BROADCAST_DATABASE_URL"] = database_url
        values["BROADCAST_ENCRYPTION_KEYS"] = "t1:" + base64.b64encode(secrets.token_bytes(32)).decode()
        values["BROADCAST_SECRET_KEY"] = secrets.token_urlsafe(48)
    return values | more


def _printed(process: "subprocess.Popen[str]") -> str:
    """Return what the program says when it starts, up to its last line, which a first start alone has."""
    assert process.stdout
    out = process.stdout.fileno()
    os.set_blocking(out, False)
    printed = b""
    until = time.monotonic() + PRINTED_S
    while b"curl " not in printed and time.monotonic() < until:
        with suppress(BlockingIOError):
            printed += os.read(out, 65_536)
        time.sleep(0.02)
    return printed.decode()


def start(folder: Path, values: dict[str, str]) -> Served:
    """Start `broadcast serve` in an empty folder and wait until it is ready."""
    with (folder / "stderr.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "broadcast", "serve"],
            cwd=folder,
            env=values,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    url = f"http://127.0.0.1:{values['BROADCAST_PORT']}"
    if not ready(url, process):
        _give_up(process)
        pytest.fail(f"the program did not become ready:\n{(folder / 'stderr.log').read_text()}")
    printed = _printed(process)

    def found(pattern: str) -> str:
        match = re.search(pattern, printed)
        return match.group(1) if match else ""

    return Served(
        url=url,
        email=found(r"e-mail +(\S+)"),
        password=found(r"password +(\S+)"),
        api_key=found(r"Bearer (sk-[\w-]+)"),
        curl=found(r"(curl .+)"),
        process=process,
        environment=values,
        folder=folder,
    )


def _give_up(process: "subprocess.Popen[str]") -> None:
    """End a program that did not get ready, its own processes included."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(30)
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def ready(url: str, process: "subprocess.Popen[str]") -> bool:
    """Wait until the program says that it is ready; False when it ends or takes a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(requests.RequestException):
            if requests.get(f"{url}/readyz", timeout=2).status_code == 200:
                return True
        time.sleep(0.1)
    return False


def stop(served: Served) -> int:
    """Stop the program as Ctrl-C does, and return its exit code."""
    served.process.send_signal(signal.SIGINT)
    code = served.process.wait(40)
    if served.process.stdout:
        served.process.stdout.close()
    return code


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with postgres_url() if request.param == "postgresql" else nullcontext() as database_url:
        running = start(folder, environment(folder, database_url))
        yield running
        assert stop(running) == 0


# -- a browser, and a collector to connect --------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Place:
    """A running program, and a collector it may reach."""

    served: Served
    collector: Receiver


@contextmanager
def running(folder: Path, database_url: str | None) -> Iterator[Place]:
    with Receiver() as collector:
        allowed = f"127.0.0.1:{collector.port}"
        served = start(folder, environment(folder, database_url, BROADCAST_EGRESS_ALLOW=allowed))
        try:
            yield Place(served=served, collector=collector)
        finally:
            code = stop(served)
        assert code == 0


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with (
        postgres_url() if request.param == "postgresql" else nullcontext() as database_url,
        running(tmp_path_factory.mktemp("browser"), database_url) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium.find()
    if path is None:
        pytest.fail("No Chromium was found; `python tests/chromium.py` installs one.")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, place: Place) -> Iterator[Page]:
    """A person's page; a complaint of the browser, such as of the content policy, fails the story."""
    context = browser.new_context(base_url=place.served.url)
    context.set_default_timeout(10_000)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert complaints == []


@pytest.fixture
def picture(page: Page) -> Callable[[str], None]:
    """Save what is seen as a picture of the documents, where SCREENSHOTS names a folder for them."""
    folder = os.environ.get("SCREENSHOTS")

    def save(name: str) -> None:
        if folder:
            page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")

    return save


def log_in(page: Page, served: Served) -> None:
    page.goto("/login")
    page.get_by_label("Email").fill(served.email)
    page.get_by_label("Password").fill(served.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{WORKSPACE}/activity")


def press_test(page: Page) -> None:
    page.get_by_role("button", name="Test Connection").click()
