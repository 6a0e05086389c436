"""Foreign servers that read OTLP, each started once for a test module and asked what it understood."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from broadcast import genai
from broadcast.destination import Batch, Destination, Outcome, Request, Response
from broadcast.egress import Policy
from broadcast.transport import send_once
from tests.destinations import wire
from tests.world.environments import clean_environment

PATIENCE_S = 240


@contextmanager
def running(command: list[str], home: Path, ready: str, **variables: str) -> Iterator[None]:
    """Run a server until the block ends; `ready` is an address that answers 200 when it is."""
    environment = clean_environment(HOME=str(home), **variables)
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command,
            cwd=home,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait(server, ready, home / "server.log")
            yield
        finally:
            # Its workers go with it: nothing of it is worth a graceful end.
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _wait(server: "subprocess.Popen[bytes]", ready: str, log: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and server.poll() is None:
        try:
            if requests.get(ready, timeout=5).status_code == requests.codes.ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.5)
    raise AssertionError(f"not ready: {log.read_text(errors='replace')[-2000:]}")


def ask(url: str, **parameters: Any) -> Any:
    """Return what the server's own API says."""
    answer = requests.get(url, params=parameters, timeout=60)
    answer.raise_for_status()
    return answer.json()


def until(read: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """Return what is read once it holds: a server may answer before it has stored."""
    end = time.monotonic() + PATIENCE_S
    while not holds(found := _tried(read)):
        assert time.monotonic() < end, found
        time.sleep(0.2)
    return found


def _tried(read: Callable[[], Any]) -> Any:
    """Return what is read, or nothing where that is not there yet."""
    try:
        return read()
    except requests.HTTPError:
        return ()


def sent(destination: Destination, *, trace_id: str) -> Outcome:
    """Send one receipt with all of the type's vocabulary, as delivery does."""
    receipt = wire.receipt_of(trace_id)
    spans = genai.spans(receipt, namespace="openrouter", options=wire.options_of(destination, receipt))
    batch = Batch(id="b", at_us=wire.AT_US, pieces=(destination.encode(spans),))
    return destination.judge(exchanged(destination.request(batch)))


def tested(destination: Destination) -> tuple[Outcome, bool | None]:
    """Send the test span and look for it; return what each of both found."""
    spans = genai.test_span(wire.AT_US, "broadcast-connection-test", "openrouter")
    batch = Batch(id="t", at_us=wire.AT_US, pieces=(destination.encode(spans),), test=True)
    outcome = destination.judge(exchanged(destination.request(batch)))
    check = destination.data_check(spans.spans[0].trace_id, wire.AT_US)
    return outcome, None if check is None else destination.judge_data(exchanged(check))


def exchanged(request: Request) -> Response:
    """Return the answer of a server on loopback; the first request to a fresh one may take its time."""
    policy = Policy.parse([f"127.0.0.1:{urlsplit(request.url).port}"])
    return send_once(policy, lambda transport: transport.send(request, deadline_s=PATIENCE_S))


def loaded(values: Mapping[str, str]) -> dict[str, Any]:
    """Return values that are JSON texts as what they say; a bare text stays."""
    found: dict[str, Any] = {}
    for name, text in values.items():
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found
