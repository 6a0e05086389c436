"""Figures agree with the receipts, whatever has been added up already."""

import random
from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import text

from broadcast import receipt_parser, rollup, tally
from broadcast.figures import Figures, Reader, Window
from broadcast.receipt import Cost, KeyRef, Receipt, Timing, Usage
from broadcast.retention import Retention
from broadcast.store import Conn, Store, receipts, rollups
from broadcast.store.activity import Only
from broadcast.tally import DAY_US, HOUR_US, Facts, Tally
from tests.broadcast.store.rows import NOW_US, a_receipt, a_row_of, a_workspace, append
from tests.factories import AT_US, receipt

DAY_ONE_US = AT_US - AT_US % DAY_US
SUMS = (
    "requests",
    "errors",
    "unpriced",
    "spend_nano_usd",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "latency",
)
FACETS = ("user", "trace.environment", "trace.beta")


def some_receipts(count: int, seed: int) -> list[Receipt]:
    """Requests of three days, in no order, some without a price, a user or usage."""
    dice = random.Random(seed)
    return [
        receipt(
            id=f"gen-{seed}-{number}",
            created_at_us=DAY_ONE_US + dice.randrange(3 * DAY_US),
            duration_us=dice.randrange(1_000, 30_000_000),
            model=dice.choice(("a/small", "a/large", "b/other")),
            provider=dice.choice(("One", "Two", None)),
            status=dice.choice(("succeeded", "succeeded", "error", "denied", "cancelled")),
            cost=dice.choice((None, Cost(total_nano_usd=dice.randrange(10**9)))),
            usage=dice.choice((None, Usage(input_tokens=dice.randrange(9000), cache_read_tokens=5))),
            timing=dice.choice((None, Timing(first_token_ms=dice.random() * 900))),
            capabilities=dice.choice(((), ("tools",), ("tools", "vision"))),
            api_key=KeyRef(hash="a" * 64, name=dice.choice(("backend", "batch"))),
            user=dice.choice(("ada", "grace", None)),
            session_id=dice.choice(("s-1", "s-2", "s-3", None)),
            trace={"environment": dice.choice(("production", "staging")), "beta": dice.random() < 0.5},
        )
        for number in range(count)
    ]


def stored(conn: Conn, workspace_id: int, found: Iterable[Receipt]) -> None:
    append(conn, workspace_id, *map(a_row_of, found))


def facts(one: Receipt) -> Facts:
    return next(tally.facts_of([receipt_parser.document(one)]))


def naive(found: Iterable[Receipt], window: Window) -> Tally:
    sums = Tally()
    for one in found:
        if window.holds(one.created_at_us):
            sums.count(facts(one))
    return sums


def shown(sums: Tally) -> dict[str, Any]:
    return {name: getattr(sums, name) for name in SUMS}


WINDOWS = {
    "whole hours": Window(from_us=DAY_ONE_US + 5 * HOUR_US, to_us=DAY_ONE_US + 29 * HOUR_US),
    "whole days": Window(from_us=DAY_ONE_US, to_us=DAY_ONE_US + 2 * DAY_US, step_us=DAY_US),
    "hours of days": Window(
        from_us=DAY_ONE_US + 5 * HOUR_US, to_us=DAY_ONE_US + 60 * HOUR_US, step_us=HOUR_US
    ),
    "days and hours": Window(from_us=DAY_ONE_US + 5 * HOUR_US, to_us=DAY_ONE_US + 60 * HOUR_US),
    "ragged ends": Window(from_us=DAY_ONE_US + 123_456_789, to_us=DAY_ONE_US + DAY_US + 7_777_777_777),
    "ragged days": Window(from_us=DAY_ONE_US, to_us=DAY_ONE_US + 40 * HOUR_US + 1, step_us=DAY_US),
    "within an hour": Window(from_us=DAY_ONE_US + HOUR_US + 1, to_us=DAY_ONE_US + HOUR_US + 999_999_999),
    "nothing": Window(from_us=DAY_ONE_US - DAY_US, to_us=DAY_ONE_US),
}


@pytest.mark.parametrize("rolled", [0, 1, 2], ids=["nothing rolled", "half rolled", "all rolled"])
@pytest.mark.parametrize("name", WINDOWS)
def test_figures_are_those_of_the_receipts(store: Store, name: str, rolled: int) -> None:
    early, late, window = some_receipts(150, 1), some_receipts(150, 2), WINDOWS[name]
    with store.write() as conn:
        home = a_workspace(conn)
        stored(conn, home.id, early)
        if rolled:
            rollup.step(conn)
        stored(conn, home.id, late)
        if rolled == 2:
            rollup.step(conn)

    with store.read() as conn:
        found = Reader(conn, home.id).figures(window)

    assert shown(found.total()) == shown(naive(early + late, window))


