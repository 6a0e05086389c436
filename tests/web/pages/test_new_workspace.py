"""A workspace made from the menu, and one deleted with everything it owns."""

from broadcast.store import workspaces
from tests.web.pages.conftest import PASSWORD, Pages, csrf, log_in, member
from tests.web.pages.test_pages import assert_well_made

NEW = "/workspaces/new"
DELETE = "/settings/workspace/delete"


def test_a_new_workspace_belongs_to_who_made_it_and_stands_in_the_menu(pages: Pages) -> None:
    assert f'href="{NEW}"' in pages.get("/settings/keys")
    form = pages.client.get(NEW).text
    assert_well_made(form)

    answer = pages.client.post(NEW, data={"csrf_token": csrf(form), "name": " Search "})

    assert answer.status_code == 303
    made = pages.client.get(answer.location).text
    assert "Made. Add a destination, or send the first request." in made
    assert "Checkout team" in made
    assert ">Search<" in pages.get("/settings/keys")


def test_a_workspace_needs_a_name(pages: Pages) -> None:
    form = pages.client.get(NEW).text
    answer = pages.client.post(NEW, data={"csrf_token": csrf(form), "name": " "})

    assert answer.status_code == 422
    assert_well_made(answer.text)
    assert "Enter a name of 1 to 100 characters." in answer.text


def test_a_stranger_signs_in_first(pages: Pages) -> None:
    answer = pages.app.test_client().get(NEW)
    assert answer.location == f"/login?next={NEW}"


def test_who_is_in_no_workspace_is_offered_one(pages: Pages) -> None:
    services = pages.services
    services.accounts.create_user(email="alone@example.com", password=PASSWORD, now_us=services.clock())

    answer = log_in(pages.app, "alone@example.com").get("/", follow_redirects=True)

    assert answer.request.path == NEW
    assert_well_made(answer.text)
    assert "You are in no workspace. Make one, or ask its owner for an invitation." in answer.text


def test_deleting_says_what_goes_and_asks_for_the_name(pages: Pages) -> None:
    pages.post("/settings/keys", {"name": "laptop", "kind": "api"})
    page = pages.get(DELETE)
    assert_well_made(page)
    assert "every request · 0 destinations · 1 key · 1 member" in page

    wrong = pages.post(DELETE, {"name": "checkout team"})
    assert wrong.status_code == 422
    assert_well_made(wrong.text)
    assert pages.get(DELETE)

    answer = pages.post(DELETE, {"name": "Checkout team"})

    assert answer.status_code == 303
    assert "Deleted. Its keys ended" in pages.client.get("/", follow_redirects=True).text
    assert pages.client.get(pages.at("/activity")).status_code == 404
    with pages.services.store.read() as conn:
        assert workspaces.by_id(conn, pages.workspace.id) is None


def test_an_admin_is_not_offered_the_end(pages: Pages) -> None:
    assert DELETE in pages.get("/settings/workspace")
    admin = member(pages, "admin")
    assert DELETE not in admin.get("/settings/workspace")
    assert admin.client.get(admin.at(DELETE)).status_code == 403
