from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcast.errors import Conflict, GateClosed, NotFound, SecretRequired, SettingsError
from broadcast.store import Store, audit, workspaces
from tests.broadcast.sending import World, clock
from tests.receiver import Receiver


@pytest.fixture
def world(store: Store, tmp_path: Path) -> Iterator[World]:
    with Receiver() as receiver:
        yield World.build(store, receiver, tmp_path)


def saved(world: World, body: dict[str, Any], **options: Any) -> Any:
    return world.connections.create(world.workspace, None, body, now_us=clock(), **options)


def probed(world: World, body: dict[str, Any], **options: Any) -> Any:
    return world.connections.test(world.workspace, body, now_us=clock(), **options)


def edited(world: World, stored: Any, body: dict[str, Any], **options: Any) -> Any:
    return world.connections.update(world.workspace, None, stored.uid, body, now_us=clock(), **options)


# -- the test ----------------------------------------------------------------------------------------


def test_a_test_sends_one_marked_span_that_is_no_generation(world: World) -> None:
    report = probed(world, world.body())
    spans = world.receiver.spans()
    assert [span.name for span in spans] == ["broadcast-connection-test"]
    assert "gen_ai.operation.name" not in spans[0].attributes
    assert (report.ok, report.reachable, report.credential_accepted, report.data_accepted) == (
        True,
        "yes",
        "yes",
        "yes",
    )
    assert set(report.view()) == {
        "ok", "stage", "reachable", "credential_accepted", "data_accepted",
        "status_code", "latency_ms", "message", "hint",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "stage", "facts"),
    [
        ("/status/401", "credential", ("yes", "no", "not_tried")),
        ("/status/403", "credential", ("yes", "no", "not_tried")),
        ("/status/404", "data", ("yes", "not_tried", "no")),
        ("/status/413", "data", ("yes", "yes", "no")),
        ("/status/400", "data", ("yes", "yes", "no")),
        ("/partial/1", "data", ("yes", "yes", "no")),
        ("/html", "data", ("yes", "not_tried", "no")),
        ("/redirect", "data", ("yes", "not_tried", "no")),
    ],
)
def test_a_failing_test_names_the_stage_and_a_fix(
    world: World, path: str, stage: str, facts: tuple[str, ...]
) -> None:
    report = probed(world, world.body(path))
    assert not report.ok
    assert report.stage == stage
    assert (report.reachable, report.credential_accepted, report.data_accepted) == facts
    assert report.hint
    assert report.fingerprint is None


def test_an_address_that_egress_refuses_is_named_so(world: World) -> None:
    report = probed(world, world.body() | {"config": {"endpoint": "http://169.254.169.254/v1/traces"}})
    assert (report.ok, report.stage) == (False, "address")


def test_a_host_that_does_not_answer_is_named_so(world: World) -> None:
    report = probed(world, world.body() | {"config": {"endpoint": "http://127.0.0.1:9/v1/traces"}})
    assert (report.ok, report.stage, report.reachable) == (False, "connect", "no")


def test_wrong_settings_are_named_by_field_and_nothing_is_dialled(world: World) -> None:
    report = probed(world, world.body() | {"config": {"endpoint": "not an address", "colour": "red"}})
    assert report.stage == "fields"
    assert set(report.problems) == {"endpoint", "colour"}
    assert world.receiver.requests == []


def test_the_answer_is_shown_without_the_secret(world: World) -> None:
    report = probed(world, world.body("/echo"))
    assert "s3cr3t" not in report.answer + report.message + str(report.hint)
    assert len(report.answer) <= 300


# -- the gate ----------------------------------------------------------------------------------------


def test_a_failed_test_saves_nothing_and_hands_back_the_report(world: World) -> None:
    with pytest.raises(GateClosed) as caught:
        saved(world, world.body("/status/401"))
    assert caught.value.report.status_code == 401
    assert world.connections.overview(world.workspace) == []


