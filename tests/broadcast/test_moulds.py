"""A text that was written into a mould is the one that the encoder writes of the spans themselves."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast import genai, moulds, otlp
from broadcast.genai_attributes import Kind
from broadcast.genai_measures import Measures
from broadcast.moulds import Moulds
from broadcast.receipt import Cost, Error, KeyRef, ProviderAttempt, Receipt, Routing, Timing, Usage
from broadcast.span import ResourceSpans
from broadcast.trace_context import OUR_KEYS
from tests import factories

NS = "openrouter"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
COUNT = st.none() | st.integers(0, 2**53)
NANO = st.none() | st.integers(0, 10**18)
MILLIS = st.floats(0, 1e12)
SCALARS = st.one_of(TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(-1e300, 1e300))
RECEIPTS = st.builds(
    factories.receipt,
    id=st.text("abc:._-XYZ019", min_size=1, max_size=40),
    duration_us=st.integers(0, 10**12),
    model=TEXT,
    status=st.sampled_from(["succeeded", "error", "denied", "cancelled"]),
    error=st.none() | st.builds(Error, type=TEXT.filter(bool), message=TEXT),
    provider=st.none() | TEXT,
    finish_reason=st.none() | TEXT,
    streamed=st.booleans(),
    capabilities=st.sampled_from([(), ("tools",)]),
    usage=st.none()
    | st.builds(
        Usage,
        input_tokens=COUNT,
        output_tokens=COUNT,
        total_tokens=COUNT,
        cache_read_tokens=COUNT,
        cache_write_tokens=COUNT,
        reasoning_tokens=COUNT,
    ),
    cost=st.none()
    | st.builds(Cost, total_nano_usd=NANO, input_nano_usd=NANO, output_nano_usd=NANO, upstream_nano_usd=NANO),
    timing=st.none() | st.builds(Timing, first_token_ms=st.none() | MILLIS, router_ms=st.none() | MILLIS),
    attempts=st.lists(
        st.builds(
            ProviderAttempt,
            provider=TEXT.filter(bool),
            provider_slug=st.none() | TEXT,
            id=st.none() | TEXT,
            status_code=st.sampled_from([None, 0, 200, 399, 400, 503]),
            error_type=st.none() | TEXT,
            error_message=st.none() | TEXT,
            start_ms=MILLIS,
            duration_ms=MILLIS,
        ),
        max_size=3,
    ).map(tuple),
    routing=st.none() | st.builds(Routing, profile=st.none() | TEXT, duration_ms=st.none() | MILLIS),
    user=st.none() | TEXT,
    session_id=st.none() | TEXT,
    parameters=st.none()
    | st.dictionaries(st.sampled_from(["temperature", "max_tokens", "stop", "top_k", "own"]), SCALARS),
    trace=st.none()
    | st.dictionaries(
        TEXT | st.sampled_from(sorted(OUR_KEYS)), SCALARS | st.lists(SCALARS, max_size=3), max_size=4
    ),
    traceparent=st.sampled_from([None, f"00-{'a' * 32}-{'b' * 16}-01"]),
    api_key=st.none() | st.builds(KeyRef, name=st.none() | TEXT),
)


def spans(kind: Kind, measured: Measures) -> ResourceSpans:
    return genai.measured_spans(kind, measured, namespace=NS)


MOULDS = Moulds(spans)


def a_try(**fields: Any) -> ProviderAttempt:
    return ProviderAttempt(**{"provider": "OpenAI", "start_ms": 0.0, "duration_ms": 1.0, **fields})


def encoded(receipt: Receipt) -> tuple[bytes, int]:
    made = genai.whole_spans(receipt, namespace=NS)
    return otlp.encode(made), len(made.spans)


@settings(max_examples=200)
@given(st.lists(RECEIPTS, min_size=1, max_size=3))
def test_any_receipt_without_content_becomes_what_its_spans_become(receipts: list[Receipt]) -> None:
    for receipt in [*receipts, *receipts]:
        assert MOULDS.encoded(receipt) == encoded(receipt)


def test_the_second_request_of_a_kind_is_written_into_the_mould_of_the_first() -> None:
    made: list[Kind] = []

    def counted(kind: Kind, measured: Measures) -> ResourceSpans:
        made.append(kind)
        return spans(kind, measured)

    counting = Moulds(counted)
    tried = {"provider_slug": None, "id": None, "status_code": 200}
    first = factories.receipt(id="gen-1", user="ada", trace={"step": 1}, attempts=(a_try(**tried),))
    changed = a_try(**tried, provider="Azure", start_ms=7.5)
    second = factories.receipt(
        id="gen-2", user='"\\ \u2028', trace={"step": 2}, duration_us=9, attempts=(changed,)
    )
    assert [counting.encoded(one) for one in (first, second)] == [encoded(first), encoded(second)]
    assert len(made) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"trace": {"step": "one"}},
        {"trace": {"step": True}},
        {"trace": {"step": 1.0}},
        {"trace": {"stage": 1}},
        {"user": None},
        {"model": "openai/gpt-5"},
        {"parameters": {"temperature": 1}},
        {"parameters": {"stop": ["a", "b"]}},
        {"streamed": False},
        {"api_key": KeyRef(name="other")},
        {"attempts": ()},
        {"attempts": (a_try(status_code=200), a_try(status_code=200))},
        {"attempts": (a_try(status_code=503),)},
        {"attempts": (a_try(),)},
        {"routing": Routing(profile="fast")},
        {"status": "error"},
        {"trace": {"step": 1, "trace_name": "Answer"}},
        {"trace": {"step": 1, "span_name": "Answer"}},
        {"trace": {"step": 1, "generation_name": "Answer"}},
    ],
)
def test_what_makes_another_kind_gets_a_mould_of_its_own(changes: dict[str, Any]) -> None:
    alike: dict[str, Any] = {"attempts": (a_try(status_code=200),), "trace": {"step": 1}}
    before, after = factories.receipt(**alike), factories.receipt(**{**alike, **changes})
    assert MOULDS.encoded(before) == encoded(before)
    assert MOULDS.encoded(after) == encoded(after) != encoded(before)


def test_a_mould_is_made_of_no_value_of_a_request() -> None:
    """Whatever `spans` sees of the first request is a fact of its kind, or says nothing of itself."""
    seen: list[object] = []

    def watched(kind: Kind, measured: Measures) -> ResourceSpans:
        seen.append(measured)
        return spans(kind, measured)

    receipt = factories.receipt(
        user="user-of-ours",
        trace={"note": "private words", "span_name": "its own name"},
        attempts=(a_try(error_type="vendor's words", error_message="more of them"),),
        status="error",
        error=Error(type="a type", message="a message"),
    )
    assert Moulds(watched).encoded(receipt) is not None
    own = ("user-of-ours", "private words", "its own name", "vendor's words", "more of them", "a message")
    assert not [text for text in (*own, receipt.id) if text in repr(seen)]


def test_the_memory_of_moulds_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcast.remembered.MOST", 4)
    for number in range(20):
        receipt = factories.receipt(model=f"model-{number}")
        assert MOULDS.encoded(receipt) == encoded(receipt)
    assert len(moulds._known) <= 4
