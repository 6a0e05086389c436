"""Signing in by the provider on pages: the way there and back, and what is said where it comes to nothing."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from broadcast import config, runtime
from broadcast.runtime import Services
from broadcast.store import users
from broadcast.store.users import User
from destinations import TYPES
from tests.identity_provider import CLIENT_ID, IdentityProvider
from tests.web.pages.conftest import PASSWORD, Pages, csrf, log_in, open_workspace
from tests.web.pages.well_made import faults
from web import create_app

BEGIN = "/login/oidc"
CONNECT = "/login/oidc/connect"
ACCOUNT = "/settings/account"
SESSION = "broadcast_session"
AWAY = "broadcast_away"
SECRET = "secret-of-both-sides"


def now_s() -> int:
    return int(time.time())


def settings(folder: Path, issuer: str, **more: str) -> config.Config:
    return config.load(
        {
            "BROADCAST_DATA_DIR": str(folder),
            "BROADCAST_OIDC_ISSUER": issuer,
            "BROADCAST_OIDC_CLIENT_ID": CLIENT_ID,
            "BROADCAST_OIDC_CLIENT_SECRET": SECRET,
            "BROADCAST_OIDC_NAME": "Example ID",
            **more,
        }
    )


@pytest.fixture(scope="module")
def running() -> Iterator[IdentityProvider]:
    with IdentityProvider(now_s=now_s, client_secret=SECRET) as provider:
        yield provider


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, running: IdentityProvider) -> Iterator[Services]:
    built = runtime.build(settings(tmp_path_factory.mktemp("sign-in"), running.issuer), TYPES)
    built.store.migrate()
    built.ingest.start()
    yield built
    built.ingest.stop()
    built.store.close()


@pytest.fixture
def there(running: IdentityProvider, pages: Pages) -> Iterator[IdentityProvider]:
    """The provider, which knows the workspace's owner, and lies no more after the test."""
    running.person = {"sub": f"of {owner(pages).email}", "email": owner(pages).email}
    running.verified, running.refuses = True, ""
    running.changes, running.answers = {}, {}
    with pages.services.store.write() as conn:
        conn.exec_driver_sql("DELETE FROM limits")
    yield running
    running.changes, running.answers, running.refuses = {}, {}, ""


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    return app.test_client()


def owner(pages: Pages) -> User:
    with pages.services.store.read() as conn:
        return users.members(conn, pages.workspace.id)[0][0]


def back(answer: TestResponse) -> str:
    """Follow a browser to the provider, and return the address it is sent back to."""
    assert answer.status_code == 303, answer.text
    parts = urlsplit(requests.get(answer.location, allow_redirects=False, timeout=10).headers["Location"])
    return f"{parts.path}?{parts.query}"


def sign_in(client: FlaskClient, path: str = BEGIN) -> TestResponse:
    return client.get(back(client.get(path)))


def connect(pages: Pages) -> None:
    """Let the provider open the owner's account."""
    assert sign_in(pages.client).status_code == 303


def is_in(pages: Pages, client: FlaskClient) -> bool:
    return client.get(pages.at(ACCOUNT)).status_code == 200


# -- the way there and back ----------------------------------------------------------------------------


def test_the_login_page_offers_the_provider_below_the_password(browser: FlaskClient) -> None:
    page = browser.get("/login?next=/w/team/activity").text

    assert page.index('name="password"') < page.index("Sign in with Example ID</a>")
    assert 'href="/login/oidc?next=/w/team/activity"' in page
    assert faults(page) == []


def test_without_a_provider_nothing_of_it_is_there(services: Services, pages: Pages) -> None:
    client = create_app(replace(services, sign_ins=None)).test_client()

    assert "Example ID" not in client.get("/login").text
    assert client.get(BEGIN).status_code == 404


def test_a_connected_person_comes_back_signed_in_where_they_wanted_to(
    pages: Pages, there: IdentityProvider, browser: FlaskClient
) -> None:
    connect(pages)

    answer = sign_in(browser, f"{BEGIN}?next={pages.at(ACCOUNT)}")

    assert (answer.status_code, answer.location) == (303, pages.at(ACCOUNT))
    assert is_in(pages, browser)


def test_the_browser_keeps_a_secret_that_no_script_sees_and_that_ends(
    pages: Pages, there: IdentityProvider, browser: FlaskClient
) -> None:
    connect(pages)

    away = browser.get(BEGIN)
    (cookie,) = [one for one in away.headers.getlist("Set-Cookie") if one.startswith(AWAY)]
    done = browser.get(back(away))

    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"} <= set(cookie.split("; "))
    assert browser.get_cookie(AWAY) is None
    assert browser.get_cookie(SESSION) is not None
    assert done.headers["Cache-Control"] == "no-store"


