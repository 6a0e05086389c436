"""Metrics in a browser: switched on by the form, tested with the span, seen on the page as they leave."""

from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.e2e.conftest import ADD_COLLECTOR, Place, log_in, press_test

pytestmark = pytest.mark.browser

PATIENCE_MS = 60_000


def test_they_are_chosen_tested_and_seen(page: Page, place: Place, picture: Callable[[str], None]) -> None:
    log_in(page, place.served)
    page.goto(ADD_COLLECTOR)
    page.get_by_label("Name", exact=True).fill("Measured collector")
    page.get_by_label("Endpoint", exact=True).fill(place.collector.url("/measured/v1/traces"))
    page.get_by_label("Metrics", exact=True).select_option("10s")
    press_test(page)
    expect(page.locator("#test-panel")).to_contain_text("and one point of metrics named")
    page.get_by_role("button", name="Save and start delivering").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Measured collector")

    part = page.locator('[data-part="metrics"]')
    expect(part).to_contain_text("of 1,000")
    answer = requests.post(
        f"{place.served.url}/api/v1/chat/completions",
        json={"model": "demo/echo", "messages": [{"role": "user", "content": "Where is order 7?"}]},
        headers={"Authorization": f"Bearer {place.served.api_key}"},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text

    expect(part).to_contain_text("1 of 1,000", timeout=PATIENCE_MS)
    expect(part.locator("dd").nth(1)).not_to_contain_text("never", timeout=PATIENCE_MS)
    picture("metrics")
    usage = [point for point in place.collector.exports()[-1] if point.metric == "gen_ai.client.token.usage"]
    assert {point.labels["gen_ai.request.model"] for point in usage} == {"demo/echo"}
