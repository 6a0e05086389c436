"""Pages of requests in the order they arrive: each once, none missed, on both databases."""

from typing import Any

import pytest

from broadcast import request_log
from broadcast.errors import SettingsError
from broadcast.receipt_parser import document
from broadcast.store import Store, receipts, workspaces
from broadcast.store.receipts import NewReceipt
from broadcast.store.workspaces import Workspace
from tests import factories
from tests.broadcast.store.rows import NOW_US, a_workspace


@pytest.fixture
def home(store: Store) -> Workspace:
    with store.write() as conn:
        return a_workspace(conn)


def arrive(store: Store, home: Workspace, *ids: str, ago_us: int = 0, model: str = "m/x") -> None:
    """Commit receipts together; they may tell of requests that are long over."""
    rows = [
        NewReceipt(
            id=each,
            fingerprint=each.encode(),
            created_at_us=NOW_US - ago_us,
            received_at_us=NOW_US,
            status="succeeded",
            model=model,
            duration_us=1,
            trace_id="0" * 32,
            document=document(factories.receipt(id=each, created_at_us=NOW_US - ago_us, model=model)),
        )
        for each in ids
    ]
    with store.write() as conn:
        receipts.append(conn, home.id, workspaces.lock_head(conn, home.id) + 1, rows)


def after(
    store: Store, home: Workspace, place: str, *, limit: int = 2, **asked: str
) -> tuple[list[str], str]:
    found: dict[str, Any] = request_log.page(store, home, {**asked, "arrived_after": place}, limit=limit)
    return [row["id"] for row in found["data"]], found["next_cursor"]


def test_pages_go_on_from_the_start_in_the_order_of_arrival(store: Store, home: Workspace) -> None:
    arrive(store, home, "a", "b")
    arrive(store, home, "c", ago_us=86_400_000_000)

    first, place = after(store, home, "start")
    second, place = after(store, home, place)
    third, place = after(store, home, place)
    arrive(store, home, "d")
    fourth, _ = after(store, home, place)

    assert (first, second, third, fourth) == (["a", "b"], ["c"], [], ["d"])


def test_now_is_the_place_after_all_that_arrived(store: Store, home: Workspace) -> None:
    arrive(store, home, "a")

    nothing, place = after(store, home, "now")
    arrive(store, home, "b")

    assert (nothing, after(store, home, place)[0]) == ([], ["b"])


def test_an_empty_log_has_a_place_too(store: Store, home: Workspace) -> None:
    _, here = after(store, home, "now")
    _, begin = after(store, home, "start")
    arrive(store, home, "a")

    assert (after(store, home, here)[0], after(store, home, begin)[0]) == (["a"], ["a"])


def test_filters_hold_and_what_they_leave_out_is_passed_once(store: Store, home: Workspace) -> None:
    arrive(store, home, "a", model="m/y")
    arrive(store, home, "b", "c", "d")
    arrive(store, home, "e", "f", model="m/y")

    first, place = after(store, home, "start", model_id="m/y")
    second, place = after(store, home, place, model_id="m/y")
    end, last = after(store, home, place, model_id="m/y")

    assert (first, second, end) == (["a", "e"], ["f"], [])
    assert last == after(store, home, "now")[1]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"arrived_after": ""}, "arrived_after"),
        ({"arrived_after": "yesterday"}, "arrived_after"),
        ({"arrived_after": "WzEsMl0"}, "arrived_after"),
        ({"arrived_after": "Wy0xXQ"}, "arrived_after"),
        ({"arrived_after": "now", "cursor": "WzEsMl0"}, "cursor"),
        ({"arrived_after": "start", "from": "yesterday"}, "from"),
        ({"cursor": "WzFd"}, "cursor"),
    ],
    ids=str,
)
def test_a_place_that_is_none_of_ours_is_refused(
    sqlite_store: Store, asked: dict[str, str], field: str
) -> None:
    with sqlite_store.write() as conn:
        home = a_workspace(conn)

    with pytest.raises(SettingsError) as caught:
        request_log.page(sqlite_store, home, asked, limit=10)

    assert list(caught.value.problems) == [field]
