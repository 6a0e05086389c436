"""The audit log's page: newest first, by kind, in pages."""

import re

import pytest

from broadcast.store import audit
from tests.web.pages.conftest import Pages, member
from tests.web.pages.test_pages import assert_well_made
from tests.web.pages.test_workspace import words
from web import audit_words
from web.pages.audit import PAGE as LENGTH

PAGE = "/settings/audit"


def link(page: str, label: str) -> str:
    found = re.search(rf'<a href="[^"]*?(/settings/audit[^"]*)">{label}</a>', page)
    assert found, label
    return found.group(1).replace("&amp;", "&")


def rows(page: str) -> list[str]:
    return [words(f"<tr{row}") for row in page.partition("<tbody>")[2].split("<tr")[1:]]


def record(pages: Pages, count: int) -> None:
    with pages.services.store.write() as conn:
        for number in range(count):
            audit.record(
                conn,
                workspace_id=pages.workspace.id,
                user_id=None,
                action="key_revoked",
                target="0" * 64,
                detail={"name": f"key {number}", "kind": "api"},
                now_us=pages.services.clock(),
            )


def test_what_was_done_on_pages_is_said_in_words(pages: Pages) -> None:
    pages.post("/settings/keys", {"name": "laptop", "kind": "api"})
    pages.post("/settings/observability/switch", {"enabled": "on"})
    pages.post("/settings/workspace", {"name": "Search team"})
    page = pages.get(PAGE)

    assert_well_made(page)
    said = [row.split("example.com ")[-1] for row in rows(page)]
    assert [sentence.split(" </")[0].split(" Newest")[0] for sentence in said][:3] == [
        "renamed the workspace to Search team",
        "switched Broadcast on",
        "made the API key laptop",
    ]


@pytest.mark.parametrize("kind", audit_words.KINDS)
def test_one_kind_shows_its_own_alone(pages: Pages, kind: str) -> None:
    pages.post("/settings/keys", {"name": "laptop", "kind": "api"})
    page = pages.get(f"{PAGE}?kind={kind}")

    assert_well_made(page)
    assert ("made the API key laptop" in page) is (kind == "keys")
    assert ("made the workspace Checkout team" in page) is (kind == "workspace")
    if kind == "destinations":
        assert "No changes of this kind." in page


def test_a_long_log_comes_in_pages_both_ways(pages: Pages) -> None:
    record(pages, 2 * LENGTH + 1)
    seen, path, page = [], f"{PAGE}?kind=keys", ""
    while path:
        page = pages.get(path)
        seen += re.findall(r"revoked the API key (key \d+)", page)
        path = link(page, "Older") if ">Older<" in page else ""

    assert seen == [f"key {number}" for number in reversed(range(2 * LENGTH + 1))]
    back = pages.get(link(page, "Newer"))
    assert rows(back)[0].endswith(f"revoked the API key key {LENGTH}")
    assert f"key {2 * LENGTH}" in rows(pages.get(link(back, "Newer")))[0]


@pytest.mark.parametrize("question", ["?before=nonsense", "?kind=nonsense", "?before=&back=..", "?back=%00"])
def test_an_address_that_is_not_ours_shows_the_newest(pages: Pages, question: str) -> None:
    assert "made the workspace Checkout team" in pages.get(PAGE + question)


def test_where_somebody_signed_in_from_is_for_owner_and_admin(pages: Pages) -> None:
    with pages.services.store.write() as conn:
        audit.record(
            conn,
            workspace_id=pages.workspace.id,
            user_id=None,
            action="login",
            target="ann@example.com",
            detail={"address": "192.0.2.99"},
            now_us=pages.services.clock(),
        )

    assert "from 192.0.2.99" in pages.get(PAGE)
    assert "192.0.2.99" not in member(pages, "member").get(PAGE)


def test_no_key_and_no_link_is_in_the_log(pages: Pages) -> None:
    made = pages.post("/settings/keys", {"name": "laptop", "kind": "management"}).text
    invited = pages.post("/settings/members", {"email": "new@example.com", "role": "viewer"}).text
    secrets = [*re.findall(r"sk-mgmt-[\w-]{43}", made), *re.findall(r"/join/([\w-]{43})", invited)]

    page = pages.get(PAGE)

    assert len(secrets) >= 2
    assert not any(secret in page for secret in secrets)