def test_sums_by_step_and_by_group_add_up_to_the_total(store: Store) -> None:
    found = figures_of(store, some_receipts(200, 3), WINDOWS["whole days"])

    by_model = found.by("model")
    assert set(by_model) == {"a/small", "a/large", "b/other"}
    assert sum(sums.requests for sums in by_model.values()) == found.total().requests
    assert found.steps() == [DAY_ONE_US, DAY_ONE_US + DAY_US]
    by_status = found.over_time(lambda kind: kind.status)
    assert set(by_status) == {"succeeded", "error", "denied", "cancelled"}
    assert (
        sum(sums.spend_nano_usd for steps in by_status.values() for sums in steps.values())
        == found.total().spend_nano_usd
    )


def test_a_request_counts_for_each_of_its_capabilities(store: Store) -> None:
    made = some_receipts(200, 4)
    window = WINDOWS["whole days"]

    by_capability = figures_of(store, made, window).by("capabilities")

    for word in ("tools", "vision"):
        of_word = [one for one in made if word in one.capabilities]
        assert shown(by_capability[word]) == shown(naive(of_word, window))


@pytest.mark.parametrize(
    "only", [{"model": "a/small"}, {"provider": ""}, {"status": "error", "api_key_name": "batch"}]
)
def test_figures_of_some_requests_are_theirs_alone(store: Store, only: dict[str, str]) -> None:
    made = some_receipts(200, 5)
    window = WINDOWS["ragged ends"]

    found = figures_of(store, made, window, only, rolled=True)

    wanted = [
        one
        for one in made
        if all(getattr(tally.group_of(facts(one)), name) == value for name, value in only.items())
    ]
    assert found.total().requests > 0
    assert shown(found.total()) == shown(naive(wanted, window))


def figures_of(
    store: Store,
    made: list[Receipt],
    window: Window,
    only: dict[str, str] | None = None,
    *,
    rolled: bool = False,
) -> Figures:
    with store.write() as conn:
        home = a_workspace(conn)
        stored(conn, home.id, made)
        if rolled:
            rollup.step(conn)
    with store.read() as conn:
        return Reader(conn, home.id).figures(window, only)


@pytest.mark.parametrize("rolled", [False, True])
@pytest.mark.parametrize("name", FACETS)
def test_sums_by_user_and_by_a_key_of_trace_are_exact(store: Store, name: str, rolled: bool) -> None:
    made, window = some_receipts(200, 6), WINDOWS["ragged days"]
    with store.write() as conn:
        home = a_workspace(conn)
        stored(conn, home.id, made[:100])
        if rolled:
            rollup.step(conn)
        stored(conn, home.id, made[100:])

    with store.read() as conn:
        found = Reader(conn, home.id).by_facet(window, name)

    wanted: dict[str, int] = {}
    for one in made:
        for its_name, value in tally.facets_of(facts(one)):
            if its_name == name and window.holds(one.created_at_us):
                wanted[value] = wanted.get(value, 0) + 1
    assert {value: sums.requests for value, sums in found.items()} == wanted


def test_a_filter_holds_for_the_sums_by_user_too(store: Store) -> None:
    made, window = some_receipts(200, 13), WINDOWS["ragged days"]
    with store.write() as conn:
        home = a_workspace(conn)
        stored(conn, home.id, made)
        rollup.step(conn)

    with store.read() as conn:
        chosen = Reader(conn, home.id).chosen(window, Only(model="a/small"))

    mine = [one for one in made if one.model == "a/small" and one.user == "ada"]
    assert chosen.by_facet("user")["ada"].requests == naive(mine, window).requests
    assert shown(chosen.figures().total()) == shown(naive([o for o in made if o.model == "a/small"], window))
    assert chosen.whole


@pytest.mark.parametrize("rolled", [False, True])
def test_sessions_come_newest_first_with_their_sums_and_their_span(store: Store, rolled: bool) -> None:
    made = some_receipts(120, 7)
    with store.write() as conn:
        home = a_workspace(conn)
        stored(conn, home.id, made[:60])
        if rolled:
            rollup.step(conn)
        stored(conn, home.id, made[60:])

    with store.read() as conn:
        found = Reader(conn, home.id).sessions(None, 2)
        rest = Reader(conn, home.id).sessions((found[-1][1].last_at_us, found[-1][0]), 2)

    assert {session_id for session_id, _ in found + rest} == {"s-1", "s-2", "s-3"}
    lasts = [sums.last_at_us for _, sums in found + rest]
    assert lasts == sorted(lasts, reverse=True)
    for session_id, sums in found + rest:
        of_session = [one for one in made if one.session_id == session_id]
        assert sums.requests == len(of_session)
        assert sums.first_at_us == min(one.created_at_us for one in of_session)
        assert sums.last_at_us == max(one.created_at_us for one in of_session)


