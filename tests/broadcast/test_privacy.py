import json
import re
from hashlib import sha256
from typing import Any

import pytest

from broadcast import genai, messages, otlp, otlp_protobuf, privacy
from broadcast.privacy import Privacy
from broadcast.pseudonyms import Digest
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
@pytest.mark.parametrize("level", ["metadata", "nonsense"])
def test_no_content_and_no_vendors_text_leaves(status: str, streamed: bool, level: str) -> None:
    receipt = Privacy(level).receipt(leaky(status=status, streamed=streamed))
    tree = genai.spans(receipt, namespace="openrouter", options=genai.SpanOptions(prompt_attributes=True))
    assert CANARY not in repr(receipt)
    assert CANARY.encode() not in otlp.encode(tree)
    assert CANARY.encode() not in otlp_protobuf.encode(tree)


def test_status_and_exception_say_the_kind_of_error_instead() -> None:
    receipt = Privacy("metadata").receipt(leaky(status="error"))
    span = genai.spans(receipt, namespace="openrouter").spans[0]
    assert span.status_message == "upstream_error"
    assert span.events[0].attributes["exception.message"] == "upstream_error"


def test_everything_else_is_sent_as_without_privacy() -> None:
    whole = factories.full_receipt(app=App(title="Example"))
    bare = factories.full_receipt(app=App(title="Example"), input=None, output=None)
    private = genai.spans(Privacy("metadata").receipt(whole), namespace="openrouter")
    assert private == genai.spans(bare, namespace="openrouter")


def test_exactly_these_attributes_leave() -> None:
    receipt = Privacy("metadata").receipt(leaky(status="error"))
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
    assert Privacy("full").receipt(receipt) is receipt
    assert json.dumps(PARTED) == json.dumps(receipt.input)


# -- hashed and redacted -----------------------------------------------------------------------------

ALICE = "alice@example.com"
STATUSES = ["succeeded", "error", "denied", "cancelled"]


def told(text: str, **overrides: Any) -> Receipt:
    """Return a receipt that says one text wherever a person or a vendor may write."""
    call = {"id": text, "type": "function", "function": {"name": text, "arguments": json.dumps({"to": text})}}
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{text}"}}
    fields: dict[str, Any] = {
        "user": text,
        "session_id": text,
        "trace": {
            "trace_id": text,
            "parent_span_id": text,
            "trace_name": text,
            "span_name": text,
            "generation_name": text,
            "deep": {"in": [text, {"it": text}]},
        },
        "parameters": {"stop": [text], "temperature": 0.5},
        "metadata": {"note": text},
        "error": Error(type="upstream_error", message=text, code=text),
        "attempts": (
            ProviderAttempt(provider="A", status_code=500, error_message=text, start_ms=0.0, duration_ms=1.0),
        ),
        "input": [
            {"role": "system", "content": text},
            {"role": "user", "name": text, "content": [{"type": "text", "text": text}, image]},
            {"role": "assistant", "content": None, "reasoning": text, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": text, "content": text},
        ],
        "output": {"choices": [{"message": {"content": text, "tool_calls": [call]}, "finish_reason": text}]},
    }
    return factories.receipt(**{**fields, **overrides})


def sent(receipt: Receipt) -> bytes:
    tree = genai.spans(receipt, namespace="openrouter", options=genai.SpanOptions(prompt_attributes=True))
    return otlp.encode(tree) + otlp_protobuf.encode(tree)


@pytest.mark.parametrize("level", ["hashed", "redacted"])
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("streamed", [True, False])
def test_a_person_is_nowhere_to_be_read(level: str, status: str, streamed: bool) -> None:
    receipt = told(ALICE, status=status, streamed=streamed)
    allowed = Privacy(level, digest=factories.digest).receipt(receipt)
    assert ALICE not in repr(allowed)
    assert ALICE.encode() not in sent(allowed)


@pytest.mark.parametrize("status", STATUSES)
def test_no_word_of_content_leaves_where_hashes_do(status: str) -> None:
    allowed = Privacy("hashed", digest=factories.digest).receipt(told(CANARY, status=status))
    assert CANARY not in repr(allowed)
    assert CANARY.encode() not in sent(allowed)


def hashed(text: str, digest: Digest = factories.digest) -> Receipt:
    return Privacy("hashed", digest=digest).receipt(told(text))


def test_equal_values_have_equal_hashes_within_a_workspace_and_nowhere_else() -> None:
    one, again, other = hashed("alice"), hashed("alice"), hashed("bob")
    elsewhere = hashed("alice", lambda value: sha256(value).digest())
    assert one == again
    assert (one.user, one.input[0]["parts"][0]["content"]) == (one.session_id, one.user)
    assert len({one.user, other.user, elsewhere.user}) == 3


def test_a_hash_tells_nothing_without_the_key() -> None:
    unkeyed = {sha256(b"alice").hexdigest()[:size] for size in (16, 32, 64)}
    assert not any(mark in str(hashed("alice").user) for mark in unkeyed)
    assert re.fullmatch(r"hash-[0-9a-f]{32}", str(hashed("alice").user))


def test_what_tells_nobody_apart_stays_beside_the_hashes() -> None:
    trace = {"trace_id": "a" * 32, "beta": True, "none": None, "step": 3, "feature": "search"}
    allowed = Privacy("hashed", digest=factories.digest).receipt(told("alice", trace=trace)).trace
    assert allowed is not None
    assert {key: value for key, value in allowed.items() if not str(value).startswith("hash-")} == {
        "trace_id": "a" * 32, "beta": True, "none": None,
    }  # fmt: skip


def test_hashed_messages_keep_their_shape_and_are_the_same_when_read_again() -> None:
    allowed = hashed("alice")
    assert [message["role"] for message in allowed.input] == ["system", "user", "assistant", "tool"]
    assert messages.input_messages(allowed.input) == allowed.input


def test_redaction_leaves_what_it_does_not_know() -> None:
    allowed = Privacy("redacted").receipt(told("about nobody"))
    assert b"about nobody" in sent(allowed)
    assert allowed.model == told("").model


def test_redaction_tells_what_it_replaced() -> None:
    rules = privacy.Privacy("redacted", patterns=("EMP-[0-9]+",))
    allowed = rules.receipt(factories.receipt(user=ALICE, trace={"who": "EMP-12", "also": ALICE}))
    assert (allowed.user, allowed.trace) == ("[email]", {"who": "[redacted]", "also": "[email]"})
    assert rules.replaced() == {"email": 2, "redacted": 1}


KEPT = [*((level, level != "metadata") for level in privacy.LEVELS), ("nonsense", False)]


@pytest.mark.parametrize(("level", "wants"), KEPT)
def test_content_is_kept_for_every_level_that_makes_something_of_it(level: str, wants: bool) -> None:
    assert privacy.wants_content(level) is wants