def test_a_page_saves_with_the_fingerprint_of_a_passed_test_and_without_the_secret(world: World) -> None:
    body = world.body()
    fingerprint = probed(world, body).fingerprint
    world.receiver.clear()
    shown = body | {"config": {"endpoint": body["config"]["endpoint"]}}
    stored = saved(world, shown, fingerprint=fingerprint)
    assert world.receiver.requests == []
    assert world.connections.opened(world.workspace, stored).auth() == {}
    assert stored.masks["headers"]


def test_another_secret_than_the_tested_one_is_tested_before_it_is_saved(world: World) -> None:
    body = world.body()
    fingerprint = probed(world, body).fingerprint
    body["config"] = {**body["config"], "headers": {"Authorization": "Bearer another-value"}}
    world.receiver.clear()

    stored = saved(world, body, fingerprint=fingerprint)

    assert [seen.headers["authorization"] for seen in world.receiver.requests] == ["Bearer another-value"]
    opened = world.connections.opened(world.workspace, stored)
    assert opened.extra_headers() == {"authorization": "Bearer another-value"}


def test_a_fingerprint_is_good_for_exactly_the_tested_values_and_ten_minutes(world: World) -> None:
    body = world.body()
    fingerprint = probed(world, body).fingerprint
    other = body | {"config": {"endpoint": world.receiver.url("/status/401")}}
    with pytest.raises(GateClosed):
        saved(world, other, fingerprint=fingerprint)
    late = clock() + 11 * 60 * 1_000_000
    world.receiver.clear()
    world.connections.create(world.workspace, None, body, fingerprint=fingerprint, now_us=late)
    assert len(world.receiver.requests) == 1


def test_switching_on_tests_again_and_switching_off_does_not(world: World) -> None:
    stored = saved(world, world.body())
    world.receiver.clear()
    stored = edited(world, stored, {"enabled": False})
    assert world.receiver.requests == []
    stored = edited(world, stored, {"enabled": True})
    assert len(world.receiver.requests) == 1


def test_what_is_not_config_saves_at_once(world: World) -> None:
    stored = saved(world, world.body())
    world.receiver.clear()
    stored = edited(world, stored, {"name": "Renamed", "sampling_rate": 0.5, "privacy_mode": True})
    assert (stored.name, stored.sampling_rate, stored.privacy_level) == ("Renamed", 0.5, "metadata")
    assert world.receiver.requests == []


# -- changing ----------------------------------------------------------------------------------------


def test_a_mask_sent_back_changes_nothing_and_tests_nothing(world: World) -> None:
    stored = saved(world, world.body())
    world.receiver.clear()
    shown = world.connections.view(stored)["config"]
    after = edited(world, stored, {"config": shown})
    assert world.receiver.requests == []
    assert after.masks == stored.masks


def test_a_changed_address_asks_for_the_secret_before_anything_is_dialled(world: World) -> None:
    stored = saved(world, world.body())
    with Receiver() as thief:
        with pytest.raises(SecretRequired) as caught:
            edited(world, stored, {"config": {"endpoint": thief.url("/ok")}})
        assert thief.connections == 0
    assert caught.value.fields == ("headers",)


def test_a_changed_address_with_a_fresh_secret_is_tested_and_saved(world: World) -> None:
    stored = saved(world, world.body())
    config = {"endpoint": world.receiver.url("/status/200"), "headers": {"Authorization": "Bearer other"}}
    after = edited(world, stored, {"config": config})
    assert after.version == stored.version + 1
    assert world.receiver.requests[-1].headers["authorization"] == "Bearer other"


def test_null_removes_an_optional_setting(world: World) -> None:
    stored = saved(world, world.body())
    after = edited(world, stored, {"config": {"headers": None}})
    assert after.masks == {}


def test_an_edit_older_than_what_is_saved_is_a_conflict(world: World) -> None:
    stored = saved(world, world.body())
    edited(world, stored, {"name": "First"})
    with pytest.raises(Conflict):
        edited(world, stored, {"name": "Second"}, expected_version=stored.version)


def test_names_are_unique_without_regard_to_case(world: World) -> None:
    saved(world, world.body(name="Prod"))
    with pytest.raises(Conflict) as caught:
        saved(world, world.body(name="prod"))
    assert caught.value.field == "name"


