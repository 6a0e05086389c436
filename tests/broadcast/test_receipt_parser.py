import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast import receipt_parser
from broadcast.errors import ReceiptError, TooManyReceipts
from broadcast.receipt import Cost, Receipt
from broadcast.receipt_parser import MAX_ITEM_BYTES, MAX_ITEMS, split
from tests import factories


def parse(item: bytes | dict[str, Any]) -> Receipt:
    raw = item if isinstance(item, bytes) else json.dumps(item).encode()
    return receipt_parser.parse(raw, now_us=factories.AT_US, retention_us=factories.RETENTION_US)


def refused(item: bytes | dict[str, Any]) -> ReceiptError:
    with pytest.raises(ReceiptError) as caught:
        parse(item)
    message = caught.value.message
    assert message.endswith(".")
    assert not {"msgspec", "`", "$"} & {*message, *message.split()}
    return caught.value


def document(**overrides: Any) -> dict[str, Any]:
    return factories.receipt_document(**overrides)


def raw(member: bytes) -> bytes:
    """Return a receipt with one more member, written as the sender wrote it."""
    return json.dumps(document()).encode()[:-1] + b"," + member + b"}"


# -- what is read ------------------------------------------------------------------------------------


def test_the_wire_form_becomes_the_receipt() -> None:
    assert parse(document()) == factories.receipt()


def test_null_means_absent_for_every_optional_field() -> None:
    required = {name: document()[name] for name in ("id", "created_at", "duration_ms", "model", "status")}
    nulls = {
        name: None
        for name in Receipt.__struct_fields__
        if name not in {*required, "created_at_us", "duration_us"}
    }
    assert parse({**required, **nulls}) == parse(required)


@pytest.mark.parametrize(
    ("written", "expected_us"),
    [
        ("2026-09-21T14:13:20Z", 0),
        ("2026-09-21T16:13:20+02:00", 0),
        ("2026-09-21T14:13:20.000001Z", 1),
        ("2026-09-21T14:13:20.123456789Z", 123457),
    ],
)
def test_times_are_kept_to_the_microsecond(written: str, expected_us: int) -> None:
    assert parse(document(created_at=written)).created_at_us - factories.AT_US == expected_us


@pytest.mark.parametrize(
    ("amount", "nano_usd"),
    [
        (b'"0.1"', 100_000_000),
        (b"0.1", 100_000_000),
        (b"0.000387", 387_000),
        (b'"0.000000001"', 1),
        (b'"0.0000000005"', 1),
        (b'"0.00000000049"', 0),
        (b"0", 0),
        (b'"1000000000"', 10**18),
        (b"1e-9", 1),
        (b"0.1000000000000000055511151231257827", 100_000_000),
    ],
)
def test_money_is_exact(amount: bytes, nano_usd: int) -> None:
    item = json.dumps(document(cost={"total_usd": "X"})).encode().replace(b'"X"', amount)
    assert parse(item).cost == Cost(total_nano_usd=nano_usd)


def test_anything_goes_inside_trace_metadata_and_content() -> None:
    anything = {"a": [1, None, {"b": [True, 2.5]}], "__proto__": {}, "": "x"}
    found = parse(document(trace=anything, metadata=anything, input=anything, output=[anything]))
    assert (found.trace, found.metadata, found.input, found.output) == (
        anything,
        anything,
        anything,
        [anything],
    )


# -- what is refused, and how --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["id", "created_at", "duration_ms", "model", "status"])
def test_a_missing_field_is_named(name: str) -> None:
    error = refused(document(**{name: None}))
    assert (error.field, error.message) == (name, f"{name} is required.")


