"""The official SDK at a destination of each type that it knows and we have: whoever adds a type is tested."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from openrouter import components, errors
from openrouter.components.observabilitydestination import _OBSERVABILITY_DESTINATION_VARIANTS

from broadcast import draft
from broadcast.connections import Connections
from broadcast.destination import Destination
from broadcast.egress import Policy
from broadcast.store.workspaces import Workspace
from destinations import TYPES
from tests.receiver import Receiver
from tests.web.api import sdk
from tests.web.api.conftest import Api

KNOWN: Final[dict[str, Any]] = _OBSERVABILITY_DESTINATION_VARIANTS
SECRET: Final = "CANARY0secret1value2that3must4not5show"
RULES: Final = {
    "enabled": True,
    "groups": [
        {"logic": "or", "rules": [
            {"field": "model", "operator": "starts_with", "value": "openai/"},
            {"field": "total_tokens", "operator": "gte", "value": 5.0},
        ]},
        {"logic": "and", "rules": [{"field": "user_id", "operator": "exists"}]},
    ],
}  # fmt: skip
each_type = pytest.mark.parametrize("slug", sorted(TYPES.keys() & KNOWN.keys()))


@dataclass(kw_only=True)
class World:
    """A live application that may dial one receiver and nothing else, and the SDK at it."""

    http: Api
    receiver: Receiver
    connections: Connections
    # The SDK's unions have a member for what it does not know, so that no field of theirs is certain.
    api: Any

    @property
    def workspace(self) -> Workspace:
        key = self.http.services.accounts.authenticate(self.http.management_key)
        assert key is not None
        return self.http.services.accounts.workspace_of(key)

    def config(self, slug: str) -> dict[str, Any]:
        """Return the example of every setting, addresses at the receiver and secrets a canary."""
        found: dict[str, Any] = {}
        for spec in TYPES[slug].specs():
            value: Any = spec.example
            if spec.kind == "headers":
                value = dict.fromkeys(spec.example, SECRET)
            elif spec.kind == "url":
                value = self.receiver.url(urlsplit(spec.example).path)
            elif spec.secret and spec.pattern is None and not spec.example.startswith("https://"):
                value = SECRET
            found[spec.outside] = value
        return found

    def is_free(self, slug: str) -> bool:
        """Whether a type lets its user say where everything goes, so that a receiver here can pass."""
        address = TYPES[slug].parse(self.config(slug)).address()
        return all(urlsplit(each).netloc == f"127.0.0.1:{self.receiver.port}" for each in address)

    def saved(self, slug: str) -> str:
        """Save a destination past the gate, as the demo's receiver is: its vendor cannot be reached here."""
        config = self.config(slug)
        destination = TYPES[slug].parse({**config, **TYPES[slug].assigned(config, self.workspace.uid)})
        columns = draft.changes({"name": slug}, None)
        return self.connections._insert(
            self.workspace, None, slug, destination, columns, now_us=self.http.services.clock()
        )


@pytest.fixture
def world(http: Api) -> Iterator[World]:
    with Receiver() as receiver:
        # No port of the public internet: a test never leaves this machine, not even to look up a name.
        policy = dataclasses.replace(Policy.parse((f"127.0.0.1:{receiver.port}",)), public_ports=frozenset())
        old = http.services
        connections = Connections(old.store, old.vault, TYPES, policy, old.config)
        services = dataclasses.replace(old, policy=policy, connections=connections)
        with sdk.live(services) as url, sdk.client(url, http.management_key) as client:
            yield World(http=http, receiver=receiver, connections=connections, api=client.observability)


def test_the_types_that_the_sdk_knows_are_ours_too() -> None:
    assert {"grafana", "langfuse", "otel-collector", "webhook"} <= TYPES.keys() & KNOWN.keys()


@each_type
def test_every_config_field_of_the_sdk_is_one_of_ours(slug: str) -> None:
    config = KNOWN[slug].model_fields["config"].annotation
    fields = {field.alias or name for name, field in config.model_fields.items()}
    ours = {spec.outside for spec in TYPES[slug].specs()}
    assert fields <= ours


