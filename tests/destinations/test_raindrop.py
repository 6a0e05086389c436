from typing import Any

import pytest

from broadcast.destination import Verdict
from broadcast.errors import SettingsError
from destinations.raindrop import Raindrop
from tests.destinations import wire


def raindrop(**config: Any) -> Raindrop:
    return Raindrop.parse({"writeKey": "key", **config})


def test_the_project_gets_compressed_protobuf() -> None:
    found = wire.send(raindrop(projectId="support-prod"))
    assert found.url == "https://api.raindrop.ai/v1/traces"
    assert found.seen.headers["content-type"] == "application/x-protobuf"
    assert found.seen.headers["content-encoding"] == "gzip"
    assert found.seen.headers["authorization"] == "Bearer key"
    assert found.seen.headers["x-raindrop-project-id"] == "support-prod"
    assert found.outcome.delivered


def test_without_a_project_it_is_the_default_one() -> None:
    assert "x-raindrop-project-id" not in wire.send(raindrop()).seen.headers


def test_a_session_is_a_conversation() -> None:
    assert wire.generation(wire.send(raindrop()))["gen_ai.conversation.id"] == "session-1"


@pytest.mark.parametrize(("status", "verdict"), [(400, Verdict.REJECTED), (403, Verdict.REFUSED)])
def test_a_wrong_project_is_told(status: int, verdict: Verdict) -> None:
    assert wire.send(raindrop(), status=status).outcome.verdict is verdict
    assert "project" in Raindrop.hints[status]


def test_the_dashboard_is_refused() -> None:
    with pytest.raises(SettingsError) as caught:
        raindrop(baseUrl="https://app.raindrop.ai/settings")
    assert "https://api.raindrop.ai" in caught.value.problems["baseUrl"]
