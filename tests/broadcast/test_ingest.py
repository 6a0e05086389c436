import json
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import select

from broadcast import receipt_parser
from broadcast.content import associated_data
from broadcast.errors import NotFound, ReceiptError, Unavailable
from broadcast.ingest import Ingest
from broadcast.ingest_writer import GROUP
from broadcast.store import Conn, Store, departures, destinations, receipts, tables, workspaces
from broadcast.store.keys import ApiKey
from broadcast.store.workspaces import Workspace
from broadcast.vault import KeyRing, Vault, new_key
from tests import factories

NOW = 1_795_254_068_000_000
DAY = 86_400_000_000
VAULT = Vault(KeyRing.parse(new_key()))


@dataclass(frozen=True, kw_only=True)
class World:
    store: Store
    ingest: Ingest
    workspace: Workspace
    key: ApiKey

    def post(self, *items: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return self.ingest.accept_body(
            self.workspace.id, self.key, json.dumps(items).encode(), "application/json"
        )

    def offer(self, id_: str) -> None:
        receipt = receipt_parser.parse(json.dumps(item(id_)).encode(), now_us=NOW, retention_us=DAY)
        self.ingest.offer(self.workspace.id, receipt, self.key)

    def counted(self, result: str) -> float | None:
        """Return how many receipts became of that kind, as Prometheus hears it."""
        return self.ingest.meters.registry.get_sample_value("broadcast_receipts_total", {"result": result})

    def waiting(self) -> float:
        """Return how many receipts wait for the writer, as Prometheus hears it."""
        return self.ingest.meters.registry.get_sample_value("broadcast_ingest_waiting_receipts") or 0.0

    def delete_workspace(self) -> None:
        with self.store.write() as conn:
            departures.depart(conn, self.workspace.id, now_us=NOW)
            while departures.departed_before(conn, NOW + 1) is not None:
                departures.forget(conn, self.workspace.id, 1000)

    def rows(self) -> list[receipts.LogRow]:
        with self.store.read() as conn:
            return receipts.read_after(conn, self.workspace.id, 0, 10_000)


def item(id_: str, **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "created_at": "2026-11-21T09:00:00Z",
        "duration_ms": 1200,
        "model": "openai/gpt-5",
        "status": "succeeded",
        **more,
    }


@pytest.fixture
def world(store: Store) -> Iterator[World]:
    with store.write() as conn:
        workspace = workspaces.create(
            conn, name="Team", content_key=VAULT.new_content_key(), demo=False, now_us=NOW
        )
    key = ApiKey(
        id=1,
        workspace_id=workspace.id,
        user_id=1,
        kind="api",
        hash="ab" * 32,
        verifier=b"",
        name="CI",
        label="sk-...",
        scopes=("receipts:write",),
        created_at_us=NOW,
        expires_at_us=None,
        last_used_at_us=None,
        revoked_at_us=None,
    )
    ingest = Ingest(store, VAULT, lambda: NOW, 30 * DAY)
    ingest.start()
    yield World(store=store, ingest=ingest, workspace=workspace, key=key)
    ingest.stop()


def want_content(world: World, privacy_level: str) -> None:
    with world.store.write() as conn:
        workspaces.set_broadcast(conn, world.workspace.id, enabled=True)
        destinations.insert(
            conn,
            uid=destinations.new_uid(),
            workspace_id=world.workspace.id,
            type="otel-collector",
            name="Collector",
            config={},
            masks={},
            sealed=b"",
            address=("https://example.com:443/",),
            privacy_level=privacy_level,
            now_us=NOW,
        )


def test_receipts_are_numbered_in_the_order_they_came(world: World) -> None:
    status, answer = world.post(item("a"), item("b"))
    assert (status, answer) == (202, {"accepted": 2, "duplicates": 0, "rejected": []})
    assert [(row.seq, row.id) for row in world.rows()] == [(1, "a"), (2, "b")]


def test_the_same_receipt_again_is_a_duplicate_and_another_with_its_id_is_rejected(world: World) -> None:
    world.post(item("a"))
    status, answer = world.post(item("a"), item("a", model="other"))
    assert status == 202
    assert answer["duplicates"] == 1
    assert [(each["index"], each["id"], each["field"]) for each in answer["rejected"]] == [(1, "a", "id")]
    assert len(world.rows()) == 1


def test_content_counts_when_receipts_are_compared(world: World) -> None:
    world.post(item("a", input="one"))
    assert world.post(item("a", input="two"))[0] == 422
    assert world.post(item("a", input="one"))[1]["duplicates"] == 1


def test_content_counts_among_receipts_of_one_request(world: World) -> None:
    _, answer = world.post(item("a"), item("a", input="one"), item("b", input="one"), item("b", input="one"))
    assert (answer["accepted"], answer["duplicates"]) == (2, 1)
    assert [(each["index"], each["id"]) for each in answer["rejected"]] == [(1, "a")]


@pytest.mark.parametrize("content", [{}, {"input": "one"}], ids=["bare", "with content"])
def test_the_same_receipt_with_another_key_is_a_duplicate(world: World, content: dict[str, Any]) -> None:
    other = replace(world, key=replace(world.key, hash="another", name="Another"))
    world.post(item("a", **content))
    assert other.post(item("a", **content))[1]["duplicates"] == 1
    assert other.post(item("a", **content, model="other"))[0] == 422


def test_content_that_comes_or_goes_makes_another_receipt(world: World) -> None:
    world.post(item("a"), item("b", input="one"))
    assert world.post(item("a", input="one"))[0] == 422
    assert world.post(item("b"))[0] == 422


def test_duplicates_inside_one_request_are_found(world: World) -> None:
    _, answer = world.post(item("a"), item("a"), item("a", model="other"))
    assert (answer["accepted"], answer["duplicates"], len(answer["rejected"])) == (1, 1, 1)


def test_a_bad_receipt_is_named_and_does_not_stop_its_neighbours(world: World) -> None:
    status, answer = world.post(item("a"), item("b", status="fine"), item("c", colour="red"), item("d"))
    assert (status, answer["accepted"]) == (202, 2)
    assert [(each["index"], each["id"], each["field"]) for each in answer["rejected"]] == [
        (1, "b", "status"),
        (2, "c", "colour"),
    ]


def test_a_request_of_bad_receipts_alone_is_422_and_no_json_is_no_receipt(world: World) -> None:
    assert world.post({"id": "a"})[0] == 422
    with pytest.raises(ReceiptError):
        world.ingest.accept_body(world.workspace.id, world.key, b"hello", None)


def test_the_key_that_posted_is_the_receipts_key_unless_it_names_one(world: World) -> None:
    world.post(item("a"), item("b", api_key={"hash": "cd" * 32, "name": "Other"}))
    found = [receipt_parser.from_document(row.document).api_key for row in world.rows()]
    assert [(key.hash, key.name) for key in found if key] == [("ab" * 32, "CI"), ("cd" * 32, "Other")]


def test_content_is_dropped_at_the_door_when_nobody_wants_it(world: World) -> None:
    want_content(world, "metadata")
    world.post(item("a", input="canary", output="canary"))
    [row] = world.rows()
    assert not row.has_content
    assert b"canary" not in row.document


def test_content_is_sealed_for_its_receipt_while_a_destination_wants_it(world: World) -> None:
    want_content(world, "full")
    world.post(item("a", input="canary"), item("b"))
    assert [row.has_content for row in world.rows()] == [True, False]
    with world.store.read() as conn:
        sealed = receipts.contents(conn, world.workspace.id, [1, 2])
    assert sealed.keys() == {1}
    assert b"canary" not in sealed[1]
    cipher = VAULT.content_cipher(world.workspace.content_key)
    assert json.loads(cipher.open(sealed[1], aad=associated_data("a"))) == {"input": "canary"}


def test_more_receipts_than_one_transaction_holds_are_all_stored(world: World) -> None:
    _, answer = world.post(*(item(f"r{number}") for number in range(GROUP * 2 + 7)))
    assert answer["accepted"] == GROUP * 2 + 7
    assert [row.seq for row in world.rows()] == list(range(1, GROUP * 2 + 8))


def test_the_same_receipt_from_many_senders_at_once_is_stored_once(world: World) -> None:
    answers: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(world.post(item("same"))[1])) for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(answer["accepted"] for answer in answers) == 1
    assert sum(answer["duplicates"] for answer in answers) == 49
    assert len(world.rows()) == 1


