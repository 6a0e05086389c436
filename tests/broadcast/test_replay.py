from typing import Any

import pytest

from broadcast import selection
from broadcast.errors import Conflict, NotFound, SettingsError
from broadcast.fates import Fate
from broadcast.replay import NothingToReplay, Wanted, view
from broadcast.selection import undelivered
from broadcast.store import Store, audit, cursors, destinations, replays, selections, workspaces
from broadcast.store.replays import Replay
from tests.broadcast.replaying import DELIVERED, Past, at_us
from tests.broadcast.store.rows import NOW_US, a_user, a_workspace

ALL = Wanted(from_us=0)


@pytest.fixture
def past(store: Store) -> Past:
    return Past(store)


def started(past: Past, wanted: Wanted = ALL) -> Replay:
    return past.replays.start(past.workspace, None, past.uid, wanted, now_us=NOW_US)


def numbers(replay: Replay) -> list[int]:
    return list(replay.numbers(replay.total))


# -- what is meant -----------------------------------------------------------------------------------


def test_a_range_is_found_by_when_its_requests_were_created(past: Past) -> None:
    past.append(1, 5, 2, 3, 9, 4)
    past.settle(*[Fate.REJECTED] * 6)

    replay = started(past, Wanted(from_us=at_us(2), to_us=at_us(5)))

    assert numbers(replay) == [3, 4, 6]
    assert (replay.source, replay.total, replay.from_seq, replay.to_seq) == ("range", 3, 3, 6)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_long_range_is_read_in_slices(past: Past, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(selections, "SLICE", size)
    past.append(1, 5, 2, 3, 3, 3, 9, 4, 0)
    past.settle(*[Fate.REJECTED] * 9)

    assert numbers(started(past, Wanted(from_us=at_us(1), to_us=at_us(5)))) == [1, 3, 4, 5, 6, 8]


def test_a_range_of_too_many_pieces_is_refused(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "MAX_PIECES", 1)
    past.append(1, 9, 2)
    past.settle(*[Fate.REJECTED] * 3)

    for wanted in (Wanted(from_us=at_us(1), to_us=at_us(3)), Wanted(dead_letters=True)):
        with pytest.raises(SettingsError):
            started(past, wanted)


def test_a_range_without_gaps_needs_no_list(past: Past) -> None:
    past.append(1, 2, 3, 4)
    past.settle(*[Fate.REJECTED] * 4)

    replay = started(past, Wanted(from_us=at_us(2), to_us=at_us(4)))

    assert (replay.seqs, numbers(replay)) == (None, [2, 3])


def test_a_list_is_replayed_in_the_order_of_the_log(past: Past) -> None:
    past.append(1, 2, 3)
    past.settle(*[Fate.REJECTED] * 3)

    replay = started(past, Wanted(receipt_ids=("gen-3", "gen-1")))

    assert (replay.source, numbers(replay)) == ("list", [1, 3])


def test_ids_that_are_not_there_are_named(past: Past) -> None:
    past.append(1)
    past.settle(Fate.REJECTED)

    with pytest.raises(SettingsError) as refused:
        started(past, Wanted(receipt_ids=("gen-1", *[f"lost-{number}" for number in range(7)])))

    message = refused.value.problems["receipt_ids"]
    assert "lost-0" in message
    assert "and 2 more" in message
    assert "gen-1" not in message


def test_all_dead_letters_are_those_whose_receipts_are_kept(past: Past) -> None:
    past.append(1, 2, 3, 4)
    past.settle(Fate.REJECTED, DELIVERED, Fate.REJECTED, DELIVERED)

    assert numbers(started(past, Wanted(dead_letters=True))) == [1, 3]


def test_what_was_delivered_is_told_from_what_was_not_over_many_runs(past: Past) -> None:
    past.append(*range(8))
    past.settle(DELIVERED, Fate.REJECTED, DELIVERED, Fate.EXPIRED)
    past.settle(Fate.REJECTED, Fate.REJECTED, DELIVERED, DELIVERED)

    replay = started(past, Wanted(receipt_ids=("gen-1", "gen-2", "gen-4", "gen-5", "gen-6", "gen-8")))

    assert replay.seqs is not None
    with past.store.read() as conn:
        assert list(undelivered(conn, past.stored.id, replay.seqs)) == [2, 4, 5, 6]


# -- when nothing is left ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        (ALL, "delivered"),
        (Wanted(from_us=at_us(50)), "Choose another range"),
        (Wanted(dead_letters=True), "no dead letters"),
        (Wanted(receipt_ids=("gen-2",)), "first delivery"),
    ],
)
def test_nothing_to_send_is_said_in_words(past: Past, wanted: Wanted, word: str) -> None:
    past.append(1, 2)
    past.settle(DELIVERED)

    with pytest.raises(NothingToReplay, match=word):
        started(past, wanted)
    assert past.replays.list(past.workspace, past.uid)["data"] == []