@pytest.mark.parametrize(
    ("overrides", "field", "words"),
    [
        ({"modle": "x"}, "modle", "not a field of a receipt"),
        ({"usage": {"input_tokens": 1, "output_tokens": 1, "x": 1}}, "usage.x", "not a field"),
        ({"usage": {"input_tokens": 1}}, "usage.output_tokens", "is required"),
        ({"usage": {"input_tokens": -1, "output_tokens": 1}}, "usage.input_tokens", "at least 0"),
        ({"usage": {"input_tokens": 1.5, "output_tokens": 1}}, "usage.input_tokens", "whole number"),
        ({"usage": {"input_tokens": 2**60, "output_tokens": 1}}, "usage.input_tokens", "at most"),
        ({"id": ""}, "id", "1 to 128"),
        ({"id": "a b"}, "id", "1 to 128"),
        ({"id": "x\n"}, "id", "1 to 128"),
        ({"id": "a\nb"}, "id", "1 to 128"),
        ({"id": 5}, "id", "1 to 128"),
        ({"model": ""}, "model", "must not be empty"),
        ({"model": 5}, "model", "must be text, not a whole number"),
        ({"status": "ok"}, "status", "succeeded, error, denied, cancelled"),
        ({"created_at": "2026-09-21T14:13:20"}, "created_at", "with a zone"),
        ({"created_at": "yesterday"}, "created_at", "RFC 3339"),
        ({"created_at": 1790000000}, "created_at", "RFC 3339"),
        ({"created_at": "2026-09-21T14:24:00Z"}, "created_at", "10 minutes ahead"),
        ({"created_at": "2026-07-01T00:00:00Z"}, "created_at", "retention of 30 days"),
        ({"created_at": "0001-01-01T00:00:00Z"}, "created_at", "retention"),
        ({"created_at": "9999-12-31T23:59:59Z"}, "created_at", "ahead"),
        ({"duration_ms": -1}, "duration_ms", "at least 0"),
        ({"duration_ms": "12"}, "duration_ms", "must be a number, not text"),
        ({"cost": {"total_usd": "NaN"}}, "cost.total_usd", "0 to 1000000000 USD"),
        ({"cost": {"total_usd": -1}}, "cost.total_usd", "0 to 1000000000 USD"),
        ({"cost": {"total_usd": "1e999999999"}}, "cost.total_usd", "0 to 1000000000 USD"),
        ({"cost": {"total_usd": "free"}}, "cost.total_usd", "amount in USD"),
        ({"cost": {"estimated": True}}, "cost.total_usd", "is required"),
        ({"error": {"type": "x", "message": ""}}, "error.message", "must not be empty"),
        ({"error": {"type": "", "message": "x"}}, "error.type", "must not be empty"),
        ({"attempts": [{"provider": "A", "start_ms": 0}]}, "attempts[0].duration_ms", "is required"),
        ({"user": "u" * 257}, "user", "at most 256 characters"),
        ({"session_id": "s" * 257}, "session_id", "at most 256 characters"),
        ({"trace": []}, "trace", "must be an object, not a list"),
        ({"streamed": "yes"}, "streamed", "true or false"),
        ({"trace": {"n": 2**63}}, "trace", "beyond 64 bits"),
        ({"metadata": {"n": -(2**63) - 1}}, "metadata", "beyond 64 bits"),
        ({"parameters": {"seed": 2**64}}, "parameters", "beyond 64 bits"),
    ],
)
def test_a_wrong_field_is_named_with_its_fix(overrides: dict[str, Any], field: str, words: str) -> None:
    error = refused(document(**overrides))
    assert error.field == field
    assert words in error.message


def test_a_refusal_carries_the_id_where_it_can_be_read() -> None:
    assert refused(document(model="")).id == document()["id"]
    assert refused(document(id="a b")).id is None


@pytest.mark.parametrize("item", [b"[]", b"3", b'"x"', b"null", b"true"])
def test_an_item_that_is_no_object_is_refused(item: bytes) -> None:
    assert refused(item).message == "A receipt must be a JSON object."


# -- poison ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"9" * 5000])
def test_numbers_out_of_range_are_refused(number: bytes) -> None:
    refused(raw(b'"metadata":{"n":' + number + b"}"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (b'"metadata":{"n":1e400}', "metadata[...] is a number out of range: send it as text."),
        (b'"input":[1e400]', "input[0] is a number out of range: send it as text."),
        (b'"timing":{"router_ms":1e400}', "timing.router_ms is a number out of range: send a smaller one."),
    ],
)
def test_a_number_out_of_range_is_named_with_a_fix_that_its_field_takes(fields: bytes, message: str) -> None:
    assert refused(raw(fields)).message == message


