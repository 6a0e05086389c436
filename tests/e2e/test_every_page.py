"""What holds for every page there is, in a real browser: wide and light, wide and dark, and on a phone."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, Route
from werkzeug.routing import Rule

from tests.e2e.furnished import House, furnished_house
from tests.e2e.test_pictures import SHOWN
from tests.web.pages.test_every_page import is_html

# A walk takes many pages, and a loaded machine its time for each.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

WIDE: Final = {"width": 1280, "height": 800}
PHONE: Final = {"width": 390, "height": 844}
FORMS: Final[dict[str, dict[str, Any]]] = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light", "is_mobile": True, "has_touch": True},
}
CONTROLS: Final = frozenset(
    (
        *("button", "checkbox", "combobox", "DisclosureTriangle", "link", "menuitem"),
        *("radio", "searchbox", "slider", "spinbutton", "switch", "textbox"),
    )
)
REFUSALS: Final = {"no-such-request", "login-oidc-callback", "out-login-oidc-callback"}
OBSERVABILITY: Final = "/settings/observability"
MEASURES: Final = (Path(__file__).parent / "well_shown.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with furnished_house(tmp_path_factory.mktemp("house")) as found:
        yield found


@pytest.fixture(scope="module")
def browser(house: House, browser: Browser) -> Browser:
    """The browser of these tests, started last: beside its loop a furnished house could run none."""
    return browser


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Where pictures of every page are kept: the folder of SCREENSHOTS, or this test's own."""
    return Path(os.environ.get("SCREENSHOTS") or tmp_path)


# -- which pages there are ------------------------------------------------------------------------


def title(rule: Rule) -> str:
    path = rule.rule.removeprefix("/w/<slug>").replace("uuid:", "")
    return re.sub(r"[^a-z_]+", "-", path).strip("-")


def inside(house: House) -> dict[str, str]:
    """Return every address that is a page to the owner, by a name for it."""
    scene = house.scene
    client = scene.pages.client
    found = {title(rule): scene.at(rule) for rule in scene.rules("GET")}
    return {name: path for name, path in found.items() if is_html(client.get(path))}


def outside(house: House) -> dict[str, str]:
    """Return every address that is a page to somebody who is not signed in."""
    scene = house.scene
    client = scene.pages.app.test_client()
    found = {title(rule): scene.at(rule) for rule in scene.rules("GET") if "slug" not in rule.arguments}
    return {f"out-{name}": path for name, path in found.items() if is_html(client.get(path))}


def otherwise(house: House) -> dict[str, str]:
    """Return pages that look another way in another state, or with another question."""
    at, full = house.scene.pages.at, house.destinations
    empty = {
        f"empty-{name.rsplit('/', 1)[-1]}": f"{house.empty}{name}"
        for name in ("/activity", "/sessions", "/receiver", "/settings/audit", OBSERVABILITY)
    }
    paths = {
        **{f"destination-{fate}": path for fate, path in full.items()},
        "destination-delete-paused": f"{full['paused']}/delete",
        "receipts-rejected": f"{full['strict']}/receipts?fate=rejected",
        "replay-dead-letters": f"{full['strict']}/replay?what=dead_letters",
        "replay-own": f"{full['delivering']}/replay?what=own",
        "request-shown": f"/activity/{SHOWN}",
        "activity-week": "/activity?window=week",
        "activity-latency": "/activity?window=week&metric=latency&by=provider&more=1",
        "activity-errors": "/activity?window=week&metric=errors&by=status&status=error",
        "activity-nothing": "/activity?model=none",
        "sessions-week": "/sessions?window=week",
        "no-such-request": "/activity/unknown",
    }
    return empty | {name: at(path) for name, path in paths.items()}


def types_of(house: House) -> dict[str, str]:
    """Return the form of every type of destination."""
    at = house.scene.pages.at
    return {
        f"add-{slug}": at(f"{OBSERVABILITY}/add/{slug}") for slug in sorted(house.scene.pages.services.types)
    }


# -- how one is looked at -------------------------------------------------------------------------


