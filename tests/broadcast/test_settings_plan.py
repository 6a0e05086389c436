"""Settings of a whole workspace: their form, whose destinations they touch, edits that come in between."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broadcast.errors import NotApplied, SettingsError
from broadcast.settings_plan import wanted_from
from broadcast.store import destinations, workspaces
from broadcast.store.workspaces import Workspace
from tests.broadcast.cli_shell import Shell, local

__all__ = ("local",)


def home(shell: Shell) -> Workspace:
    with shell.services.store.read() as conn:
        (found,) = workspaces.all(conn)
    return found


def apply(shell: Shell, meanwhile: Callable[[], None] = lambda: None, **body: Any) -> dict[str, Any]:
    @contextlib.contextmanager
    def place() -> Iterator[None]:
        yield
        meanwhile()

    services = shell.services
    return services.whole_settings.apply(home(shell), None, body, clock=services.clock, place=place())


def item(shell: Shell, name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "otel-collector", "config": {"endpoint": shell.receiver.url("/ok")}, **more}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "destinations"),
        ({"destinations": {}}, "destinations"),
        ({"destinations": None}, "destinations"),
        ({"destinations": ["x"]}, "destinations"),
        ({"destinations": [], "broadcast": True}, "broadcast"),
        ({"destinations": [], "broadcast": {"on": True}}, "broadcast"),
        ({"destinations": [], "broadcast": {"enabled": 1}}, "broadcast.enabled"),
        ({"destinations": [], "broadcast": {"enabled": None}}, "broadcast.enabled"),
        ({"destinations": [], "prune": "yes"}, "prune"),
        ({"destinations": [], "dry_run": 1}, "dry_run"),
        ({"destinations": [], "force": True}, "force"),
    ],
    ids=str,
)
def test_a_form_that_is_wrong_is_told_by_field(body: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsError) as caught:
        wanted_from(body)

    assert list(caught.value.problems) == [field]


def test_one_of_the_operators_is_neither_changed_nor_pruned(local: Shell) -> None:
    made = local.connect("Theirs")
    with local.services.store.write() as conn:
        stored = destinations.by_uid(conn, home(local).id, made["id"])
        assert stored is not None
        destinations.update(conn, stored.id, stored.version, now_us=local.services.clock(), origin="operator")

    pruned = apply(local, destinations=[], prune=True)
    with pytest.raises(NotApplied) as caught:
        apply(local, destinations=[item(local, "theirs")])

    assert pruned["changes"] == []
    assert [problem["field"] for problem in caught.value.problems] == ["name"]


def test_what_a_type_does_not_take_is_refused_before_anything_is_removed(local: Shell) -> None:
    local.connect("Old")
    credentials = {"accessKeyId": "AKIAIOSFODNN7EXAMPLE", "secretAccessKey": "s3cret"}
    config = {"bucketName": "traces", "endpoint": local.receiver.url(""), **credentials}
    wanted = {"name": "New", "type": "s3", "config": config, "resource_attributes": {"team": "search"}}

    with pytest.raises(NotApplied) as caught:
        apply(local, destinations=[wanted], prune=True)

    assert [(each["destination"], each["field"]) for each in caught.value.problems] == [
        ("New", "resource_attributes")
    ]
    assert [found.stored.name for found in local.services.connections.overview(home(local))] == ["Old"]


def test_an_edit_in_between_stops_it_and_what_was_saved_is_named(local: Shell) -> None:
    first, second = local.connect("First"), local.connect("Second")

    def edit() -> None:
        local.services.connections.update(
            home(local), None, second["id"], {"sampling_rate": 0.9}, now_us=local.services.clock()
        )

    wanted = [item(local, "First"), item(local, "Second"), item(local, "Third")]
    with pytest.raises(NotApplied) as caught:
        apply(local, edit, destinations=wanted)
    again = apply(local, destinations=wanted)

    assert str(caught.value) == "Only a part was changed: First."
    assert [problem["destination"] for problem in caught.value.problems] == ["Second"]
    assert {change["name"] for change in again["changes"]} == {"Second", "Third"}
    assert local.services.connections.get(home(local), first["id"]).masks == {}


def test_one_that_is_off_is_changed_without_a_test_unless_its_settings_change(local: Shell) -> None:
    made = local.connect("Off", enabled=False, config={"endpoint": local.receiver.url("/ok")})
    local.receiver.clear()
    endpoint = made["config"]["endpoint"]
    same = {"name": "Off", "type": "otel-collector", "config": {"endpoint": endpoint}, "enabled": False}

    apply(local, destinations=[{**same, "sampling_rate": 0.5}])
    untested = len(local.receiver.requests)
    apply(local, destinations=[{**same, "config": {"endpoint": f"{endpoint}/more"}}])

    assert (untested, len(local.receiver.requests)) == (0, 1)


def test_a_name_and_a_place_that_a_removal_frees_can_be_taken_at_once(local: Shell) -> None:
    for number in range(5):
        local.connect(f"Old {number}")

    done = apply(local, destinations=[item(local, f"New {number}") for number in range(5)], prune=True)

    assert done["applied"] is True
    names = [found.stored.name for found in local.services.connections.overview(home(local))]
    assert names == [f"New {number}" for number in range(5)]


def test_a_secret_that_no_longer_opens_is_entered_by_the_file(local: Shell) -> None:
    made = local.connect("Lost")
    with local.services.store.write() as conn:
        stored = destinations.by_uid(conn, home(local).id, made["id"])
        assert stored is not None
        destinations.update(conn, stored.id, stored.version, now_us=local.services.clock(), sealed=b"rubbish")
    config = {"endpoint": made["config"]["endpoint"], "headers": {"x-token": "entered again"}}

    done = apply(local, destinations=[item(local, "Lost") | {"config": config}])

    assert [each["field"] for each in done["changes"][0]["fields"]] == ["config.headers"]
    assert local.run("destinations", "test", "Lost").exit_code == 0
