"""The preview in a real Chromium, with the page's script and without it."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import ADD_COLLECTOR, Place, log_in, press_test
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
        looked.get_by_label("Endpoint", exact=True).fill(place.collector.url("/v1/traces"))
        looked.get_by_role("radio", name="Redacted content").check()
        looked.get_by_label("Resource attributes").fill("deployment.environment.name=staging")
        looked.get_by_label("Receipt", exact=True).fill(receipt_id)

        looked.get_by_role("button", name="Preview").click()

        preview = looked.locator("#preview")
        expect(preview).to_contain_text(f"Receipt {receipt_id} would be sent as one request")
        expect(preview).to_contain_text("deployment.environment.name")
        expect(looked.get_by_role("radio", name="Redacted content")).to_be_checked()
        assert place.collector.requests == []


def test_regions_and_groups_are_ticked_previewed_and_kept(page: Page, place: Place) -> None:
    receipt_id = send_request(place.served, "ticked")
    log_in(page, place.served)
    page.goto(ADD_COLLECTOR)
    page.get_by_label("Name", exact=True).fill("European")
    page.get_by_label("Endpoint", exact=True).fill(place.collector.url("/v1/traces"))
    page.get_by_label("Receipt", exact=True).fill(receipt_id)
    preview, everywhere, european, identity = (
        page.locator("#preview"),
        *(
            page.get_by_role("checkbox", name=name, exact=True)
            for name in ("Global", "European Union", "Identity")
        ),
    )

    # None is refused, another one leaves this request out, its own lets it go with what was asked for.
    everywhere.uncheck()
    page.get_by_role("button", name="Preview").click()
    expect(preview).to_contain_text("Enter one at least of global, europe, us.")
    european.check()
    page.get_by_role("button", name="Preview").click()
    expect(preview).to_contain_text("Its keys, regions or filter rules leave this receipt out.")
    everywhere.check()
    identity.check()
    page.get_by_role("button", name="Preview").click()
    expect(preview).to_contain_text("openrouter_generation.api_key_name")

    press_test(page)
    page.get_by_role("button", name="Save and start delivering").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("European")
    page.get_by_role("link", name="Edit").click()
    for box in (everywhere, european, identity):
        expect(box).to_be_checked()
    expect(page.get_by_role("checkbox", name="United States", exact=True)).not_to_be_checked()
