"""What people do on the pages, in a real Chromium against the real program."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests import chromium
from tests.databases import postgres_url
from tests.e2e.conftest import Served, environment, start, stop
from tests.receiver import Receiver

pytestmark = pytest.mark.browser

WORKSPACE = "/w/demo"
OBSERVABILITY = f"{WORKSPACE}/settings/observability"
ADD_COLLECTOR = f"{OBSERVABILITY}/add/otel-collector"
TOKEN = "Bearer wrong-token-5f0c2d9e7b"
FACTS = ("Reachable", "Credential accepted", "Data accepted")


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


def log_in(page: Page, served: Served) -> None:
    page.goto("/login")
    page.get_by_label("Email").fill(served.email)
    page.get_by_label("Password").fill(served.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{WORKSPACE}/activity")


def press_test(page: Page) -> None:
    page.get_by_role("button", name="Test Connection").click()


def facts(page: Page) -> list[str]:
    """Return what the test says of the three facts: yes, no or not tried."""
    rows = page.locator("#test-panel .proofs li")
    return [rows.filter(has_text=fact).locator("span").nth(2).inner_text() for fact in FACTS]


def send_request(served: Served, trace_name: str) -> str:
    answer = requests.post(
        f"{served.url}/api/v1/chat/completions",
        json={
            "model": "demo/echo",
            "messages": [{"role": "user", "content": "Where is order 7?"}],
            "trace": {"trace_name": trace_name},
        },
        headers={"Authorization": f"Bearer {served.api_key}"},
        timeout=10,
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def test_a_new_user_connects_a_collector_and_sees_a_request_arrive(page: Page, place: Place) -> None:
    log_in(page, place.served)

    # Switch Broadcast off and on.
    page.get_by_role("link", name="Observability").first.click()
    switch = page.get_by_role("switch")
    for words in ("Broadcast is off", "Broadcast is on"):
        switch.click()
        expect(switch).to_have_text(words)

    # A wrong path is named by the test, and cannot be saved.
    page.locator("[data-type]", has_text="OpenTelemetry Collector").click()
    save = page.get_by_role("button", name="Save and start delivering")
    expect(save).to_be_disabled()
    page.get_by_label("Name", exact=True).fill("Our collector")
    page.get_by_label("Endpoint").fill(place.collector.url("/status/404/v1/trace"))
    press_test(page)
    expect(page.locator("#test-title")).to_have_text("Test failed")
    assert facts(page)[0] == "yes"
    assert facts(page)[2] == "no"
    expect(page.locator(".field.is-wrong")).to_contain_text("Endpoint")
    expect(save).to_be_disabled()

    # The right one passes; changing it afterwards would ask for another test.
    page.get_by_label("Endpoint").fill(place.collector.url("/v1/traces"))
    place.collector.clear()
    press_test(page)
    expect(page.locator("#test-title")).to_have_text("Test passed")
    assert facts(page) == ["yes", "yes", "yes"]
    assert [span.name for span in place.collector.spans()] == ["broadcast-connection-test"]
    expect(save).to_be_enabled()
    save.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Our collector")

    # A request arrives at the collector, and its page says so.
    place.collector.clear()
    receipt_id = send_request(place.served, "browser-story")
    spans = place.collector.wait_for_spans(3)
    root = next(span for span in spans if not span.parent_span_id)
    assert root.name == "browser-story"
    assert {span.trace_id for span in spans} == {root.trace_id}
    assert {span.resource["openrouter.trace.id"] for span in spans} == {receipt_id}
    page.get_by_role("link", name="Activity").first.click()
    page.locator(f'a[href$="/activity/{receipt_id}"]').click()
    row = page.locator("tr", has_text="Our collector")
    expect(row).to_contain_text("Delivered")


def test_a_wrong_token_is_named_and_never_shown(page: Page, place: Place) -> None:
    log_in(page, place.served)
    page.goto(ADD_COLLECTOR)
    page.get_by_label("Name", exact=True).fill("Strict collector")
    page.get_by_label("Endpoint").fill(place.collector.url("/status/401/v1/traces"))
    page.get_by_role("button", name="Add a header").click()
    page.get_by_label("Header 1 name").fill("Authorization")
    page.get_by_label("Header 1 value").fill(TOKEN)

    press_test(page)

    expect(page.locator("#test-title")).to_have_text("Test failed")
    assert facts(page)[:2] == ["yes", "no"]
    assert place.collector.requests[-1].headers["authorization"] == TOKEN
    expect(page.get_by_role("button", name="Save and start delivering")).to_be_disabled()
    assert TOKEN.removeprefix("Bearer ") not in page.content()
    page.goto(OBSERVABILITY)
    expect(page.locator("#main")).not_to_contain_text("Strict collector")


def test_the_pages_work_by_keyboard(page: Page, place: Place) -> None:
    for name in ("first", "second"):
        send_request(place.served, name)
    log_in(page, place.served)
    page.goto(f"{WORKSPACE}/activity")
    rows = page.locator("[data-row] a.row-link")
    expect(rows.nth(1)).to_be_visible()

    page.keyboard.press("/")
    expect(page.locator("#jump")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#jump")).not_to_be_focused()

    page.keyboard.press("?")
    expect(page.locator("#keys-help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys-help")).to_be_hidden()

    page.keyboard.press("j")
    expect(rows.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(rows.nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(rows.nth(0)).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/activity/gen-*")
