"""A filter's requests are found by the lists of the sums: the same ones as by reading the whole log."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from broadcast import rollup
from broadcast.receipt import Receipt
from broadcast.store import Conn, Store, activity, facets, narrowing, session_sums
from broadcast.store.activity import Only
from broadcast.tally import HOUR_US
from tests.broadcast.store.rows import a_row_of, a_workspace, append
from tests.factories import AT_US, receipt

COUNT = 240
LONG = "x" * 200


def some_receipts(count: int = COUNT, seed: int = 7) -> list[Receipt]:
    """Requests of two days in no order, with values of every kind."""
    dice = random.Random(seed)
    values = ("a", "b", True, False, 1, 1.5, None, LONG, ["a"], "", "true")
    return [
        receipt(
            id=f"gen-{number}",
            created_at_us=AT_US - dice.randrange(48 * HOUR_US),
            user=dice.choice(("ada", "grace", LONG, LONG + "y", None)),
            session_id=dice.choice(("s-1", "s-2", None)),
            model=dice.choice(("a/small", "b/large")),
            trace={"feature": dice.choice(values), "trace_name": "n"}
            | {f"key-{extra}": extra for extra in range(dice.choice((0, 12)))}
            | {"late": dice.choice(values)},
        )
        for number in range(count)
    ]


def stored(conn: Conn, workspace_id: int, found: list[Receipt]) -> None:
    append(conn, workspace_id, *map(a_row_of, found))


FILTERS: dict[str, dict[str, Any]] = {
    "user": {"user": "ada"},
    "a long user": {"user": LONG},
    "an unknown user": {"user": "nobody"},
    "session": {"session_id": "s-1"},
    "an unknown session": {"session_id": "s-9"},
    "user of a session": {"session_id": "s-2", "user": "grace"},
    "user and model": {"user": "ada", "model": "a/small"},
    "text": {"trace": (("feature", "a"),)},
    "true": {"trace": (("feature", "true"),)},
    "number": {"trace": (("feature", "1"),)},
    "fraction": {"trace": (("feature", "1.5"),)},
    "long text": {"trace": (("feature", LONG),)},
    "a key among many": {"trace": (("late", "a"),)},
    "two keys": {"trace": (("feature", "a"), ("late", "b"))},
    "two keys and a user": {"user": "ada", "trace": (("trace_name", "n"), ("late", "b"))},
    "an id": {"trace": (("trace_name", "n"),)},
    "an unknown key": {"trace": (("nothing", "a"),)},
    "user of a while": {"user": "ada", "from_us": AT_US - 30 * HOUR_US, "to_us": AT_US - 5 * HOUR_US // 2},
    "text of a while": {"trace": (("feature", "b"),), "from_us": AT_US - 9 * HOUR_US},
}


def pages(conn: Conn, workspace_id: int, only: Only, limit: int) -> Iterator[str]:
    before = None
    while found := activity.page(conn, workspace_id, before=before, limit=limit, only=only):
        yield from (row.id for row in found)
        before = found[-1].created_at_us, found[-1].seq


@pytest.mark.parametrize("listed", [0, 60, 32_768], ids=["none listed", "few listed", "all listed"])
@pytest.mark.parametrize("rolled", [0, COUNT // 2, COUNT], ids=["none added", "half added", "all added"])
def test_the_same_are_found_as_in_the_whole_log(
    store: Store, monkeypatch: pytest.MonkeyPatch, rolled: int, listed: int
) -> None:
    for module, name in ((facets, "_ADD"), (session_sums, "_LIST")):
        monkeypatch.setattr(module, name, text(getattr(module, name).text.replace("32768", str(listed))))
    monkeypatch.setattr(narrowing, "_SEQS", 5)
    monkeypatch.setattr(rollup, "AT_ONCE", max(1, rolled // 4))
    made = some_receipts()
    with store.write() as conn:
        stored(conn, a_workspace(conn, "Another").id, some_receipts(20))
        home = a_workspace(conn)
        stored(conn, home.id, made[:rolled])
        for _ in range(10):
            rollup.step(conn)
        stored(conn, home.id, made[rolled:])
    for name, given in FILTERS.items():
        with store.read() as conn:
            monkeypatch.setattr(narrowing, "_TAIL", COUNT)
            found = list(pages(conn, home.id, Only(**given), 7))
            monkeypatch.setattr(narrowing, "_TAIL", -1)
            assert found == list(pages(conn, home.id, Only(**given), COUNT)), name


def test_the_size_of_a_list_stands_in_both_statements() -> None:
    """What the test above changes."""
    assert all("32768" in statement.text for statement in (facets._ADD, session_sums._LIST))


@pytest.mark.parametrize("name", FILTERS)
def test_the_filters_of_this_file_find_something_where_there_is_something(store: Store, name: str) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        stored(conn, home.id, some_receipts())
        found = activity.page(conn, home.id, only=Only(**FILTERS[name]))
    assert bool(found) == (not name.startswith("an unknown"))


def test_a_list_that_was_added_to_without_knowing_of_it_is_not_trusted(store: Store) -> None:
    """As a worker of the version before does while both run."""
    with store.write() as conn:
        home = a_workspace(conn)
        stored(
            conn, home.id, [receipt(id=f"gen-{number}", user="ada", session_id="s-1") for number in range(4)]
        )
        rollup.step(conn)
        for table in ("facets", "session_days"):
            conn.execute(text(f"UPDATE {table} SET seqs = '1,2,'"))
        for only in (Only(user="ada"), Only(session_id="s-1")):
            assert len(activity.page(conn, home.id, only=only)) == 4


def test_what_retention_deleted_is_not_found(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        stored(conn, home.id, [receipt(id=f"gen-{number}", user="ada") for number in range(4)])
        rollup.step(conn)
        conn.execute(text("DELETE FROM receipts WHERE seq < 3"))
        found = activity.page(conn, home.id, only=Only(user="ada"))
    assert sorted(row.id for row in found) == ["gen-2", "gen-3"]
