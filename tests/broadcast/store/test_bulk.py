"""Many rows at once, on both databases."""

import re
from contextlib import AbstractContextManager
from typing import Any

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from broadcast.store import Store, bulk
from broadcast.store.direct import driver
from broadcast.store.receipts import ALIKE
from broadcast.store.tables import destinations, heads, receipts
from tests.broadcast.store.rows import a_receipt, a_workspace, append


def test_values_and_gaps_stand_in_the_rows_they_came_in(store: Store) -> None:
    with store.write() as conn:
        workspace = a_workspace(conn)
        append(conn, workspace.id, a_receipt("a", user="ada"), a_receipt("b"), a_receipt("c", user="eve"))

    with store.read() as conn:
        query = select(receipts.c.id, receipts.c.user, receipts.c.provider).order_by(receipts.c.seq)
        assert [tuple(row) for row in conn.execute(query)] == [
            ("a", "ada", None),
            ("b", None, None),
            ("c", "eve", None),
        ]


@pytest.mark.parametrize("document", [b"{}", b" " * 10_000], ids=["small", "large"])
@pytest.mark.parametrize("count", [1, 99, 100, 101, 250])
def test_any_number_of_rows_is_whole_and_in_order(store: Store, count: int, document: bytes) -> None:
    given = [(f"r-{place}", b"%d" % place + document) for place in range(count)]

    with store.write() as conn:
        workspace = a_workspace(conn)
        append(conn, workspace.id, *(a_receipt(id_, document=text) for id_, text in given))

    with store.read() as conn:
        query = select(receipts.c.id, receipts.c.document).order_by(receipts.c.seq)
        assert [(id_, bytes(text)) for id_, text in conn.execute(query)] == given


def test_what_most_rows_have_in_common_is_no_other_row_s(store: Store) -> None:
    given = [("succeeded", False, 7)] * 57 + [("error", True, 8)] + [("succeeded", False, 7)] * 142

    with store.write() as conn:
        workspace = a_workspace(conn)
        rows = [
            a_receipt(f"r-{place}", status=status, streamed=streamed, input_tokens=tokens)
            for place, (status, streamed, tokens) in enumerate(given)
        ]
        append(conn, workspace.id, *rows)

    with store.read() as conn:
        query = select(receipts.c.status, receipts.c.streamed, receipts.c.input_tokens)
        assert [tuple(row) for row in conn.execute(query.order_by(receipts.c.seq))] == given


def test_sqlite_finds_no_name_but_of_what_rows_have_in_common(
    monkeypatch: pytest.MonkeyPatch, sqlite_store: Store
) -> None:
    statements: list[str] = []

    def watched(conn: Connection, statement: str) -> AbstractContextManager[Any]:
        statements.append(statement)
        return driver(conn, statement)

    monkeypatch.setattr("broadcast.store.bulk.driver", watched)
    with sqlite_store.write() as conn:
        workspace = a_workspace(conn)
        append(conn, workspace.id, *(a_receipt(f"r-{place}") for place in range(100)))

    # From Python 3.12 on the driver asks for the name of every value, and SQLite looks through all names.
    names = {name for statement in statements for name in re.findall(r"\?\d+", statement)}
    assert 0 < len(names) <= len(ALIKE)


def test_no_rows_are_no_statement(store: Store) -> None:
    with store.write() as conn:
        bulk.insert_rows(conn, destinations, ("id", "no column of this name"), [])


def test_a_row_too_many_is_refused_as_any_statement_is(store: Store) -> None:
    with store.write() as conn:
        workspace = a_workspace(conn)

    with pytest.raises(IntegrityError), store.write() as conn:
        bulk.insert_rows(conn, heads, ("workspace_id", "head_seq"), [(workspace.id, 7)])

    with store.read() as conn:
        assert conn.execute(select(heads.c.head_seq)).scalars().all() == [0]