def test_an_integer_beyond_64_bits_in_content_becomes_text() -> None:
    assert parse(raw(b'"input":[18446744073709551616, 1]')).input == ["18446744073709551616", 1]


@pytest.mark.parametrize("unwanted", [b"\\u0000", b"\\ud800", b"\\udfff"])
def test_nul_and_lone_surrogates_are_replaced(unwanted: bytes) -> None:
    found = parse(raw(b'"trace":{"k' + unwanted + b'":"a' + unwanted + b'b"},"input":"x' + unwanted + b'"'))
    assert found.trace == {"k�": "a�b"}
    assert found.input == "x�"
    receipt_parser.document(found).decode()


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert parse(raw(b'"input":"\\ud83d\\ude00"')).input == "😀"


def test_depth_is_bounded() -> None:
    assert parse(raw(b'"input":' + b"[" * 64 + b"]" * 64)).input
    for depth in (65, 900, 100_000):
        assert "nested too deeply" in refused(raw(b'"input":' + b"[" * depth + b"]" * depth)).message
    assert "nested too deeply" in refused(raw(b'"trace":' + b'{"a":' * 900 + b"1" + b"}" * 900)).message


def test_invalid_utf8_is_refused() -> None:
    assert refused(raw(b'"input":"\xff"')).message == "It is not valid UTF-8."
    refused(raw(b'"\xff":1'))


def test_a_receipt_larger_than_its_limit_is_refused() -> None:
    assert str(MAX_ITEM_BYTES) in refused(document(input="x" * MAX_ITEM_BYTES)).message


def test_very_many_keys_are_data() -> None:
    assert len(parse(document(metadata={f"k{i}": 1 for i in range(50_000)})).metadata or {}) == 50_000


def test_the_last_of_equal_keys_counts() -> None:
    assert parse(raw(b'"model":"other"')).model == "other"


@settings(max_examples=300, deadline=None)
@given(
    item=st.one_of(
        st.binary(max_size=60), st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace"))
    )
)
def test_no_bytes_make_the_parser_fail_otherwise(item: bytes) -> None:
    with pytest.raises(ReceiptError):
        parse(item)
    with contextlib.suppress(ReceiptError):
        split(item)


