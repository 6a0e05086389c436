"""The official `openrouter` SDK, unmodified, at the real program, with nothing but another base URL."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from openrouter import OpenRouter, errors

from tests.e2e.conftest import Place, Served
from tests.web.api import sdk

# Its own model of a key warns of the parts that it will drop.
pytestmark = pytest.mark.filterwarnings("ignore:.*DEPRECATED.*:DeprecationWarning")


def keys_of(served: Served) -> dict[str, str]:
    """Return new keys of the demo's workspace, as its operator makes them."""
    command = [sys.executable, "-m", "broadcast", "bootstrap", "--json", "--new-keys", "--workspace", "Demo"]
    printed = subprocess.run(
        [*command, "--email", served.email, "--password", served.password],
        cwd=served.folder,
        env=served.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    found: dict[str, str] = json.loads(printed)
    return found


@pytest.fixture(scope="module")
def keys(place: Place) -> dict[str, str]:
    return keys_of(place.served)


@pytest.fixture
def manager(place: Place, keys: dict[str, str]) -> Iterator[OpenRouter]:
    with sdk.client(place.served.url, keys["management_key"]) as client:
        yield client


def test_a_key_tells_of_itself(place: Place, manager: OpenRouter, keys: dict[str, str]) -> None:
    own = manager.api_keys.get_current_key_metadata().data
    with sdk.client(place.served.url, keys["api_key"]) as sender:
        other = sender.api_keys.get_current_key_metadata().data

    assert (own.is_management_key, other.is_management_key) == (True, False)
    assert own.workspace_id == other.workspace_id == keys["workspace_id"]
    assert own.creator_user_id


def test_keys_are_made_listed_read_changed_and_deleted(place: Place, manager: OpenRouter) -> None:
    end = datetime(2100, 1, 1, tzinfo=UTC)
    made = manager.api_keys.create(name="CI", expires_at=end)
    found: Any = manager.api_keys.get(hash=made.data.hash).data
    assert (found.name, found.expires_at, found.disabled) == ("CI", end, False)
    assert made.data.hash in {key.hash for key in manager.api_keys.list().data}

    changed = manager.api_keys.update(hash=made.data.hash, name="Build", disabled=True).data
    assert (changed.name, changed.disabled) == ("Build", True)
    assert made.data.hash not in {key.hash for key in manager.api_keys.list().data}
    assert made.data.hash in {key.hash for key in manager.api_keys.list(include_disabled=True).data}
    with sdk.client(place.served.url, made.key) as ended, pytest.raises(errors.UnauthorizedResponseError):
        ended.api_keys.get_current_key_metadata()

    assert manager.api_keys.delete(hash=made.data.hash).DELETED is True
    with pytest.raises(errors.NotFoundResponseError) as caught:
        manager.api_keys.get(hash=made.data.hash)
    assert caught.value.data.error.code == 404


def _all(page: Any) -> list[Any]:
    """Return what all pages of a list hold, turned as the SDK turns them."""
    found = []
    while page is not None:
        found += page.result.data
        page = page.next()
    return found


def test_workspaces_are_made_listed_read_changed_and_deleted(manager: OpenRouter) -> None:
    made = manager.workspaces.create(name="Search", slug="search", description="All of search").data
    assert (made.slug, made.is_observability_broadcast_enabled) == ("search", False)
    others = [
        manager.workspaces.create(name=f"Search {number}", slug=f"search-{number}") for number in range(3)
    ]
    listed = [each.slug for each in _all(manager.workspaces.list(limit=2))]
    assert {"demo", "search", "search-0", "search-1", "search-2"} == set(listed)
    assert len(listed) == 5

    changed = manager.workspaces.update(id=made.id, name="Find", is_observability_broadcast_enabled=True).data
    assert (changed.name, changed.is_observability_broadcast_enabled) == ("Find", True)
    assert manager.workspaces.get(id="search").data == changed
    with pytest.raises(errors.OpenRouterError) as taken:
        manager.workspaces.create(name="Other", slug="search")
    assert taken.value.status_code == 409

    for each in (made, *(other.data for other in others)):
        assert manager.workspaces.delete(id=each.id).DELETED is True
    with pytest.raises(errors.NotFoundResponseError):
        manager.workspaces.get(id=made.id)


def test_activity_is_told_by_day_model_and_endpoint(
    place: Place, manager: OpenRouter, keys: dict[str, str]
) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    receipt = {
        "id": "gen-of-yesterday",
        "created_at": yesterday.isoformat(),
        "duration_ms": 12,
        "model": "openai/gpt-4.1",
        "provider": "OpenAI",
        "status": "succeeded",
        "usage": {"input_tokens": 20, "output_tokens": 7, "cache_read_tokens": 5},
        "cost": {"total_usd": "0.5"},
    }
    posted = requests.post(
        f"{place.served.url}/api/v1/receipts",
        json=receipt,
        headers={"Authorization": f"Bearer {keys['api_key']}"},
        timeout=10,
    )
    assert posted.json()["accepted"] == 1

    [row] = manager.analytics.get_user_activity(request={"date_": f"{yesterday:%F}"}).data

    assert (row.date_, row.model, row.provider_name) == (f"{yesterday:%F}", "openai/gpt-4.1", "OpenAI")
    assert (row.usage, row.requests) == (0.5, 1)
    assert (row.prompt_tokens, row.completion_tokens, row.cached_tokens) == (20, 7, 5)
    [split] = manager.analytics.get_user_activity(request={"group_by": "workspace"}).data
    assert split.workspace_id == keys["workspace_id"]
    assert manager.analytics.get_user_activity(request={"api_key_hash": "0" * 64}).data == []


def test_a_destination_is_created_read_changed_and_deleted(place: Place, manager: OpenRouter) -> None:
    api: Any = manager.observability
    config = {"endpoint": place.collector.url("/ok"), "headers": {"Authorization": "Bearer s3cr3t-value"}}

    made = api.create(type_="otel-collector", name="Collector of the SDK", config=config).data

    assert [span.name for span in place.collector.spans()][-1] == "broadcast-connection-test"
    assert made.id in {each.id for each in _all(api.list(limit=1))}
    changed = api.update(id=made.id, name="Renamed", config={"headers": made.config.headers}).data
    assert (changed.name, changed.config) == ("Renamed", made.config)
    assert "s3cr3t" not in made.model_dump_json()
    with pytest.raises(errors.ConflictResponseError) as taken:
        api.create(type_="otel-collector", name="RENAMED", config=config)
    assert taken.value.data.error.code == 409
    assert api.delete(id=made.id).DELETED is True


def test_each_refusal_is_the_sdk_s_own_error(place: Place, manager: OpenRouter, keys: dict[str, str]) -> None:
    with sdk.client(place.served.url, keys["api_key"]) as sender:
        with pytest.raises(errors.ForbiddenResponseError) as forbidden:
            sender.observability.list()
        assert forbidden.value.data.error.code == 403
        with pytest.raises(errors.ForbiddenResponseError):
            sender.workspaces.list()
        with pytest.raises(errors.OpenRouterError) as managing:
            sender.api_keys.list()
        assert managing.value.status_code == 403
    with sdk.client(place.served.url, "sk-" + "x" * 43) as stranger:
        with pytest.raises(errors.UnauthorizedResponseError) as unknown:
            stranger.analytics.get_user_activity()
        assert unknown.value.data.error.code == 401
    with pytest.raises(errors.NotFoundResponseError):
        manager.observability.get(id="00000000-0000-4000-8000-000000000000")
    with pytest.raises(errors.OpenRouterError) as wrong:
        manager.observability.create(type_="webhook", name="", config={})
    assert (wrong.value.status_code, json.loads(wrong.value.body)["error"]["code"]) == (422, 422)
    # What is not offered is 404: whatever begins with 5 is tried again for an hour.
    for not_offered in (
        lambda: manager.workspaces.list_members(id="demo"),
        lambda: manager.workspaces.bulk_add_members(id="demo", user_ids=["somebody"]),
        lambda: manager.workspaces.list_budgets(workspace_ref="demo"),
        manager.credits.get_credits,
    ):
        with pytest.raises(errors.OpenRouterError) as absent:
            not_offered()
        assert json.loads(absent.value.body)["error"]["code"] == absent.value.status_code == 404
