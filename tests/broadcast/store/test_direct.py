"""Statements that the driver gets as they are: the same words, values and errors on both databases."""

import pytest
from sqlalchemy import bindparam, select, text, update
from sqlalchemy.exc import IntegrityError

from broadcast.store import Store, workspaces
from broadcast.store.among import among
from broadcast.store.direct import Statement
from broadcast.store.tables import heads, receipts
from broadcast.store.workspaces import Workspace
from tests.broadcast.store.rows import a_receipt, a_workspace, append


@pytest.fixture
def home(store: Store) -> Workspace:
    with store.write() as conn:
        made = a_workspace(conn)
        append(conn, made.id, *(a_receipt(name, user='"') for name in ("a", "b", "c'")))
    return made


@pytest.mark.parametrize(
    ("wanted", "found"),
    [(["a", "c'", "z"], [("a", 1), ("c'", 3)]), (["z"], []), ([], []), (["a"] * 5_000, [("a", 1)])],
)
def test_rows_among_a_list_of_any_length(
    store: Store, home: Workspace, wanted: list[str], found: list[tuple[str, int]]
) -> None:
    asked = Statement(
        select(receipts.c.id, receipts.c.seq)
        .where(receipts.c.workspace_id == bindparam("of"), among(receipts.c.id, "ids"))
        .order_by(receipts.c.seq)
    )

    with store.read() as conn:
        assert asked.rows(conn, {"of": home.id, "ids": wanted}) == found


@pytest.mark.parametrize(
    ("wanted", "found"), [([1, 3, 9], ["a", "c'"]), ([9], []), ([], []), ([1] * 5_000, ["a"])]
)
def test_rows_among_whole_numbers(store: Store, home: Workspace, wanted: list[int], found: list[str]) -> None:
    asked = Statement(
        select(receipts.c.id)
        .where(receipts.c.workspace_id == bindparam("of"), among(receipts.c.seq, "seqs"))
        .order_by(receipts.c.seq)
    )

    with store.read() as conn:
        assert [name for (name,) in asked.rows(conn, {"of": home.id, "seqs": wanted})] == found


def test_numbers_texts_and_bytes_come_as_they_were_stored(store: Store, home: Workspace) -> None:
    asked = Statement(
        text('SELECT seq, "user", first_token_ms, document FROM receipts WHERE workspace_id = :of')
    )

    with store.read() as conn:
        assert asked.rows(conn, {"of": home.id})[0] == (1, '"', None, b'{"id":"a"}')


def test_a_change_says_how_many_rows_it_changed(store: Store, home: Workspace) -> None:
    changed = Statement(
        update(heads)
        .where(heads.c.workspace_id == bindparam("of"), heads.c.head_seq == 3)
        .values(head_seq=bindparam("to"))
    )

    with store.write() as conn:
        assert changed.run(conn, [{"of": home.id, "to": 7}, {"of": -1, "to": 7}]) == 1


def test_it_belongs_to_the_transaction(store: Store, home: Workspace) -> None:
    doubled = Statement(text("INSERT INTO heads (workspace_id, head_seq) VALUES (:of, :seq)"))
    both = [{"of": home.id + 1, "seq": 0}, {"of": home.id, "seq": 0}]
    with store.write() as conn:
        a_workspace(conn, "Another")
        Statement(text("DELETE FROM heads WHERE workspace_id = :of")).run(conn, both[:1])

    with pytest.raises(IntegrityError, match="heads"), store.write() as conn:
        doubled.run(conn, both)

    with store.write() as conn:
        assert workspaces.lock_heads(conn, [home.id, home.id + 1]) == {home.id: 3}
