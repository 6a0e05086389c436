"""What we send comes back the same: so OpenRouter's Broadcast, or another instance, can feed this one."""

from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from broadcast import genai, messages, otlp, otlp_protobuf
from broadcast import genai_attributes as facts
from broadcast.destination import envelope
from broadcast.receipt import Cost, Error, ProviderAttempt, Receipt, Routing, Timing, Usage
from broadcast.span import Attributes, ResourceSpans
from broadcast.trace_context import OUR_KEYS, ids_of
from tests import factories
from tests.broadcast.sources.spans import harvest_of

BOTH = pytest.mark.parametrize("is_json", [True, False], ids=["json", "protobuf"])


def through(receipt: Receipt, *, is_json: bool, namespace: str = "openrouter") -> Receipt:
    made = genai.whole_spans(receipt, namespace=namespace)
    found = harvest_of(body_of(made, is_json=is_json), is_json=is_json)
    assert found.refused == {}
    [tree] = found.trees
    assert tree.spans == len(made.spans)
    return tree.receipt


def body_of(made: ResourceSpans, *, is_json: bool) -> bytes:
    if is_json:
        return envelope("json", (otlp.encode(made),))
    return envelope("protobuf", (otlp_protobuf.encode(made),))


def sent(receipt: Receipt) -> dict[str, Any]:
    """Return what of a receipt its spans can tell (CONTRACT section 4), in one of several equal forms."""
    usage, error = receipt.usage, receipt.error
    status: Any = receipt.status
    if usage is not None:
        total = usage.total_tokens
        whole = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        usage = structs.replace(
            usage, total_tokens=None if total == whole else total, audio_tokens=None, image_tokens=None
        )
    if status != "succeeded":
        kind = error.type if error else status
        status = kind if kind in {"denied", "cancelled"} else "error"
        message = (error.message if error else "") or kind
        error = None if status == kind == message else Error(type=kind, message=message)
    trace_id, parent, _ = ids_of(receipt)
    first_token_ms = receipt.timing.first_token_ms if receipt.timing else None
    content: Attributes = {}
    messages.add_content(content, receipt, prompt_attributes=False)
    made = Receipt(
        id=receipt.id,
        created_at_us=receipt.created_at_us,
        duration_us=receipt.duration_us,
        model=receipt.model,
        status=status,
        error=error if receipt.status != "succeeded" else None,
        response_model=receipt.response_model,
        provider=receipt.provider,
        provider_slug=receipt.provider_slug,
        system=receipt.system,
        api_type=facts.operation(receipt),
        streamed=receipt.streamed,
        finish_reason=receipt.finish_reason,
        usage=None if usage == Usage() else usage,
        cost=None if receipt.cost == Cost() else receipt.cost,
        timing=None if first_token_ms is None else Timing(first_token_ms=round(first_token_ms, 4)),
        attempts=sent_attempts(receipt.attempts),
        routing=sent_routing(receipt),
        capabilities=receipt.capabilities,
        funding_source=receipt.funding_source,
        parameters=receipt.parameters or None,
        user=receipt.user,
        session_id=receipt.session_id,
        trace={"trace_id": trace_id, "parent_span_id": parent, **words(receipt)},
        api_key=receipt.api_key and structs.replace(receipt.api_key, hash="a" * 64),
        input=content.get("gen_ai.input.messages"),
        output=content.get("gen_ai.output.messages"),
    )
    return cast("dict[str, Any]", msgspec.to_builtins(made))


def words(receipt: Receipt) -> dict[str, Any]:
    return {
        key: value
        for key, value in (receipt.trace or {}).items()
        if key not in {"trace_id", "parent_span_id"} and value != ""
    }


def sent_attempts(attempts: tuple[ProviderAttempt, ...]) -> tuple[ProviderAttempt, ...]:
    """Only the last try's id is sent, as the answer's."""
    unsaid: dict[str, Any] = {"id": None, "error_message": None, "is_byok": None, "model": None}
    made = [structs.replace(attempt, **unsaid) for attempt in attempts]
    return (*made[:-1], *(structs.replace(one, id=attempts[-1].id) for one in made[-1:]))


def sent_routing(receipt: Receipt) -> Routing | None:
    if receipt.routing is None:
        return None
    router_ms = receipt.timing.router_ms if receipt.timing else None
    duration_ms = receipt.routing.duration_ms
    return Routing(
        profile=receipt.routing.profile, duration_ms=(router_ms or 0) if duration_ms is None else duration_ms
    )


@BOTH
@pytest.mark.parametrize(
    "receipt",
    [
        factories.receipt(),
        factories.full_receipt(),
        factories.receipt(trace=None, traceparent="00-" + "4b" * 16 + "-" + "0f" * 8 + "-01"),
        factories.receipt(attempts=(), routing=None, usage=None, cost=None, timing=None, trace=None),
        factories.receipt(status="error", error=Error(type="rate_limit", message="Slow down.")),
        factories.receipt(status="denied", error=None),
        factories.receipt(status="cancelled", error=None),
        factories.receipt(api_type="embeddings", output=None, input="text"),
        factories.receipt(routing=Routing(profile="latency")),
    ],
    ids=lambda receipt: f"{receipt.status}-{receipt.api_type}",
)
def test_a_receipt_comes_back_the_same(receipt: Receipt, is_json: bool) -> None:
    assert sent(through(receipt, is_json=is_json)) == sent(receipt)


