"""A certified OpenID provider, `oidc-provider` for Node, unmodified; a real browser goes there and back."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Served, browser, environment, free_port, log_in, start, stop
from tests.world.environments import clean_environment, node_with

pytestmark = [pytest.mark.world, pytest.mark.browser]

PACKAGE = "oidc-provider@9.13.3"
DRIVER = Path(__file__).with_name("oidc_provider.mjs")
CLIENT_ID, CLIENT_SECRET = "broadcast", "of+both/sides:100%25="
NAME = "Example ID"
ACCOUNT = "/w/demo/settings/account"
__all__ = ["browser"]


@dataclass(frozen=True, kw_only=True)
class Place:
    served: Served
    issuer: str


@contextmanager
def provider(folder: Path, port: int, redirect_uri: str) -> Iterator[str]:
    """Run the provider until it is no longer needed."""
    folder.mkdir()
    (folder / "node_modules").symlink_to(node_with(PACKAGE) / "node_modules")
    script = folder / DRIVER.name
    script.write_text(DRIVER.read_text(encoding="utf-8"))
    told = {"PORT": str(port), "REDIRECT_URI": redirect_uri}
    process = subprocess.Popen(
        ["node", str(script)],
        env=clean_environment(CLIENT_ID=CLIENT_ID, CLIENT_SECRET=CLIENT_SECRET, **told),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    try:
        assert process.stdout.readline() == "ready\n"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, port = tmp_path_factory.mktemp("sign-in"), free_port()
    issuer = f"http://127.0.0.1:{port}"
    values = environment(
        folder,
        None,
        BROADCAST_OIDC_ISSUER=issuer,
        BROADCAST_OIDC_CLIENT_ID=CLIENT_ID,
        BROADCAST_OIDC_CLIENT_SECRET=CLIENT_SECRET,
        BROADCAST_OIDC_NAME=NAME,
    )
    redirect_uri = f"http://127.0.0.1:{values['BROADCAST_PORT']}/login/oidc/callback"
    with provider(folder / "provider", port, redirect_uri) as running:
        served = start(folder, values)
        yield Place(served=served, issuer=running)
        assert stop(served) == 0


@contextmanager
def somebody(browser: Browser, place: Place) -> Iterator[Page]:
    """Open a browser that nobody has used; a complaint of it, such as of the content policy, is a fault."""
    complaints: list[str] = []
    with browser.new_context(base_url=place.served.url) as context:
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.on(
            "console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None
        )
        yield page
    assert complaints == []


def at_the_provider(page: Page, name: str) -> None:
    """Log in there as somebody, and let Broadcast know who that is."""
    page.get_by_placeholder("Enter any login").fill(name)
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def invite(page: Page, email: str) -> str:
    page.goto("/w/demo/settings/members")
    page.get_by_label("Email").fill(email)
    page.get_by_role("button", name="Make the link").click()
    return page.locator("#made-link").inner_text()


def test_a_new_person_joins_by_the_provider_and_comes_back_by_it(browser: Browser, place: Place) -> None:
    with somebody(browser, place) as operator:
        log_in(operator, place.served)
        link = invite(operator, "carla@example.com")

    with somebody(browser, place) as carla:
        carla.goto(link)
        carla.get_by_role("link", name=f"Join with {NAME}").click()
        at_the_provider(carla, "carla")
        expect(carla.locator("#main")).to_contain_text("You are a member now.")

        carla.goto(ACCOUNT)
        expect(carla.locator("#main")).to_contain_text("This account has none.")

        carla.context.clear_cookies(name="broadcast_session")
        carla.goto(ACCOUNT)
        carla.get_by_role("link", name=f"Sign in with {NAME}").click()
        carla.wait_for_url(f"**{ACCOUNT}")


def test_an_account_of_before_is_connected_by_its_password_once(browser: Browser, place: Place) -> None:
    name = place.served.email.partition("@")[0]
    with somebody(browser, place) as operator:
        operator.goto("/login")
        operator.get_by_role("link", name=f"Sign in with {NAME}").click()
        at_the_provider(operator, name)
        expect(operator.locator("#main")).to_contain_text("Sign in with its password once")

        operator.get_by_role("link", name="Sign in with the password").click()
        operator.get_by_label("Email").fill(place.served.email)
        operator.get_by_label("Password").fill(place.served.password)
        operator.get_by_role("button", name="Sign in", exact=True).click()
        operator.get_by_role("link", name="Connect", exact=True).click()
        expect(operator.locator("#main")).to_contain_text("you get in without the password, too.")

    with somebody(browser, place) as operator:
        operator.goto("/login")
        operator.get_by_role("link", name=f"Sign in with {NAME}").click()
        at_the_provider(operator, name)
        operator.wait_for_url("**/w/demo/activity")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("stranger", "No account here has the address stranger@example.com."),
        ("unverified-dora", f"{NAME} does not say that unverified-dora@example.com is yours."),
    ],
)
def test_who_may_not_come_in_is_told_what_to_do(
    browser: Browser, place: Place, name: str, words: str
) -> None:
    with somebody(browser, place) as page:
        page.goto("/login")
        page.get_by_role("link", name=f"Sign in with {NAME}").click()
        at_the_provider(page, name)

        expect(page.get_by_role("heading", level=1)).to_have_text(f"Not signed in with {NAME}")
        expect(page.locator("#main")).to_contain_text(words)


def test_who_turns_back_at_the_provider_is_told_so(browser: Browser, place: Place) -> None:
    with somebody(browser, place) as page:
        page.goto("/login")
        page.get_by_role("link", name=f"Sign in with {NAME}").click()
        page.get_by_role("link", name=re.compile("Cancel")).click()

        expect(page.locator("#main")).to_contain_text(
            f"{NAME} did not let you in, or you chose not to go on."
        )
        page.get_by_role("link", name="Start again").click()
        page.wait_for_url(f"{place.issuer}/**")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_of_it_is_wider_than_a_phone(browser: Browser, place: Place, scheme: str) -> None:
    with somebody(browser, place) as page:
        page.set_viewport_size({"width": 360, "height": 740})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        widths = {}
        for path in ("/login", "/login/oidc/callback?state=none"):
            page.goto(path)
            widths[path] = page.evaluate("document.documentElement.scrollWidth")

    assert {path: width for path, width in widths.items() if width > 360} == {}
