"""Rollup: a log is added up once, whatever stands in it, and no log holds another one up."""

import logging
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import text

from broadcast import rollup
from broadcast.figures import Reader, Window
from broadcast.receipt import Cost, Receipt
from broadcast.store import Conn, Store, facets, rollups
from broadcast.tally import DAY_US
from tests.broadcast.store.rows import a_row_of, a_workspace, append
from tests.factories import AT_US, receipt

EVER = Window(from_us=0, to_us=AT_US - AT_US % DAY_US + DAY_US)
MOST = 2**63 - 1
DEAREST_NANO_USD = 10**18


def stored(conn: Conn, workspace_id: int, *found: Receipt) -> None:
    append(conn, workspace_id, *map(a_row_of, found))


def dear() -> list[Receipt]:
    """Requests at the highest price that a receipt may have; ten are more than a column holds."""
    return [
        receipt(id=f"gen-{number}", cost=Cost(total_nano_usd=DEAREST_NANO_USD), user="ada", session_id="s")
        for number in range(10)
    ]


def rolled(store: Store, times: int = 1) -> None:
    for _ in range(times):
        with store.write() as conn:
            rollup.step(conn)


@pytest.mark.parametrize("steps", [1, 10], ids=["in one step", "one by one"])
def test_a_sum_stays_at_the_most_that_a_column_holds(
    store: Store, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    monkeypatch.setattr(rollup, "AT_ONCE", 10 // steps)
    with store.write() as conn:
        home = a_workspace(conn)
        stored(conn, home.id, *dear())
    rolled(store, steps)
    with store.read() as conn:
        assert rollups.place(conn, home.id) == 10
        for table in ("rollups", "facets", "sessions"):
            found = conn.execute(text(f"SELECT DISTINCT spend_nano_usd FROM {table}")).scalars().all()
            assert found == [MOST]


def test_sums_at_the_most_are_still_added_up(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        hours = (
            structs.replace(one, created_at_us=AT_US - number * DAY_US) for one in dear() for number in (0, 1)
        )
        stored(conn, home.id, *(structs.replace(one, id=f"gen-{at}") for at, one in enumerate(hours)))
    rolled(store)
    with store.read() as conn:
        assert Reader(conn, home.id).by_facet(EVER, "user")["ada"].spend_nano_usd == 2 * MOST


def test_a_log_that_cannot_be_added_up_holds_up_no_other(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with store.write() as conn:
        bad, good = a_workspace(conn, "Bad"), a_workspace(conn, "Good")
        stored(conn, bad.id, receipt(id="gen-1", user="a prompt by mistake"))
        stored(conn, good.id, receipt(id="gen-2"))
    add = facets.add

    def refuse(conn: Conn, workspace_id: int, made: Any, seqs: Any) -> None:
        if workspace_id == bad.id:
            raise ValueError(made)
        add(conn, workspace_id, made, seqs)

    monkeypatch.setattr(facets, "add", refuse)
    with caplog.at_level(logging.ERROR):
        rolled(store)
    with store.read() as conn:
        assert [rollups.place(conn, home.id) for home in (bad, good)] == [0, 1]
        assert conn.execute(text("SELECT DISTINCT workspace_id FROM rollups")).scalars().all() == [good.id]
    assert [record.getMessage() for record in caplog.records] == [
        f"action=log_not_added_up workspace={bad.id} error=ValueError"
    ]


def test_a_workspace_that_is_being_deleted_is_not_added_up_again(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        stored(conn, home.id, receipt(id="gen-1"))
        conn.execute(text("UPDATE workspaces SET deleted_at_us = 1"))
    rolled(store)
    with store.read() as conn:
        assert rollups.place(conn, home.id) == 0


def test_a_capability_that_is_said_twice_counts_once(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        stored(conn, home.id, receipt(id="gen-1", capabilities=("tools", "vision", "tools")))
    with store.read() as conn:
        found = Reader(conn, home.id).figures(EVER).by("capabilities")
    assert {name: sums.requests for name, sums in found.items()} == {"tools": 1, "vision": 1}


def test_a_long_log_is_reached_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "_REACH", 3)
    with store.write() as conn:
        home = a_workspace(conn)
        stored(conn, home.id, *(receipt(id=f"gen-{number}") for number in range(5)))
        assert [rollup.reach(conn, home.id, 5), rollups.place(conn, home.id)] == [False, 3]
        assert [rollup.reach(conn, home.id, 5), rollups.place(conn, home.id)] == [True, 5]