def test_over_https_the_secret_belongs_to_this_host_alone(
    tmp_path: Path, running: IdentityProvider, services: Services
) -> None:
    public = settings(tmp_path, running.issuer, BROADCAST_PUBLIC_URL="https://broadcast.example.com")
    client = create_app(replace(services, config=public)).test_client()

    answer = client.get(BEGIN, base_url="https://broadcast.example.com")

    (cookie,) = [one for one in answer.headers.getlist("Set-Cookie") if AWAY in one]
    assert cookie.startswith(f"__Host-{AWAY}=")
    assert "; Secure" in cookie


def test_a_session_of_before_ends_and_a_planted_one_is_worth_nothing(
    pages: Pages, there: IdentityProvider
) -> None:
    connect(pages)
    before = pages.client.get_cookie(SESSION)
    assert before

    sign_in(pages.client)

    after = pages.client.get_cookie(SESSION)
    assert after
    assert after.value != before.value
    old = pages.app.test_client()
    old.set_cookie(SESSION, before.value)
    assert not is_in(pages, old)


@pytest.mark.parametrize(
    "next_",
    ["https://evil.example.com", "//evil.example.com", "/\\evil.example.com", "/w/\\evil.example.com",
     "/w/a%0d%0aSet-Cookie:x=y", "javascript:alert(1)", "/evil", ""],
)  # fmt: skip
def test_nobody_is_led_elsewhere(
    pages: Pages, there: IdentityProvider, browser: FlaskClient, next_: str
) -> None:
    connect(pages)

    assert sign_in(browser, f"{BEGIN}?next={next_}").location == "/"


# -- where it comes to nothing -------------------------------------------------------------------------

STRANGER = {"sub": "stranger", "email": "stranger@example.com"}
REFUSALS = {
    "declined": (403, "Example ID did not let you in, or you chose not to go on.", "Start again"),
    "failed": (502, "Example ID could not sign you in: “server_error”.", "Start again"),
    "untrue": (400, "What Example ID answered does not hold, so nobody was signed in.", "Start again"),
    "misconfigured": (503, "Example ID and this server are not set up for each other.", None),
    "unreachable": (503, "Example ID does not answer this server.", "Start again"),
    "no_account": (403, "No account here has the address stranger@example.com.", None),
    "no_email": (403, "Example ID gave no e-mail address that can be used here.", None),
    "unverified_email": (403, "Example ID does not say that stranger@example.com is yours.", None),
}


def lie(there: IdentityProvider, reason: str) -> None:
    there.person = STRANGER if reason != "no_email" else {"sub": "stranger"}
    there.verified = reason != "unverified_email"
    there.refuses = {"declined": "access_denied", "failed": "server_error"}.get(reason, "")
    there.changes = {"nonce": "of another browser"} if reason == "untrue" else {}
    answers = {"misconfigured": (401, {"error": "invalid_client"}), "unreachable": (502, {})}
    there.answers = {"/token": answers[reason]} if reason in answers else {}


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_refusal_is_a_page_that_says_what_to_do(
    pages: Pages, there: IdentityProvider, browser: FlaskClient, reason: str
) -> None:
    status, words, verb = REFUSALS[reason]
    lie(there, reason)

    answer = sign_in(browser)

    assert (answer.status_code, faults(answer.text)) == (status, [])
    assert words in answer.text
    assert ("Start again</a>" in answer.text) is (verb == "Start again")
    assert browser.get_cookie(SESSION) is None


def test_an_answer_that_nobody_waits_for_is_a_page_too(there: IdentityProvider, browser: FlaskClient) -> None:
    answer = browser.get("/login/oidc/callback?code=planted&state=planted")

    assert (answer.status_code, faults(answer.text)) == (400, [])
    assert "This sign-in began in another browser or at another address of this server" in answer.text


def test_an_answer_planted_in_another_browser_signs_nobody_in(
    pages: Pages, there: IdentityProvider, browser: FlaskClient
) -> None:
    connect(pages)
    planted = back(pages.app.test_client().get(BEGIN))

    assert browser.get(planted).status_code == 400
    assert browser.get_cookie(SESSION) is None


