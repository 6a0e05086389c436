import base64
import json
from typing import Any

import pytest

from broadcast.errors import ReceiptError
from broadcast.sources import otlp_bounds, otlp_reader
from broadcast.sources.otlp_reader import Export
from broadcast.span import Span
from tests.broadcast.sources import spans
from tests.receiver import decode


def read(body: bytes, *, is_json: bool = True) -> Export:
    return otlp_reader.read(body, is_json=is_json)


def only(*given: dict[str, Any]) -> Span:
    export = read(spans.export(*given))
    assert export.unreadable == []
    [found] = export.spans
    return found.span


def test_both_encodings_say_the_same() -> None:
    values = {"text": "é", "whole": -5, "fraction": 0.5, "yes": True, "list": ["a", "b"], "pairs": {"a": 1}}
    body = spans.export(
        spans.span(values, events=[spans.event("e", 5, key="v")], status={"code": 2, "message": "m"}),
        resource={"service.name": "app"},
    )
    json_read = read(body)
    assert read(decode(body, "application/json").SerializeToString(), is_json=False) == json_read
    [found] = json_read.spans
    assert (found.span.attributes, found.resource, found.scope) == (values, {"service.name": "app"}, "tests")
    assert (found.span.status_code, found.span.status_message, found.span.events[0].name) == (2, "m", "e")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"intValue": 5}, 5),
        ({"intValue": "5"}, 5),
        ({"intValue": 5.0}, 5),
        ({"intValue": "many"}, "many"),
        ({"intValue": str(2**70)}, str(2**70)),
        ({"doubleValue": "0.5"}, 0.5),
        ({"doubleValue": "NaN"}, None),
        ({"doubleValue": "Infinity"}, None),
        ({"boolValue": False}, False),
        ({"stringValue": ""}, ""),
        ({"bytesValue": "AAE="}, "AAE="),
        ({"stringValue": None, "intValue": 3}, 3),
        ({}, None),
        (None, None),
    ],
)
def test_a_value_is_read_as_it_is_meant(written: Any, meant: Any) -> None:
    found = only(spans.span({}, attributes=[{"key": "k", "value": written}]))
    assert found.attributes.get("k") == meant


def test_protobuf_bytes_are_text_in_base64() -> None:
    body = spans.export(spans.span({}, attributes=[{"key": "k", "value": {"bytesValue": "AAE="}}]))
    [found] = read(decode(body, "application/json").SerializeToString(), is_json=False).spans
    assert found.span.attributes["k"] == base64.b64encode(b"\x00\x01").decode()


@pytest.mark.parametrize(
    ("kind", "number"), [(3, 3), ("SPAN_KIND_CLIENT", 3), ("3", 3), (99, 0), (None, 0), ("x", 0)]
)
def test_an_enum_may_be_its_number_or_its_name(kind: Any, number: int) -> None:
    assert only(spans.span(kind=kind)).kind == number


def test_a_time_may_be_text_or_number() -> None:
    assert only(spans.span(startTimeUnixNano=spans.START_NS)).start_ns == spans.START_NS
    assert only(spans.span(startTimeUnixNano="soon")).start_ns == 0


def test_ids_are_read_in_any_case_and_null_is_a_default() -> None:
    found = only(
        spans.span(traceId=spans.TRACE.upper(), parentSpanId=None, events=None, status=None, flags=1)
    )
    assert (found.trace_id, found.parent_span_id, found.events, found.status_code) == (spans.TRACE, "", (), 0)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"traceId": "S/kvNXezTaajzpKdDg5HNg=="}, "traceId must be 32 hex digits"),
        ({"traceId": "0" * 32}, "traceId must be 32 hex digits"),
        ({"spanId": "abc"}, "spanId must be 16 hex digits"),
        ({"spanId": "0" * 16}, "spanId must be 16 hex digits"),
        ({"name": 5}, "a span cannot be read: name has a value of the wrong kind"),
        (
            {"attributes": [{"key": "a", "value": {"stringValue": "x"}}, 5]},
            "attributes[1] has a value of the wrong kind",
        ),
        (
            {"attributes": [{"key": str(n), "value": {"intValue": 1}} for n in range(16_385)]},
            "more than 16384",
        ),
    ],
)
def test_a_bad_span_never_stops_its_neighbours(fault: dict[str, Any], reason: str) -> None:
    export = read(spans.export(spans.span(**fault), spans.span()))
    assert len(export.spans) == 1
    [said] = export.unreadable
    assert reason in said


