"""A text that was written into a mould is the one that the encoder writes of the spans themselves."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast import genai, moulds, otlp
from broadcast.genai_attributes import Kind
from broadcast.genai_measures import Measures
from broadcast.moulds import Moulds
from broadcast.receipt import Cost, KeyRef, ProviderAttempt, Receipt, Timing, Usage
from broadcast.span import ResourceSpans
from tests import factories

NS = "openrouter"
PLAIN: dict[str, Any] = {"attempts": (), "routing": None}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
COUNT = st.none() | st.integers(0, 2**53)
NANO = st.none() | st.integers(0, 10**18)
SCALARS = st.one_of(TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(-1e300, 1e300))
RECEIPTS = st.builds(
    factories.receipt,
    id=st.text("abc:._-XYZ019", min_size=1, max_size=40),
    duration_us=st.integers(0, 10**12),
    model=TEXT,
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
    timing=st.none() | st.builds(Timing, first_token_ms=st.none() | st.floats(0, 1e12)),
    attempts=st.just(()),
    user=st.none() | TEXT,
    session_id=st.none() | TEXT,
    parameters=st.none()
    | st.dictionaries(st.sampled_from(["temperature", "max_tokens", "stop", "top_k", "own"]), SCALARS),
    trace=st.none() | st.dictionaries(TEXT, SCALARS | st.lists(SCALARS, max_size=3), max_size=4),
    traceparent=st.sampled_from([None, f"00-{'a' * 32}-{'b' * 16}-01"]),
    api_key=st.none() | st.builds(KeyRef, name=st.none() | TEXT),
)


def spans(kind: Kind, measured: Measures) -> ResourceSpans:
    return genai.plain_spans(kind, measured, namespace=NS)


MOULDS = Moulds(spans)


def encoded(receipt: Receipt) -> bytes:
    return otlp.encode(genai.whole_spans(receipt, namespace=NS))


@settings(max_examples=200)
@given(st.lists(RECEIPTS.filter(genai.is_plain), min_size=1, max_size=3))
def test_any_plain_receipt_becomes_what_its_spans_become(receipts: list[Receipt]) -> None:
    for receipt in [*receipts, *receipts]:
        assert MOULDS.text(receipt) == encoded(receipt)


def test_the_second_request_of_a_kind_is_written_into_the_mould_of_the_first() -> None:
    made: list[Kind] = []

    def counted(kind: Kind, measured: Measures) -> ResourceSpans:
        made.append(kind)
        return spans(kind, measured)

    counting = Moulds(counted)
    first = factories.receipt(**PLAIN, id="gen-1", user="ada", trace={"step": 1})
    second = factories.receipt(**PLAIN, id="gen-2", user='"\\ \u2028', trace={"step": 2}, duration_us=9)
    assert [counting.text(one) for one in (first, second)] == [encoded(first), encoded(second)]
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
    ],
)
def test_what_makes_another_kind_gets_a_mould_of_its_own(changes: dict[str, Any]) -> None:
    before = factories.receipt(**PLAIN, trace={"step": 1})
    after = factories.receipt(**{**PLAIN, "trace": {"step": 1}, **changes})
    assert MOULDS.text(before) == encoded(before)
    assert MOULDS.text(after) == encoded(after)


def test_a_mould_is_made_of_no_value_of_a_request() -> None:
    """Whatever `spans` sees of the first request is a fact of its kind, or says nothing of itself."""
    seen: list[object] = []

    def watched(kind: Kind, measured: Measures) -> ResourceSpans:
        seen.extend(measured)
        return spans(kind, measured)

    receipt = factories.receipt(**PLAIN, user="user-of-ours", trace={"note": "private words"})
    assert Moulds(watched).text(receipt) is not None
    assert "user-of-ours" not in repr(seen)
    assert "private words" not in repr(seen)
    assert receipt.id not in repr(seen)


def test_the_memory_of_moulds_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moulds, "_MAX_MOULDS", 4)
    for number in range(20):
        receipt = factories.receipt(**PLAIN, model=f"model-{number}")
        assert MOULDS.text(receipt) == encoded(receipt)
    assert len(moulds._known) <= 4


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "error"},
        {"trace": {"trace_name": "a"}},
        {"attempts": (ProviderAttempt(provider="OpenAI", start_ms=0.0, duration_ms=1.0),)},
    ],
)
def test_what_has_more_than_one_span_or_a_failure_is_not_plain(changes: dict[str, Any]) -> None:
    assert genai.is_plain(factories.receipt(**PLAIN))
    assert not genai.is_plain(factories.receipt(**{**PLAIN, **changes}))
