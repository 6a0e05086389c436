from typing import Any

from broadcast.destination import Verdict
from destinations.ramp import Ramp
from tests.destinations import wire


def ramp(**config: Any) -> Ramp:
    return Ramp.parse({"apiKey": "key", **config})


def test_the_address_is_used_as_it_is_and_json_goes_uncompressed() -> None:
    found = wire.send(ramp())
    assert found.url == "https://api.ramp.com/developer/v1/ai-usage/openrouter"
    assert found.seen.headers["content-type"] == "application/json"
    assert "content-encoding" not in found.seen.headers
    assert found.seen.headers["authorization"] == "Bearer key"
    assert found.outcome.delivered


def test_what_a_request_cost_is_there() -> None:
    made = wire.generation(wire.send(ramp()))
    assert (made["gen_ai.usage.total_cost"], made["gen_ai.usage.total_tokens"]) == (0.00042, 150)
    assert (made["gen_ai.request.model"], made["user.id"]) == ("openai/gpt-4o", "user-1")


def test_a_missing_scope_is_a_refusal() -> None:
    assert wire.send(ramp(), status=403).outcome.verdict is Verdict.REFUSED
    assert "ai_usage:write" in Ramp.hints[403]
