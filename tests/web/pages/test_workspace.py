"""The workspace's page: its name, who is told when a destination needs attention, its members."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from broadcast.mail import Mailer, MailServer
from broadcast.notice_settings import NoticeSettings
from broadcast.store import audit
from tests.receiver import Receiver
from tests.web.pages.conftest import Pages, member
from web import create_app

PAGE = "/settings/workspace"
WEBHOOK = f"{PAGE}/webhook"
TOKEN = "T0KENxTHATxNOBODYxSEES"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


def words(page: str) -> str:
    """Return what a page says, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def with_mail_server(pages: Pages) -> Pages:
    services = pages.services
    mailer = Mailer(MailServer.parse("smtps://mail.example.com/?from=broadcast@example.com"))
    settings = NoticeSettings(
        services.store, services.vault, services.policy, mailer, services.config.public_url
    )
    app = create_app(replace(services, mailer=mailer, notice_settings=settings))
    client = app.test_client()
    for cookie in ("broadcast_session", "__Host-broadcast_session"):
        found = pages.client.get_cookie(cookie)
        if found:
            client.set_cookie(cookie, found.value)
    return replace(pages, app=app, client=client)


def test_without_a_mail_server_the_page_says_who_sets_one(pages: Pages) -> None:
    said = words(pages.get(PAGE))

    assert "When a destination needs attention" in said
    assert "No mail server is configured, so no mail is sent. The operator sets BROADCAST_SMTP_URL ." in said


def test_with_a_mail_server_the_page_says_who_gets_the_mail(pages: Pages) -> None:
    here = with_mail_server(pages)
    member(pages, "member")

    said = words(here.get(PAGE))

    assert re.search(r"Goes to owner-\d+@example\.com\.", said)
    assert here.post(f"{PAGE}/email", {"enabled": "off"}).status_code == 303
    off = here.get(PAGE)
    assert "Nobody gets a mail." in words(off)
    assert 'aria-checked="false"' in off


def test_an_address_is_saved_tested_and_never_shown_again(pages: Pages, receiver: Receiver) -> None:
    answer = pages.post(WEBHOOK, {"webhook_url": receiver.url(f"/hooks/{TOKEN}")})

    assert answer.status_code == 200
    assert "Test passed 127.0.0.1 took it. The address is saved." in words(answer.text)
    assert receiver.requests[0].json()["type"] == "notification.test"
    later = pages.get(PAGE)
    assert "127.0.0.1/••••••••" in later
    assert TOKEN not in answer.text + later


def test_an_address_is_saved_although_its_test_fails(pages: Pages, receiver: Receiver) -> None:
    answer = pages.post(WEBHOOK, {"webhook_url": receiver.url(f"/status/404/{TOKEN}")})

    said = words(answer.text)
    assert "Test failed 127.0.0.1 answered 404 Not Found. The address is saved all the same." in said
    assert "Make a new one there, and replace it here." in said
    assert "127.0.0.1/••••••••" in pages.get(PAGE)


def test_send_a_test_posts_to_the_stored_address(pages: Pages, receiver: Receiver) -> None:
    pages.post(WEBHOOK, {"webhook_url": receiver.url("/hooks/x")})

    answer = pages.post(f"{WEBHOOK}/test")

    assert "Test passed 127.0.0.1 took it." in words(answer.text)
    assert len(receiver.requests) == 2


def test_a_test_without_an_address_leads_back_to_the_page(pages: Pages) -> None:
    assert pages.post(f"{WEBHOOK}/test").status_code == 303


@pytest.mark.parametrize("url", ["", "http://hooks.slack.com/x", "https://10.0.0.1/x", "hooks.slack.com"])
def test_a_wrong_address_is_marked_and_not_repeated(pages: Pages, url: str) -> None:
    answer = pages.post(WEBHOOK, {"webhook_url": f"{url}{TOKEN if url else ''}"})

    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert TOKEN not in answer.text
    assert "••••••••" not in pages.get(PAGE)


def test_an_address_is_removed(pages: Pages, receiver: Receiver) -> None:
    pages.post(WEBHOOK, {"webhook_url": receiver.url("/hooks/x")})

    assert pages.post(f"{WEBHOOK}/remove").status_code == 303

    assert "••••••••" not in pages.get(PAGE)


def test_changes_are_audited_without_the_address(pages: Pages, receiver: Receiver) -> None:
    pages.post(f"{PAGE}/email", {"enabled": "off"})
    pages.post(WEBHOOK, {"webhook_url": receiver.url(f"/hooks/{TOKEN}")})
    pages.post(f"{WEBHOOK}/remove")

    with pages.services.store.read() as conn:
        entries = audit.list_for(conn, pages.workspace.id, 4)
    assert [entry.action for entry in entries] == [
        "notifications.webhook_removed",
        "notifications.tested",
        "notifications.webhook_saved",
        "notifications.email_changed",
    ]
    assert TOKEN not in repr(entries)


def test_an_admin_changes_it_too(pages: Pages) -> None:
    assert member(pages, "admin").post(f"{PAGE}/email", {"enabled": "off"}).status_code == 303


@pytest.mark.parametrize("role", ["member", "viewer"])
@pytest.mark.parametrize("path", ["/email", "/webhook", "/webhook/test", "/webhook/remove"])
def test_others_neither_see_nor_change_it(pages: Pages, role: str, path: str) -> None:
    theirs = member(pages, role)

    assert "needs attention" not in theirs.get(PAGE)
    assert theirs.post(f"{PAGE}{path}", {"webhook_url": "https://hooks.slack.com/x"}).status_code == 403
