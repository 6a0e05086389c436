"""The operator's export: in every workspace, kept up to date, changed by nobody there."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broadcast import operator_export
from broadcast.accounts import Accounts
from broadcast.errors import ConfigError, Conflict
from broadcast.operator_declaration import Declaration
from broadcast.operator_export import NAME, OperatorExports, opened, rewrap
from broadcast.store import Store, audit, cursors, destinations, metrics, operator_exports, workspaces
from broadcast.store.cursors import Cursor
from broadcast.store.destinations import StoredDestination
from broadcast.store.workspaces import Workspace
from broadcast.transport import Transport
from broadcast.vault import KeyRing, Vault, new_key
from destinations import TYPES
from tests.broadcast.measuring import export_due
from tests.broadcast.sending import POLICY, World, clock
from tests.receiver import Receiver


@pytest.fixture
def world(store: Store, tmp_path: Path) -> Iterator[World]:
    with Receiver() as receiver:
        yield World.build(store, receiver, tmp_path)


def declaration(world: World, path: str = "/ok/v1/traces", **changes: Any) -> Declaration:
    fields: dict[str, Any] = {
        "endpoint": world.receiver.url(path),
        "encoding": "protobuf",
        "headers": {"Authorization": "Bearer operators-s3cr3t"},
        "resource_attributes": {},
        "sampler": "parentbased_always_on",
        "sampler_arg": 1.0,
        "content": False,
        "content_max_bytes": 131_072,
        "max_spans": None,
        "every_ms": None,
    }
    return Declaration(**{**fields, **changes})


def exports(world: World) -> OperatorExports:
    return OperatorExports(world.store, world.vault, TYPES, POLICY)


def declare(world: World, given: Declaration | None) -> int:
    return exports(world).bring_up_to_date(given, clock, breathe=lambda: None)


def another(world: World, name: str = "Another") -> Workspace:
    with world.store.write() as conn:
        return workspaces.create(
            conn, name=name, content_key=world.vault.new_content_key(), demo=False, now_us=clock()
        )


def listed(world: World, workspace: Workspace | None = None) -> list[StoredDestination]:
    with world.store.read() as conn:
        return destinations.list_for(conn, (workspace or world.workspace).id)


def only(world: World, workspace: Workspace | None = None) -> StoredDestination:
    (found,) = listed(world, workspace)
    return found


def cursor_of(world: World, destination_id: int) -> Cursor:
    with world.store.read() as conn:
        found = cursors.get(conn, destination_id)
    assert found is not None
    return found


# -- declared, changed, withdrawn ----------------------------------------------------------------


def test_every_workspace_gets_it_with_secrets_of_its_own(world: World) -> None:
    other = another(world)
    assert declare(world, declaration(world)) == 2
    for workspace in (world.workspace, other):
        found = only(world, workspace)
        assert (found.origin, found.name, found.type) == ("operator", NAME, "otel-collector")
        assert found.privacy_level == "metadata"
        headers = world.connections.opened(workspace, found).extra_headers()
        assert headers == {"authorization": "Bearer operators-s3cr3t"}
    assert only(world).sealed != only(world, other).sealed


def test_its_secret_is_nowhere_in_plain_text(world: World) -> None:
    declare(world, declaration(world))
    with world.store.read() as conn:
        rows = [
            *conn.exec_driver_sql("SELECT * FROM operator_exports").all(),
            *conn.exec_driver_sql("SELECT * FROM destinations").all(),
            *conn.exec_driver_sql("SELECT * FROM audit_log").all(),
        ]
    assert rows
    assert "operators-s3cr3t" not in repr(rows)


def test_it_sends_what_comes_from_then_on(world: World) -> None:
    world.append(2)
    declare(world, declaration(world))
    world.append(3)
    world.deliver()
    assert len(set(world.generation_ids())) == 3
    assert {seen.headers["authorization"] for seen in world.receiver.requests} == {"Bearer operators-s3cr3t"}
    assert {seen.path for seen in world.receiver.requests} == {"/ok/v1/traces"}


def test_a_workspace_made_later_has_it_from_the_start(world: World) -> None:
    declare(world, declaration(world))
    accounts = Accounts(world.store, world.config.secret_key, world.vault, clock)
    owner = accounts.create_user(email="ann@example.com", password="a long password", now_us=clock())
    made = accounts.create_workspace(name="Later", owner=owner, now_us=clock())
    found = only(world, made)
    assert found.origin == "operator"
    assert world.connections.opened(made, found).extra_headers()["authorization"] == "Bearer operators-s3cr3t"
    assert declare(world, declaration(world)) == 2


def test_declared_again_as_it_is_nothing_changes(world: World) -> None:
    declare(world, declaration(world))
    before = only(world)
    declare(world, declaration(world))
    assert only(world) == before


@pytest.mark.parametrize(
    "change",
    [
        {"headers": {"Authorization": "Bearer another-s3cr3t"}},
        {"content": True},
        {"sampler": "traceidratio", "sampler_arg": 0.5},
        {"encoding": "json"},
        {"content_max_bytes": 512},
        {"every_ms": 1000},
        {"resource_attributes": {"service.name": "other"}},
    ],
)
def test_a_change_reaches_every_workspace_and_the_ledger_goes_on(
    world: World, change: dict[str, Any]
) -> None:
    declare(world, declaration(world))
    before, ledger = only(world), cursor_of(world, only(world).id)
    world.append(1)
    declare(world, replace(declaration(world), **change))
    after = only(world)
    assert (after.id, after.version) == (before.id, before.version + 1)
    assert cursor_of(world, after.id).since_seq == ledger.since_seq
    world.connections.opened(world.workspace, after)


def test_a_corrected_key_is_tried_at_once_not_at_the_next_probe(world: World) -> None:
    declare(world, declaration(world, "/status/401/v1/traces"))
    world.append(1)
    world.deliver()
    paused = only(world)
    declare(world, declaration(world))
    assert paused.paused_by == "answer"
    assert cursor_of(world, paused.id).due_at_us == 0


def test_another_address_opens_with_its_own_secret(world: World) -> None:
    declare(world, declaration(world))
    declare(world, declaration(world, "/other/v1/traces", headers={"X-Key": "second"}))
    world.append(1)
    world.deliver()
    (seen,) = world.receiver.requests
    assert (seen.path, seen.headers["x-key"]) == ("/other/v1/traces", "second")
    assert "authorization" not in seen.headers


def test_withdrawn_its_ledger_ends_at_the_head_and_its_secrets_go(world: World) -> None:
    declare(world, declaration(world))
    stored = only(world)
    world.append(2)
    assert declare(world, None) == 0
    assert listed(world) == []
    assert cursor_of(world, stored.id).ended_seq == 2
    with world.store.read() as conn:
        sealed = conn.exec_driver_sql(f"SELECT sealed FROM destinations WHERE id = {stored.id}").scalar_one()
        assert bytes(sealed) == b""
        assert operator_exports.get(conn).sealed == b""


def test_after_it_was_withdrawn_it_begins_anew(world: World) -> None:
    declare(world, declaration(world))
    declare(world, None)
    world.append(2)
    declare(world, declaration(world))
    assert cursor_of(world, only(world).id).since_seq == 2


def test_each_change_is_in_the_workspaces_audit_log(world: World) -> None:
    declare(world, declaration(world))
    declare(world, declaration(world, content=True))
    declare(world, None)
    with world.store.read() as conn:
        entries = audit.list_for(conn, world.workspace.id, 10)
    actions = [entry.action for entry in entries if entry.detail == {"origin": "operator"}]
    assert actions == ["destination.deleted", "destination.updated", "destination.created"]


# -- many workspaces -----------------------------------------------------------------------------


def test_many_workspaces_get_it_some_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        another(world, f"Team {number}")
    breaths = few(monkeypatch)
    assert exports(world).bring_up_to_date(declaration(world), clock, breathe=breaths) == 7
    assert breaths.count == 2


def test_what_was_interrupted_is_taken_up_where_it_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [another(world, f"Team {number}") for number in range(6)]
    few(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        exports(world).bring_up_to_date(declaration(world), clock, breathe=interrupted)
    assert [len(listed(world, each)) for each in others] == [1, 1, 0, 0, 0, 0]
    first = only(world)
    assert declare(world, declaration(world)) == 7
    assert only(world) == first


def test_a_workspace_without_it_yet_gets_what_was_declared_last(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [another(world, f"Team {number}") for number in range(6)]
    few(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        exports(world).bring_up_to_date(declaration(world), clock, breathe=interrupted)
    assert declare(world, declaration(world, "/second")) == 7
    assert {only(world, each).address for each in others} == {only(world).address}
    assert only(world).address[0].endswith("/second")


class Breaths:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def few(monkeypatch: pytest.MonkeyPatch) -> Breaths:
    """Let a transaction hold three workspaces."""
    monkeypatch.setattr("broadcast.operator_export.AT_ONCE", 3)
    return Breaths()


def interrupted() -> None:
    raise KeyboardInterrupt


# -- what a workspace may do with it -------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        lambda world, uid: world.connections.update(
            world.workspace, None, uid, {"name": "Mine"}, now_us=clock()
        ),
        lambda world, uid: world.connections.update(
            world.workspace, None, uid, {"enabled": False}, now_us=clock()
        ),
        lambda world, uid: world.connections.delete(world.workspace, None, uid, now_us=clock()),
        lambda world, uid: world.connections.pause(world.workspace, None, uid, now_us=clock()),
        lambda world, uid: world.connections.resume(world.workspace, None, uid, now_us=clock()),
    ],
    ids=["rename", "switch off", "delete", "pause", "resume"],
)
def test_nobody_changes_it_in_a_workspace(world: World, act: Callable[[World, str], Any]) -> None:
    declare(world, declaration(world))
    before = only(world)
    with pytest.raises(Conflict, match="operator") as caught:
        act(world, before.uid)
    assert caught.value.reason == "read_only"
    assert only(world) == before


def test_it_does_not_count_among_the_five_of_a_type(world: World) -> None:
    declare(world, declaration(world))
    for number in range(5):
        world.connections.create(
            world.workspace, None, world.body() | {"name": f"Own {number}"}, now_us=clock()
        )
    assert len(listed(world)) == 6


def test_where_its_name_is_taken_it_has_another(world: World) -> None:
    world.connections.create(world.workspace, None, world.body() | {"name": NAME.upper()}, now_us=clock())
    declare(world, declaration(world))
    assert [each.name for each in listed(world)] == [NAME.upper(), f"{NAME} (2)"]


def test_it_sends_where_broadcast_is_off_too(world: World) -> None:
    world.connections.set_broadcast(world.workspace, None, enabled=False, now_us=clock())
    declare(world, declaration(world))
    world.append(2)
    world.deliver()
    assert len(set(world.generation_ids())) == 2
    (found,) = world.connections.overview(world.workspace)
    assert found.state.word == "delivering"


def test_switching_broadcast_leaves_its_ledger_alone(world: World) -> None:
    declare(world, declaration(world))
    before = cursor_of(world, only(world).id)
    for enabled in (False, True):
        world.connections.set_broadcast(world.workspace, None, enabled=enabled, now_us=clock())
        assert cursor_of(world, only(world).id) == before


# -- sampled and named ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sampler", "arg", "arrive"),
    [
        ("always_on", 0.0, {"root", "sampled", "unsampled"}),
        ("always_off", 1.0, set()),
        ("traceidratio", 1.0, {"root", "sampled", "unsampled"}),
        ("traceidratio", 0.0, set()),
        ("parentbased_always_on", 0.0, {"root", "sampled"}),
        ("parentbased_always_off", 1.0, {"sampled"}),
        ("parentbased_traceidratio", 1.0, {"root", "sampled"}),
        ("parentbased_traceidratio", 0.0, {"sampled"}),
    ],
)
def test_each_sampler_keeps_what_the_specification_says(
    world: World, sampler: str, arg: float, arrive: set[str]
) -> None:
    declare(world, declaration(world, sampler=sampler, sampler_arg=arg))
    world.append(1, id="root", traceparent=None)
    for name, flags in (("sampled", "01"), ("unsampled", "00")):
        world.append(1, id=name, traceparent=f"00-{'ab' * 16}-{'cd' * 8}-{flags}")
    world.deliver()
    assert set(world.generation_ids()) == arrive


def test_the_resource_says_what_the_operator_calls_the_service(world: World) -> None:
    given = {"service.name": "llm-router", "deployment.environment.name": "production", "replicas": 3}
    declare(world, declaration(world, resource_attributes=given))
    world.append(1)
    world.deliver()
    (span, *_) = world.receiver.spans()
    assert given.items() <= span.resource.items()
    assert span.resource["openrouter.trace.id"] == "gen-1"
    assert span.scope == "openrouter"


# -- tuned ---------------------------------------------------------------------------------------


def test_content_leaves_only_where_the_operator_captures_it(world: World) -> None:
    asked = [{"role": "user", "content": "a secret plan " * 500}]
    declare(world, declaration(world))
    world.append(1, input=asked)
    world.deliver()
    assert "secret plan" not in str(world.receiver.spans())
    declare(world, declaration(world, content=True))
    world.append(1, input=asked)
    world.deliver()
    assert "secret plan" in str(world.receiver.spans())


def test_no_value_is_longer_than_the_operator_says(world: World) -> None:
    declare(world, declaration(world, content=True, content_max_bytes=512))
    world.append(1, input=[{"role": "user", "content": "plan " * 2000}])
    world.deliver()
    values = [str(value) for span in world.receiver.spans() for value in span.attributes.values()]
    assert any("plan plan" in value for value in values)
    assert max(map(len, values)) <= 512


def test_a_request_holds_as_many_spans_as_the_operator_says(world: World) -> None:
    declare(world, declaration(world, max_spans=1))
    world.append(3)
    world.deliver()
    assert len(world.receiver.requests) == 3


def test_between_two_batches_it_gathers_for_a_while(world: World) -> None:
    declare(world, declaration(world, every_ms=600_000))
    world.append(1)
    world.deliver()
    world.append(2)
    world.deliver()
    assert len(set(world.generation_ids())) == 1
    world.due_now(only(world))
    world.deliver()
    assert len(world.receiver.requests) == 2


def test_a_whole_request_of_spans_never_waits(world: World) -> None:
    declare(world, declaration(world, every_ms=600_000, max_spans=1))
    world.append(4)
    world.deliver(rounds=4)
    assert len(set(world.generation_ids())) == 4


# -- what cannot be declared ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"endpoint": "http://10.0.0.1:4318/v1/traces"}, "BROADCAST_EGRESS_ALLOW=10.0.0.1:4318"),
        ({"endpoint": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"endpoint": "https://collector.example:4317"}, "4317 is gRPC"),
        ({"headers": {"Host": "x"}}, "OTEL_EXPORTER_OTLP_HEADERS"),
        ({"resource_attributes": {"1st": "x"}}, "OTEL_RESOURCE_ATTRIBUTES"),
        ({"resource_attributes": {"openrouter.trace.id": "x"}}, "OTEL_RESOURCE_ATTRIBUTES"),
    ],
)
def test_what_could_never_be_sent_is_refused_before_anything_is_saved(
    world: World, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        declare(world, replace(declaration(world), **change))
    assert listed(world) == []


def test_its_secret_is_wrapped_anew_with_the_first_key(world: World) -> None:
    declare(world, declaration(world))
    rotated = Vault(KeyRing.parse(f"{new_key('k2')},{world.config.encryption_keys}"))
    with world.store.write() as conn:
        assert rewrap(conn, rotated) == 1
        export = operator_exports.get(conn)
    assert rotated.key_id(export.sealed) == "k2"
    assert opened(rotated, export)["headers"]


# -- metrics -------------------------------------------------------------------------------------


def measure(world: World) -> dict[str, float]:
    """Let a worker send what is due, and return the requests that each instance told of."""

    async def work() -> None:
        async with Transport(POLICY) as transport:
            await export_due(world.store, world.vault, TYPES, transport, namespace="openrouter")

    with world.store.write() as conn:
        conn.exec_driver_sql("UPDATE metric_places SET due_at_us = 0")
    asyncio.run(work())
    return {
        str(point.resource["service.instance.id"]): point.value
        for export in world.receiver.exports()
        for point in export
        if point.metric == "openrouter.requests"
    }


def test_metrics_of_every_workspace_are_sent_where_they_are_declared(world: World) -> None:
    other = another(world)
    world.append(1)
    declare(world, declaration(world, metrics="60s"))
    world.append(3)
    assert measure(world) == {only(world).uid: 3}
    assert only(world, other).uid != only(world).uid


def test_a_later_workspace_has_metrics_too(world: World) -> None:
    declare(world, declaration(world, metrics="10s"))
    with world.store.write() as conn:
        made = workspaces.create(
            conn, name="Later", content_key=world.vault.new_content_key(), demo=False, now_us=clock()
        )
        operator_export.join(conn, world.vault, made, clock())
        place = metrics.get(conn, destinations.list_for(conn, made.id)[0].id)
    assert place is not None
    assert place.every_s == 10


def test_metrics_that_are_declared_no_more_end_with_their_next_turn(world: World) -> None:
    declare(world, declaration(world, metrics="60s"))
    world.append(2)
    declare(world, declaration(world))
    assert measure(world) == {}
    with world.store.read() as conn:
        assert metrics.get(conn, only(world).id) is None


def test_metrics_end_with_the_export(world: World) -> None:
    declare(world, declaration(world, metrics="60s"))
    world.append(2)
    declare(world, None)
    assert measure(world) == {}
    with world.store.read() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM metric_places").scalar_one() == 0


def test_an_address_of_metrics_that_may_not_be_dialled_is_named(world: World) -> None:
    elsewhere = declaration(world, metrics="60s", metrics_endpoint="https://10.0.0.1/v1/metrics")
    with pytest.raises(ConfigError, match=r"BROADCAST_EGRESS_ALLOW=10\.0\.0\.1"):
        declare(world, elsewhere)
