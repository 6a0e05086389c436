"""What whoever is on call sees: a token breaks while requests flow, is mended, and nothing was lost."""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest
import requests
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import ADD_COLLECTOR, OBSERVABILITY, Place, log_in, press_test
from tests.receiver import spans_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

NAME = "Our collector"
FIRST = "Bearer first-token-0c9f6a1d3b"
SECOND = "Bearer second-token-7e2b8d4f90"
SECONDS = 15_000
"""How long a page may take to say something, in milliseconds; a busy machine included."""


@dataclass(kw_only=True)
class Traffic:
    """Requests that go in one after the other until it is stopped; each id is one that was accepted."""

    url: str
    key: str
    ids: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with requests.Session() as session:
            while not self.stopping.wait(0.1):
                with suppress(requests.RequestException):
                    self.send(session)

    def send(self, session: requests.Session) -> None:
        answer = session.post(
            f"{self.url}/api/v1/chat/completions",
            json={"model": "demo/echo", "messages": [{"role": "user", "content": "Where is order 7?"}]},
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=10,
        )
        if answer.status_code == 200:
            self.ids.append(str(answer.json()["id"]))


@contextmanager
def flowing(place: Place) -> Iterator[Traffic]:
    traffic = Traffic(url=place.served.url, key=place.served.api_key)
    thread = threading.Thread(target=traffic.run)
    thread.start()
    try:
        yield traffic
    finally:
        traffic.stopping.set()
        thread.join()


def arrived(place: Place, token: str) -> Counter[str]:
    """Return how often each request's main span came with the right token."""
    seen: Counter[str] = Counter()
    for request in list(place.collector.requests):
        if request.headers.get("authorization") == token:
            seen.update(
                span.resource["openrouter.trace.id"]
                for span in spans_of(request.otlp())
                if "gen_ai.operation.name" in span.attributes
            )
    return seen


def number(page: Page, term: str) -> int:
    """Return one number of the ledger as the page shows it."""
    words = page.locator(".ledger a", has_text=term).locator(".value").inner_text()
    return int(words.replace(",", ""))


def state(page: Page) -> Locator:
    return page.locator("h1 + [data-say]")


def add_collector(page: Page, place: Place) -> None:
    page.goto(ADD_COLLECTOR)
    page.get_by_label("Name", exact=True).fill(NAME)
    page.get_by_label("Endpoint", exact=True).fill(place.collector.url("/v1/traces"))
    page.get_by_role("button", name="Add a header").click()
    page.get_by_label("Header 1 name").fill("Authorization")
    page.get_by_label("Header 1 value").fill(FIRST)
    press_test(page)
    expect(page.locator("#test-title")).to_have_text("Test passed")
    page.get_by_role("button", name="Save and start delivering").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)


def test_a_broken_token_is_said_mended_and_nothing_is_lost(page: Page, place: Place) -> None:
    place.collector.require = ("authorization", FIRST)
    log_in(page, place.served)
    add_collector(page, place)

    with flowing(place) as traffic:
        # The page follows by itself: it is not loaded again from here to the press on its button.
        expect(state(page)).to_have_text("Delivering")
        expect(page.locator("table.attempts")).to_contain_text("Delivered", timeout=SECONDS)

        # The vendor takes the token back.
        place.collector.require = ("authorization", SECOND)
        before = arrived(place, FIRST)
        expect(state(page)).to_have_text("Paused", timeout=SECONDS)
        problem = page.locator(".problem")
        expect(problem).to_contain_text("answered 401 Unauthorized")
        expect(problem).to_contain_text("“unknown key”")
        expect(problem).to_contain_text(re.compile(r"\d+ receipts? until"), timeout=SECONDS)
        expect(problem).to_contain_text("check the headers")
        expect(page.locator(".side .count")).to_have_text(re.compile("1"))
        broken_at = len(traffic.ids)
        expect(page.locator(".ledger a", has_text="pending").locator(".value")).not_to_have_text(
            "0", timeout=SECONDS
        )

        # The list of destinations says the same, first of all.
        page.goto(OBSERVABILITY)
        expect(page.locator(".destination").first).to_contain_text(NAME)
        expect(page.locator(".destination").first).to_contain_text("401 Unauthorized")

        # Mend it where the button leads.
        page.get_by_role("link", name="Replace headers").click()
        expect(page.get_by_label("Header 1 value")).to_be_focused()
        page.get_by_label("Header 1 value").fill(SECOND)
        press_test(page)
        expect(page.locator("#test-title")).to_have_text("Test passed")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
        expect(state(page)).to_have_text(re.compile("Delivering|Catching up"), timeout=SECONDS)

    # What was held leaves, and every request is accounted for.
    expect(page.locator(".ledger a", has_text="pending").locator(".value")).to_have_text("0", timeout=SECONDS)
    expect(page.locator("#ledger-title ~ .end")).to_have_text("Balances")
    assert len(traffic.ids) > broken_at > 0
    assert number(page, "appended") == number(page, "delivered") == len(traffic.ids)
    after = arrived(place, SECOND)
    assert before.keys() | after.keys() == set(traffic.ids)
    assert set(after.values()) == {1}

    # An hour is sent again: counted before it is sent, with the ids it had.
    place.collector.clear()
    page.get_by_role("link", name="Replay…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text(f"Replay to {NAME}")
    dialog.get_by_label("The last hour").check()
    expect(dialog.get_by_role("button", name="Replay 0 receipts")).to_be_disabled()
    dialog.get_by_label("Also what was delivered before").check()
    dialog.get_by_role("button", name=f"Replay {len(traffic.ids)} receipts").click()
    replay = page.locator("#replays tbody tr").first
    expect(replay).to_contain_text("Done", timeout=SECONDS)
    expect(replay.locator('[data-label="delivered"]')).to_have_text(str(len(traffic.ids)))
    assert arrived(place, SECOND) == Counter(traffic.ids)
    expect(page.locator("#ledger-title ~ .end")).to_have_text("Balances")
    assert number(page, "delivered") == len(traffic.ids)
