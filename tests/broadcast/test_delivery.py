from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs
from sqlalchemy.exc import DBAPIError

from broadcast import outcomes
from broadcast.batches import Prepared
from broadcast.destination import Outcome, Verdict
from broadcast.errors import Unavailable
from broadcast.fates import Fate
from broadcast.outcomes import Sent
from broadcast.recorder import Settlement, settle
from broadcast.store import Store, attempts, dead_letters, leases
from broadcast.store.leases import Counts
from destinations import TYPES
from tests.broadcast.sending import World, clock
from tests.broadcast.store.rows import a_receipt, append
from tests.receiver import Receiver, spans_of

COLLECTOR = TYPES["otel-collector"].parse({"endpoint": "https://collector.example/v1/traces"})
ARRIVED = Outcome(verdict=Verdict.DELIVERED, reason="200 OK")


@pytest.fixture
def world(store: Store, tmp_path: Path) -> Iterator[World]:
    with Receiver() as receiver:
        yield World.build(store, receiver, tmp_path)


def test_what_is_in_the_log_arrives_in_order_and_the_ledger_balances(world: World) -> None:
    stored = world.destination()
    world.append(3)
    world.deliver()
    assert list(dict.fromkeys(world.generation_ids())) == ["gen-1", "gen-2", "gen-3"]
    ledger = world.connections.ledger(world.workspace, stored.uid)
    assert (ledger["appended"], ledger["delivered"], ledger["pending"]) == (3, 3, 0)
    assert ledger["balanced"]


def test_nothing_is_sent_again_once_it_was_delivered(world: World) -> None:
    world.destination()
    world.append()
    world.deliver(rounds=3)
    assert len(world.receiver.requests) == 1


def test_a_receipt_of_a_region_goes_where_that_region_is_asked_for(world: World) -> None:
    everywhere = world.destination("/ok/every", regions=["global", "europe", "us"])
    worldwide = world.destination("/ok/global")
    european = world.destination("/ok/europe", regions=["eu"])
    for region in (None, "europe", "us", None, None):
        world.append(region=region)

    world.deliver(rounds=2)

    arrived: dict[str, set[str]] = {}
    for seen in world.receiver.requests:
        ids = {str(span.resource["openrouter.trace.id"]) for span in spans_of(seen.otlp())}
        arrived.setdefault(seen.path, set()).update(ids)
    assert arrived == {
        "/ok/every": {f"gen-{number}" for number in range(1, 6)},
        "/ok/global": {"gen-1", "gen-4", "gen-5"},
        "/ok/europe": {"gen-2"},
    }
    cursors = [world.cursor(stored) for stored in (everywhere, worldwide, european)]
    assert [(each.delivered, each.filtered) for each in cursors] == [(5, 0), (3, 2), (1, 4)]


def test_what_came_before_a_destination_is_not_sent_to_it(world: World) -> None:
    world.append(2)
    world.destination()
    world.append()
    world.deliver()
    assert set(world.generation_ids()) == {"gen-3"}


@pytest.mark.parametrize(
    ("path", "verdict"),
    [
        ("/status/503", "retrying"),
        ("/status/429/7", "throttled"),
        ("/status/401", "refused"),
        ("/status/404", "refused"),
        ("/redirect", "refused"),
        ("/html", "refused"),
        ("/drop", "no_answer"),
    ],
)
def test_receipts_stay_while_a_destination_does_not_take_them(world: World, path: str, verdict: str) -> None:
    stored = world.destination(path)
    world.append(2)
    world.deliver()
    cursor = world.cursor(stored)
    assert (cursor.cursor_seq, cursor.failures, cursor.last_verdict) == (0, 1, verdict)
    assert cursor.due_at_us > 0
    ledger = world.connections.ledger(world.workspace, stored.uid)
    assert (ledger["pending"], ledger["rejected"], ledger["balanced"]) == (2, 0, True)


def test_retry_after_decides_when_to_come_back(world: World) -> None:
    stored = world.destination("/status/429/7")
    world.append()
    world.deliver()
    cursor = world.cursor(stored)
    assert 5_000_000 < cursor.due_at_us - (cursor.last_attempt_at_us or 0) < 8_000_000


def test_after_an_outage_everything_is_delivered_once_and_the_back_off_is_reset(world: World) -> None:
    stored = world.destination("/mending")
    world.receiver.answer("/mending", status=503, times=1)
    world.append(2)
    world.deliver()
    assert world.cursor(stored).failures == 1
    world.due_now(stored)
    world.receiver.clear()
    world.deliver()
    assert set(world.generation_ids()) == {"gen-1", "gen-2"}
    assert (world.cursor(stored).failures, world.cursor(stored).delivered) == (0, 2)


