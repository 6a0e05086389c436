from hashlib import sha256

import pytest

from broadcast import trace_context
from tests import factories

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{SPAN}-01"


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("given", [TRACE, TRACE.upper()])
def test_a_valid_trace_id_passes_in_lower_case(given: str) -> None:
    receipt = factories.receipt(trace={"trace_id": given}, traceparent=HEADER)
    assert trace_context.trace_id_of(receipt) == TRACE


@pytest.mark.parametrize(
    "given", ["workflow_12345", "0" * 32, "a" * 31, "😀", "x" * 1_000_000, "../../x", TRACE + "\n"]
)
def test_any_other_trace_id_is_hashed(given: str) -> None:
    receipt = factories.receipt(trace={"trace_id": given}, traceparent=HEADER)
    assert trace_context.trace_id_of(receipt) == digest(given)[:32]


@pytest.mark.parametrize(
    ("given", "expected"),
    [(SPAN, SPAN), (SPAN.upper(), SPAN), ("0" * 16, None), ("step 1", None), (SPAN + "\n", None)],
)
def test_the_parent_is_passed_or_hashed(given: str, expected: str | None) -> None:
    receipt = factories.receipt(trace={"parent_span_id": given})
    assert trace_context.parent_span_id_of(receipt) == (expected or digest(given)[:16])


def test_traceparent_counts_where_the_caller_says_nothing() -> None:
    receipt = factories.receipt(traceparent=HEADER)
    assert trace_context.trace_id_of(receipt) == TRACE
    assert trace_context.parent_span_id_of(receipt) == SPAN


def test_without_either_the_ids_come_from_the_receipt() -> None:
    receipt = factories.receipt(trace={"trace_id": "", "parent_span_id": None})
    assert trace_context.trace_id_of(receipt) == digest(receipt.id)[:32]
    assert trace_context.parent_span_id_of(receipt) == ""


@pytest.mark.parametrize(
    "header",
    [
        "", "x", HEADER.upper(), HEADER + "\n", HEADER + "-more", HEADER[:-1], f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"01-{TRACE}-{SPAN}-01more",
    ],
)  # fmt: skip
def test_an_invalid_traceparent_is_ignored(header: str) -> None:
    assert trace_context.parse_traceparent(header) is None


@pytest.mark.parametrize("header", [HEADER, f"01-{TRACE}-{SPAN}-00", f"01-{TRACE}-{SPAN}-03-later"])
def test_a_valid_traceparent_of_any_version_is_read(header: str) -> None:
    assert trace_context.parse_traceparent(header) == (TRACE, SPAN)
