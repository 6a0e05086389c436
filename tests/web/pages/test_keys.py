import re

import pytest

from broadcast import wanted
from tests.web.pages.conftest import Pages, member
from tests.web.pages.test_pages import assert_well_made
from web.zones import COOKIE

KEYS = "/settings/keys"
PLAIN = re.compile(r"sk-(?:mgmt-)?[\w-]{43}")


def made(pages: Pages, **fields: str) -> str:
    """Make a key and return the page that shows it."""
    answer = pages.post(KEYS, {"name": "laptop", "kind": "api", **fields})
    assert answer.status_code == 200, answer.text
    return answer.text


def row(pages: Pages, name: str = "laptop") -> str:
    """Return the words of a key's row."""
    found = next(row for row in pages.get(KEYS).split("<tr") if f">{name}" in row)
    return " ".join(re.sub(r"<[^>]+>", " ", f"<tr{found}").split())


def revoke_path(pages: Pages) -> str:
    found = re.search(r'href="[^"]*(/settings/keys/[0-9a-f]{64}/revoke)"', pages.get(KEYS))
    assert found
    return found.group(1)


def test_without_keys_the_page_says_what_to_do(pages: Pages) -> None:
    page = pages.get(KEYS)
    assert "No keys yet. Make one to send the first request." in page
    assert_well_made(page)


def test_a_key_is_shown_once_with_a_way_to_copy_it(pages: Pages) -> None:
    page = made(pages)
    assert_well_made(page)
    found = PLAIN.search(page)
    assert found
    assert f'data-copy="{found.group()}"' in page
    assert "cannot be shown again" in page
    assert found.group() not in pages.get(KEYS)


def test_a_key_works_at_once(pages: Pages) -> None:
    found = PLAIN.search(made(pages))
    assert found
    key = pages.services.accounts.authenticate(found.group())
    assert key is not None
    assert key.scopes == ("chat", "receipts:write")


def test_reading_usage_is_asked_for(pages: Pages) -> None:
    made(pages, usage="y")
    assert "send requests, send receipts, read usage" in row(pages)


@pytest.mark.parametrize(("lifetime", "days"), [("", None), ("7", 7), ("365", 365)])
def test_a_key_ends_when_it_was_said(pages: Pages, lifetime: str, days: int | None) -> None:
    before = pages.services.clock()
    made(pages, lifetime=lifetime)
    (key,) = pages.services.accounts.keys_of(pages.workspace.id)
    if days is None:
        assert key.expires_at_us is None
        assert "never" in row(pages)
    else:
        assert key.expires_at_us is not None
        assert 0 <= key.expires_at_us - before - days * 86_400_000_000 < 60_000_000


def test_a_key_that_ended_says_so(pages: Pages) -> None:
    accounts = pages.services.accounts
    accounts.make_key(
        workspace_id=pages.workspace.id, user_id=1, kind="api", name="laptop", now_us=1, expires_at_us=2
    )
    assert "ended 1 Jan 1970" in row(pages)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": " "}, "Give the key a name of at most 100 characters."),
        ({"name": "x" * 101}, "Give the key a name of at most 100 characters."),
        ({"lifetime": "9999999"}, "Choose one of the kinds and one of the times offered."),
        ({"kind": "root"}, "Choose one of the kinds and one of the times offered."),
    ],
)
def test_what_is_wrong_is_named_and_what_was_typed_stays(
    pages: Pages, fields: dict[str, str], words: str
) -> None:
    answer = pages.post(KEYS, {"name": "laptop", "kind": "api", "usage": "y", **fields})
    assert answer.status_code == 422
    assert_well_made(answer.text)
    assert words in answer.text
    assert re.search(r'id="key-usage"[^>]* checked', answer.text)
    assert pages.services.accounts.keys_of(pages.workspace.id) == []


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_a_key_may_end_with_the_calendar(pages: Pages, zone: str) -> None:
    pages.services.accounts.make_key(
        workspace_id=pages.workspace.id,
        user_id=1,
        kind="api",
        name="laptop",
        now_us=1,
        expires_at_us=wanted.instant_us("9999-12-31T23:59:59Z"),
    )
    pages.client.set_cookie(COOKIE, zone)
    assert "31 Dec 9999" in row(pages)


def test_revoking_asks_for_the_name(pages: Pages) -> None:
    found = PLAIN.search(made(pages))
    assert found
    path = revoke_path(pages)
    asked = pages.get(path)
    assert_well_made(asked)
    assert "It was never used." in asked
    wrong = pages.post(path, {"name": "another"})
    assert wrong.status_code == 422
    assert "This is not the name." in wrong.text
    assert pages.services.accounts.authenticate(found.group()) is not None

    assert pages.post(path, {"name": "laptop"}).status_code == 303

    assert pages.services.accounts.authenticate(found.group()) is None
    assert "No keys yet" in pages.get(KEYS)


def test_a_key_of_another_workspace_does_not_exist_here(pages: Pages) -> None:
    made(pages)
    path = revoke_path(pages)
    user = pages.services.accounts.create_user(
        email="elsewhere@example.com", password="correct horse battery", now_us=pages.services.clock()
    )
    other = pages.services.accounts.create_workspace(name="Other", owner=user, now_us=pages.services.clock())
    answer = pages.client.get(path.replace("/settings", f"/w/{other.slug}/settings"))
    assert answer.status_code == 404


def test_only_owner_and_admin_make_management_keys_and_revoke(pages: Pages) -> None:
    made(pages)
    path = revoke_path(pages)
    person = member(pages, "member")
    assert person.post(KEYS, {"name": "x", "kind": "api"}).status_code == 200
    assert person.post(KEYS, {"name": "x", "kind": "management"}).status_code == 403
    assert person.post(path, {"name": "laptop"}).status_code == 403
    assert "Revoke" not in person.get(KEYS)


def test_a_viewer_makes_no_keys(pages: Pages) -> None:
    assert member(pages, "viewer").post(KEYS, {"name": "x", "kind": "api"}).status_code == 403


def test_a_management_key_does_what_its_maker_may(pages: Pages) -> None:
    page = made(pages, kind="management")
    assert "sk-mgmt-" in page
    assert "whatever its maker may" in row(pages)


def test_a_key_is_switched_off_marked_and_switched_on_again(pages: Pages) -> None:
    found = PLAIN.search(made(pages))
    assert found
    path = revoke_path(pages).replace("revoke", "switch")
    authenticate = pages.services.accounts.authenticate

    assert pages.post(path, {"enabled": "off"}).status_code == 303
    page = pages.get(KEYS)
    assert_well_made(page)
    assert "Within two seconds the key opens nothing" in page
    assert "laptop Off" in row(pages)
    assert authenticate(found.group()) is None

    assert pages.post(path, {"enabled": "on"}).status_code == 303
    assert "laptop Off" not in row(pages)
    assert authenticate(found.group()) is not None


def test_only_owner_and_admin_switch_a_key(pages: Pages) -> None:
    made(pages)
    path = revoke_path(pages).replace("revoke", "switch")
    person = member(pages, "member")
    assert person.post(path, {"enabled": "off"}).status_code == 403
    assert "Switch off" not in person.get(KEYS)