def test_a_poison_receipt_costs_one_receipt(world: World) -> None:
    stored = world.destination("/poison")

    def answer_400_when_it_holds_the_poison() -> None:
        world.receiver.answer("/poison", status=400, body=b"bad span, Bearer s3cr3t-value", times=1)

    answer_400_when_it_holds_the_poison()
    world.append(1)
    world.deliver()
    world.append(1)
    world.deliver()
    cursor = world.cursor(stored)
    assert (cursor.delivered, cursor.rejected, cursor.cursor_seq) == (1, 1, 2)
    with world.store.read() as conn:
        letters = dead_letters.list_for(conn, stored.id, 10)
    assert [letter.receipt_id for letter in letters] == ["gen-1"]
    assert "bad span" in letters[0].reason
    assert "s3cr3t" not in letters[0].reason


def test_bisection_finds_the_poison_in_a_batch(world: World) -> None:
    stored = world.destination("/poison")
    # The whole, the first half, its first quarter with the poison alone; then everything else passes.
    world.receiver.answer("/poison", status=413, times=4)
    world.append(8)
    world.deliver()
    cursor = world.cursor(stored)
    assert (cursor.delivered, cursor.rejected, cursor.cursor_seq, cursor.failures) == (7, 1, 8, 0)
    assert len(world.receiver.requests) <= 1 + 2 * 3


def test_a_partial_success_counts_as_delivered_and_says_how_many_spans_were_not(world: World) -> None:
    stored = world.destination("/partial/1")
    world.append(2)
    world.deliver()
    assert world.cursor(stored).delivered == 2
    attempt = world.connections.attempts(world.workspace, stored.uid)["data"][0]
    assert attempt["verdict"] == "partly_delivered"
    assert "1 spans rejected" in attempt["reason"]


def test_filtered_and_sampled_receipts_are_accounted_for_and_never_sent(world: World) -> None:
    rules = {"groups": [{"rules": [{"field": "model", "operator": "equals", "value": "another/model"}]}]}
    filtered = world.destination(filter_rules=rules)
    sampled = world.destination(sampling_rate=0.0001)
    world.append(3, session_id="a session that is not in the sample")
    world.deliver()
    assert world.receiver.requests == []
    assert world.cursor(filtered).filtered == 3
    assert world.cursor(sampled).sampled_out == 3


def test_privacy_mode_lets_no_content_out(world: World) -> None:
    world.destination(privacy_mode=True)
    world.append(input=[{"role": "user", "content": "my-prompt"}], output="my-completion")
    world.deliver()
    sent = world.receiver.requests[0].body
    assert b"my-prompt" not in sent
    assert b"my-completion" not in sent


def test_full_content_arrives_and_is_dropped_once_everyone_has_it(world: World) -> None:
    world.destination()
    world.destination(privacy_mode=True)
    world.append(input=[{"role": "user", "content": "my-prompt"}], output="my-completion")
    world.deliver()
    assert sum(b"my-prompt" in seen.body for seen in world.receiver.requests) == 1
    with world.store.read() as conn:
        from broadcast.store import receipts  # noqa: PLC0415

        assert receipts.contents(conn, world.workspace.id, (1,)) == {}


def test_content_is_kept_while_a_destination_still_owes_it(world: World) -> None:
    world.destination()
    world.destination("/status/503")
    world.append(input="my-prompt", output="my-completion")
    world.deliver()
    with world.store.read() as conn:
        from broadcast.store import receipts  # noqa: PLC0415

        assert list(receipts.contents(conn, world.workspace.id, (1,))) == [1]


def test_every_receipts_fate_can_be_told(world: World) -> None:
    world.destination(name="good")
    world.destination("/status/503", name="down")
    world.append()
    world.deliver()
    with world.store.read() as conn:
        from broadcast.store import receipts  # noqa: PLC0415

        row = receipts.by_id(conn, world.workspace.id, "gen-1")
    assert row is not None
    fates = {entry["name"]: entry for entry in world.connections.delivery(world.workspace, row)}
    assert fates["good"]["fate"] == "delivered"
    assert fates["good"]["attempt_id"]
    assert fates["down"]["fate"] == "waiting"
    assert "503" in fates["down"]["reason"]


def test_a_paused_destination_holds_and_later_catches_up(world: World) -> None:
    stored = world.destination()
    world.connections.pause(world.workspace, None, stored.uid, now_us=1)
    world.append(2)
    world.deliver()
    assert world.receiver.requests == []
    world.connections.resume(world.workspace, None, stored.uid, now_us=2)
    world.deliver()
    assert world.cursor(stored).delivered == 2


def test_an_outcome_under_a_lost_lease_is_not_recorded(world: World) -> None:
    stored = world.destination()
    world.append()
    with world.store.write() as conn:
        claim = leases.claim(conn, holder="one")[0]
        leases.release(conn, (stored.id,), claim.token)
        assert not leases.settle(
            conn, destination_id=stored.id, token=claim.token, advance_to=1, counts=Counts(delivered=1)
        )
    assert world.cursor(stored).delivered == 0