def test_logs_of_several_workspaces_are_added_up_apart(store: Store) -> None:
    made = some_receipts(40, 8)
    with store.write() as conn:
        homes = [a_workspace(conn, name) for name in ("One", "Two")]
        stored(conn, homes[0].id, made[:10])
        stored(conn, homes[1].id, made[10:])
        more = rollup.step(conn)

    with store.read() as conn:
        counts = [
            Reader(conn, home.id).figures(Window(from_us=0, to_us=DAY_ONE_US * 2)).total().requests
            for home in homes
        ]
    assert not more
    assert counts == [10, 30]


def test_a_long_log_is_added_up_in_steps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "AT_ONCE", 15)
    with store.write() as conn:
        home = a_workspace(conn)
        stored(conn, home.id, some_receipts(40, 9))
        steps = [rollup.step(conn) for _ in range(4)]

    assert steps == [True, True, False, False]
    with store.read() as conn:
        assert Reader(conn, home.id).figures(WINDOWS["nothing"]).total().requests == 0


def test_a_receipt_that_cannot_be_read_does_not_stop_the_sums(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        append(conn, home.id, a_receipt("broken", document=b"{}"))
        stored(conn, home.id, [receipt(created_at_us=DAY_ONE_US)])
        rollup.step(conn)

    with store.read() as conn:
        assert Reader(conn, home.id).figures(WINDOWS["whole days"]).total().requests == 1


def test_what_retention_deletes_stays_in_the_sums(store: Store) -> None:
    made = some_receipts(30, 10)
    with store.write() as conn:
        home = a_workspace(conn)
        stored(conn, home.id, made)
        rounds = Retention(retention_us=1, holder="worker-1")
        while rounds.step(conn, NOW_US + DAY_US):
            pass

    with store.read() as conn:
        assert receipts.oldest_seq(conn, home.id) is None
        found = Reader(conn, home.id).figures(WINDOWS["whole days"])
    assert shown(found.total()) == shown(naive(made, WINDOWS["whole days"]))


def test_hours_and_sessions_of_long_ago_go_and_days_stay(store: Store) -> None:
    with store.write() as conn:
        home, other = a_workspace(conn), a_workspace(conn, "Other")
        old, new = (
            receipt(id=f"gen-{age}", created_at_us=NOW_US - age * DAY_US, session_id=f"s-{age}", user="ada")
            for age in (401, 399)
        )
        stored(conn, home.id, (old, new))
        stored(conn, other.id, (new,))
        rollup.step(conn)
    with store.write() as conn:
        rounds = Retention(retention_us=199 * DAY_US, holder="worker-1")
        while rounds.step(conn, NOW_US):
            pass
    left = "SELECT workspace_id, hours, count(DISTINCT at_us) FROM {} GROUP BY 1, 2 ORDER BY 1, 2"
    with store.read() as conn:
        for table in ("rollups", "facets"):
            rows = [tuple(row) for row in conn.execute(text(left.format(table)))]
            assert rows == [(home.id, 1, 1), (home.id, 24, 2), (other.id, 1, 1), (other.id, 24, 1)]
        assert [name for name, _ in Reader(conn, home.id).sessions(None, 10)] == ["s-399"]
        ever = Window(from_us=0, to_us=NOW_US)
        assert Reader(conn, home.id).figures(ever).total().requests == 2


def test_a_log_that_is_a_little_behind_waits_for_the_sweep(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup, "AT_ONCE", 15)
    with store.write() as conn:
        far, near = (a_workspace(conn, name) for name in ("Far", "Near"))
        stored(conn, far.id, some_receipts(20, 8))
        stored(conn, near.id, some_receipts(14, 9))
        while rollup.step(conn, least=rollup.AT_ONCE):
            pass
        places = [rollups.place(conn, home.id) for home in (far, near)]

    assert places == [15, 0]


def test_a_sweep_adds_up_its_share_a_few_logs_at_a_time(store: Store) -> None:
    with store.write() as conn:
        homes = [a_workspace(conn, f"Home {number}") for number in range(6)]
        for home in homes:
            stored(conn, home.id, some_receipts(5, home.id))
        share = {home.id for home in homes[:5]}
        after_id: int | None = 0
        steps = []
        while after_id is not None:
            after_id = rollup.sweep(conn, after_id, share.intersection)
            steps.append([rollups.place(conn, home.id) for home in homes])

    assert steps == [[5, 5, 0, 0, 0, 0], [5, 5, 5, 5, 0, 0], [5, 5, 5, 5, 5, 0]]
