"""The official TypeScript SDK of OpenRouter, unmodified, at the real program: another base URL, no more."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcast.fields import specs
from broadcast.setting_checks import check
from destinations import TYPES
from tests.world.environments import clean_environment, node_with
from tests.world.place import Place, serving

pytestmark = pytest.mark.world

SDK = "@openrouter/sdk@1.3.19"
DRIVER = Path(__file__).with_name("openrouter.mjs")
NEVER = "https://never.example:443/x"

Drive = Callable[..., Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with serving(tmp_path_factory.mktemp("typescript") / "broadcast") as found:
        yield found


@pytest.fixture(scope="module")
def drive(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Drive:
    """Return a function that has the SDK do something, and returns what it printed."""
    folder = tmp_path_factory.mktemp("sdk")
    (folder / "node_modules").symlink_to(node_with(SDK) / "node_modules")
    script = folder / DRIVER.name
    script.write_text(DRIVER.read_text(encoding="utf-8"))
    keys = {"API_KEY": place.program.api_key, "MANAGEMENT_KEY": place.program.management_key}

    def run(topic: str, **options: Any) -> Any:
        ran = subprocess.run(
            ["node", str(script), place.api, topic, json.dumps(options)],
            env=clean_environment(**keys), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    return run


def receipt(place: Place, receipt_id: str) -> dict[str, Any]:
    place.trace_with(lambda span: span.resource["openrouter.trace.id"] == receipt_id)
    found: dict[str, Any] = place.program.ask("GET", f"/requests/{receipt_id}")["receipt"]
    return found


def tells_who(found: dict[str, Any]) -> bool:
    return (found["user"], found["session_id"], found["trace"]) == (
        "user-7",
        "session-42",
        {"trace_name": "Answer a question", "generation_name": "Write", "feature": "search"},
    )


def test_chat(drive: Drive, place: Place) -> None:
    answer = drive("chat")
    assert "order 7" in answer["text"]
    found = receipt(place, answer["id"])
    assert tells_who(found)
    assert found["usage"]["input_tokens"] == answer["usage"]["promptTokens"]


def test_chat_as_a_stream(drive: Drive, place: Place) -> None:
    answer = drive("stream")
    assert "order 7" in answer["text"]
    assert answer["count"] > 1
    (receipt_id,) = answer["ids"]
    found = receipt(place, receipt_id)
    assert tells_who(found)
    assert found["streamed"] is True


def test_responses(drive: Drive, place: Place) -> None:
    answer = drive("responses")
    assert answer["status"] == "completed"
    found = receipt(place, answer["id"])
    assert tells_who(found)
    assert found["api_type"] == "responses"


def test_embeddings(drive: Drive, place: Place) -> None:
    answer = drive("embeddings")
    assert answer["count"] == 1
    found = receipt(place, answer["id"])
    assert (found["user"], found["api_type"]) == ("user-7", "embeddings")


def test_an_unknown_model_is_the_sdks_own_error(drive: Drive) -> None:
    error = drive("failure")
    assert error["status"] in {400, 404}
    assert error["name"] != "ResponseValidationError"
    assert error["code"] == error["status"]


def test_models(drive: Drive) -> None:
    assert "demo/echo" in drive("models")


def test_generation(drive: Drive, place: Place) -> None:
    answer = drive("chat")
    receipt(place, answer["id"])
    found = drive("generation", id=answer["id"])
    assert (found["id"], found["model"], found["streamed"]) == (answer["id"], "demo/echo", False)
    assert (found["externalUser"], found["sessionId"]) == ("user-7", "session-42")
    assert found["tokensPrompt"] == answer["usage"]["promptTokens"]


def test_activity(drive: Drive) -> None:
    drive("chat")
    assert isinstance(drive("activity"), list)


def test_keys(drive: Drive) -> None:
    found = drive("keys")
    assert found["key"].startswith("sk-")
    assert (found["made"]["name"], found["updated"]["name"], found["got"]["name"]) == (
        "From TypeScript",
        "Renamed",
        "Renamed",
    )
    assert (found["made"]["disabled"], found["got"]["disabled"]) == (False, True)
    assert found["current"]["label"]
    assert found["made"]["hash"] in found["listed"]
    assert (found["deleted"], found["gone"]["status"]) == (True, 404)


def test_workspaces(drive: Drive) -> None:
    found = drive("workspaces")
    assert (found["made"]["slug"], found["updated"]["name"], found["got"]["name"]) == (
        "from-typescript",
        "Renamed",
        "Renamed",
    )
    assert found["got"]["isObservabilityBroadcastEnabled"] is True
    assert found["made"]["id"] in found["listed"]
    assert (found["deleted"], found["gone"]["status"]) == (True, 404)


# -- destinations ------------------------------------------------------------------------------------


KEYS_OR_ROLE = {"s3": {"access_key_id", "secret_access_key"}}
"""Settings that are optional only because others may stand in for them."""


def config(slug: str, url: str) -> dict[str, Any]:
    """Return the examples of a type's settings, with every address that a person types set to one."""
    return {
        spec.name: spec.example if spec.kind != "url" else url
        for spec in specs(TYPES[slug])
        if spec.required or spec.kind == "url" or spec.name in KEYS_OR_ROLE.get(slug, ())
    }


def goes_where_it_is_told(slug: str) -> bool:
    """Tell whether all of a type's addresses are the one typed, so that a receiver here can stand in."""
    settings = config(slug, NEVER)
    checked = {
        spec.name: check(spec, settings[spec.name]) for spec in specs(TYPES[slug]) if spec.name in settings
    }
    return all(address.startswith(NEVER) for address in TYPES[slug](**checked).address())


@pytest.mark.parametrize("slug", [slug for slug in TYPES if goes_where_it_is_told(slug)])
def test_a_destination_is_made_read_changed_and_deleted(slug: str, drive: Drive, place: Place) -> None:
    outside = {spec.name: spec.outside for spec in specs(TYPES[slug])}
    given = config(slug, place.receiver.url("/v1/traces"))
    found = drive("destination", type=slug, config={outside[name]: value for name, value in given.items()})
    assert found["made"]["id"] == found["got"]["id"] == found["updated"]["id"]
    assert found["got"]["type"] == slug
    assert found["made"]["id"] in found["listed"]
    assert (found["got"]["samplingRate"], found["got"]["privacyMode"]) == (0.5, True)
    assert (found["updated"]["name"], found["updated"]["enabled"]) == (f"Renamed {slug}", False)
    assert (found["deleted"], found["gone"]["status"]) == (True, 404)
