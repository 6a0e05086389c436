import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from broadcast import genai, otlp, otlp_protobuf
from broadcast.destination import envelope
from broadcast.receipt import Receipt, Routing
from broadcast.span import Event, ResourceSpans, Span
from tests import factories, oracle

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WHOLE = st.integers(-(2**63), 2**63 - 1)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.one_of(
    TEXT,
    WHOLE,
    NUMBER,
    st.booleans(),
    *(st.lists(kind, max_size=4).map(tuple) for kind in (TEXT, WHOLE, NUMBER, st.booleans())),
)
ATTRIBUTES = st.dictionaries(TEXT, VALUES, max_size=8)
NS = st.integers(0, 2**63 - 1)


def hex_of(size: int) -> st.SearchStrategy[str]:
    return st.binary(min_size=size, max_size=size).map(bytes.hex)


EVENTS = st.lists(st.builds(Event, name=TEXT, time_ns=NS, attributes=ATTRIBUTES), max_size=2).map(tuple)
SPANS = st.builds(
    Span,
    trace_id=hex_of(16),
    span_id=hex_of(8),
    parent_span_id=st.one_of(st.just(""), hex_of(8)),
    name=TEXT,
    kind=st.integers(0, 5),
    start_ns=NS,
    end_ns=NS,
    attributes=ATTRIBUTES,
    events=EVENTS,
    status_code=st.integers(0, 2),
    status_message=TEXT,
)
MADE = st.builds(
    ResourceSpans, resource=ATTRIBUTES, scope=TEXT, spans=st.lists(SPANS, min_size=1, max_size=3).map(tuple)
)


def json_body(*made: ResourceSpans) -> bytes:
    return envelope("json", tuple(otlp.encode(one) for one in made))


def protobuf_body(*made: ResourceSpans) -> bytes:
    return envelope("protobuf", tuple(otlp_protobuf.encode(one) for one in made))


def assert_same(made: ResourceSpans, read: Any) -> None:
    assert oracle.attributes_of(read.resource) == made.resource
    assert [scope.scope.name for scope in read.scope_spans] == [made.scope]
    for ours, theirs in zip(made.spans, read.scope_spans[0].spans, strict=True):
        assert theirs.trace_id.hex() == ours.trace_id
        assert theirs.span_id.hex() == ours.span_id
        assert theirs.parent_span_id.hex() == ours.parent_span_id
        assert (theirs.name, theirs.kind) == (ours.name, ours.kind)
        assert (theirs.start_time_unix_nano, theirs.end_time_unix_nano) == (ours.start_ns, ours.end_ns)
        assert (theirs.status.code, theirs.status.message) == (ours.status_code, ours.status_message)
        found = oracle.attributes_of(theirs)
        assert found == ours.attributes
        assert {key: type(value) for key, value in found.items()} == {
            key: type(value) for key, value in ours.attributes.items()
        }
        for our_event, their_event in zip(ours.events, theirs.events, strict=True):
            assert (their_event.name, their_event.time_unix_nano) == (our_event.name, our_event.time_ns)
            assert oracle.attributes_of(their_event) == our_event.attributes


@settings(max_examples=80, deadline=None)
@given(made=MADE)
def test_json_reads_back_as_what_was_encoded(made: ResourceSpans) -> None:
    assert_same(made, oracle.read_json(json_body(made)).resource_spans[0])


@settings(max_examples=80, deadline=None)
@given(made=MADE)
def test_protobuf_reads_back_as_what_was_encoded(made: ResourceSpans) -> None:
    assert_same(made, oracle.read_protobuf(protobuf_body(made)).resource_spans[0])


@pytest.mark.parametrize("encoding", ["json", "protobuf"])
def test_joined_pieces_are_one_request_in_order(encoding: str) -> None:
    made = [genai.spans(factories.full_receipt(id=f"r{index}"), namespace="openrouter") for index in range(3)]
    request = (
        oracle.read_json(json_body(*made))
        if encoding == "json"
        else oracle.read_protobuf(protobuf_body(*made))
    )
    for ours, theirs in zip(made, request.resource_spans, strict=True):
        assert_same(ours, theirs)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks_are_left_out(bad: float) -> None:
    span = Span(
        trace_id="1" * 32,
        span_id="2" * 16,
        name="x",
        kind=1,
        start_ns=1,
        end_ns=2,
        attributes={"bad": bad, "good": 1.5},
    )
    made = ResourceSpans(resource={}, scope="s", spans=(span,))
    assert oracle.attributes_of(oracle.spans_of(oracle.read_json(json_body(made)))[0]) == {"good": 1.5}
    assert oracle.attributes_of(oracle.spans_of(oracle.read_protobuf(protobuf_body(made)))[0]) == {
        "good": 1.5
    }


def test_64_bit_integers_travel_as_text_and_a_root_has_no_parent() -> None:
    body = json_body(genai.test_span(factories.AT_US, "broadcast-connection-test", "openrouter"))
    assert b'"startTimeUnixNano":"1790000000000000000"' in body
    assert b"parentSpanId" not in body


RECEIPTS = st.builds(
    factories.receipt,
    id=st.sampled_from(["a", "b"]),
    model=st.sampled_from(["openai/gpt-5", "anthropic/claude-sonnet-4"]),
    response_model=st.sampled_from([None, "gpt-5-2026"]),
    system=st.sampled_from([None, "openai"]),
    provider=st.sampled_from([None, "OpenAI"]),
    finish_reason=st.sampled_from([None, "stop", 'a "word"']),
    streamed=st.booleans(),
    status=st.sampled_from(["succeeded", "error"]),
    capabilities=st.sampled_from([(), ("tools", "vision")]),
    funding_source=st.sampled_from([None, "credits"]),
    routing=st.sampled_from([None, Routing(profile="cheap"), Routing(duration_ms=2.0)]),
    trace=st.sampled_from([None, {}, {"trace_name": "run", "span_name": "step"}, {"team": "ml", "n": 1}]),
    input=st.sampled_from([None, "hello", "x" * 3000]),
)


@settings(max_examples=120, deadline=None)
@given(receipt=RECEIPTS, limit=st.sampled_from([1024, 65_536]))
def test_what_was_written_before_is_written_the_same(receipt: Receipt, limit: int) -> None:
    made = genai.spans(receipt, namespace="openrouter", options=genai.SpanOptions(max_attribute_bytes=limit))
    anew = structs.replace(made, spans=tuple(structs.replace(span, repeated=None) for span in made.spans))
    assert otlp.encode(made) == otlp.encode(anew)


def test_a_destinations_own_attributes_replace_those_that_repeat() -> None:
    receipt = factories.receipt()
    otlp.encode(genai.spans(receipt, namespace="openrouter"))
    options = genai.SpanOptions(extra={"gen_ai.system": "theirs", "gen_ai.request.model": 5})
    made = genai.spans(receipt, namespace="openrouter", options=options)
    assert_same(made, oracle.read_json(json_body(made)).resource_spans[0])
    assert made.spans[0].attributes["gen_ai.system"] == "theirs"
