"""What a destination is doing, what became of a receipt there and why, and the pages that list it."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, text

from broadcast import history, ledger
from broadcast.errors import SettingsError
from broadcast.fates import Fate
from broadcast.ledger import Owed
from broadcast.store import (
    Store,
    attempts,
    cursors,
    destinations,
    workspaces,
)
from tests.broadcast.homes import Home
from tests.broadcast.store.rows import NOW_US

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
KEPT_US = 30 * DAY_US
OWED = Owed(received_at_us=NOW_US, held_until_us=NOW_US + KEPT_US)


# -- states --------------------------------------------------------------------------------------------


def the_state(
    home: Home, *, head: int = 3, broadcast: bool = True, owed: Owed | None = OWED, now_us: int = NOW_US
) -> ledger.State:
    return ledger.state(home.stored, home.cursor, head, now_us, broadcast=broadcast, owed=owed)


def test_a_destination_that_keeps_up_is_delivering(store: Store) -> None:
    with store.write() as conn:
        state = the_state(Home(conn), now_us=NOW_US + 30 * SECOND_US)
    assert (state.word, state.backlog, state.behind_s) == ("delivering", 3, 30.0)
    assert (state.next_try_at_us, state.reason, state.paused_by) == (None, None, None)
    assert state.held_until_us == NOW_US + KEPT_US


def test_one_whose_oldest_receipt_waited_longer_than_30_s_catches_up(store: Store) -> None:
    with store.write() as conn:
        assert the_state(Home(conn), now_us=NOW_US + 31 * SECOND_US).word == "catching_up"


@pytest.mark.parametrize(
    ("verdict", "word"), [("throttled", "throttled"), ("no_answer", "retrying"), ("retrying", "retrying")]
)
def test_one_that_waits_for_its_back_off_says_when_it_tries_again_and_why(
    store: Store, verdict: str, word: str
) -> None:
    with store.write() as conn:
        home = Home(conn)
        home.set(failures=2, last_verdict=verdict, last_reason="503", due_at_us=NOW_US + SECOND_US)
        state = the_state(home)
    assert (state.word, state.next_try_at_us, state.reason) == (word, NOW_US + SECOND_US, "503")


def test_a_next_try_is_never_in_the_past(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn)
        home.set(failures=2, due_at_us=0)
        assert the_state(home).next_try_at_us == NOW_US


def test_one_paused_by_a_person_waits_for_a_person(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn)
        destinations.pause(conn, home.id, by="person", reason=None, now_us=NOW_US + 5)
        state = the_state(home)
    assert (state.word, state.paused_by, state.since_at_us) == ("paused", "person", NOW_US + 5)
    assert (state.next_try_at_us, state.held_until_us) == (None, NOW_US + KEPT_US)


def test_one_paused_by_an_answer_says_when_it_is_asked_again_and_until_when_receipts_are_kept(
    store: Store,
) -> None:
    with store.write() as conn:
        home = Home(conn)
        destinations.pause(conn, home.id, by="answer", reason="401 Unauthorized", now_us=NOW_US)
        home.set(failures=1, due_at_us=NOW_US + 60 * SECOND_US)
        state = the_state(home)
    assert (state.word, state.paused_by, state.reason) == ("paused", "answer", "401 Unauthorized")
    assert (state.next_try_at_us, state.held_until_us) == (NOW_US + 60 * SECOND_US, NOW_US + KEPT_US)


@pytest.mark.parametrize("why", ["switched off", "ended", "broadcast off"])
def test_one_that_is_off_holds_nothing(store: Store, why: str) -> None:
    with store.write() as conn:
        home = Home(conn)
        if why == "ended":
            cursors.end(conn, home.id, 3, NOW_US)
        stored = replace(home.stored, enabled=why != "switched off")
        state = ledger.state(stored, home.cursor, 3, NOW_US, broadcast=why != "broadcast off", owed=None)
    assert (state.word, state.backlog, state.held_until_us) == ("off", 0, None)


# -- until when ----------------------------------------------------------------------------------------


def test_pending_receipts_are_held_for_the_retention_or_the_types_max_age_if_that_is_shorter(
    store: Store,
) -> None:
    with store.write() as conn:
        home = Home(conn, 2)
        whole = ledger.owed(conn, home.cursor, 2, retention_us=KEPT_US, max_age_s=None)
        shorter = ledger.owed(conn, home.cursor, 2, retention_us=KEPT_US, max_age_s=3600)
        longer = ledger.owed(conn, home.cursor, 2, retention_us=KEPT_US, max_age_s=90 * 86_400)
    assert whole == longer == OWED
    assert shorter == Owed(received_at_us=NOW_US, held_until_us=NOW_US + 3600 * SECOND_US)


def test_nothing_is_held_where_nothing_is_pending_or_the_ledger_has_ended(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn, 1)
        assert ledger.view(home.cursor, 1, OWED)["held_until"] == "2025-12-21T04:40:00.000Z"
        cursors.end(conn, home.id, 1, NOW_US)
        assert ledger.owed(conn, home.cursor, 1, retention_us=KEPT_US, max_age_s=None) is None
        assert ledger.owed(conn, None, 1, retention_us=KEPT_US, max_age_s=None) is None
        home = Home(conn, 1)
        home.settled(1, Fate.DELIVERED)
        assert ledger.owed(conn, home.cursor, 1, retention_us=KEPT_US, max_age_s=None) is None
        assert ledger.view(home.cursor, 1, None)["held_until"] is None


def test_a_ledger_says_all_six_terms_and_that_they_balance(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn, 6)
        home.settled(1, *Fate)
        found = ledger.view(home.cursor, 6)
    assert {name: found[name] for name in ("appended", "pending", *(fate.value for fate in Fate))} == {
        "appended": 6,
        "pending": 1,
        **dict.fromkeys((fate.value for fate in Fate), 1),
    }
    assert found["balanced"] is True


# -- fates ---------------------------------------------------------------------------------------------


def test_each_settled_fate_is_told_with_its_attempt_and_its_reason(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn, 5)
        home.settled(1, *Fate, reason="200 OK.")
        home.letter(4, "400 Bad Request: no such field")
        uid = attempts.list_for(conn, home.id, 1)[0].uid
        found = {seq: home.fate(seq, max_age_s=3600) for seq in range(1, 6)}
    assert {seq: (view["fate"], view["reason"]) for seq, view in found.items()} == {
        1: ("delivered", "200 OK."),
        2: ("sampled_out", "Its session is not in this destination's sample."),
        3: ("filtered", "This destination's key or rule filters leave it out."),
        4: ("rejected", "400 Bad Request: no such field"),
        5: ("expired", "It was older than this destination accepts."),
    }
    assert {view["attempt_id"] for view in found.values()} == {uid}
    assert {view["at"] for view in found.values()} == {"2025-11-21T04:40:00.000Z"}


def test_what_retention_expired_says_so_in_its_own_words(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn, 2)
        home.settled(1, Fate.EXPIRED, verdict="refused", reason="Kept for 30 days, then expired.")
        home.settled(2, Fate.EXPIRED)
        assert home.fate(1)["reason"] == "Kept for 30 days, then expired."
        assert home.fate(2)["reason"] == "It was no longer kept when its turn came."


def test_a_dead_letter_that_a_replay_delivered_is_delivered(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn, 3)
        home.settled(1, Fate.REJECTED, Fate.DELIVERED, Fate.REJECTED)
        replay = home.replay(1, 3)
        home.attempt(1, Fate.DELIVERED, None, Fate.REJECTED, replay_id=replay.id, reason="202 Accepted.")
        home.letter(3, "400 again")
        found = [home.fate(seq) for seq in (1, 2, 3)]
    assert [(view["fate"], view["reason"]) for view in found] == [
        ("delivered", "Rejected at first, then delivered by a replay: 202 Accepted."),
        ("delivered", "200 OK."),
        ("rejected", "By a replay: 400 again"),
    ]


@pytest.mark.parametrize("later", [Fate.REJECTED, Fate.EXPIRED, Fate.FILTERED])
def test_what_was_delivered_stays_delivered_whatever_a_replay_came_to(store: Store, later: Fate) -> None:
    with store.write() as conn:
        home = Home(conn, 1)
        first = home.settled(1, Fate.DELIVERED)
        home.attempt(1, later, replay_id=home.replay(1).id)
        found = attempts.fate_of(conn, home.id, 1)
    assert found is not None
    assert (found[0], found[1].id) == (Fate.DELIVERED, first)


def test_of_two_deliveries_the_newest_is_told(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn, 1)
        home.settled(1, Fate.DELIVERED)
        home.attempt(1, Fate.DELIVERED, replay_id=home.replay(1).id)
        assert home.fate(1)["reason"] == "Delivered once more by a replay: 200 OK."


def test_a_replay_that_left_a_receipt_out_tells_nothing_of_it(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn, 3)
        home.settled(1, Fate.FILTERED, Fate.REJECTED, Fate.FILTERED)
        home.attempt(1, Fate.DELIVERED, None, Fate.DELIVERED, replay_id=home.replay(1, 3).id)
        found = [attempts.fate_of(conn, home.id, seq) for seq in (1, 2, 3)]
    assert [item and item[0] for item in found] == [Fate.DELIVERED, Fate.REJECTED, Fate.DELIVERED]


def test_many_receipts_are_told_as_each_alone(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn, 10)
        home.settled(1, *Fate, Fate.REJECTED)
        home.attempt(7, Fate.DELIVERED, verdict="delivered", fates=b"")
        home.settled(7, Fate.DELIVERED)
        replay = home.replay(2, 6)
        home.attempt(2, Fate.DELIVERED, None, Fate.DELIVERED, None, Fate.REJECTED, replay_id=replay.id)
        home.attempt(2, Fate.EXPIRED, None, Fate.FILTERED, None, Fate.FILTERED, replay_id=replay.id)
        alone = {seq: attempts.fate_of(conn, home.id, seq) for seq in range(1, 11)}
        found = attempts.fates_at(conn, home.id, range(1, 11))
    assert found == {seq: item[0] for seq, item in alone.items() if item is not None}
    assert [found.get(seq) for seq in (2, 3, 4, 6, 8)] == [
        Fate.DELIVERED,
        Fate.FILTERED,
        Fate.DELIVERED,
        Fate.FILTERED,
        None,
    ]


def test_a_fate_is_searched_by_the_index_of_settled_attempts(sqlite_store: Store) -> None:
    asked: list[tuple[str, Any]] = []
    with sqlite_store.write() as conn:
        home = Home(conn, 1)
        home.replay(1)

        def note(*given: Any) -> None:
            asked.append((given[2], given[3]))

        event.listen(conn, "before_cursor_execute", note)
        attempts.fates_at(conn, home.id, (1,))
        attempts.settled_after(conn, home.id, 0, 10)
        event.remove(conn, "before_cursor_execute", note)
        plans = [
            " ".join(row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values))
            for statement, values in asked
            if "FROM attempts" in statement
        ]
    assert len(plans) == 4
    assert all("ix_attempts_settled" in plan for plan in plans), plans


def test_receipts_far_apart_are_told_too(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn)
        for seq in (1, 50_000, 200_000):
            home.attempt(seq, Fate.DELIVERED)
        found = attempts.fates_at(conn, home.id, (1, 2, 50_000, 200_000))
    assert set(found) == {1, 50_000, 200_000}


def test_a_backfill_delivers_what_came_before_the_ledger_began(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn, 2)
        cursors.start(conn, home.id, home.workspace.id, 2, NOW_US)
        replay = home.replay(1, 2)
        assert home.fate(2)["fate"] == "waiting"
        assert home.fate(2)["reason"] == "A replay that runs now sends it."
        home.attempt(1, Fate.DELIVERED, Fate.FILTERED, replay_id=replay.id)
        assert (home.fate(1)["fate"], home.fate(1)["reason"]) == ("delivered", "By a replay: 200 OK.")
        assert home.fate(2)["fate"] == "filtered"


def test_a_receipt_in_line_says_how_many_are_before_it(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn, 3)
        found = [home.fate(seq) for seq in (1, 2, 3)]
    assert {view["fate"] for view in found} == {"waiting"}
    assert [view["reason"] for view in found] == ["Next in line.", "1 is before it.", "2 are before it."]


def test_a_receipt_behind_a_back_off_says_why_and_when_the_next_try_is(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn, 1)
        home.set(failures=3, last_reason="503 Service Unavailable", due_at_us=NOW_US + 30 * SECOND_US)
        found = home.fate(1)
    assert found["fate"] == "waiting"
    assert found["reason"] == "503 Service Unavailable. Next try 2025-11-21 04:40:30 UTC. Next in line."


def test_a_held_receipt_says_why_and_until_when(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn, 1)
        destinations.pause(conn, home.id, by="person", reason=None, now_us=NOW_US)
        by_person = home.fate(1)
        destinations.resume(conn, home.id)
        destinations.pause(conn, home.id, by="answer", reason="401 Unauthorized", now_us=NOW_US)
        home.set(due_at_us=NOW_US + 60 * SECOND_US)
        by_answer = home.fate(1, max_age_s=3600)
    assert (by_person["fate"], by_answer["fate"]) == ("held", "held")
    assert by_person["reason"] == "This destination is paused. Kept until 2025-12-21 04:40:00 UTC."
    assert by_answer["reason"] == (
        "401 Unauthorized. Kept until 2025-11-21 05:40:00 UTC. Next try 2025-11-21 04:41:00 UTC."
    )


def test_a_receipt_that_no_ledger_holds_was_not_sent_and_says_why(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn, 4)
        head = workspaces.head_seq(conn, home.workspace.id)
        cursors.start(conn, home.id, home.workspace.id, 1, NOW_US)
        cursors.end(conn, home.id, 3, NOW_US)
        found = [home.fate(seq) for seq in range(1, head + 1)]
        conn.execute(text("UPDATE destinations SET created_at_us = :at"), {"at": NOW_US + 1})
        earlier = home.fate(1)
    assert {view["fate"] for view in found} == {"not_sent"}
    assert [view["reason"] for view in found] == [
        "It came while this destination, or Broadcast, was off.",
        "It was still waiting when this destination, or Broadcast, was switched off.",
        "It was still waiting when this destination, or Broadcast, was switched off.",
        "It came while this destination, or Broadcast, was off.",
    ]
    assert earlier["reason"] == "It came before this destination was set up."


# -- pages ---------------------------------------------------------------------------------------------


def page(home: Home, **asked: Any) -> dict[str, Any]:
    return history.attempts_page(home.conn, home.id, **{"limit": 10, "cursor": None, **asked})


def test_attempts_are_paged_newest_first_while_rows_arrive(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn)
        for seq in range(1, 6):
            home.attempt(seq, Fate.DELIVERED)
        first = page(home, limit=2)
        home.attempt(6, Fate.DELIVERED)
        second = page(home, limit=2, cursor=first["next_cursor"])
        last = page(home, limit=2, cursor=second["next_cursor"])
    assert [[item["from_seq"] for item in found["data"]] for found in (first, second, last)] == [
        [5, 4],
        [3, 2],
        [1],
    ]
    assert last["next_cursor"] is None


def test_attempts_are_filtered_by_verdict_time_and_receipt(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn)
        home.attempt(1, Fate.DELIVERED, Fate.DELIVERED, at_us=NOW_US)
        home.attempt(3, Fate.REJECTED, at_us=NOW_US + 10, verdict="rejected")
        home.attempt(4, Fate.DELIVERED, at_us=NOW_US + 20)

        def asked(**what: Any) -> list[int]:
            return [item["from_seq"] for item in page(home, **what)["data"]]

        assert asked() == [4, 3, 1]
        assert asked(verdict="rejected") == [3]
        assert asked(from_us=NOW_US + 10) == [4, 3]
        assert asked(to_us=NOW_US + 10) == [1]
        assert asked(seq=2) == [1]
        assert asked(seq=2, verdict="rejected") == []


def test_an_attempt_says_how_many_receipts_it_was_about_and_whose_replay_it_was(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn)
        replay = home.replay(1, 3)
        home.attempt(1, Fate.DELIVERED, Fate.FILTERED)
        home.attempt(1, Fate.DELIVERED, None, Fate.DELIVERED, replay_id=replay.id)
        attempts.insert(
            conn,
            destination_id=home.id,
            at_us=NOW_US,
            from_seq=4,
            to_seq=9,
            verdict="retrying",
            reason="503",
            config_version=1,
        )
        found = page(home)["data"]
    assert [(item["count"], item["replay_id"]) for item in found] == [(6, None), (2, replay.uid), (2, None)]


@pytest.mark.parametrize("asked", [{"limit": 0}, {"limit": 101}, {"verdict": "fine"}, {"cursor": "!"}])
def test_a_page_that_cannot_be_is_refused_by_name(store: Store, asked: dict[str, Any]) -> None:
    with store.write() as conn, pytest.raises(SettingsError) as raised:
        page(Home(conn), **asked)
    assert set(raised.value.problems) == set(asked)


def test_dead_letters_are_paged_with_their_attempt_and_whether_they_can_be_replayed(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn, 3)
        id_ = home.settled(1, Fate.REJECTED, Fate.REJECTED, Fate.REJECTED)
        uid = attempts.list_for(conn, home.id, 1)[0].uid
        for seq in (1, 2, 3):
            home.letter(seq)
        conn.execute(text("UPDATE dead_letters SET attempt_id = :id WHERE seq > 1"), {"id": id_})
        conn.execute(text("DELETE FROM receipts WHERE seq = 1"))
        first = history.dead_letters_page(conn, home.workspace.id, home.id, limit=2, cursor=None)
        rest = history.dead_letters_page(
            conn, home.workspace.id, home.id, limit=2, cursor=first["next_cursor"]
        )
    assert [item["seq"] for item in first["data"]] == [3, 2]
    assert first["data"][0] == {
        "receipt_id": "gen-3",
        "seq": 3,
        "at": "2025-11-21T04:40:00.000Z",
        "status_code": 400,
        "reason": "400 bad span",
        "attempt_id": uid,
        "replayable": True,
    }
    assert [(item["seq"], item["replayable"], item["attempt_id"]) for item in rest["data"]] == [
        (1, False, None)
    ]
    assert rest["next_cursor"] is None