def test_a_workspace_has_five_destinations_of_a_type(world: World) -> None:
    for _ in range(5):
        saved(world, world.body())
    with pytest.raises(Conflict) as caught:
        saved(world, world.body())
    assert caught.value.reason == "limit"


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"sampling_rate": 0}, "sampling_rate"),
        ({"sampling_rate": 1.5}, "sampling_rate"),
        ({"privacy_level": "secret"}, "privacy_level"),
        ({"privacy_mode": True, "privacy_level": "full"}, "privacy_mode"),
        ({"api_key_hashes": []}, "api_key_hashes"),
        ({"api_key_hashes": ["x"]}, "api_key_hashes"),
        ({"filter_rules": {"groups": "all"}}, "filter_rules"),
        ({"colour": "red"}, "colour"),
        ({"name": ""}, "name"),
        ({"type": "pigeon"}, "type"),
    ],
)
def test_a_wrong_setting_is_named_and_nothing_is_dialled(
    world: World, settings: dict[str, Any], field: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        saved(world, world.body() | settings)
    assert any(name.startswith(field) for name in caught.value.problems)
    assert world.receiver.requests == []


# -- looking -----------------------------------------------------------------------------------------


def test_the_apis_object_masks_every_secret(world: World) -> None:
    view = world.connections.view(saved(world, world.body()))
    assert "s3cr3t" not in str(view)
    assert view["workspace_id"] == world.workspace.uid
    assert view["privacy_mode"] is False
    assert view["created_at"].endswith("Z")


def test_a_destination_of_another_workspace_does_not_exist_here(world: World) -> None:
    stored = saved(world, world.body())
    with world.store.write() as conn:
        other = workspaces.create(
            conn, name="Other", content_key=world.vault.new_content_key(), demo=False, now_us=1
        )
    with pytest.raises(NotFound):
        world.connections.get(other, stored.uid)


def test_states_follow_what_happens(world: World) -> None:
    stored = saved(world, world.body())

    def word() -> str:
        return str(world.connections.overview(world.workspace)[0].state.word)

    assert word() == "delivering"
    world.connections.pause(world.workspace, None, stored.uid, now_us=clock())
    assert word() == "paused"
    world.connections.resume(world.workspace, None, stored.uid, now_us=clock())
    world.connections.set_broadcast(world.workspace, None, False, now_us=clock())
    assert word() == "off"


def test_off_ends_the_ledger_and_on_begins_a_new_one_at_the_head(world: World) -> None:
    stored = saved(world, world.body())
    world.append(2)
    world.connections.set_broadcast(world.workspace, None, False, now_us=clock())
    world.append()
    ended = world.connections.ledger(world.workspace, stored.uid)
    assert (ended["appended"], ended["head_seq"]) == (2, 2)
    world.connections.set_broadcast(world.workspace, None, True, now_us=clock())
    begun = world.connections.ledger(world.workspace, stored.uid)
    assert (begun["appended"], begun["since_seq"]) == (0, 3)


def test_deleting_frees_the_name_and_every_change_is_in_the_audit_log(world: World) -> None:
    stored = saved(world, world.body(name="Prod"))
    world.connections.delete(world.workspace, None, stored.uid, now_us=clock())
    saved(world, world.body(name="Prod"))
    with world.store.read() as conn:
        actions = [entry.action for entry in audit.list_for(conn, world.workspace.id, 10)]
    assert actions == ["destination.created", "destination.deleted", "destination.created"]


def test_send_trace_sends_a_generation_outside_the_ledger(world: World) -> None:
    stored = saved(world, world.body())
    world.receiver.clear()
    report = world.connections.send_trace(world.workspace, None, stored.uid, now_us=clock())
    assert report.ok
    spans = world.receiver.spans()
    assert "Test Generation" in [span.name for span in spans]
    assert all("gen_ai.operation.name" not in span.attributes for span in spans)
    assert world.connections.ledger(world.workspace, stored.uid)["appended"] == 0
