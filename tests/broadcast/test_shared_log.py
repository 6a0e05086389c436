from typing import Any

import pytest

from broadcast.shared_log import Pages, Piece, SharedLog
from broadcast.store import Conn, Store, receipts
from broadcast.store.receipts import LogRow
from tests.broadcast.store.rows import a_workspace

VAULT: Any = None
"""No content is opened here."""


def a_log(store: Store) -> SharedLog:
    with store.write() as conn:
        return SharedLog(a_workspace(conn), VAULT, Pages())


def pieces(*numbers: int) -> tuple[Piece, ...]:
    return tuple(Piece(seq=seq, receipt_id=f"gen-{seq}", body=b"%d" % seq, spans=1) for seq in numbers)


def test_two_destinations_that_build_the_same_request_share_it(store: Store) -> None:
    log = a_log(store)
    one = log.request(("json",), 1_000, pieces(1, 2, 3), b",".join)
    assert one.body.plain == b"1,2,3"
    assert log.request(("json",), 1_000, pieces(1, 2, 3), b",".join) is one


def test_a_request_that_ends_elsewhere_is_another(store: Store) -> None:
    log = a_log(store)
    log.request(("json",), 1_000, pieces(1, 2, 3), b",".join)
    assert log.request(("json",), 1_000, pieces(1, 2), b",".join).body.plain == b"1,2"


def test_a_request_of_another_variation_is_another(store: Store) -> None:
    log = a_log(store)
    one = log.request(("json",), 1_000, pieces(1, 2), b",".join)
    assert log.request(("protobuf",), 1_000, pieces(1, 2), b"".join) is not one


def test_a_request_that_leaves_receipts_out_is_nobody_else_s(store: Store) -> None:
    log = a_log(store)
    one = log.request(("json",), 1_000, pieces(1, 3), b",".join)
    assert log.request(("json",), 1_000, pieces(1, 3), b",".join) is not one


@pytest.mark.parametrize(("document", "most"), [(b"{}", 512), (b"x" * 20_000, 200), (b"x" * 1_000_000, 64)])
def test_so_many_receipts_are_read_at_once_as_the_size_of_those_before_allows(
    store: Store, monkeypatch: pytest.MonkeyPatch, document: bytes, most: int
) -> None:
    log = a_log(store)
    asked: list[int] = []

    def read(_conn: Conn, _workspace_id: int, after_seq: int, limit: int) -> list[LogRow]:
        asked.append(limit)
        numbers = range(after_seq + 1, after_seq + 1 + limit)
        return [LogRow(seq, f"gen-{seq}", 0, document, False) for seq in numbers]

    monkeypatch.setattr(receipts, "read_after", read)
    with store.read() as conn:
        seq = log.after(conn, 0)[-1].seq
        log.after(conn, seq)
    assert asked == [64, most]