def test_what_comes_while_somebody_writes_is_written_together_by_another_thread(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go_on = threading.Event(), threading.Event()
    by: list[threading.Thread] = []
    write = world.store.write

    def noted() -> AbstractContextManager[Conn]:
        by.append(threading.current_thread())
        writing.set()
        assert go_on.wait(10)
        return write()

    monkeypatch.setattr(world.store, "write", noted)
    posters = [threading.Thread(target=world.post, args=[item(f"gen-{n}")]) for n in range(20)]
    posters[0].start()
    assert writing.wait(10)
    for poster in posters[1:]:
        poster.start()
    deadline = time.monotonic() + 10
    while world.waiting() < 19:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    go_on.set()
    for poster in posters:
        poster.join()

    assert len(world.rows()) == 20
    assert by[0] is posters[0]
    assert len(by) == 2
    assert by[1] not in posters


def test_what_was_offered_is_stored_before_the_writer_ends(world: World) -> None:
    world.offer("a")
    world.ingest.stop()
    assert [row.id for row in world.rows()] == ["a"]


def test_what_no_database_takes_is_mended_in_an_offer(world: World) -> None:
    receipt = receipt_parser.parse(json.dumps(item("a")).encode(), now_us=NOW, retention_us=DAY)
    offered = structs.replace(receipt, trace={"note": "a\x00b\ud800c", "wide": 2**70})
    world.ingest.offer(world.workspace.id, offered, world.key)
    world.ingest.stop()
    stored = receipt_parser.from_document(world.rows()[0].document)
    assert stored.trace == {"note": "a\ufffdb\ufffdc", "wide": str(2**70)}


def test_an_offer_that_is_not_taken_is_lost_once_and_named(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.ingest.stop()
    world.offer("a")
    assert caplog.text.count("action=receipt_lost receipt=a") == 1
    assert (world.counted("lost"), world.counted("not_stored")) == (1, 0)


def test_an_offer_whose_workspace_cannot_be_opened_is_lost_once_and_named(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with world.store.write() as conn:
        workspaces.reseal(conn, world.workspace.id, b"nonsense")
    world.offer("a")
    assert caplog.text.count("action=receipt_lost receipt=a") == 1
    assert world.counted("lost") == 1


def test_an_offer_to_a_workspace_that_was_deleted_is_lost_once_and_named(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.post(item("before"))
    world.delete_workspace()
    world.offer("a")
    world.ingest.stop()
    assert caplog.text.count("action=receipt_lost receipt=a") == 1
    assert world.counted("lost") == 1


@pytest.mark.parametrize("before", [(), (item("before"),)], ids=["not yet opened", "opened"])
def test_a_workspace_that_was_deleted_takes_nothing_and_says_so(
    world: World, before: tuple[dict[str, Any], ...]
) -> None:
    world.post(*before)
    world.delete_workspace()
    with pytest.raises(NotFound, match="was deleted"):
        world.post(item("a"))


def test_the_cipher_of_a_workspace_that_was_deleted_is_forgotten_in_ten_minutes(world: World) -> None:
    clock = [NOW]
    ingest = Ingest(world.store, VAULT, lambda: clock[0], 30 * DAY)
    ingest.start()
    receipt = receipt_parser.parse(json.dumps(item("a")).encode(), now_us=NOW, retention_us=DAY)
    ingest.accept(world.workspace.id, [receipt], world.key)
    clock[0] += 600_000_001
    with world.store.write() as conn:
        departures.depart(conn, world.workspace.id, now_us=NOW)
    with pytest.raises(NotFound, match="was deleted"):
        ingest.accept(world.workspace.id, [receipt], world.key)
    ingest.stop()


def test_a_stopped_writer_takes_nothing(world: World) -> None:
    world.ingest.stop()
    with pytest.raises(Unavailable):
        world.post(item("a"))


POISON = [
    b'{"id":"x","created_at":"2026-11-21T09:00:00Z","duration_ms":NaN,"model":"m","status":"succeeded"}',
    b'{"id":"x","created_at":"2026-11-21T09:00:00Z","duration_ms":1e400,"model":"m","status":"succeeded"}',
    b'{"id":"x","created_at":"2026-11-21T09:00:00Z","duration_ms":1,"model":"m","status":"succeeded","trace":'
    + b"[" * 1000 + b"]" * 1000 + b"}",
    b"{}",
    b"null",
    b'"text"',
    b"\xff\xfe",
    b'{"id":"../../x","created_at":"2026-11-21T09:00:00Z","duration_ms":1,"model":"m","status":"succeeded"}',
    b'{"id":"x","created_at":"0000-01-01T00:00:00Z","duration_ms":-1,"model":"m","status":"succeeded"}',
]  # fmt: skip


@pytest.mark.parametrize("poison", POISON, ids=range(len(POISON)))
def test_poison_is_refused_and_its_neighbour_stored(world: World, poison: bytes) -> None:
    body = poison.replace(b"\n", b" ") + b"\n" + json.dumps(item("good")).encode()
    status, answer = world.ingest.accept_body(world.workspace.id, world.key, body, "application/x-ndjson")
    assert (status, answer["accepted"], len(answer["rejected"])) == (202, 1, 1)


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "\\udfff tail"])
def test_what_no_database_takes_is_replaced(world: World, text: str) -> None:
    body = json.dumps(item("a", trace={"k": "V"}, user="V")).replace("V", text).encode()
    status, _ = world.ingest.accept_body(world.workspace.id, world.key, body, "application/json")
    assert status == 202
    assert (
        receipt_parser.from_document(world.rows()[0].document).user == f"\N{REPLACEMENT CHARACTER}{text[6:]}"
    )


def test_every_column_of_the_log_says_what_the_receipt_says(world: World) -> None:
    sent = factories.receipt_document(
        created_at=factories.at(NOW), api_key=None, request_id="req-1", trace={"trace_id": "a" * 32}
    )
    assert world.post(sent)[0] == 202
    with world.store.read() as conn:
        row = conn.execute(select(tables.receipts)).one()._asdict()
        assert len(row.pop("fingerprint")) == 16
    document = json.loads(row.pop("document"))
    assert document["api_key"] == {"hash": world.key.hash, "name": world.key.name}
    assert row == {
        "workspace_id": world.workspace.id,
        "seq": 1,
        "block": 0,
        "has_content": False,
        "id": sent["id"],
        "created_at_us": NOW,
        "received_at_us": NOW,
        "status": "succeeded",
        "model": "openai/gpt-4o-mini",
        "provider": "OpenAI",
        "provider_slug": "openai",
        "streamed": True,
        "input_tokens": 1200,
        "output_tokens": 345,
        "cached_tokens": 1000,
        "reasoning_tokens": 64,
        "cost_nano_usd": 387_000,
        "duration_us": 1_234_567,
        "funding_source": "credits",
        "session_id": "session-42",
        "user": "user-7",
        "api_key_name": world.key.name,
        "api_key_hash": world.key.hash,
        "first_token_ms": 412.5,
        "attempts": 1,
        "trace_id": "a" * 32,
        "request_id": "req-1",
    }