def test_delivered_ones_go_again_when_asked_for(past: Past) -> None:
    past.append(1, 2)
    past.settle(DELIVERED, DELIVERED)

    replay = started(past, Wanted(from_us=0, include_delivered=True))

    assert (replay.total, replay.include_delivered) == (2, True)


# -- who may, and when -------------------------------------------------------------------------------


def test_a_second_replay_waits_for_the_first(past: Past) -> None:
    past.append(1)
    past.settle(Fate.REJECTED)
    started(past)

    with pytest.raises(Conflict) as refused:
        started(past)

    assert refused.value.reason == "replay_running"


@pytest.mark.parametrize("reason", ["destination_off", "broadcast_off"])
def test_what_is_off_gets_nothing(past: Past, reason: str) -> None:
    past.append(1)
    past.settle(Fate.REJECTED)
    with past.store.write() as conn:
        if reason == "destination_off":
            cursors.end(conn, past.stored.id, workspaces.lock_head(conn, past.workspace.id), NOW_US)
        else:
            workspaces.set_broadcast(conn, past.workspace.id, enabled=False)

    for attempt in (started, lambda past: past.replays.preview(past.workspace, past.uid, ALL, now_us=NOW_US)):
        with pytest.raises(Conflict) as refused:
            attempt(past)
        assert refused.value.reason == reason


def test_a_paused_destination_may_be_given_a_replay(past: Past) -> None:
    past.append(1)
    past.settle(Fate.REJECTED)
    with past.store.write() as conn:
        destinations.pause(conn, past.stored.id, by="person", reason=None, now_us=NOW_US)

    assert started(past).state == "running"


def test_a_destination_that_is_deleted_or_somebody_else_s_is_not_found(past: Past) -> None:
    past.append(1)
    past.settle(Fate.REJECTED)
    running = started(past)
    with past.store.write() as conn:
        other = a_workspace(conn, "Other")
    calls: tuple[Any, ...] = (
        lambda place: past.replays.start(place, None, past.uid, ALL, now_us=NOW_US),
        lambda place: past.replays.preview(place, past.uid, ALL, now_us=NOW_US),
        lambda place: past.replays.stop(place, None, past.uid, running.uid, now_us=NOW_US),
        lambda place: past.replays.get(place, past.uid, running.uid),
        lambda place: past.replays.list(place, past.uid),
    )
    for call in calls:
        with pytest.raises(NotFound):
            call(other)
    uid = past.uid
    with past.store.write() as conn:
        destinations.delete(conn, past.stored.id, now_us=NOW_US)
    with pytest.raises(NotFound):
        past.replays.start(past.workspace, None, uid, ALL, now_us=NOW_US)


# -- stopped, listed, written down -------------------------------------------------------------------


