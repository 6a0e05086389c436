"""The list of destinations: who needs a person first, said wherever that person looks."""

from typing import Any

import pytest
from sqlalchemy import text

from broadcast.store import cursors, destinations, users
from tests.receiver import Receiver
from tests.web.pages.conftest import Pages, open_workspace
from tests.web.pages.test_pages import add_collector
from tests.web.pages.well_made import faults

REASON = '401 Unauthorized: {"message":"unknown key"}'


def broken(pages: Pages, reason: str = REASON, **settings: Any) -> str:
    """Return the path of a destination that an answer paused."""
    pages.post("/settings/observability/switch", {"enabled": "on"})
    with Receiver() as receiver:
        path = add_collector(pages, receiver.url("/ok"))
    stored = pages.services.connections.get(pages.workspace, path.rsplit("/", 1)[-1])
    with pages.services.store.write() as conn:
        assert cursors.get(conn, stored.id) is not None
        now_us = pages.services.clock()
        assert destinations.pause(conn, stored.id, by="answer", reason=reason, now_us=now_us)
    return path


def test_a_paused_destination_says_what_happened_what_is_held_and_what_to_do(pages: Pages) -> None:
    path = broken(pages)
    pages.send()
    for page in (pages.get(path), pages.get("/settings/observability")):
        assert "answered <strong>401 Unauthorized</strong>" in page
        assert "“unknown key”" in page
        assert "1 receipt until" in page
        assert "check the headers" in page
        assert f'href="{pages.at(path)}/edit#field-config-headers">Enter headers</a>' in page
        assert page.count("button primary") == 1
        assert faults(page) == []


def test_a_destinations_words_are_text_and_never_markup(pages: Pages) -> None:
    path = broken(pages, "403 Forbidden: <script>alert(1)</script><b>no</b>")
    page = pages.get(path)
    assert "<script>alert" not in page
    assert "<b>no</b>" not in page


def test_the_side_bar_counts_who_needs_a_person(pages: Pages) -> None:
    assert "paused</span>" not in pages.get("/settings/keys")
    broken(pages)
    assert '1<span class="visually-hidden"> paused</span>' in pages.get("/settings/keys")


def test_the_menu_of_workspaces_shows_problems_first(pages: Pages) -> None:
    broken(pages)
    services = pages.services
    with services.store.read() as conn:
        user = users.members(conn, pages.workspace.id)[0][0]
    calm = services.accounts.create_workspace(name="A calm team", owner=user, now_us=services.clock())
    here = services.accounts.create_workspace(name="Another", owner=user, now_us=services.clock())
    page = pages.client.get(f"/w/{here.slug}/settings/keys").text
    menu = page.partition('<details class="workspace">')[2].partition("</details>")[0]
    assert menu.index(pages.workspace.name) < menu.index(calm.name)
    assert f"/w/{pages.workspace.slug}/settings/observability" in menu


def test_a_person_who_paused_sees_until_when_receipts_are_held(pages: Pages) -> None:
    pages.post("/settings/observability/switch", {"enabled": "on"})
    with Receiver() as receiver:
        path = add_collector(pages, receiver.url("/ok"))
    pages.post(f"{path}/pause")
    assert "Nothing is held yet." in pages.get(path)
    id_ = pages.send()
    assert "1 receipt is held until" in pages.get(path)
    request = pages.get(f"/activity/{id_}")
    assert "Paused by a person since" in request
    assert "0 of 1 delivered, 1 held" in request


def test_another_team_hears_nothing_of_it(pages: Pages) -> None:
    path = broken(pages)
    other = open_workspace(pages.app, pages.services)
    assert "paused</span>" not in other.get("/settings/keys")
    assert other.client.get(pages.at(path)).status_code == 404


def test_a_ledger_that_does_not_balance_says_by_how_many(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The database refuses such a ledger, so it has to be made up here.
    path = broken(pages)
    true = pages.services.connections.ledger(pages.workspace, path.rsplit("/", 1)[-1])
    wrong = true | {"appended": 60_412, "delivered": 60_409, "balanced": False}
    monkeypatch.setattr(pages.services.connections, "ledger", lambda *_: wrong)
    page = pages.get(path)
    assert "Off by 3, report this" in page
    assert "Balances" not in page


@pytest.mark.parametrize(
    ("rejected", "words"), [(0, "nothing sent yet"), (1_200, "none delivered yet, 1,200 rejected")]
)
def test_a_destination_that_rejects_everything_is_not_said_to_be_new(
    pages: Pages, rejected: int, words: str
) -> None:
    pages.post("/settings/observability/switch", {"enabled": "on"})
    with Receiver() as receiver:
        add_collector(pages, receiver.url("/ok"))
    with pages.services.store.write() as conn:
        told = {"count": rejected}
        conn.execute(text("UPDATE heads SET head_seq = head_seq + :count"), told)
        conn.execute(text("UPDATE cursors SET rejected = :count, cursor_seq = cursor_seq + :count"), told)

    assert words in pages.get("/settings/observability")