def test_half_a_character_and_nul_are_replaced() -> None:
    body = spans.export(spans.span({"a": "x\ud800y", "b": "x\x00y"}), spans.span(spanId="b" * 16))
    assert [found.span.attributes.get("a") for found in read(body).spans] == [
        "x\N{REPLACEMENT CHARACTER}y",
        None,
    ]
    assert read(body).spans[0].span.attributes["b"] == "x\N{REPLACEMENT CHARACTER}y"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"5",
        b"{",
        b'{"resourceSpans":{}}',
        b'{"resource_spans":[{"name":"\\ud800"}]}',
        b'{"resourceSpans":null,"x":"\\ud800"}',
        b'{"resource_spans":[]}',
        b'{"resourceMetrics":[]}',
        b"[" * 10_000,
    ],
)
def test_what_is_no_export_is_refused(body: bytes) -> None:
    with pytest.raises(ReceiptError):
        read(body)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"resourceSpans":[]}', b'{"resourceSpans":null}', b'{"resourceSpans":[{}]}']
)
def test_nothing_at_all_is_an_empty_export(body: bytes) -> None:
    assert read(body) == Export(spans=[], unreadable=[])


def test_deep_values_end_at_a_depth() -> None:
    deep: Any = {"stringValue": "bottom"}
    for _ in range(40):
        deep = {"arrayValue": {"values": [deep]}}
    found = only(spans.span({}, attributes=[{"key": "k", "value": deep}]))
    assert "bottom" not in json.dumps(found.attributes["k"])


# -- what would unpack into too much -----------------------------------------------------------------


def field(number: int, body: bytes) -> bytes:
    size, length = len(body), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + body


MANY = 1_000_000
INSIDE = b'{"resourceSpans":[{"scopeSpans":[{"spans":['


@pytest.mark.parametrize(
    ("body", "is_json"),
    [
        (INSIDE + b"{}," * MANY + b"{}]}]}]}", True),
        (INSIDE + b"1," * 2 * MANY + b"{}]}]}]}", True),
        (field(1, b"") * MANY, False),
        (field(1, field(2, field(2, b"") * MANY)), False),
        (field(1, field(2, field(2, field(9, b"") * MANY))), False),
        (field(1, field(2, field(2, field(9, field(2, field(5, field(1, b"") * MANY)))))), False),
    ],
    ids=["objects", "numbers", "resources", "spans", "attributes", "values"],
)
def test_a_body_of_very_many_things_is_refused_before_it_is_unpacked(body: bytes, is_json: bool) -> None:
    with pytest.raises(ReceiptError, match="fewer spans at once"):
        read(body, is_json=is_json)


def test_brackets_inside_texts_are_not_counted() -> None:
    found = only(spans.span({"a": "{," * otlp_bounds.MOST_OBJECTS * 2}))
    assert len(found.attributes["a"]) == otlp_bounds.MOST_OBJECTS * 4


@pytest.mark.parametrize("text", [b'"' + b'\\"' * MANY, b'"' + b"\\" * MANY, b'"' * 2 * MANY])
def test_texts_without_an_end_are_passed_over_in_one_go(text: bytes) -> None:
    body = b"{" * (otlp_bounds.MOST_OBJECTS + 1) + text
    assert not otlp_bounds.fits_json(body)
    assert otlp_bounds.fits_json(text + b"{" * (otlp_bounds.MOST_OBJECTS + 1)) in {True, False}
