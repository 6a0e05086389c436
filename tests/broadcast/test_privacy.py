import json
from typing import Any

import pytest

from broadcast import genai, otlp, otlp_protobuf, privacy
from broadcast.receipt import App, Error, ProviderAttempt, Receipt
from tests import factories

CANARY = "canary-4f1c"
PARTED = [{"role": "user", "content": [{"type": "text", "text": CANARY}], CANARY: CANARY}]


def leaky(**overrides: Any) -> Receipt:
    """Return a receipt with a canary wherever content or a vendor's text may hide."""
    fields: dict[str, Any] = {
        "input": PARTED,
        "output": {"content": CANARY, "tool_calls": [{"function": {"name": "f", "arguments": CANARY}}]},
        "metadata": {"prompt": CANARY, CANARY: 1},
        "parameters": {"temperature": 0.5, "tools": [CANARY], "response_format": {"x": CANARY}},
        "error": Error(type="upstream_error", message=f"The model said {CANARY}", code=CANARY),
        "attempts": (
            ProviderAttempt(
                provider="A",
                status_code=500,
                error_type="server_error",
                error_message=CANARY,
                start_ms=0.0,
                duration_ms=1.0,
            ),
        ),
    }
    return factories.receipt(**{**fields, **overrides})


@pytest.mark.parametrize("status", ["succeeded", "error", "denied", "cancelled"])
@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("level", ["metadata", "hashed", "nonsense"])
def test_no_content_and_no_vendors_text_leaves(status: str, streamed: bool, level: str) -> None:
    receipt = privacy.apply(leaky(status=status, streamed=streamed), level)
    tree = genai.spans(receipt, namespace="openrouter", options=genai.SpanOptions(prompt_attributes=True))
    assert CANARY not in repr(receipt)
    assert CANARY.encode() not in otlp.encode(tree)
    assert CANARY.encode() not in otlp_protobuf.encode(tree)


def test_status_and_exception_say_the_kind_of_error_instead() -> None:
    receipt = privacy.apply(leaky(status="error"), "metadata")
    span = genai.spans(receipt, namespace="openrouter").spans[0]
    assert span.status_message == "upstream_error"
    assert span.events[0].attributes["exception.message"] == "upstream_error"


def test_everything_else_is_sent_as_without_privacy() -> None:
    whole = factories.full_receipt(app=App(title="Example"))
    bare = factories.full_receipt(app=App(title="Example"), input=None, output=None)
    private = genai.spans(privacy.apply(whole, "metadata"), namespace="openrouter")
    assert private == genai.spans(bare, namespace="openrouter")


def test_exactly_these_attributes_leave() -> None:
    receipt = privacy.apply(leaky(status="error"), "metadata")
    keys = set(genai.spans(receipt, namespace="openrouter").spans[0].attributes)
    assert keys == {
        "error.type", "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.max_tokens",
        "gen_ai.request.model", "gen_ai.request.temperature", "gen_ai.response.finish_reason",
        "gen_ai.response.finish_reasons", "gen_ai.response.id", "gen_ai.response.model",
        "gen_ai.response.time_to_first_chunk", "gen_ai.system", "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cost", "gen_ai.usage.input_cost", "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_cost", "gen_ai.usage.output_tokens", "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.total_cost", "gen_ai.usage.total_tokens", "openrouter.api_key_name",
        "openrouter.attempt_count", "openrouter.duration_ms", "openrouter.funding_source",
        "openrouter.output_tokens_per_second", "openrouter.provider_name", "openrouter.provider_slug",
        "openrouter.streamed", "openrouter.time_to_first_token_ms", "session.id",
        "trace.metadata.beta", "trace.metadata.environment", "trace.metadata.feature", "trace.metadata.step",
        "user.id",
    } - {"gen_ai.request.max_tokens"}  # fmt: skip


def test_full_lets_everything_out() -> None:
    receipt = leaky()
    assert privacy.apply(receipt, "full") is receipt
    assert json.dumps(PARTED) == json.dumps(receipt.input)
