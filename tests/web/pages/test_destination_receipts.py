"""The receipts behind a term of a destination's ledger, page by page in both directions."""

import json
import re

import pytest

from broadcast.fated import PAGE, TERMS
from tests.factories import receipt_document
from tests.receiver import Receiver
from tests.web.pages.conftest import Pages
from tests.web.pages.test_pages import add_collector, assert_well_made
from web.formats import iso


@pytest.fixture
def receipts(pages: Pages) -> str:
    """Return the path of a destination that waits for two pages of receipts and one more."""
    with Receiver() as receiver:
        path = add_collector(pages, receiver.url("/ok"))
    pages.post("/settings/observability/switch", {"enabled": "on"})
    at = iso(pages.services.clock() - 2_000_000)
    body = [receipt_document(id=f"req-{number}", created_at=at) for number in range(1, 2 * PAGE + 2)]
    status, answer = pages.services.ingest.accept_body(
        pages.workspace.id, None, json.dumps(body).encode(), "application/json"
    )
    assert status == 202, answer
    return f"{path}/receipts"


def shown(page: str) -> list[int]:
    return [int(number) for number in re.findall(r"<code>req-(\d+)</code>", page)]


def link(page: str, label: str) -> str | None:
    found = re.search(rf'<a href="([^"]*)">{label}</a>', page)
    return found and found[1].replace("&amp;", "&")


@pytest.mark.parametrize("fate", ["", "?fate=pending"])
def test_every_receipt_is_seen_once_on_the_way_there_and_on_the_way_back(
    pages: Pages, receipts: str, fate: str
) -> None:
    page = pages.get(receipts + fate)
    assert link(page, "Newer") is None
    there, back = [shown(page)], []
    while older := link(page, "Older"):
        page = pages.client.get(older).text
        assert_well_made(page)
        there.append(shown(page))
    while newer := link(page, "Newer"):
        page = pages.client.get(newer).text
        back.append(shown(page))

    assert [number for found in there for number in found] == list(range(2 * PAGE + 1, 0, -1))
    assert back == there[-2::-1]


@pytest.mark.parametrize("fate", TERMS)
def test_a_mark_that_is_not_ours_shows_the_newest(pages: Pages, receipts: str, fate: str) -> None:
    page = pages.get(f"{receipts}?fate={fate}&before=%00&back=..%00")
    assert shown(page) == (list(range(2 * PAGE + 1, PAGE + 1, -1)) if fate == "pending" else [])
