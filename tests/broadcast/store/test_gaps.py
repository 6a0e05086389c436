"""The log is read without gaps, however its writers' commits overtake each other."""

import base64
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import pytest
from sqlalchemy import text

from broadcast.ingest import Ingest
from broadcast.store import Conn, Store, receipts, workspaces
from broadcast.vault import KeyRing, Vault
from tests import factories
from tests.databases import postgres_url

WRITERS = 4
POSTS = 25
DAY_US = 86_400_000_000


class SlowStore(Store):
    """A store whose commits come late, each by another moment: `notify` is the last word before them."""

    def notify(self, conn: Conn, workspace_ids: Iterable[int] = ()) -> None:
        super().notify(conn, workspace_ids)
        time.sleep(random.uniform(0, 0.02))


@pytest.fixture
def url() -> Iterator[str]:
    with postgres_url() as made:
        yield made


def test_a_reader_by_cursor_sees_every_receipt_once_and_in_order(url: str) -> None:
    store = Store.open(url)
    vault = Vault(KeyRing.parse("k1:" + base64.b64encode(bytes(range(32))).decode()))
    with store.write() as conn:
        home = workspaces.create(
            conn, name="Team", content_key=vault.new_content_key(), demo=False, now_us=factories.AT_US
        )
    seen: list[int] = []

    def post(writer: int) -> None:
        # A store of its own each, as web processes have.
        own = SlowStore.open(url)
        ingest = Ingest(own, vault, lambda: factories.AT_US + 1_000_000, 30 * DAY_US)
        ingest.start()
        for number in range(POSTS):
            made = [factories.receipt(id=f"gen-{writer}-{number}-{item}") for item in range(3)]
            assert ingest.accept(home.id, made, None).accepted == 3
        ingest.stop()
        own.close()

    def read() -> None:
        with store.read() as conn:
            rows = receipts.read_after(conn, home.id, seen[-1] if seen else 0, 50)
        seen.extend(row.seq for row in rows)

    while_writing(post, read)
    store.close()
    assert seen == list(range(1, WRITERS * POSTS * 3 + 1))


def test_a_reader_by_the_greatest_id_would_lose_some(url: str) -> None:
    """The same writers and delays on a plain sequence: the proof that the test above can fail."""
    store = Store.open(url)
    with store.write() as conn:
        conn.execute(text("CREATE TABLE naive (id bigserial PRIMARY KEY)"))
    seen: list[int] = []

    def post(writer: int) -> None:
        own = SlowStore.open(url)
        for _ in range(POSTS):
            with own.write() as conn:
                conn.execute(text("INSERT INTO naive SELECT FROM generate_series(1, 3)"))
                own.notify(conn)
        own.close()

    def read() -> None:
        with store.read() as conn:
            after = {"after": seen[-1] if seen else 0}
            found = conn.execute(text("SELECT id FROM naive WHERE id > :after ORDER BY id LIMIT 50"), after)
            seen.extend(found.scalars())

    while_writing(post, read)
    store.close()
    lost = WRITERS * POSTS * 3 - len(seen)
    print(f"a naive reader lost {lost} of {WRITERS * POSTS * 3}")
    assert lost > 0


def while_writing(post: Callable[[int], None], read: Callable[[], None]) -> None:
    """Read on while several write, and once more when all are done."""
    writers = [threading.Thread(target=post, args=(number,)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        read()
    for _ in range(WRITERS * POSTS * 3 // 50 + 1):
        read()
