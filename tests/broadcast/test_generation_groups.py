from dataclasses import fields
from typing import Any

import pytest

from broadcast.generation_groups import PREFIX, Groups, attributes
from broadcast.privacy import Privacy
from broadcast.receipt import App, Cost, ProviderAttempt, Receipt, Usage
from tests import factories

EVERY = Groups(**{field.name: True for field in fields(Groups)})


def said(groups: Groups, **overrides: Any) -> dict[str, Any]:
    """Return the attributes without their prefix."""
    found = attributes(factories.full_receipt(**overrides), groups)
    assert all(name.startswith("trace.metadata.openrouter_generation.") for name in found)
    return {name.removeprefix(f"{PREFIX}."): value for name, value in found.items()}


def test_nothing_is_said_unless_a_group_is_chosen() -> None:
    assert said(Groups()) == {}


def test_cost_says_what_was_charged() -> None:
    cost = Cost(total_nano_usd=387_000, upstream_nano_usd=300_000, estimated=True)
    found = said(Groups(cost=True), cost=cost, usage=Usage(cache_write_tokens=7))
    assert found == {
        "usage": 0.000387,
        "usage_upstream": 0.0003,
        "usage_is_estimated": True,
        "is_byok": False,
        "cache_write_tokens": 7,
    }


def test_an_unknown_cost_is_left_out_and_never_zero() -> None:
    assert said(Groups(cost=True), cost=None, usage=None, funding_source=None) == {}


@pytest.mark.parametrize(
    ("own_key", "funding_source", "is_byok"),
    [(True, "credits", True), (False, "byok", False), (None, "byok", True), (None, "credits", False)],
)
def test_the_last_attempt_tells_whose_key_paid(
    own_key: bool | None, funding_source: str, is_byok: bool
) -> None:
    attempt = ProviderAttempt(provider="OpenAI", start_ms=0, duration_ms=1, is_byok=own_key)
    found = said(
        Groups(cost=True),
        attempts=(attempt,),
        funding_source=funding_source,
        cost=Cost(upstream_nano_usd=1_000_000_000),
    )
    assert found["is_byok"] is is_byok
    assert found.get("byok_usage_inference") == (1.0 if is_byok else None)


def test_an_allocation_is_told_when_its_parts_are_what_was_charged() -> None:
    cost = Cost(total_nano_usd=387_000, input_nano_usd=180_000, output_nano_usd=207_000)
    usage = Usage(input_tokens=1200, output_tokens=345)
    assert said(Groups(cost_allocation=True), cost=cost, usage=usage) == {
        "openrouter_cost_allocation.input_tokens": 1200,
        "openrouter_cost_allocation.input_cost": 0.00018,
        "openrouter_cost_allocation.output_tokens": 345,
        "openrouter_cost_allocation.output_cost": 0.000207,
        "openrouter_cost_allocation.total_cost": 0.000387,
    }


@pytest.mark.parametrize(
    "cost",
    [
        None,
        Cost(total_nano_usd=387_000),
        Cost(total_nano_usd=387_000, input_nano_usd=180_000),
        Cost(total_nano_usd=387_001, input_nano_usd=180_000, output_nano_usd=207_000),
        Cost(input_nano_usd=180_000, output_nano_usd=207_000),
    ],
)
def test_an_allocation_that_does_not_add_up_is_left_out(cost: Cost | None) -> None:
    assert said(Groups(cost_allocation=True), cost=cost) == {}


def test_identity_says_who_asked() -> None:
    found = said(
        Groups(identity=True),
        app=App(referer="https://example.com", title="Example"),
        origin="https://chat.example.com",
        request_id="req-1",
    )
    assert found == {
        "api_key_hash": "a" * 64,
        "api_key_name": "backend",
        "app_title": "Example",
        "http_referer": "https://example.com",
        "origin": "https://chat.example.com",
        "external_user": "user-7",
        "session_id": "session-42",
        "request_id": "req-1",
        "upstream_id": "chatcmpl-2",
    }


def test_request_context_says_how_it_was_asked_and_answered() -> None:
    found = said(
        Groups(request_context=True), region="europe", user_agent="sdk/1", native_finish_reason="end"
    )
    assert found == {
        "api_type": "chat",
        "streamed": True,
        "cancelled": False,
        "provider_name": "OpenAI",
        "router": "balanced",
        "data_region": "europe",
        "user_agent": "sdk/1",
        "finish_reason": "stop",
        "native_finish_reason": "end",
        "latency": 412.5,
        "generation_time": 1234.567,
        "tokens_prompt": 1200,
        "tokens_completion": 345,
        "native_tokens_cached": 1000,
        "native_tokens_reasoning": 64,
    }


def test_no_name_is_in_two_groups() -> None:
    names = [set(said(Groups(**{field.name: True}))) for field in fields(Groups)]
    assert sum(map(len, names)) == len(set().union(*names)) == len(said(EVERY))


def test_metadata_only_does_not_take_them_away_and_none_holds_content() -> None:
    receipt = factories.full_receipt(metadata={"openrouter_generation": {"usage": "the-prompt-text"}})
    private = attributes(Privacy("metadata").receipt(receipt), EVERY)
    assert private == attributes(receipt, EVERY)
    assert not any(text in str(private) for text in ("What is a receipt?", "The record", "the-prompt-text"))


def test_the_barest_receipt_is_no_trouble() -> None:
    bare = Receipt(id="x", created_at_us=0, duration_us=0, model="m", status="cancelled")
    found = attributes(bare, EVERY)
    assert found[f"{PREFIX}.cancelled"] is True
    assert None not in found.values()
