"""The members' page: invite, change a role, remove, leave."""

import re
from dataclasses import replace

import pytest
from flask import Flask

from broadcast import activity
from broadcast.members import ROLES
from broadcast.runtime import Services
from broadcast.store import Store, limits, users
from broadcast.store.users import User
from broadcast.store.workspaces import Workspace
from tests.web.pages.conftest import PASSWORD, Pages, csrf, member, open_workspace
from tests.web.pages.test_pages import assert_well_made
from tests.web.pages.test_workspace import words

PAGE = "/settings/members"
LINK = re.compile(r"http://[\w.:]+(/join/[\w-]{43})")


@pytest.fixture(scope="module")
def team(app: Flask, services: Services) -> dict[str, Pages]:
    """A workspace as the person of each role sees it."""
    owner = open_workspace(app, services)
    return {role: owner if role == "owner" else member(owner, role) for role in ROLES}


def uid(pages: Pages, role: str) -> str:
    """Return the outside id of a member with a role, one that is not looking where there are several."""
    with pages.services.store.read() as conn:
        return next(user.uid for user, held in users.members(conn, pages.workspace.id) if held == role)


def role_of(pages: Pages, member_uid: str) -> str | None:
    with pages.services.store.read() as conn:
        found = users.by_uid(conn, member_uid)
        return users.role_of(conn, pages.workspace.id, found.id) if found else None


def invited(pages: Pages, email: str = "new@example.com", role: str = "member") -> str:
    """Invite somebody and return the path of the link."""
    answer = pages.post(PAGE, {"email": email, "role": role})
    assert answer.status_code == 200, answer.text
    assert_well_made(answer.text)
    found = LINK.search(answer.text)
    assert found
    return found.group(1)


@pytest.mark.parametrize("role", ROLES)
def test_everybody_sees_who_is_here_and_what_they_may_do(team: dict[str, Pages], role: str) -> None:
    page = team[role].get(PAGE)

    assert_well_made(page)
    manages = role in {"owner", "admin"}
    assert ("Invite a person" in page) is manages
    assert ("Open invitations" in page) is manages
    assert ("Remove…" in page) is manages
    assert page.count("Leave…") == 1


@pytest.mark.parametrize("role", ROLES)
def test_the_log_of_changes_is_for_members_and_above(team: dict[str, Pages], role: str) -> None:
    answer = team[role].client.get(team[role].at("/settings/audit"))

    assert answer.status_code == (403 if role == "viewer" else 200)
    assert ("/settings/audit" in team[role].get(PAGE)) is (role != "viewer")


@pytest.mark.parametrize("role", ROLES)
def test_only_an_owner_is_offered_the_role_of_owner(team: dict[str, Pages], role: str) -> None:
    assert ('<option value="owner"' in team[role].get(PAGE)) is (role == "owner")


def test_a_link_is_shown_once_listed_and_revoked(pages: Pages) -> None:
    path = invited(pages)

    page = pages.get(PAGE)
    assert path not in page
    assert "new@example.com Member" in words(page)
    revoke = re.search(r"/settings/members/invitations/[0-9a-f-]{36}/revoke", page)
    assert revoke
    assert pages.post(revoke.group()).status_code == 303
    assert "Revoked. The link opens nothing any more." in pages.get(PAGE)
    assert pages.app.test_client().get(path).status_code == 404


def test_what_is_wrong_is_said_and_what_was_typed_stays(pages: Pages) -> None:
    person = member(pages, "viewer")
    email = re.search(r"viewer-\d+@example\.com", person.get(PAGE))
    assert email

    for typed, status, said in (
        ("nobody", 422, "This is not an e-mail address."),
        (email.group(), 409, f"{email.group()} is a member already."),
    ):
        answer = pages.post(PAGE, {"email": typed, "role": "admin"})
        assert answer.status_code == status
        assert_well_made(answer.text)
        assert said in answer.text
        assert f'value="{typed}"' in answer.text
        assert '<option value="admin" selected>' in answer.text


def test_an_admin_is_told_why_an_owners_link_cannot_be_replaced(pages: Pages) -> None:
    path = invited(pages, role="owner")
    admin = member(pages, "admin")

    answer = admin.post(PAGE, {"email": "new@example.com", "role": "member"})

    assert answer.status_code == 403
    assert_well_made(answer.text)
    assert "Your role does not reach the invitation that is open for this address." in answer.text
    assert 'value="new@example.com"' in answer.text
    assert pages.app.test_client().get(path).status_code == 200