class Look:
    """One browser window, and what it noticed while a page was in it."""

    def __init__(self, context: BrowserContext, base: str, shelf: Path, form: str) -> None:
        context.add_init_script(MEASURES)
        self._base, self._shelf, self._form = base, shelf, form
        self._page: Page = context.new_page()
        self._devtools = context.new_cdp_session(self._page)
        self._heard: list[str] = []
        self._page.on("console", lambda said: self._complain(said.text) if said.type == "error" else None)
        self._page.on("pageerror", lambda error: self._complain(str(error)))
        self._page.on("request", lambda asked: self._asked(asked.url))

    def _complain(self, words: str) -> None:
        # A page that says no is a page: the browser complains of its status, which `at` judges.
        if not words.startswith("Failed to load resource: the server responded with a status of 4"):
            self._heard.append(words)

    def _asked(self, url: str) -> None:
        if not url.startswith((f"{self._base}/", "data:")):
            self._heard.append(f"asked {url}")

    def at(self, name: str, path: str) -> list[str]:
        """Open a page, keep its picture, and return what is wrong with it."""
        self._heard.clear()
        answer = self._page.goto(self._base + path)
        assert isinstance(answer, Response)
        wrong = list(self._page.evaluate("faultsShown()"))
        self._page.screenshot(
            path=self._shelf / f"{name}-{self._form}.png", full_page=True, animations="disabled"
        )
        wrong += self._nameless()
        self._page.keyboard.press("Tab")
        wrong += self._page.evaluate("focusFaults()")
        if (answer.status == 200) == (name in REFUSALS):
            wrong.append(f"status {answer.status}")
        return wrong + self._heard

    def _nameless(self) -> list[str]:
        """Return the controls to which the browser itself can give no name."""
        nodes = self._devtools.send("Accessibility.getFullAXTree")["nodes"]
        roles = [
            node["role"]["value"]
            for node in nodes
            if not node["ignored"] and not node.get("name", {}).get("value", "").strip()
        ]
        return [f"a {role} without a name" for role in roles if role in CONTROLS]


BAD: Final = """<!doctype html><title>Bad</title><style nonce="n">
  #wide { width: 3000px } .faint { color: #aaa } button { outline: none } #late { height: 300px }
</style>
<h1>One</h1><h1>Two</h1><button></button><p class="faint">Faint</p><p id="wide">Wide</p>
<p style="color: red">Styled</p><svg width="10" height="10" overflow="visible"><text x="5000">Far</text></svg>
<img src="/kept" alt=""><img src="http://elsewhere.example/pixel.png" alt="">
<script nonce="n">
  console.error("complaint");
  const shown = (then) => requestAnimationFrame(() => requestAnimationFrame(then));
  shown(() => {
    document.body.prepend(Object.assign(document.createElement("div"), { id: "late" }));
    shown(() => { new Image().src = "/moved"; });
  });
</script>"""
POLICY: Final = "default-src 'none'; style-src 'nonce-n'; script-src 'nonce-n'; img-src *"


def test_a_bad_page_is_found_out(browser: Browser, tmp_path: Path) -> None:
    with browser.new_context(**FORMS["light"]) as context:
        kept: list[Route] = []

        def answer(route: Route) -> None:
            """Answer the page, and let its picture wait until the page has moved: then it is loaded."""
            name = route.request.url.rsplit("/", 1)[-1]
            if name == "kept":
                kept.append(route)
            elif name == "bad":
                head = {"content-type": "text/html", "content-security-policy": POLICY}
                route.fulfill(body=BAD, headers=head)
            else:
                for waiting in (route, *(kept if name == "moved" else ())):
                    waiting.fulfill(body="<svg/>", content_type="image/svg+xml")

        context.route("**/*", answer)

        wrong = "\n".join(Look(context, "http://127.0.0.1", tmp_path, "bad").at("bad", "/bad"))

    assert "2 h1" in wrong
    assert "sticks out: p. “Wide”" in wrong
    assert "sticks out: text. “Far”" in wrong
    assert "scrolls sideways: " in wrong
    assert "contrast 2.32: p.faint “Faint”" in wrong
    assert "policy: style-src-attr inline" in wrong
    assert "moved after it was shown: " in wrong
    assert "a button without a name" in wrong
    assert "focus is not seen: button" in wrong
    assert "complaint" in wrong
    assert "asked http://elsewhere.example/pixel.png" in wrong


@pytest.mark.parametrize("form", FORMS)
def test_every_page_is_well_shown(house: House, browser: Browser, shelf: Path, form: str) -> None:
    pages = inside(house) | otherwise(house)
    # Fields of every type are the same in each form; they need the room of a phone the most.
    pages |= types_of(house) if form == "phone" else {}
    with browser.new_context(**FORMS[form]) as context:
        look = Look(context, house.served.url, shelf, form)
        seen = {name: look.at(name, path) for name, path in outside(house).items()}
        name, value = house.cookie
        context.add_cookies([{"name": name, "value": value, "url": house.served.url}])
        seen |= {name: look.at(name, path) for name, path in pages.items()}
    assert {name: wrong for name, wrong in seen.items() if wrong} == {}
    assert len(seen) > 40
