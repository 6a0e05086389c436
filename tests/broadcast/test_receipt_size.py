"""A receipt of ours is no larger than one that is posted may be."""

from typing import Any

import msgspec
import pytest
from msgspec import structs

from broadcast import receipt_parser
from broadcast.receipt import Receipt
from broadcast.receipt_size import fitted
from tests import factories

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 2_000_000}}


def size(receipt: Receipt) -> int:
    return len(receipt_parser.document(receipt)) + len(receipt_parser.content(receipt) or b"")


def holding(asked: Any, answered: Any = "Yes.") -> Receipt:
    return structs.replace(factories.receipt(), input=asked, output=answered)


@pytest.mark.parametrize("asked", [None, "Hi", [{"role": "user", "content": "x" * 900_000}]])
def test_what_fits_stays_the_same_receipt(asked: Any) -> None:
    receipt = holding(asked)
    assert fitted(receipt) is receipt


def test_an_image_is_cut_and_the_words_beside_it_are_kept() -> None:
    made = fitted(holding([{"role": "user", "content": [{"type": "text", "text": "What is this?"}, IMAGE]}]))
    words, image = made.input[0]["content"]
    assert words == {"type": "text", "text": "What is this?"}
    assert image["image_url"]["url"].endswith("[2000022 characters, cut]")
    assert made.metadata is not None
    assert made.metadata["content_cut"] is True


@pytest.mark.parametrize(
    "each",
    ["x" * 40_000, "x" * 2000, "x" * 100, "ab", "\x01" * 300, "é" * 600],
    ids=["very long", "long", "short", "tiny", "escaped", "two bytes"],
)
def test_whatever_it_holds_the_whole_fits(each: str) -> None:
    messages = [{"role": "user", "content": each}] * (2_000_000 // (len(each) + 30))
    made = fitted(holding(messages, messages))
    assert size(made) <= receipt_parser.MAX_ITEM_BYTES
    assert made.input is not None


def test_input_and_output_share_the_room() -> None:
    made = fitted(holding(["x" * 700_000], ["y" * 700_000]))
    assert size(made) <= receipt_parser.MAX_ITEM_BYTES


def test_facts_take_their_room_from_the_content() -> None:
    receipt = structs.replace(holding("x" * 600_000), metadata={"note": "y" * 600_000})
    assert receipt_parser.MAX_ITEM_BYTES // 2 < size(fitted(receipt)) <= receipt_parser.MAX_ITEM_BYTES


def test_many_facts_leave_no_room_for_content_at_all() -> None:
    receipt = structs.replace(holding("Hi"), metadata={"note": "y" * receipt_parser.MAX_ITEM_BYTES})
    assert fitted(receipt).input == "[content too large for a receipt left out]"


def test_content_nested_too_deeply_is_left_out_and_the_rest_is_kept() -> None:
    deep = msgspec.json.decode(b"[" * 100 + b"]" * 100)
    made = fitted(holding(deep))
    assert (made.input, made.output) == ("[content nested deeper than 64 levels left out]", "Yes.")
    assert made.metadata is not None
    assert made.metadata["content_cut"] is True


def test_an_integer_beyond_64_bits_becomes_text_and_nothing_is_said_to_be_cut() -> None:
    receipt = holding([2**80])
    made = fitted(receipt)
    assert (made.input, made.metadata) == ([str(2**80)], receipt.metadata)