# -- splitting ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b'{"a":1}', "application/json", [b'{"a":1}']),
        (b"\xef\xbb\xbf{}", None, [b"{}"]),
        (b' [ {"a":1} , {"b":[2,3]} ] ', None, [b'{"a":1}', b'{"b":[2,3]}']),
        (b"[]", None, []),
        (b'{"a":1}\n{"b":2}\n', None, [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\r\n\r\n{"b":2', "application/x-ndjson; charset=utf-8", [b'{"a":1}', b'{"b":2']),
        (b'{\n "a": NaN\n}', None, [b'{\n "a": NaN\n}']),
        (b'[{"a":"\\ud800"},{"b":"]},{"}]', None, [b'{"a":"\\ud800"}', b'{"b":"]},{"}']),
        (b'[{"a":NaN},3,{}]', None, [b'{"a":NaN}', b"3", b"{}"]),
        (b"3", None, [b"3"]),
    ],
)
def test_a_body_is_split_into_items(body: bytes, content_type: str | None, expected: list[bytes]) -> None:
    assert split(body, content_type) == expected


GOOD = json.dumps(document()).encode()


def together(body: bytes, content_type: str | None = "application/x-ndjson") -> list[Receipt] | None:
    return receipt_parser.parse_lines(
        body, content_type, now_us=factories.AT_US, retention_us=factories.RETENTION_US
    )


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \n"])
def test_good_lines_read_together_as_they_read_alone(end: bytes) -> None:
    lines = [json.dumps(document(id=f"gen-{number}", user=None)).encode() for number in range(3)]
    assert together(end.join([*lines, b""])) == [parse(line) for line in lines]


@pytest.mark.parametrize(
    "lines",
    [
        [GOOD, b"{}"],
        [GOOD, b"{"],
        [GOOD, b"\xff"],
        [GOOD + GOOD],
        [GOOD, b"", GOOD],
        [GOOD, b'{"a":' * 5000 + b"1" + b"}" * 5000],
        [GOOD, json.dumps(document(id="a\nb")).encode()],
        [GOOD, json.dumps(document(id="a" * 128 + "\n" + "b" * 128)).encode()],
        [GOOD, json.dumps(document(user="a\x00")).encode()],
        [GOOD, json.dumps(document(user="\ud800")).encode()],
        [GOOD, json.dumps(document(created_at="2019-01-01T00:00:00Z")).encode()],
        [GOOD] * (MAX_ITEM_BYTES // len(GOOD) + 2),
    ],
)
def test_lines_that_need_a_closer_look_are_left_to_be_read_alone(lines: list[bytes]) -> None:
    assert together(b"\n".join([b"", *lines, b""])) is None


def test_only_lines_are_read_together() -> None:
    assert together(GOOD, "application/json") is None


def test_a_deep_item_does_not_stop_its_neighbours() -> None:
    deep = b"[" * 5000 + b"]" * 5000
    assert split(b'[{"a":' + deep + b'},{"b":1}]') == [b'{"a":' + deep + b"}", b'{"b":1}']


@pytest.mark.parametrize(
    "body", [b"", b"  \n", b"hello", b"[1,", b'[{"a":1}', b"}{", b'{"a"', b"[1]]", b"NaN"]
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ReceiptError, match="JSON"):
        split(body)


@pytest.mark.parametrize(
    "body", [b'["' + b'\\"' * 500_000 + b"]", b'{"' + b'\\"' * 500_000, b'["' + b'\\"' * 500_000 + b"\\"]
)
def test_a_text_without_end_is_refused_in_one_pass(body: bytes) -> None:
    with pytest.raises(ReceiptError, match="not JSON"):
        split(body)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"[" + b"{}," * (MAX_ITEMS - 1) + b"{}]", None),
        (b"[" + b"[" + b"1," * 10 * MAX_ITEMS + b"1]," + b"1," * (MAX_ITEMS - 2) + b"1]", None),
        (b"{}" * MAX_ITEMS, None),
        (b"{}\n" * (MAX_ITEMS - 1) + b"{}", "application/x-ndjson"),
    ],
)
def test_very_many_items_are_taken_and_one_more_is_not(body: bytes, content_type: str | None) -> None:
    more = body[:-1] + b",1]" if body.startswith(b"[") else body + b"\n{}"

    assert len(split(body, content_type)) == MAX_ITEMS
    with pytest.raises(TooManyReceipts, match="send fewer at once"):
        split(more, content_type)


# -- stored ------------------------------------------------------------------------------------------


def test_a_document_reads_back_without_its_content() -> None:
    whole = factories.full_receipt()
    stored = receipt_parser.from_document(receipt_parser.document(whole))
    assert stored == factories.full_receipt(input=None, output=None)
    assert receipt_parser.with_content(stored, receipt_parser.content(whole)) == whole
    assert b"What is a receipt" not in receipt_parser.document(whole)


def test_equal_receipts_give_equal_bytes_whatever_the_order_of_keys() -> None:
    one = parse(document(trace={"a": 1, "b": 2}))
    other = parse(dict(reversed(list(document(trace={"b": 2, "a": 1}).items()))))
    assert receipt_parser.document(one) == receipt_parser.document(other)


@pytest.mark.parametrize("name", ["id", "model", "status", "created_at_us", "duration_us"])
def test_a_document_without_one_of_its_required_fields_is_none(name: str) -> None:
    fields = json.loads(receipt_parser.document(factories.receipt()))
    del fields[name]
    with pytest.raises(msgspec.DecodeError, match="required"):
        receipt_parser.from_document(json.dumps(fields).encode())


def test_a_receipt_without_content_has_none_to_store() -> None:
    assert receipt_parser.content(factories.receipt()) is None
    assert receipt_parser.with_content(factories.receipt(), None) == factories.receipt()


def test_a_receipt_of_our_own_is_mended_as_a_posted_one_is() -> None:
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    found = receipt_parser.mended(
        factories.receipt(trace={"k\x00": "a\ud800"}, input=[2**70], output=deep, user="u\x00")
    )
    assert (found.trace, found.input, found.output) == ({"k�": "a�"}, [str(2**70)], None)
    assert found.user == "u�"
    receipt_parser.document(found)
