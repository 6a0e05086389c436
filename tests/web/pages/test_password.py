"""One's own password on pages: changed, asked for, chosen by a link."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from broadcast.mail import Mailer
from broadcast.mail import MailServer as Address
from broadcast.passwords import Passwords
from broadcast.store.users import User
from tests.mail_server import MailServer
from tests.web.pages.conftest import PASSWORD, Pages, csrf, log_in
from tests.web.pages.test_pages import assert_well_made
from web import create_app

ACCOUNT = "/settings/account"
NEW = "another good horse"


@pytest.fixture
def post_office() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


def owner(pages: Pages) -> User:
    with pages.services.store.read() as conn:
        from broadcast.store import users  # noqa: PLC0415 - one use

        return users.members(conn, pages.workspace.id)[0][0]


def mailing(pages: Pages, server: MailServer) -> FlaskClient:
    """Return a browser on the same installation, with mail."""
    services = pages.services
    mailer = Mailer(Address.parse(server.url()))
    passwords = Passwords(services.store, mailer, services.config.public_url, services.clock)
    return create_app(replace(services, passwords=passwords)).test_client()


def test_a_changed_password_ends_the_other_sessions_and_says_so(pages: Pages) -> None:
    email = owner(pages).email
    elsewhere = log_in(pages.app, email)

    answer = pages.post(ACCOUNT, {"old": PASSWORD, "new": NEW, "again": NEW})

    assert answer.status_code == 303
    assert "Every other session of yours has ended; this one goes on." in pages.get(ACCOUNT)
    assert elsewhere.get(pages.at(ACCOUNT)).status_code == 303
    assert log_in(pages.app, email, NEW).get(pages.at(ACCOUNT)).status_code == 200


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"old": "wrong horse"}, "This is not your password."),
        ({"new": "short", "again": "short"}, "A password has 8 to 1,000 characters."),
        ({"again": "something else"}, "The two are not the same. Type the new one again."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_typed_comes_back(
    pages: Pages, typed: dict[str, str], said: str
) -> None:
    given = {"old": PASSWORD, "new": NEW, "again": NEW, **typed}
    answer = pages.post(ACCOUNT, given)

    assert answer.status_code == 422
    assert_well_made(answer.text)
    assert said in answer.text
    assert not any(f'"{value}"' in answer.text for value in given.values())
    assert log_in(pages.app, owner(pages).email) is not None


def test_guessing_the_old_password_is_stopped(pages: Pages) -> None:
    given = {"old": "wrong horse", "new": NEW, "again": NEW}
    answers = [pages.post(ACCOUNT, given) for _ in range(11)]

    assert [answer.status_code for answer in answers] == [422] * 10 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_without_mail_the_page_says_who_gives_a_link(pages: Pages) -> None:
    client = pages.app.test_client()
    page = client.get("/reset").text

    assert_well_made(page)
    assert "broadcast users reset-password --email" in page
    assert "<form" not in page


def test_known_and_unknown_addresses_get_the_same_page(pages: Pages, post_office: MailServer) -> None:
    client = mailing(pages, post_office)
    email = owner(pages).email
    form = client.get("/reset").text
    assert_well_made(form)

    answers = [
        client.post("/reset", data={"csrf_token": csrf(form), "email": asked})
        for asked in (email, "nobody@example.com")
    ]

    assert {answer.status_code for answer in answers} == {200}
    known, unknown = (answer.text.split("<main")[1] for answer in answers)
    assert known == unknown
    for thread in threading.enumerate():
        if thread.name == "password-reset":
            thread.join()
    assert [mail.to for mail in post_office.mails] == [(email,)]


def test_asking_too_often_is_one_answer_too(pages: Pages, post_office: MailServer) -> None:
    client = mailing(pages, post_office)
    token = csrf(client.get("/reset").text)

    for _ in range(6):
        answer = client.post(
            "/reset",
            data={"csrf_token": token, "email": "again@example.com"},
            environ_base={"REMOTE_ADDR": "192.0.2.77"},
        )

    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert_well_made(answer.text)


def test_a_link_chooses_a_password_once(pages: Pages) -> None:
    email = owner(pages).email
    path = "/reset/" + pages.services.passwords.link_for(email).link.rsplit("/", 1)[-1]
    client = pages.app.test_client()
    token = csrf(client.get(path).text)

    unequal = client.post(path, data={"csrf_token": token, "new": NEW, "again": "x"})
    assert unequal.status_code == 422
    assert_well_made(unequal.text)
    answer = client.post(path, data={"csrf_token": token, "new": NEW, "again": NEW})

    assert answer.location == "/login"
    assert "Sign in with the new one." in client.get("/login").text
    assert pages.client.get(pages.at(ACCOUNT)).status_code == 303
    assert log_in(pages.app, email, NEW) is not None
    used = client.get(path)
    assert used.status_code == 404
    assert "This link was used or its time is over. Ask for a new one." in used.text
