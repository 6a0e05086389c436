import re
from typing import Any

import pytest

from broadcast.store import attempts, cursors
from tests.receiver import Receiver
from tests.web.pages.conftest import Pages
from tests.web.pages.test_pages import add_collector
from web.pages.attempts import folded

_HOUR_US = 3_600_000_000


def attempt(number: int, verdict: str = "throttled", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"id-{number}", "at": "2026-11-20T09:41:03.000Z", "from_seq": 1, "to_seq": 61, "count": 61,
        "delivered": 0, "rejected": 0, "skipped": 0, "verdict": verdict, "status_code": 429,
        "reason": "429 Too Many Requests", "duration_ms": 212.0, "bytes": 4100, "replay_id": None,
    } | changes  # fmt: skip


def add_attempts(pages: Pages, uid: str, number: int, **changes: Any) -> None:
    stored = pages.services.connections.get(pages.workspace, uid)
    now_us = pages.services.clock()
    given: dict[str, Any] = {"verdict": "delivered", "reason": "200 OK", "at_us": now_us} | changes
    with pages.services.store.write() as conn:
        assert cursors.get(conn, stored.id) is not None
        for place in range(number):
            attempts.insert(
                conn, destination_id=stored.id, from_seq=place + 1, to_seq=place + 1, config_version=1,
                delivered=given["verdict"] == "delivered", status_code=200, **given,
            )  # fmt: skip


def destination(pages: Pages) -> tuple[str, str]:
    """Return the path of a new destination's page and its id."""
    with Receiver() as receiver:
        path = add_collector(pages, receiver.url("/ok"))
    return path, path.rsplit("/", 1)[-1]


def test_equal_attempts_in_a_row_are_one_line() -> None:
    lines = folded([attempt(1), attempt(2), attempt(3, reason="429 Slow down"), attempt(4)])
    assert [(line.uid, line.times) for line in lines] == [("id-1", 2), ("id-3", 1), ("id-4", 1)]


def test_attempts_that_settled_something_stay_apart() -> None:
    lines = folded([attempt(1, "delivered", delivered=2), attempt(2, "delivered", delivered=2)])
    assert [line.times for line in lines] == [1, 1]


def test_a_replays_attempt_is_not_folded_into_fresh_ones() -> None:
    assert [line.replay for line in folded([attempt(1, replay_id="r"), attempt(2)])] == [True, False]


def test_the_log_is_filtered_by_verdict_and_time(pages: Pages) -> None:
    path, uid = destination(pages)
    add_attempts(pages, uid, 1, verdict="no_answer", reason="No answer within 15 s")
    add_attempts(
        pages,
        uid,
        1,
        verdict="refused",
        reason="A long time ago",
        at_us=pages.services.clock() - 2 * _HOUR_US,
    )
    both = pages.get(path)
    assert "No answer within 15 s" in both
    assert "A long time ago" in both
    refused = pages.get(f"{path}?verdict=refused")
    assert "No answer within 15 s" not in refused
    assert "A long time ago" in refused
    last_hour = pages.get(f"{path}?last=hour")
    assert "A long time ago" not in last_hour
    assert "No attempts match" in pages.get(f"{path}?verdict=throttled")


def test_the_log_has_pages_in_both_directions(pages: Pages) -> None:
    path, uid = destination(pages)
    add_attempts(pages, uid, 120)
    seen = []
    page = pages.get(path)
    while True:
        seen.append(page.count('id="attempt-'))
        older = _link(page, "Older")
        if older is None:
            break
        page = pages.client.get(older).text
    assert seen == [50, 50, 20]
    back = pages.client.get(_link(page, "Newer") or "").text
    assert back.count('id="attempt-') == 50
    assert _link(pages.client.get(_link(back, "Newer") or "").text, "Newer") is None


def test_a_mark_that_is_not_ours_shows_the_newest(pages: Pages) -> None:
    path, uid = destination(pages)
    add_attempts(pages, uid, 1)
    assert "#1<" in pages.get(f"{path}?before=%F0%9F%98%80&letters=x&last=never&verdict=odd&seq=-1")


@pytest.mark.parametrize(
    "name", ["slug", "uid", "endpoint", "_method", "_scheme", "_external", "_anchor", "values", "other"]
)
def test_of_an_address_the_page_keeps_its_own_parameters_alone(pages: Pages, name: str) -> None:
    path, _ = destination(pages)

    page = pages.get(f"{path}?verdict=refused&last=hour&seq=1&{name}=x")

    found = re.search(r'data-live="([^"]*)"', page)
    assert found
    assert found[1].replace("&amp;", "&") == pages.at(f"{path}?verdict=refused&last=hour&seq=1")


def test_a_page_asks_for_itself_again_while_it_is_open(pages: Pages) -> None:
    path, uid = destination(pages)
    add_attempts(pages, uid, 51)
    older = _link(pages.get(path), "Older")
    assert older

    found = re.search(r'data-live="([^"]*)"', pages.client.get(older).text)

    assert found
    assert found[1] == older.removesuffix("#attempts")


def _link(page: str, name: str) -> str | None:
    attempts_pages = page.partition('aria-label="Pages of attempts"')[2].partition("</nav>")[0]
    before = attempts_pages.partition(f">{name}</a>")
    return before[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&") if before[1] else None
