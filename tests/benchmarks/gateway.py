"""What routing adds: the gateway against the provider it routes to, asked straight, by turns in the same run.

The provider, the program (`broadcast web`, with receipts stored durably in SQLite) and the clients are
processes of their own. Fifty requests a second go to each of the two, evenly, whether or not earlier ones
have been answered. What is compared is the quantile of one side with that of the other, in the best of
several runs: the machine's other work only ever adds.
"""

import asyncio
import contextlib
import gc
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from broadcast import config
from broadcast.runtime import build
from destinations import TYPES
from tests.benchmarks import fleet, processes
from tests.benchmarks.model import Model
from tests.benchmarks.table import Row

A_SECOND: Final = 50
RUNS: Final = 3
SECONDS: Final = 12
WARM_S: Final = 2
MODEL: Final = "bench/model"
MOST_P50_MS: Final = 3.0
MOST_P99_MS: Final = 15.0
_READY_S: Final = 60.0
_PROMPT: Final = "word " * 1000


@dataclass(frozen=True, kw_only=True)
class Side:
    """Where requests are sent, and how long each took."""

    port: int
    path: str
    key: str
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)
    took_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Course:
    """One run: both sides in milliseconds, and what the web process used for each request."""

    straight: Side
    routed: Side
    cpu_ms: float

    def added_ms(self, percent: int) -> float:
        """Return what the gateway added to a quantile."""
        return _quantile(self.routed, percent) - _quantile(self.straight, percent)


def rows() -> list[Row]:
    """Return the rows of this file."""
    with Model() as model, tempfile.TemporaryDirectory() as folder:
        variables, key = _prepared(Path(folder), model.port)
        with _web(variables) as web:
            return [
                *_compared(web, model.port, key, streamed=False),
                *_compared(web, model.port, key, streamed=True),
            ]


def _prepared(folder: Path, model_port: int) -> tuple[dict[str, str], str]:
    """Return the variables of a new installation that routes to the model, and a key for it."""
    file = folder / "upstreams.yaml"
    file.write_text(
        json.dumps(
            {
                "providers": {"bench": {"base_url": f"http://127.0.0.1:{model_port}/v1"}},
                "models": {MODEL: {"providers": [{"provider": "bench", "model": "bench"}]}},
            }
        )
    )
    variables = {**fleet.environment(folder), "BROADCAST_UPSTREAMS": str(file)}
    services = build(config.load(variables), TYPES)
    services.store.migrate()
    now_us = services.clock()
    user = services.accounts.create_user(email="bench@example.com", password=fleet.PASSWORD, now_us=now_us)
    workspace = services.accounts.create_workspace(name="Bench", owner=user, now_us=now_us)
    key, _ = services.accounts.make_key(
        workspace_id=workspace.id, user_id=user.id, kind="api", name="bench", now_us=now_us
    )
    services.close()
    return variables, key


@dataclass(frozen=True, kw_only=True)
class Web:
    """The web process."""

    port: int
    pid: int


@contextlib.contextmanager
def _web(variables: Mapping[str, str]) -> Iterator[Web]:
    """Run the web process until the block is left."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    mine = {name: value for name, value in os.environ.items() if not name.startswith("BROADCAST_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "broadcast", "web"], env={**mine, **variables, "BROADCAST_PORT": str(port)}
    )
    try:
        _wait_until_up(port)
        yield Web(port=port, pid=process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait_until_up(port: int) -> None:
    give_up_at = time.monotonic() + _READY_S
    while time.monotonic() < give_up_at:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
            return
        time.sleep(0.1)
    raise SystemExit("The web process did not come up.")


def _compared(web: Web, model_port: int, key: str, *, streamed: bool) -> list[Row]:
    courses = [_course(web, model_port, key, streamed=streamed) for _ in range(RUNS)]
    what = "first token of a stream" if streamed else "whole answer"
    compared = []
    for percent, most_ms in ((50, MOST_P50_MS), (99, MOST_P99_MS)):
        best = min(courses, key=lambda course: course.added_ms(percent))
        compared.append(
            Row(
                name=f"added by the gateway, {what}, p{percent}",
                unit="ms",
                ours=best.added_ms(percent),
                peer=_quantile(best.straight, percent),
                peer_name="the provider itself",
                target=most_ms,
                absolute=True,
                at_most=True,
            )
        )
    cpu_ms = min(course.cpu_ms for course in courses)
    return [*compared, Row(name=f"gateway, {what}, a receipt stored", unit="CPU-ms a request", ours=cpu_ms)]


def _course(web: Web, model_port: int, key: str, *, streamed: bool) -> Course:
    straight = Side(port=model_port, path="/v1/chat/completions", key=key)
    routed = Side(port=web.port, path="/api/v1/chat/completions", key=key)
    cpu_s = processes.tree_cpu_seconds(web.pid)
    asyncio.run(_ask_by_turns(straight, routed, streamed=streamed))
    cpu_s = processes.tree_cpu_seconds(web.pid) - cpu_s
    return Course(straight=straight, routed=routed, cpu_ms=cpu_s * 1000 / (A_SECOND * (WARM_S + SECONDS)))


def _quantile(side: Side, percent: int) -> float:
    return statistics.quantiles(side.took_ms, n=100, method="inclusive")[percent - 1]


async def _ask_by_turns(straight: Side, routed: Side, *, streamed: bool) -> None:
    """Send to one and to the other at even distances, and keep what came after the warm-up."""
    gc.collect()
    gc.disable()
    try:
        async with asyncio.TaskGroup() as group:
            begun_s = time.monotonic()
            for turn in range(2 * A_SECOND * (WARM_S + SECONDS)):
                at_s = turn / (2 * A_SECOND)
                await asyncio.sleep(max(0.0, begun_s + at_s - time.monotonic()))
                side = routed if turn % 2 else straight
                group.create_task(_ask(side, streamed=streamed, kept=at_s >= WARM_S))
    finally:
        gc.enable()
    for side in (straight, routed):
        for _, writer in side.idle:
            writer.close()


async def _ask(side: Side, *, streamed: bool, kept: bool) -> None:
    body = json.dumps(
        {"model": MODEL, "messages": [{"role": "user", "content": _PROMPT}], "stream": streamed},
        separators=(",", ":"),
    ).encode()
    head = (
        f"POST {side.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {side.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    async with _connection(side) as (reader, writer):
        begun_s = time.monotonic()
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"A request was answered: {answer.splitlines()[0].decode()}")
        if streamed:
            await reader.readuntil(b"data: ")
            took_ms = (time.monotonic() - begun_s) * 1000
            await reader.readuntil(b"0\r\n\r\n")
        else:
            length = next(line for line in answer.lower().splitlines() if line.startswith(b"content-length"))
            await reader.readexactly(int(length.partition(b":")[2]))
            took_ms = (time.monotonic() - begun_s) * 1000
    if kept:
        side.took_ms.append(took_ms)


@contextlib.asynccontextmanager
async def _connection(side: Side) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Return a connection that is free, as a client's pool does; both sides are treated alike."""
    pair = side.idle.pop() if side.idle else await asyncio.open_connection("127.0.0.1", side.port)
    yield pair
    side.idle.append(pair)
