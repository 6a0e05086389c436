"""Make a receipt no larger than a posted one may be: long texts of its content are cut, and it says so."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import structs

from broadcast import json_text, receipt_parser
from broadcast.errors import ReceiptError
from broadcast.receipt import Receipt

_LONGEST: Final = (32 * 1024, 1024, 64)
"""Texts over the first of these are cut (images are such texts); where that is not enough, shorter ones."""
_KEPT: Final = 256
_SAYS_SO: Final = {"content_cut": True}
_NESTED: Final = f"[content nested deeper than {json_text.MAX_DEPTH} levels left out]"
_LEFT_OUT: Final = "[content too large for a receipt left out]"


def fitted(receipt: Receipt) -> Receipt:
    """Return the receipt with content that can be stored: the same one where nothing has to be changed."""
    whole = _Content(asked=_told(receipt.input), answered=_told(receipt.output))
    note = {**(receipt.metadata or {}), **_SAYS_SO}
    facts = receipt_parser.document(structs.replace(receipt, input=None, output=None, metadata=note))
    room = receipt_parser.MAX_ITEM_BYTES - len(facts)
    made = whole
    for made in _smaller(whole):
        if len(msgspec.json.encode(made)) <= room:
            break
    changes: dict[str, Any] = {}
    if made.asked is not receipt.input or made.answered is not receipt.output:
        changes |= {"input": made.asked, "output": made.answered}
    if made is not whole or _NESTED in (made.asked, made.answered):
        changes["metadata"] = note
    return structs.replace(receipt, **changes) if changes else receipt


class _Content(msgspec.Struct, frozen=True, kw_only=True):
    asked: Any
    answered: Any


def _told(content: Any) -> Any:
    """Return content without integers beyond 64 bits, or that it is nested too deeply to be kept."""
    try:
        return json_text.narrowed(content)
    except ReceiptError:
        return _NESTED


def _smaller(whole: _Content) -> Iterator[_Content]:
    yield whole
    for longest in _LONGEST:
        yield _Content(asked=_cut(whole.asked, longest), answered=_cut(whole.answered, longest))
    yield _Content(asked=_left_out(whole.asked), answered=_left_out(whole.answered))


def _cut(value: Any, longest: int) -> Any:
    if isinstance(value, str) and len(value) > longest:
        return f"{value[: min(longest, _KEPT)]}[{len(value)} characters, cut]"
    if isinstance(value, list):
        return [_cut(item, longest) for item in value]
    if isinstance(value, dict):
        return {key: _cut(item, longest) for key, item in value.items()}
    return value


def _left_out(value: Any) -> Any:
    return None if value is None else _LEFT_OUT