def test_another_name_of_the_service_comes_back_the_same() -> None:
    receipt = factories.full_receipt()
    assert sent(through(receipt, is_json=True, namespace="ai_router")) == sent(receipt)


@BOTH
def test_what_came_in_goes_out_as_the_same_spans(is_json: bool) -> None:
    receipt = factories.full_receipt()
    first = genai.whole_spans(receipt, namespace="openrouter")
    second = genai.whole_spans(through(receipt, is_json=is_json), namespace="openrouter")
    assert [
        (span.span_id, span.parent_span_id, span.name, span.start_ns, span.end_ns) for span in second.spans
    ] == [(span.span_id, span.parent_span_id, span.name, span.start_ns, span.end_ns) for span in first.spans]
    assert second.spans[2].attributes == first.spans[2].attributes


# -- any receipt -------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12)
NAME = st.from_regex(r"\A[a-z][a-z0-9/-]{0,11}\Z")
COUNT = st.none() | st.integers(0, 2**40)
MILLIS = st.integers(0, 10**7).map(lambda tenths: tenths / 10)
NANO = st.none() | st.integers(0, 10**12)
SCALAR = st.one_of(TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(-1e9, 1e9))


@st.composite
def usages(draw: Callable[..., Any]) -> Usage:
    asked = draw(st.integers(0, 2**40))
    return Usage(
        input_tokens=asked,
        output_tokens=draw(st.integers(0, 2**40)),
        total_tokens=draw(COUNT),
        cache_read_tokens=draw(st.none() | st.integers(0, asked // 2)),
        cache_write_tokens=draw(st.none() | st.integers(0, asked // 2)),
        reasoning_tokens=draw(COUNT),
    )


@st.composite
def attempts(draw: Callable[..., Any]) -> tuple[ProviderAttempt, ...]:
    """Tries one after another, inside the second and a bit that the request takes."""
    made = []
    for index in range(draw(st.integers(0, 3))):
        status = draw(st.none() | st.integers(100, 599))
        failed = status is None or status >= 400
        made.append(
            ProviderAttempt(
                provider=draw(NAME),
                provider_slug=draw(st.none() | NAME),
                status_code=status,
                error_type=draw(st.none() | NAME) if failed else None,
                start_ms=float(index * 300),
                duration_ms=draw(st.integers(0, 3000)) / 10,
            )
        )
    return tuple(made)


RECEIPTS = st.builds(
    factories.receipt,
    id=st.from_regex(r"\A[A-Za-z0-9._:-]{1,128}\Z"),
    duration_us=st.integers(1_200_000, 10**10),
    model=NAME,
    status=st.sampled_from(["succeeded", "error", "denied", "cancelled"]),
    response_model=st.none() | NAME,
    provider=st.none() | NAME,
    provider_slug=st.none() | NAME,
    system=st.none() | NAME,
    api_type=st.sampled_from(["chat", "completions", "embeddings", "messages", "responses", "rerank"]),
    streamed=st.booleans(),
    finish_reason=st.none() | NAME,
    error=st.none() | st.builds(Error, type=NAME, message=TEXT.filter(lambda text: text.strip() != "")),
    usage=st.none() | usages(),
    cost=st.none()
    | st.builds(
        Cost,
        total_nano_usd=st.integers(0, 10**12),
        input_nano_usd=NANO,
        output_nano_usd=NANO,
        upstream_nano_usd=NANO,
    ),
    timing=st.none() | st.builds(Timing, first_token_ms=MILLIS),
    attempts=attempts(),
    routing=st.none()
    | st.builds(Routing, profile=NAME, duration_ms=st.floats(0, 1000).map(lambda ms: round(ms, 3))),
    capabilities=st.lists(NAME, max_size=3).map(tuple),
    funding_source=st.none() | NAME,
    user=st.none() | NAME,
    session_id=st.none() | NAME,
    trace=st.none()
    | st.dictionaries(NAME.filter(lambda name: name not in OUR_KEYS), SCALAR, max_size=4).flatmap(
        lambda said: st.fixed_dictionaries(
            {},
            optional={
                "trace_id": st.binary(min_size=16, max_size=16).filter(any).map(bytes.hex),
                "parent_span_id": st.binary(min_size=8, max_size=8).filter(any).map(bytes.hex),
                "trace_name": NAME,
                "span_name": NAME,
                "generation_name": NAME,
            },
        ).map(lambda named: {**said, **named})
    ),
    input=st.none()
    | TEXT
    | st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": TEXT}), min_size=1),
    output=st.none() | st.fixed_dictionaries({"role": st.just("assistant"), "content": TEXT}),
)


@BOTH
@settings(max_examples=150, deadline=None)
@given(receipt=RECEIPTS)
def test_any_receipt_comes_back_the_same(receipt: Receipt, is_json: bool) -> None:
    assert sent(through(receipt, is_json=is_json)) == sent(receipt)