def test_an_answer_works_once(pages: Pages, there: IdentityProvider, browser: FlaskClient) -> None:
    connect(pages)
    away = browser.get(BEGIN)
    kept = browser.get_cookie(AWAY)
    answer = back(away)
    assert kept
    assert browser.get(answer).status_code == 303

    replay = pages.app.test_client()
    replay.set_cookie(AWAY, kept.value)

    assert replay.get(answer).status_code == 400
    assert replay.get_cookie(SESSION) is None


def test_an_answer_comes_by_get_alone(browser: FlaskClient) -> None:
    assert browser.post("/login/oidc/callback").status_code in {400, 405}


def test_markup_of_a_provider_is_shown_as_text(there: IdentityProvider, browser: FlaskClient) -> None:
    there.refuses = "<script>alert(1)</script>"

    assert "<script>alert" not in sign_in(browser).text


# -- an account of before ------------------------------------------------------------------------------


def test_an_account_of_before_is_connected_by_one_login_with_its_password(
    pages: Pages, there: IdentityProvider, browser: FlaskClient
) -> None:
    refused = sign_in(browser)
    assert refused.status_code == 403
    assert f"{owner(pages).email} has an account here that Example ID does not open yet." in refused.text
    assert f'href="/login?next={CONNECT}"' in refused.text

    form = {"csrf_token": csrf(browser.get("/login").text), "email": owner(pages).email}
    entered = browser.post("/login", data={**form, "password": PASSWORD, "next": CONNECT})
    assert entered.location == CONNECT
    offer = browser.get(CONNECT).text
    assert (faults(offer), f'href="{BEGIN}">Connect</a>' in offer) == ([], True)
    done = sign_in(browser)

    assert done.location == "/"
    assert "From now on you get in without the password, too." in browser.get(pages.at("/activity")).text
    assert is_in(pages, pages.app.test_client()) is False
    other = pages.app.test_client()
    assert sign_in(other).status_code == 303
    assert is_in(pages, other)


def test_only_who_is_signed_in_is_offered_to_connect(browser: FlaskClient) -> None:
    assert browser.get(CONNECT).location == f"/login?next={CONNECT}"


def test_who_is_connected_already_is_offered_nothing(pages: Pages, there: IdentityProvider) -> None:
    connect(pages)

    assert pages.client.get(CONNECT).location == "/"


def test_a_link_of_another_site_connects_no_account(pages: Pages, there: IdentityProvider) -> None:
    answer = pages.client.get(BEGIN, headers={"Sec-Fetch-Site": "cross-site"})

    assert (answer.status_code, answer.location) == (303, "/")


def test_an_image_of_another_site_begins_none(there: IdentityProvider, browser: FlaskClient) -> None:
    """Each that is begun counts for its address, and there are only so many."""
    answer = browser.get(BEGIN, headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"})

    assert (answer.status_code, answer.location) == (303, "/")


def test_a_link_of_another_site_may_begin_a_sign_in(there: IdentityProvider, browser: FlaskClient) -> None:
    """Such as a portal's, where the provider shows what its people may use."""
    answer = browser.get(BEGIN, headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})

    assert answer.location.startswith(there.issuer)


def test_a_form_never_leads_to_another_server(
    pages: Pages, there: IdentityProvider, browser: FlaskClient
) -> None:
    """A browser would stop there, by the content policy, and say nothing."""
    form = {"csrf_token": csrf(browser.get("/login").text), "email": owner(pages).email}

    answer = browser.post("/login", data={**form, "password": PASSWORD, "next": BEGIN})

    assert answer.location == "/"


def test_who_is_signed_in_as_somebody_else_is_told_to_sign_out_first(
    pages: Pages, there: IdentityProvider, services: Services
) -> None:
    eve = services.accounts.create_user(
        email=f"eve-{services.clock()}@example.com", password=PASSWORD, now_us=services.clock()
    )
    client = log_in(pages.app, eve.email)

    answer = sign_in(client)

    assert "Sign out, then sign in with its password once" in answer.text
    assert faults(answer.text) == []
    assert "<button" in answer.text


def test_ones_own_account_says_whether_it_is_connected(pages: Pages, there: IdentityProvider) -> None:
    before = pages.get(ACCOUNT)
    assert f'href="/login/oidc?next={pages.at(ACCOUNT)}">Connect</a>' in before

    sign_in(pages.client, f"{BEGIN}?next={pages.at(ACCOUNT)}")
    after = pages.get(ACCOUNT)

    assert "Connected since" in after
    assert faults(before) + faults(after) == []


