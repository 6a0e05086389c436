from dataclasses import replace
from typing import Any

import pytest

from broadcast import draft
from broadcast.errors import SecretRequired, SettingsError
from broadcast.fields import Secret
from broadcast.store.destinations import StoredDestination
from destinations import TYPES

COLLECTOR = TYPES["otel-collector"]
STORED = StoredDestination(
    id=1, uid="u", workspace_id=1, type="otel-collector", name="Prod", enabled=True,
    config={"endpoint": "https://otel.example.com/v1/traces", "encoding": "json"},
    masks={"headers": {"Authorization": "Bear…1234", "X-Team": "••••••••"}}, sealed=b"",
    address=("https://otel.example.com:443/v1/traces",), version=3, privacy_level="full", sampling_rate=1.0,
    api_key_hashes=None, excluded_api_key_hashes=None, filter_rules=None, broadcast_generation_cost=False,
    broadcast_generation_identity=False, broadcast_generation_request_context=False, origin="user",
    paused_by=None, pause_reason=None, paused_at_us=None, created_at_us=1, updated_at_us=2,
)  # fmt: skip
SECRETS = {"headers": {"Authorization": "Bearer token-1234", "X-Team": "search"}}


def merged_headers(patch: dict[str, Any]) -> dict[str, str]:
    made = draft.merge(COLLECTOR, STORED, SECRETS, patch)
    return {name: value.reveal() for name, value in made.headers.items()}  # type: ignore[attr-defined]


# -- columns -----------------------------------------------------------------------------------------


def test_a_new_one_gets_defaults() -> None:
    assert draft.changes({"name": " Prod "}, None) == {
        "name": "Prod",
        "enabled": True,
        "privacy_level": "full",
        "sampling_rate": 1.0,
        "api_key_hashes": None,
        "excluded_api_key_hashes": None,
        "filter_rules": None,
        "broadcast_generation_cost": False,
        "broadcast_generation_identity": False,
        "broadcast_generation_request_context": False,
        "broadcast_generation_cost_allocation": False,
        "sampler": None,
        "resource_attributes": None,
        "redaction_patterns": None,
        "regions": ("global",),
    }


def test_a_change_holds_only_what_it_names() -> None:
    body = {"broadcast_generation_cost": True, "type": "otel-collector"}
    assert draft.changes(body, STORED) == {"broadcast_generation_cost": True}