def test_the_people_are_read_once_for_a_page(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    read, asked = activity.members_of, []

    def members_of(store: Store, workspace: Workspace) -> list[tuple[User, str]]:
        asked.append(workspace.name)
        return read(store, workspace)

    monkeypatch.setattr(activity, "members_of", members_of)

    pages.get(PAGE)

    assert asked == ["Checkout team"]


def test_a_role_is_changed_and_the_only_owner_is_not(pages: Pages) -> None:
    member(pages, "viewer")
    viewer, owner = uid(pages, "viewer"), uid(pages, "owner")

    assert pages.post(f"{PAGE}/{viewer}/role", {"role": "admin"}).status_code == 303
    refused = pages.post(f"{PAGE}/{owner}/role", {"role": "admin"})

    assert role_of(pages, viewer) == "admin"
    assert refused.status_code == 409
    assert_well_made(refused.text)
    assert "is the only owner. Make somebody else an owner first." in refused.text
    assert "Owner, the only one" in pages.get(PAGE)


def test_removing_asks_for_the_address(pages: Pages) -> None:
    person = member(pages, "admin")
    admin = uid(pages, "admin")
    path = f"{PAGE}/{admin}/remove"
    email = re.search(r"Remove (admin-\d+@example\.com)", pages.get(path))
    assert email

    wrong = pages.post(path, {"name": "another"})
    assert wrong.status_code == 422
    assert_well_made(wrong.text)
    assert "This is not the address." in wrong.text
    assert role_of(pages, admin) == "admin"

    assert pages.post(path, {"name": email.group(1)}).status_code == 303
    assert role_of(pages, admin) is None
    assert person.client.get(person.at(PAGE)).status_code == 404


def test_leaving_asks_for_the_workspaces_name(pages: Pages) -> None:
    person = member(pages, "member")
    assert person.post(f"{PAGE}/leave", {"name": "Another"}).status_code == 422

    answer = person.post(f"{PAGE}/leave", {"name": "Checkout team"})

    assert answer.status_code == 303
    home = person.client.get(answer.location, follow_redirects=True)
    assert home.request.path == "/workspaces/new"
    assert "You have left the workspace." in home.text
    assert "You are in no workspace." in home.text


def test_the_only_owner_is_told_what_to_do_instead(pages: Pages) -> None:
    page = pages.get(f"{PAGE}/leave")
    assert_well_made(page)
    assert "You are the only owner. Make somebody else an owner first" in page

    refused = pages.post(f"{PAGE}/leave", {"name": "Checkout team"})

    assert refused.status_code == 409
    assert role_of(pages, uid(pages, "owner")) == "owner"


# -- the other side of the link ----------------------------------------------------------------------


def test_a_new_person_joins_by_the_link_alone(pages: Pages) -> None:
    path, client = invited(pages, email="joins@example.com"), pages.app.test_client()
    page = client.get(path)
    assert "The invitation is for" in page.text
    answer = client.post(path, data={"csrf_token": csrf(page.text), "password": PASSWORD})

    assert answer.status_code == 303
    assert answer.location == pages.at("/activity")
    assert "You are a member now." in client.get(answer.location).text
    again = pages.app.test_client().get(path)
    assert again.status_code == 404
    assert "Ask for a new one." in again.text


def test_a_new_person_joins_where_others_failed_to_log_in(pages: Pages) -> None:
    path, client = invited(pages, email="busy@example.com"), pages.app.test_client()
    tries = pages.app.test_client()
    token = csrf(tries.get("/login").text)
    wrong = {"csrf_token": token, "email": "busy@example.com", "password": "wrong horse"}
    while tries.post("/login", data=wrong).status_code != 429:
        pass

    answer = client.post(path, data={"csrf_token": csrf(client.get(path).text), "password": PASSWORD})

    with pages.services.store.write() as conn:
        limits.clear(conn, "login:address:127.0.0.1")
    assert answer.status_code == 303
    assert answer.location == pages.at("/activity")


def test_who_is_signed_in_joins_with_that_account(app: Flask, services: Services, pages: Pages) -> None:
    other = open_workspace(app, services)
    path = invited(pages, email="somebody@example.com")
    page = other.client.get(path)
    assert re.search(r"Join as owner-\d+@example\.com", page.text)

    answer = other.client.post(path, data={"csrf_token": csrf(page.text)})

    assert answer.status_code == 303
    assert replace(other, workspace=pages.workspace).get("/activity")


def test_a_login_leads_back_to_the_invitation(pages: Pages) -> None:
    path, client = invited(pages, email="back@example.com"), pages.app.test_client()
    services = pages.services
    services.accounts.create_user(email="elsewhere2@example.com", password=PASSWORD, now_us=services.clock())
    found = re.search(r'href="(/login\?next=[^"]+)"', client.get(path).text)
    assert found
    form = client.get(found.group(1)).text

    answer = client.post(
        "/login",
        data={
            "csrf_token": csrf(form),
            "next": path,
            "email": "elsewhere2@example.com",
            "password": PASSWORD,
        },
    )

    assert answer.location == path


def test_a_wrong_password_is_said_at_its_field(pages: Pages) -> None:
    services = pages.services
    services.accounts.create_user(email="known@example.com", password=PASSWORD, now_us=services.clock())
    path, client = invited(pages, email="known@example.com"), pages.app.test_client()
    token = csrf(client.get(path).text)

    for typed, status, said in (
        ("short", 422, "A password has 8 to 1,000 characters."),
        ("wrong horse", 401, "The password is wrong."),
    ):
        answer = client.post(path, data={"csrf_token": token, "password": typed})
        assert answer.status_code == status
        assert_well_made(answer.text)
        assert said in answer.text
        assert typed not in answer.text


def test_a_member_who_opens_a_link_does_not_use_it_up(pages: Pages) -> None:
    path = invited(pages)

    page = pages.client.get(path)

    assert "You are a member already." in page.text
    assert pages.app.test_client().get(path).status_code == 200