def test_a_connection_is_ended_on_ones_own_account(pages: Pages, there: IdentityProvider) -> None:
    connect(pages)

    answer = pages.post("/settings/account/disconnect")

    assert answer.location == pages.at(ACCOUNT)
    assert "You get in with the password from now on." in pages.get(ACCOUNT)
    assert sign_in(pages.app.test_client()).status_code == 403


def test_nobody_ends_a_connection_without_a_page_of_theirs(
    pages: Pages, there: IdentityProvider, app: Flask, services: Services
) -> None:
    connect(pages)
    path = pages.at("/settings/account/disconnect")
    outsider = open_workspace(app, services)
    token = csrf(outsider.get("/settings/workspace"))

    answers = [
        pages.client.post(path).status_code,
        outsider.client.post(path, data={"csrf_token": token}).status_code,
        app.test_client().post(path, data={"csrf_token": token}).status_code,
    ]

    assert answers == [400, 404, 400]
    assert "Connected since" in pages.get(ACCOUNT)


# -- by an invitation ----------------------------------------------------------------------------------


def invite(pages: Pages, email: str) -> str:
    """Return the path of an invitation."""
    made = pages.services.invitations.invite(pages.workspace, owner(pages), email=email, role="member")
    return urlsplit(made.link).path


def test_an_invitation_is_accepted_by_the_provider(
    pages: Pages, there: IdentityProvider, browser: FlaskClient
) -> None:
    there.person = {"sub": f"new of {pages.workspace.id}", "email": f"new-{pages.workspace.id}@example.com"}
    link = invite(pages, there.person["email"])
    page = browser.get(link).text
    assert f'href="/login/oidc?next={link}">Join with Example ID</a>' in page
    assert faults(page) == []

    answer = sign_in(browser, f"{BEGIN}?next={link}")

    assert answer.location == pages.at("/activity")
    assert "You are a member now." in browser.get(answer.location).text
    account = browser.get(pages.at(ACCOUNT)).text
    assert "This account has none." in account
    assert "Disconnect" not in account
    assert faults(account) == []
    assert pages.get("/settings/members").count(there.person["email"]) > 0


def test_an_account_without_a_password_is_not_locked_out(
    pages: Pages, there: IdentityProvider, browser: FlaskClient
) -> None:
    there.person = {"sub": f"new of {pages.workspace.id}", "email": f"new-{pages.workspace.id}@example.com"}
    sign_in(browser, f"{BEGIN}?next={invite(pages, there.person['email'])}")
    token = csrf(browser.get(pages.at(ACCOUNT)).text)

    answer = browser.post(pages.at("/settings/account/disconnect"), data={"csrf_token": token})

    assert answer.status_code == 409
    assert "Choose one first, so that you still get in." in answer.text
    assert sign_in(pages.app.test_client()).status_code == 303


def test_an_invitation_for_another_address_is_not_accepted(
    pages: Pages, there: IdentityProvider, browser: FlaskClient
) -> None:
    there.person = STRANGER
    link = invite(pages, "new@example.com")

    answer = sign_in(browser, f"{BEGIN}?next={link}")

    assert answer.status_code == 403
    assert "The invitation is for new@example.com, and Example ID knows you as stranger@example.com" in (
        answer.text
    )
    assert browser.get(link).status_code == 200


def test_an_invitation_that_is_gone_sends_nobody_away(browser: FlaskClient) -> None:
    answer = browser.get(f"{BEGIN}?next=/join/{'x' * 43}")

    assert answer.status_code == 404
    assert "Ask for a new one." in answer.text


# -- what is written down ------------------------------------------------------------------------------


def test_the_audit_page_says_who_came_in_by_the_provider_and_who_did_not(
    pages: Pages, there: IdentityProvider, browser: FlaskClient
) -> None:
    sign_in(browser)
    connect(pages)

    page = pages.get("/settings/audit")

    for words in (
        "could not sign in with Example ID: not connected",
        "connected Example ID with the account",
        "signed in with Example ID",
    ):
        assert words in page


def test_no_line_of_the_log_holds_what_proves_anything(
    pages: Pages, there: IdentityProvider, browser: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    there.changes = {"nonce": "of another browser"}
    answer = back(browser.get(BEGIN))

    browser.get(answer)

    query = dict(part.split("=") for part in answer.partition("?")[2].split("&"))
    assert "action=sign_in_refused reason=untrue detail=nonce" in caplog.text
    assert [name for name in ("code", "state") if query[name] in caplog.text] == []
