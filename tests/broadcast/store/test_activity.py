"""Reads of the Activity page."""

from typing import Any

from broadcast.store import Store, activity
from tests.broadcast.store.rows import a_receipt, a_workspace, append


def test_pages_are_newest_first_by_start_and_hold_while_rows_arrive(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        append(conn, home.id, *(a_receipt(f"gen-{at}", at_us=at) for at in (30, 10, 20)))
        append(conn, home.id, a_receipt("gen-20b", at_us=20))
        first = activity.page(conn, home.id, limit=2)
        append(conn, home.id, a_receipt("gen-40", at_us=40))
        before = (first[-1].created_at_us, first[-1].seq)
        second = activity.page(conn, home.id, before=before, limit=2)
    assert [row.id for row in first] == ["gen-30", "gen-20b"]
    assert [row.id for row in second] == ["gen-20", "gen-10"]


def test_a_row_shows_what_the_receipt_had(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        append(conn, home.id, a_receipt("gen-1", user="u-1", streamed=True, cost_nano_usd=2**40, attempts=2))
        found = activity.by_id(conn, home.id, "gen-1")
    assert found is not None
    assert (found.user, found.streamed, found.cost_nano_usd, found.attempts) == ("u-1", True, 2**40, 2)
    assert (found.provider, found.session_id) == (None, None)


def test_a_request_is_found_by_receipt_request_or_trace_id(store: Store) -> None:
    with store.write() as conn:
        home, other = a_workspace(conn, "Home"), a_workspace(conn, "Other")
        append(conn, home.id, *(a_receipt(f"filler-{number}") for number in range(5000)))
        append(conn, home.id, a_receipt("gen-1", trace_id="ab" * 16, request_id="req-1"))
        append(conn, home.id, *(a_receipt(f"later-{number}") for number in range(5000)))
        for text in ("gen-1", " req-1 ", "AB" * 16):
            assert activity.find(conn, home.id, text) == "gen-1"
        assert activity.find(conn, home.id, "unknown") is None
        assert activity.find(conn, other.id, "gen-1") is None


def test_a_search_for_what_is_not_there_does_not_read_the_log(sqlite_store: Store) -> None:
    asked = 0

    def count() -> None:
        nonlocal asked
        asked += 1

    with sqlite_store.write() as conn:
        home = a_workspace(conn)
        append(conn, home.id, *(a_receipt(f"gen-{number}") for number in range(5000)))
        raw: Any = conn.connection.driver_connection
        raw.set_progress_handler(count, 1)
        activity.find(conn, home.id, "unknown")
        raw.set_progress_handler(None, 1)
    assert 0 < asked < 1000
