"""The preview in a real Chromium, with the page's script and without it."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import ADD_COLLECTOR, Place, log_in
from tests.e2e.test_browser import send_request

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_what_would_be_sent_is_seen_before_it_is_saved(page: Page, place: Place, script: bool) -> None:
    receipt_id = send_request(place.served, "previewed")
    browser = page.context.browser
    assert isinstance(browser, Browser)
    with browser.new_context(java_script_enabled=script, base_url=place.served.url) as context:
        looked = context.new_page()
        log_in(looked, place.served)
        looked.goto(ADD_COLLECTOR)
        looked.get_by_label("Endpoint").fill(place.collector.url("/v1/traces"))
        looked.get_by_role("radio", name="Redacted content").check()
        looked.get_by_label("Resource attributes").fill("deployment.environment.name=staging")
        looked.get_by_label("Receipt", exact=True).fill(receipt_id)

        looked.get_by_role("button", name="Preview").click()

        preview = looked.locator("#preview")
        expect(preview).to_contain_text(f"Receipt {receipt_id} would be sent as one request")
        expect(preview).to_contain_text("deployment.environment.name")
        expect(looked.get_by_role("radio", name="Redacted content")).to_be_checked()
        assert place.collector.requests == []
