"""What people do on the pages, in a real Chromium against the real program."""

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.e2e.conftest import ADD_COLLECTOR, OBSERVABILITY, WORKSPACE, Place, Served, log_in, press_test

pytestmark = pytest.mark.browser

TOKEN = "Bearer wrong-token-5f0c2d9e7b"
FACTS = ("Reachable", "Credential accepted", "Data accepted")


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
    page.get_by_label("Endpoint", exact=True).fill(place.collector.url("/status/404/v1/trace"))
    press_test(page)
    expect(page.locator("#test-title")).to_have_text("Test failed")
    assert facts(page)[0] == "yes"
    assert facts(page)[2] == "no"
    expect(page.locator(".field.is-wrong")).to_contain_text("Endpoint")
    expect(save).to_be_disabled()

    # The right one passes; changing it afterwards would ask for another test.
    page.get_by_label("Endpoint", exact=True).fill(place.collector.url("/v1/traces"))
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
    page.get_by_label("Endpoint", exact=True).fill(place.collector.url("/status/401/v1/traces"))
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


def test_rows_come_and_go_and_the_first_wrong_field_has_the_focus(page: Page, place: Place) -> None:
    log_in(page, place.served)
    page.goto(ADD_COLLECTOR)
    page.get_by_label("Name", exact=True).fill("Filtered collector")
    page.get_by_label("Endpoint", exact=True).fill(place.collector.url("/v1/traces"))

    # Headers: two are added, one goes again.
    page.get_by_role("button", name="Add a header").click()
    expect(page.get_by_label("Header 1 name")).to_be_focused()
    page.get_by_role("button", name="Add another header").click()
    page.get_by_label("Header 2 name").fill("X-Team")
    page.get_by_label("Header 2 value").fill("search")
    page.get_by_role("button", name="Remove header 1").click()
    expect(page.get_by_label("Header 1 name")).to_have_value("X-Team")

    # A rule that is wrong: Enter tests the connection all the same, and takes nothing away.
    page.get_by_role("button", name="Add a rule").click()
    value = page.get_by_label("Value of rule 1 of group 1")
    expect(value).to_be_focused()
    page.get_by_label("Field of rule 1").select_option("total_cost")
    page.get_by_label("Operator of rule 1").select_option("gte")
    value.fill("much")
    place.collector.clear()
    page.keyboard.press("Enter")
    expect(page.locator("#test-title")).to_have_text("Test passed")
    expect(page.locator("#test-title")).to_be_focused()
    assert place.collector.requests[-1].headers["x-team"] == "search"
    expect(value).to_have_value("much")

    # An edit takes the test back; testing again brings it.
    page.get_by_label("Header 1 value").fill("ads")
    expect(page.locator("#test-title")).to_have_text("Not tested")
    assert facts(page) == ["not tried"] * 3
    press_test(page)
    expect(page.locator("#test-title")).to_have_text("Test passed")


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
