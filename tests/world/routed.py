"""What a foreign server is sent by the real program: one request with everything, and one that failed."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from tests.chaos.program import Program, eventually
from tests.factories import at, receipt_document
from tests.world.place import PATIENCE_S, started

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
FAILED_TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
IMAGE: Final = "iVBORw0KGgoAAAANSUhEUg"
CALL: Final = {
    "id": "call-1",
    "type": "function",
    "function": {"name": "find_order", "arguments": '{"order":7}'},
}
TREE: Final = {
    "Answer a question": None,
    "Look up": "Answer a question",
    "Write": "Look up",
    "route": "Write",
    "provider attempt 1: Azure": "Write",
    "provider attempt 2: OpenAI": "Write",
}
"""The spans of the first request, each with its parent."""

TRIES: Final = (
    {
        "provider": "Azure",
        "status_code": 503,
        "error_type": "overloaded",
        "error_message": "The server is overloaded.",
        "start_ms": 3,
        "duration_ms": 200,
    },
    {"provider": "OpenAI", "id": "chatcmpl-2", "status_code": 200, "start_ms": 203, "duration_ms": 1000},
)


def everything() -> dict[str, Any]:
    """Return a receipt with content, tools, an image part and a failover."""
    return receipt_document(
        id="gen-world-1",
        created_at=at(time.time_ns() // 1000 - 10_000_000),
        attempts=list(TRIES),
        routing={"profile": "balanced", "duration_ms": 3},
        trace={
            "trace_id": TRACE,
            "trace_name": "Answer a question",
            "span_name": "Look up",
            "generation_name": "Write",
            "feature": "search",
        },
        input=[
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Where is order 7?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}},
                ],
            },
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call-1", "content": "in the van"},
        ],
        output=[{"role": "assistant", "content": "On its way."}],
    )


def failed() -> dict[str, Any]:
    """Return a receipt of a request that its only provider refused."""
    return receipt_document(
        id="gen-world-2",
        created_at=at(time.time_ns() // 1000 - 10_000_000),
        status="error",
        error={"type": "overloaded", "message": "The server is overloaded.", "code": "503"},
        attempts=[TRIES[0]],
        trace={"trace_id": FAILED_TRACE},
        usage=None,
        cost=None,
        finish_reason=None,
        input=[{"role": "user", "content": "Where is order 8?"}],
    )


@contextmanager
def delivered(folder: Path, server: str, kind: str, config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Connect a server, send it both requests, and yield the report of Test Connection after that."""
    with started(folder / "broadcast", egress=urlsplit(server).netloc) as running:
        body = {"type": kind, "name": "Server", "enabled": True, "config": dict(config)}
        made = running.ask("POST", "/observability/destinations", body)["id"]
        report = running.ask("POST", f"/observability/destinations/{made}/test")
        running.switch_on()
        post(running, everything(), failed())
        settled = eventually(lambda: running.ledger(made)["delivered"] == 2, PATIENCE_S)
        assert settled, (running.ledger(made), running.attempts(made))
        yield report


def post(running: Program, *documents: dict[str, Any]) -> None:
    """Post receipts as a router does."""
    answer = requests.post(
        f"{running.url()}/api/v1/receipts",
        json=list(documents),
        headers={"Authorization": f"Bearer {running.api_key}"},
        timeout=30,
    )
    assert answer.json() == {"accepted": len(documents), "duplicates": 0, "rejected": []}, answer.text
