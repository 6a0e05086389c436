"""The quick start, from a fresh checkout: every command of the page, in its order, as it stands there."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
import requests

from tests.chaos.program import eventually, free_port
from tests.receiver import Receiver
from tests.world.documents import DOCS
from tests.world.environments import clean_environment

pytestmark = pytest.mark.world

PAGE: Final = (DOCS / "quick-start.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PATIENCE_S: Final = 600
LEFT_OUT: Final = shutil.ignore_patterns(
    ".git", ".venv", "var", "site", "__pycache__", "*_cache", "*.egg-info", "*-results"
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository that holds the code as it is now."""
    folder = tmp_path_factory.mktemp("repository") / "broadcast"
    shutil.copytree(DOCS.parent, folder, ignore=LEFT_OUT)
    who = ["-c", "user.name=A test", "-c", "user.email=test@example.com"]
    for step in (
        ["init", "--quiet"],
        ["add", "--all"],
        [*who, "commit", "--quiet", "--message", "All of it"],
    ):
        subprocess.run(["git", *step], cwd=folder, check=True, timeout=120)
    return folder


def run(command: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Run commands as a reader's shell does, and return what they print; the first that fails ends it."""
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@contextmanager
def left_running(command: str, folder: Path, environment: Mapping[str, str], url: str) -> Iterator[Path]:
    """Leave a command running in its terminal until its end; yield what it writes there."""
    log = folder / "terminal.log"
    with log.open("w") as terminal:
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=folder,
            env=environment,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
    try:
        assert eventually(lambda: process.poll() is not None or answers(url), PATIENCE_S), log.read_text()
        assert process.poll() is None, log.read_text()
        yield log
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        process.wait(60)


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def exports(block: str) -> dict[str, str]:
    """Return the variables a block sets, where it does nothing else."""
    lines = block.strip().splitlines()
    found = [re.fullmatch(r"export (\w+)=(\S+)", line) for line in lines]
    return {match[1]: match[2] for match in found if match} if all(found) else {}


def test_every_command_of_the_quick_start_works(repository: Path, tmp_path: Path) -> None:
    clone, start, *rest = BLOCKS
    port = free_port()
    with Receiver() as receiver:
        environment = clean_environment(
            BROADCAST_PORT=str(port), BROADCAST_EGRESS_ALLOW=f"127.0.0.1:{receiver.port}"
        )
        # What the reader has in place of the page's examples.
        own = {"URL": f"http://127.0.0.1:{port}", "ENDPOINT": receiver.url("/v1/traces")}
        run(clone.replace("<this repository>", str(repository)), tmp_path, environment)
        checkout = tmp_path / "broadcast"
        with left_running(start, checkout, environment, own["URL"]) as terminal:
            printed_curl = re.search(r"^ *(curl .+)$", terminal.read_text(), re.MULTILINE)
            assert printed_curl
            assert '"id"' in run(printed_curl[1], checkout, environment)

            printed = {}
            for block in rest:
                if names := exports(block):
                    environment |= {name: own.get(name, value) for name, value in names.items()}
                    continue
                printed[block] = run(block, checkout, environment)
                own |= {
                    name.upper(): value
                    for name, value in re.findall(r"^(\w+_key) +(sk-\S+)$", printed[block], re.MULTILINE)
                }
            receipt, read_back, connected, switched, asked, looked = list(printed.values())[1:]
            spans = receiver.wait_for_spans(4)  # the marked one of the test, and those of the request

    assert json.loads(receipt) == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert json.loads(read_back)["receipt"]["user"] == "user-7"
    assert json.loads(connected)["data"]["name"] == "My collector"
    assert json.loads(switched)["data"]["enabled"] is True
    assert "order 7" in asked
    assert "my-team/My collector" in looked
    assert {"broadcast-connection-test", "Answer a question"} <= {span.name for span in spans}
