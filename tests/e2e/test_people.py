"""People come and go: an invitation from one browser to another, and every page of people on a phone."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import WORKSPACE, Place, log_in, running

pytestmark = pytest.mark.browser

SETTINGS = f"{WORKSPACE}/settings"
MEMBERS = f"{SETTINGS}/members"
NEW_PASSWORD = "correct horse battery"
PAGES = (
    MEMBERS,
    f"{MEMBERS}/leave",
    f"{SETTINGS}/keys",
    f"{SETTINGS}/workspace",
    f"{SETTINGS}/workspace/delete",
    f"{SETTINGS}/audit",
    f"{SETTINGS}/account",
    "/workspaces/new",
    "/reset",
)
LONG = "somebody.with.a.very.long.address.indeed@a-subsidiary-of.example.com"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """What people see is the same on both databases."""
    with running(tmp_path_factory.mktemp("people"), None) as found:
        yield found


def invite(page: Page, email: str) -> str:
    """Make a link and return it, as the page shows it."""
    page.goto(MEMBERS)
    page.get_by_label("Email").fill(email)
    page.get_by_label("Role", exact=True).select_option("admin")
    page.get_by_role("button", name="Make the link").click()
    return page.locator("#made-link").inner_text()


def test_a_link_brings_a_new_person_in_and_a_removal_puts_them_out(
    page: Page, browser: Browser, place: Place
) -> None:
    log_in(page, place.served)
    link = invite(page, "carla@example.com")

    with browser.new_context() as context:
        other = context.new_page()
        other.goto(link)
        expect(other.get_by_role("heading", level=1)).to_have_text("Join Demo")
        other.get_by_label("Password").fill(NEW_PASSWORD)
        other.get_by_role("button", name="Join as carla@example.com").click()
        expect(other.locator("#main")).to_contain_text("You are a member now.")

        page.goto(MEMBERS)
        page.get_by_role("link", name="Remove carla@example.com").click()
        page.get_by_label("Type the address, carla@example.com").fill("carla@example.com")
        page.get_by_role("button", name="Remove carla@example.com").click()
        expect(page.locator("#main")).to_contain_text("Removed.")
        other.reload()
        expect(other.get_by_role("heading", level=1)).to_have_text("Not found")

    page.goto(f"{SETTINGS}/audit")
    expect(page.locator("tbody tr").first).to_contain_text("removed carla@example.com")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_of_people_is_wider_than_a_phone(page: Page, place: Place, scheme: str) -> None:
    log_in(page, place.served)
    link = invite(page, LONG)
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")

    widths = {}
    for path in (*PAGES, link):
        page.goto(path)
        widths[path] = page.evaluate("document.documentElement.scrollWidth")

    assert {path: width for path, width in widths.items() if width > 360} == {}


def test_a_switched_off_key_is_marked_by_shape_and_word(page: Page, place: Place) -> None:
    log_in(page, place.served)
    page.goto(f"{SETTINGS}/keys")

    page.get_by_role("button", name="Switch First key off").click()
    expect(page.get_by_role("row", name="First key").locator(".status")).to_have_text("Off")
    page.get_by_role("button", name="Switch First key on").click()

    expect(page.locator("#main")).to_contain_text("On. The key works again within two seconds.")
    expect(page.locator(".status")).to_have_count(0)