def test_a_resource_is_refused_where_the_type_has_none() -> None:
    body = {"resource_attributes": {"team": "search"}}
    assert draft.changes(body, STORED, TYPES["grafana"])["resource_attributes"] == {"team": "search"}
    with pytest.raises(SettingsError) as caught:
        draft.changes(body, STORED, TYPES["clickhouse"])
    assert list(caught.value.problems) == ["resource_attributes"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": 7}, "name"),
        ({"enabled": "yes"}, "enabled"),
        ({"sampling_rate": True}, "sampling_rate"),
        ({"sampling_rate": 0.00001}, "sampling_rate"),
        ({"sampling_rate": float("nan")}, "sampling_rate"),
        ({"privacy_level": "secret"}, "privacy_level"),
        ({"sampler": "sometimes"}, "sampler"),
        ({"sampler": ["always_on"]}, "sampler"),
        ({"resource_attributes": []}, "resource_attributes"),
        ({"resource_attributes": {"service.name": "x"}}, "resource_attributes"),
        ({"resource_attributes": {"openrouter.trace.id": "x"}}, "resource_attributes"),
        ({"resource_attributes": {"1st": "x"}}, "resource_attributes"),
        ({"resource_attributes": {"a": ""}}, "resource_attributes"),
        ({"resource_attributes": {"a": "two\nlines"}}, "resource_attributes"),
        ({"resource_attributes": {"a": ["x"]}}, "resource_attributes"),
        ({"resource_attributes": {"a": 2**63}}, "resource_attributes"),
        ({"resource_attributes": {"a": float("nan")}}, "resource_attributes"),
        ({"resource_attributes": {f"a{n}": n for n in range(33)}}, "resource_attributes"),
        ({"redaction_patterns": "EMP"}, "redaction_patterns"),
        ({"redaction_patterns": [""]}, "redaction_patterns"),
        ({"redaction_patterns": ["("]}, "redaction_patterns"),
        ({"redaction_patterns": ["(?=a)"]}, "redaction_patterns"),
        ({"redaction_patterns": [str(n) for n in range(11)]}, "redaction_patterns"),
        ({"privacy_level": 3}, "privacy_level"),
        ({"privacy_mode": False, "privacy_level": "metadata"}, "privacy_mode"),
        ({"privacy_mode": "yes"}, "privacy_mode"),
        ({"api_key_hashes": ["A" * 64]}, "api_key_hashes"),
        ({"api_key_hashes": ["a" * 64] * 101}, "api_key_hashes"),
        ({"excluded_api_key_hashes": "all"}, "excluded_api_key_hashes"),
        ({"broadcast_generation_identity": 1}, "broadcast_generation_identity"),
        ({"filter_rules": []}, "filter_rules"),
        ({"regions": []}, "regions"),
        ({"regions": None}, "regions"),
        ({"regions": "us"}, "regions"),
        ({"regions": ["mars"]}, "regions"),
        ({"regions": [7]}, "regions"),
        ({"filter_rules": {"groups": [{"rules": [{"field": "model", "operator": "like"}]}]}}, "filter_rules"),
        ({"type": "webhook"}, "type"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsError) as caught:
        draft.changes(body, STORED)
    assert list(caught.value.problems) == [field]


def test_eu_is_another_word_for_europe() -> None:
    assert draft.changes({"regions": ["eu", "us", "europe"]}, STORED) == {"regions": ("europe", "us")}


def test_rules_are_kept_with_all_that_goes_without_saying() -> None:
    rule = {"field": "model", "operator": "exists"}
    given = {"groups": [{"rules": [rule]}]}
    assert draft.changes({"filter_rules": given}, STORED)["filter_rules"] == {
        "enabled": True,
        "groups": [{"rules": [rule], "logic": "and"}],
    }
    assert draft.changes({"filter_rules": {}}, STORED)["filter_rules"] == {"enabled": True, "groups": []}


def test_a_wrong_rule_is_named_by_its_path() -> None:
    rules = {"groups": [{"rules": [{"field": "model", "operator": "gt", "value": 1}]}]}
    with pytest.raises(SettingsError, match=r"groups\[0\]\.rules\[0\]\.operator"):
        draft.changes({"filter_rules": rules}, STORED)


@pytest.mark.parametrize(
    ("body", "level"),
    [
        ({"privacy_mode": True}, "metadata"),
        ({"privacy_mode": False}, "full"),
        ({"privacy_mode": True, "privacy_level": "metadata"}, "metadata"),
        ({"privacy_mode": None, "privacy_level": "metadata"}, "metadata"),
    ],
)
def test_openrouters_switch_is_a_level(body: dict[str, Any], level: str) -> None:
    assert draft.changes(body, STORED)["privacy_level"] == level


# -- merging -----------------------------------------------------------------------------------------


def test_absent_keeps_null_removes_and_a_mask_counts_as_absent() -> None:
    assert merged_headers({}) == SECRETS["headers"]
    assert merged_headers({"headers": None}) == {}
    assert merged_headers({"headers": STORED.masks["headers"]}) == SECRETS["headers"]


def test_headers_are_replaced_as_a_whole_and_a_mask_stands_for_its_value() -> None:
    assert merged_headers({"headers": {"X-New": "v", "X-Team": "••••••••"}}) == {
        "X-New": "v",
        "X-Team": "search",
    }


def test_a_mask_finds_its_header_without_regard_to_case() -> None:
    assert merged_headers({"headers": {"authorization": "Bear…1234"}}) == {
        "authorization": "Bearer token-1234"
    }


def test_a_mask_of_a_header_that_was_never_stored_is_no_header() -> None:
    assert merged_headers({"headers": {"X-Other": "Bear…1234"}}) == {}


@pytest.mark.parametrize(
    "patch", [{"headers": STORED.masks["headers"]}, {"headers": {"authorization": "••••••••"}}]
)
def test_a_mask_cannot_stand_for_a_secret_that_is_lost(patch: dict[str, Any]) -> None:
    with pytest.raises(SecretRequired) as caught:
        draft.merge(COLLECTOR, STORED, {}, patch)
    assert caught.value.fields == ("headers",)


def test_a_lost_secret_can_be_entered_again_or_given_up() -> None:
    fresh = draft.merge(COLLECTOR, STORED, {}, {"headers": {"Authorization": "Bearer fresh"}})
    assert fresh.secrets() == {"headers": '{"Authorization": "Bearer fresh"}'}
    assert draft.merge(COLLECTOR, STORED, {}, {"headers": None}).secrets() == {}


# -- a changed address -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "patch",
    [
        {},
        {"encoding": "protobuf"},
        {"endpoint": "https://otel.example.com:443/v1/traces"},
        {"endpoint": "https://OTEL.example.com/v1/traces"},
    ],
)
def test_the_same_address_asks_for_nothing(patch: dict[str, Any]) -> None:
    draft.require_fresh_secrets(COLLECTOR, STORED, patch)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"headers": STORED.masks["headers"]},
        {"headers": {"Authorization": "Bearer fresh", "X-Team": "••••••••"}},
        {"headers": ""},
    ],
)
def test_another_address_asks_for_every_secret_again(headers: dict[str, Any]) -> None:
    with pytest.raises(SecretRequired) as caught:
        draft.require_fresh_secrets(COLLECTOR, STORED, {"endpoint": "https://thief.example/", **headers})
    assert caught.value.fields == ("headers",)


@pytest.mark.parametrize("headers", [None, {}, {"Authorization": "Bearer fresh"}])
def test_another_address_with_fresh_or_removed_secrets_is_fine(headers: Any) -> None:
    draft.require_fresh_secrets(COLLECTOR, STORED, {"endpoint": "https://new.example/", "headers": headers})


def test_the_address_of_the_credentials_check_counts() -> None:
    honeycomb = TYPES["honeycomb"]
    before = honeycomb.parse({"apiKey": Secret("k" * 22), "region": "us"})
    stored = replace(
        STORED, type="honeycomb", config=before.plain(), masks=before.masks(), address=before.address()
    )
    assert len(stored.address) == 2
    draft.require_fresh_secrets(honeycomb, stored, {"dataset": "llm"})
    moved = replace(stored, address=(stored.address[0], "https://elsewhere.example:443/1/auth"))
    with pytest.raises(SecretRequired) as caught:
        draft.require_fresh_secrets(honeycomb, moved, {"dataset": "llm"})
    assert caught.value.fields == ("apiKey",)
