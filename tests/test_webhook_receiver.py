"""The receiver of docs/webhook.md, taken from the page and run: it takes what Broadcast signs, no more."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcast.destination import Request, Verdict
from broadcast.egress import Policy
from broadcast.transport import send_once
from destinations.webhook import Webhook
from tests.destinations import own_api

PAGE = Path(__file__).parents[1] / "docs" / "webhook.md"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run the page's program as the page says, and give its port."""
    example = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert example
    file = tmp_path_factory.mktemp("receiver") / "receiver.py"
    file.write_text(example[1])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    command = [sys.executable, str(file), str(number), SECRET]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as program:
        wait_for(number)
        yield number
        program.terminate()


def wait_for(number: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", number)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("The receiver did not start.")


def sent(
    port: int, *told: Any, age_s: int = 0, test: bool = False, **config: Any
) -> tuple[Request, Any, Webhook]:
    destination = Webhook.parse({"url": f"http://127.0.0.1:{port}/", "signingSecret": SECRET, **config})
    at_us = (int(time.time()) - age_s) * 1_000_000
    request = destination.request(own_api.batch(destination, *told, at_us=at_us, test=test))
    policy = Policy.parse([f"127.0.0.1:{port}"])
    return request, send_once(policy, lambda transport: transport.send(request)), destination


def verdict(port: int, *told: Any, **options: Any) -> Verdict:
    _, response, destination = sent(port, *told, **options)
    return destination.judge(response).verdict


def count(port: int) -> int:
    return int(sent(port, test=True)[1].body.split()[0])


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_what_broadcast_signs_is_taken(port: int, method: str) -> None:
    assert verdict(port, method=method) is Verdict.DELIVERED


def test_a_repeat_counts_once_and_the_test_not_at_all(port: int) -> None:
    verdict(port)
    before = count(port)
    verdict(port, own_api.receipt(id="gen-2"))
    verdict(port, own_api.receipt(id="gen-2"))
    assert count(port) - before == len(
        own_api.spans(Webhook.parse({"url": "https://a.example"}), own_api.receipt()).spans
    )


@pytest.mark.parametrize("which", ["signingSecret", "previousSigningSecret"])
def test_while_the_secret_changes_either_is_enough(port: int, which: str) -> None:
    secrets = {"signingSecret": OTHER_SECRET, "previousSigningSecret": OTHER_SECRET, which: SECRET}
    assert verdict(port, **secrets) is Verdict.DELIVERED


@pytest.mark.parametrize("options", [{"signingSecret": OTHER_SECRET}, {"age_s": 301}, {"age_s": -360}])
def test_what_is_signed_otherwise_or_at_another_time_is_refused(port: int, options: dict[str, Any]) -> None:
    assert verdict(port, **options) is Verdict.REFUSED


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_request_without_its_headers_is_refused(port: int, header: str) -> None:
    request, _, destination = sent(port)
    del request.headers[header]
    policy = Policy.parse([f"127.0.0.1:{port}"])
    response = send_once(policy, lambda transport: transport.send(request))
    assert destination.judge(response).verdict is Verdict.REFUSED
