"""The pictures of the documents: a workspace at work, page by page. `make pictures` keeps them."""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
import requests
from playwright.sync_api import Page, expect

from broadcast.times import rfc3339
from tests.e2e.conftest import (
    ADD_COLLECTOR,
    OBSERVABILITY,
    WORKSPACE,
    Place,
    Served,
    log_in,
    press_test,
    running,
)

pytestmark = pytest.mark.browser

SHOWN: Final = "req-shown"
RECEIPTS: Final = 600
PATIENCE_MS: Final = 60_000
WEEK_S: Final = 6.7 * 86_400
"""The view of a week ends with the six hours that go on, so it may begin six hours less than a week ago."""
MODELS: Final = (
    ("anthropic/claude-sonnet-4", "Anthropic", 3.0, 15.0),
    ("openai/gpt-4o-mini", "OpenAI", 0.15, 0.6),
    ("openai/gpt-4o", "Azure", 2.5, 10.0),
    ("google/gemini-2.5-flash", "Google", 0.3, 2.5),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Pictures are of one database: what people see is the same on both."""
    with running(tmp_path_factory.mktemp("pictures"), None) as found:
        yield found


def receipts(now_s: float) -> list[dict[str, Any]]:
    """Return what a router may post in a week, the last of it with a failed first try."""
    chance = random.Random(7)
    return [receipt(chance, f"req-{number:04}", now_s) for number in range(RECEIPTS)] + [shown(now_s)]


def receipt(chance: random.Random, name: str, now_s: float) -> dict[str, Any]:
    model, provider, per_input, per_output = chance.choices(MODELS, (5, 8, 3, 4))[0]
    asked, answered = chance.randint(200, 6000), chance.randint(20, 900)
    failed = chance.random() < 0.03
    first_token_ms = chance.lognormvariate(6, 0.4)
    cost = {"total_usd": f"{(asked * per_input + answered * per_output) / 1e6:.7f}"}
    return {
        "id": name,
        "created_at": rfc3339(int((now_s - chance.random() * WEEK_S) * 1e6)),
        "duration_ms": first_token_ms + answered * chance.uniform(4, 9),
        "model": model,
        "provider": provider,
        "status": "error" if failed else "succeeded",
        "timing": {"first_token_ms": first_token_ms},
        "usage": {"input_tokens": asked, "output_tokens": 0 if failed else answered},
        "user": f"user-{chance.randint(1, 12)}",
        "session_id": f"chat-{chance.randint(1, 60)}",
        "trace": {"trace_name": "support-bot", "feature": chance.choice(["search", "answer", "summary"])},
    } | ({"error": {"type": "rate_limited", "message": "Too many requests"}} if failed else {"cost": cost})


def shown(now_s: float) -> dict[str, Any]:
    tries = (("Azure", 429, 12, 210), ("OpenAI", 200, 240, 1600))
    return receipt(random.Random(3), SHOWN, now_s) | {
        "created_at": rfc3339(int((now_s - 60) * 1e6)),
        "model": "openai/gpt-4o",
        "provider": "OpenAI",
        "duration_ms": 1852.4,
        "status": "succeeded",
        "streamed": True,
        "finish_reason": "stop",
        "timing": {"first_token_ms": 612, "router_ms": 12},
        "routing": {"profile": "latency", "candidates": 3},
        "usage": {"input_tokens": 1840, "output_tokens": 212, "cache_read_tokens": 1024},
        "cost": {"total_usd": "0.00544"},
        "attempts": [
            {"provider": name, "status_code": status, "start_ms": start_ms, "duration_ms": duration_ms}
            for name, status, start_ms, duration_ms in tries
        ],
    }


def post(served: Served, items: list[dict[str, Any]]) -> None:
    answer = requests.post(
        f"{served.url}/api/v1/receipts",
        json=items,
        headers={"Authorization": f"Bearer {served.api_key}"},
        timeout=30,
    )
    assert answer.json() == {"accepted": len(items), "duplicates": 0, "rejected": []}


def connect(page: Page, name: str, url: str) -> None:
    """Fill the form and let its test pass."""
    page.goto(ADD_COLLECTOR)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Endpoint", exact=True).fill(url)
    press_test(page)
    expect(page.locator("#test-title")).to_have_text("Test passed")


def test_the_documents_show_a_workspace_at_work(
    page: Page, place: Place, picture: Callable[[str], None]
) -> None:
    page.set_viewport_size({"width": 1200, "height": 760})
    log_in(page, place.served)

    connect(page, "Tempo", place.collector.url("/tempo/v1/traces"))
    picture("form")
    page.get_by_role("button", name="Save and start delivering").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tempo")
    destination = page.url
    connect(page, "Staging collector", place.collector.url("/staging/v1/traces"))
    page.get_by_role("button", name="Save and start delivering").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Staging collector")

    place.collector.answer("/staging/v1/traces", status=401, body="the token has expired", times=1000)
    post(place.served, receipts(time.time()))
    page.goto(destination)
    expect(page.locator("#main")).to_contain_text(f"Cursor #{RECEIPTS + 1}.", timeout=PATIENCE_MS)
    picture("destination")

    page.goto(OBSERVABILITY)
    expect(page.locator("li.destination", has_text="Tempo")).to_contain_text("Delivering")
    staging = page.locator("li.destination", has_text="Staging collector")
    expect(staging).to_contain_text("Paused", timeout=PATIENCE_MS)
    picture("observability")

    page.goto(f"{WORKSPACE}/activity?window=week")
    expect(page.locator("#main")).to_contain_text(f"{RECEIPTS + 1}")
    picture("activity")

    page.goto(f"{WORKSPACE}/activity/{SHOWN}")
    expect(page.locator("tr", has_text="Tempo")).to_contain_text("Delivered")
    expect(page.locator("tr", has_text="Staging collector")).to_contain_text("401")
    picture("request")