def test_of_two_outcomes_at_one_destination_only_the_one_under_the_lease_counts(world: World) -> None:
    stored = world.destination()
    world.append()
    with world.store.write() as conn:
        (late,) = leases.claim(conn, holder="test")
        leases.release(conn, (stored.id,), late.token)
        (held,) = leases.claim(conn, holder="test")
        both = [
            Settlement(
                claim=claim,
                name=stored.uid,
                advance_to=1,
                fates=(Fate.DELIVERED,),
                entries=(),
                dead=(),
                failures=0,
                doubts=0,
                due_in_us=0,
                outcome=ARRIVED,
                sent=True,
            )
            for claim in (late, held)
        ]
        assert settle(conn, both, "test") == [False, True]
    assert world.cursor(stored).delivered == 1


def test_requests_answered_meanwhile_are_recorded_at_once_each_with_its_own_attempt(world: World) -> None:
    stored = world.destination()
    world.append(3)
    with world.store.write() as conn:
        (claim,) = leases.claim(conn, holder="test")
        first, second = (
            outcomes.settlement(
                Prepared(
                    claim=structs.replace(claim, cursor_seq=numbers[0] - 1),
                    stored=stored,
                    destination=COLLECTOR,
                    at_us=clock(),
                    numbers=numbers,
                    marks=(None,) * len(numbers),
                    chunks=(),
                ),
                Sent(fates=dict.fromkeys(numbers, Fate.DELIVERED), outcome=ARRIVED),
                more=numbers[-1] < 3,
                goes_on=False,
                jitter=0,
                now_us=clock(),
            )
            for numbers in ([1, 2], [3])
        )
        assert first.joins
        assert settle(conn, [first.followed_by(second)], "test") == [True]
    assert (world.cursor(stored).cursor_seq, world.cursor(stored).delivered) == (3, 3)
    assert world.cursor(stored).lease_holder is None
    with world.store.read() as conn:
        assert [(one.from_seq, one.to_seq) for one in attempts.list_for(conn, stored.id, 9)] == [
            (3, 3),
            (1, 2),
        ]


def test_a_log_of_many_receipts_goes_out_in_requests_of_at_most_512_spans(world: World) -> None:
    stored = world.destination()
    world.append(700)
    world.deliver(rounds=4)
    assert world.cursor(stored).delivered == 700
    assert all(
        sum(len(s.spans) for r in seen.otlp().resource_spans for s in r.scope_spans) <= 512
        for seen in world.receiver.requests
    )


def test_the_opt_in_groups_arrive_where_they_were_chosen_and_nowhere_else(world: World) -> None:
    world.destination(name="with", broadcast_generation_cost=True)
    world.destination(name="without")
    world.append()

    world.deliver()

    bodies = [seen.body for seen in world.receiver.requests]
    assert sorted(b"openrouter_generation." in body for body in bodies) == [False, True]


def test_rules_about_content_hold_also_where_no_content_leaves(world: World) -> None:
    rules = {"groups": [{"rules": [{"field": "input", "operator": "contains", "value": "weather"}]}]}
    stored = world.destination(privacy_mode=True, filter_rules=rules)
    world.append(input="What is the weather?", output="Rain.")
    world.append(input="Who are you?", output="Nobody.")

    world.deliver()

    cursor = world.cursor(stored)
    assert (cursor.delivered, cursor.filtered) == (1, 1)
    assert b"weather" not in world.receiver.requests[0].body


def test_a_receipt_whose_content_cannot_be_read_just_now_waits_and_is_not_given_up(world: World) -> None:
    stored = world.destination()
    world.append()
    world.append(input="my-prompt", output="my-completion")
    with world.store.write() as conn:
        conn.exec_driver_sql("ALTER TABLE contents RENAME TO mislaid")

    with pytest.raises((Unavailable, DBAPIError)):
        world.deliver()
    with world.store.write() as conn:
        conn.exec_driver_sql("ALTER TABLE mislaid RENAME TO contents")
    world.deliver()

    assert world.cursor(stored).rejected == 0
    assert b"my-prompt" in world.receiver.requests[0].body


def test_a_document_that_cannot_be_read_stops_no_destination_that_chooses(world: World) -> None:
    stored = world.destination(excluded_api_key_hashes=["c" * 64])
    with world.store.write() as conn:
        append(conn, world.workspace.id, a_receipt("gen-odd", document=b'{"of":"another version"}'))
    world.append()

    world.deliver()

    cursor = world.cursor(stored)
    assert (cursor.rejected, cursor.delivered) == (1, 1)