def test_a_replay_is_stopped_once_and_both_are_in_the_audit_log(past: Past) -> None:
    past.append(1)
    past.settle(Fate.REJECTED)
    with past.store.write() as conn:
        user = a_user(conn)
    replay = past.replays.start(past.workspace, user.id, past.uid, ALL, now_us=NOW_US)

    for _ in range(2):
        stopped = past.replays.stop(past.workspace, user.id, past.uid, replay.uid, now_us=NOW_US + 1)
        assert (stopped.state, stopped.ended_at_us) == ("stopped", NOW_US + 1)

    with past.store.read() as conn:
        entries = audit.list_for(conn, past.workspace.id, 10)
    assert [entry.action for entry in entries] == [
        "destination.replay_stopped",
        "destination.replay_started",
    ]
    assert {entry.target for entry in entries} == {past.uid}
    assert entries[1].detail["replay_id"] == replay.uid
    assert entries[1].detail["receipts"] == 1


def test_replays_are_listed_newest_first_by_pages(past: Past) -> None:
    past.append(1)
    past.settle(Fate.REJECTED)
    made = []
    for _ in range(3):
        replay = started(past)
        made.append(replay.uid)
        past.replays.stop(past.workspace, None, past.uid, replay.uid, now_us=NOW_US)

    first = past.replays.list(past.workspace, past.uid, limit=2)
    second = past.replays.list(past.workspace, past.uid, limit=2, cursor=first["next_cursor"])

    assert [item["id"] for item in first["data"] + second["data"]] == made[::-1]
    assert second["next_cursor"] is None


def test_a_replay_that_does_not_exist_is_not_found(past: Past) -> None:
    with pytest.raises(NotFound):
        past.replays.get(past.workspace, past.uid, "00000000-0000-4000-8000-000000000000")


def test_a_replay_s_view_counts_every_receipt(past: Past) -> None:
    past.append(1, 2, 3)
    past.settle(*[Fate.REJECTED] * 3)
    replay = started(past)
    with past.store.write() as conn:
        counts = {"delivered": 1, "left_out": 1}
        replays.advance(conn, replay.id, position=0, counts=counts, now_us=NOW_US)

    shown = view(past.replays.get(past.workspace, past.uid, replay.uid))

    assert (shown["state"], shown["settled"], shown["total"]) == ("running", 2, 3)
    assert (shown["delivered"], shown["left_out"], shown["rejected"]) == (1, 1, 0)
    assert shown["ended_at"] is None


# -- a new destination that starts from the past -----------------------------------------------------


def test_a_new_destination_gets_what_came_before_its_start(store: Store) -> None:
    past = Past(store)
    past.append(1, 2, 3)
    with store.write() as conn:
        head = workspaces.lock_head(conn, past.workspace.id)
        cursors.start(conn, past.stored.id, past.workspace.id, head, NOW_US)
    past.append(4)

    begun = past.replays.backfill(past.workspace, None, past.uid, at_us(2), now_us=NOW_US)

    assert begun is not None
    assert (begun.source, numbers(begun)) == ("backfill", [2, 3])


def test_a_past_without_receipts_begins_no_replay(past: Past) -> None:
    assert past.replays.backfill(past.workspace, None, past.uid, at_us(2), now_us=NOW_US) is None


def test_a_past_is_refused_before_anything_is_saved(past: Past) -> None:
    at = "2026-11-20T02:00:00Z"
    wrong: tuple[dict[str, Any], ...] = (
        {"backfill_from": "yesterday"},
        {"backfill_from": at, "enabled": False},
    )
    for body in wrong:
        with pytest.raises(SettingsError) as refused:
            past.replays.backfill_from(past.workspace, body)
        assert set(refused.value.problems) == {"backfill_from"}
    with past.store.write() as conn:
        workspaces.set_broadcast(conn, past.workspace.id, enabled=False)
    with pytest.raises(Conflict):
        past.replays.backfill_from(past.workspace, {"backfill_from": at})