@each_type
def test_a_destination_is_created_or_the_report_says_why_not(world: World, slug: str) -> None:
    if not world.is_free(slug):
        refusal = refused(world, slug)
        assert refusal["metadata"]["reason"] == "test_failed"
        assert refusal["metadata"]["stage"] == "address"
        return
    made = created(world, slug)
    assert type(made) is KNOWN[slug]
    assert (made.name, made.enabled, made.sampling_rate, made.privacy_mode) == ("Mine", False, 0.25, True)
    assert made.broadcast_generation_cost is made.broadcast_generation_cost_allocation is True
    assert made.broadcast_generation_identity is made.broadcast_generation_request_context is True
    assert made.regions == ["global", "europe"]
    assert made.api_key_hashes == ["0" * 64]
    assert made.filter_rules.model_dump(exclude_none=True) == RULES
    assert made.workspace_id == world.http.workspace_uid


def created(world: World, slug: str) -> Any:
    """Create a destination with every field that the SDK has."""
    fields = {
        "type_": slug,
        "name": "Mine",
        "config": world.config(slug),
        "enabled": False,
        "sampling_rate": 0.25,
        "privacy_mode": True,
        "broadcast_generation_cost": True,
        "broadcast_generation_cost_allocation": True,
        "broadcast_generation_identity": True,
        "broadcast_generation_request_context": True,
        "regions": ["global", "eu"],
        "api_key_hashes": ["0" * 64],
        "filter_rules": components.ObservabilityFilterRulesConfigNullable.model_validate(RULES),
        "workspace_id": world.http.workspace_uid,
    }
    known = components.CreateObservabilityDestinationRequest.model_fields
    assert {name.rstrip("_") for name in fields} == {name.rstrip("_") for name in known}
    return world.api.create(**fields).data


def refused(world: World, slug: str) -> dict[str, Any]:
    """Return the error of a create that failed its test."""
    with pytest.raises(errors.OpenRouterError) as caught:
        world.api.create(type_=slug, name="Mine", config=world.config(slug))
    assert caught.value.status_code == 422
    assert world.api.list().result.total_count == 0
    error: dict[str, Any] = json.loads(caught.value.body)["error"]
    facts = {"ok", "stage", "reachable", "credential_accepted", "data_accepted", "message", "hint"}
    assert facts <= error["metadata"].keys()
    assert error["code"] == 422
    assert SECRET not in caught.value.body
    return error


@each_type
def test_a_destination_is_listed_read_changed_and_deleted(world: World, slug: str) -> None:
    uid = world.saved(slug)

    [listed] = world.api.list().result.data
    shown = world.api.get(id=uid).data
    changed = world.api.update(
        id=uid,
        name="Renamed",
        sampling_rate=0.5,
        privacy_mode=True,
        regions=["us"],
        broadcast_generation_identity=True,
        filter_rules=None,
        api_key_hashes=None,
    ).data

    assert type(listed) is type(shown) is type(changed) is KNOWN[slug]
    assert listed == shown
    assert (changed.name, changed.sampling_rate, changed.privacy_mode) == ("Renamed", 0.5, True)
    assert (changed.regions, changed.broadcast_generation_identity) == (["us"], True)
    assert changed.config == shown.config
    assert world.api.delete(id=uid).DELETED is True
    with pytest.raises(errors.NotFoundResponseError) as caught:
        world.api.get(id=uid)
    assert caught.value.data.error.code == 404


def test_a_type_that_the_sdk_does_not_know_hides_no_other(world: World) -> None:
    own = sorted(TYPES.keys() - KNOWN.keys())
    for slug in (*own, "webhook"):
        world.saved(slug)

    found = world.api.list().result

    assert found.total_count == len(own) + 1
    assert [each.raw["type"] for each in found.data if getattr(each, "is_unknown", False)] == own
    assert [type(each) for each in found.data][-1] is KNOWN["webhook"]


@each_type
def test_masked_secrets_that_come_back_are_never_saved(world: World, slug: str) -> None:
    uid = world.saved(slug)
    before = world.connections.opened(world.workspace, world.connections.get(world.workspace, uid))
    config = world.api.get(id=uid).data.config

    given = config.model_dump(by_alias=True, exclude_none=True)
    world.api.update(id=uid, config=_ours(TYPES[slug], given))

    after = world.connections.opened(world.workspace, world.connections.get(world.workspace, uid))
    assert after == before
    assert SECRET not in json.dumps(given)
    assert world.receiver.requests == []


def _ours(kind: type[Destination], config: dict[str, Any]) -> dict[str, Any]:
    """Return what the SDK read without what it adds of its own: a default for a field that we lack."""
    return {name: value for name, value in config.items() if name in {spec.outside for spec in kind.specs()}}
