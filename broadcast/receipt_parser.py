"""Bytes to receipts and back: the wire form of CONTRACT section 3, and the document that is stored."""

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, structs

from broadcast import json_text
from broadcast.errors import ReceiptError, TooManyReceipts
from broadcast.receipt import ID, Cost, Facts, Millis, ProviderAttempt, Receipt
from broadcast.receipt_words import refusal, refusal_of

MAX_ITEM_BYTES: Final = 1024 * 1024
MAX_ITEMS: Final = 100_000
"""Items of one body; a refusal of two bytes costs a thousand, and more as an answer."""
_COMMAS: Final = 10
"""So many stand in the smallest receipts, or more: a body with more of them is counted before it is split."""
AHEAD_US: Final = 600_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NOTHING: Final = Decimal(0)
_MAX_USD: Final = Decimal(1_000_000_000)
_NANO_USD: Final = Decimal(1_000_000_000)
_HALF: Final = Decimal("0.5")
_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_UP)
_BOM: Final = b"\xef\xbb\xbf"
_BLANK: Final = b" \t\r\n"


class PostedCost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Money as it is posted, in USD."""

    total_usd: Decimal
    input_usd: Decimal | None = None
    output_usd: Decimal | None = None
    upstream_usd: Decimal | None = None
    estimated: bool | None = None


class Posted(Facts, frozen=True, kw_only=True):
    """A receipt as it is posted: every optional field may be null."""

    created_at: Annotated[datetime, Meta(tz=True)]
    duration_ms: Millis
    api_type: str | None = None
    streamed: bool | None = None
    cost: PostedCost | None = None
    attempts: tuple[ProviderAttempt, ...] | None = None
    capabilities: tuple[str, ...] | None = None


class _Content(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    input: Any = None
    output: Any = None


class _OnlyId(msgspec.Struct, gc=False):
    id: str


_FACTS: Final = len(Facts.__struct_fields__)
_WIRE: Final = msgspec.json.Decoder(Posted)
_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_RAW: Final = msgspec.json.Decoder(msgspec.Raw)
_DOCUMENT: Final = msgspec.json.Decoder(Receipt)
_CONTENT: Final = msgspec.json.Decoder(_Content)
_ONLY_ID: Final = msgspec.json.Decoder(_OnlyId)
_IDS: Final = re.compile(rf"{ID.pattern}(?:\n{ID.pattern})*")
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


# -- in ----------------------------------------------------------------------------------------------


def split(body: bytes, content_type: str | None = None) -> list[bytes]:
    """Return the items of an object, an array or NDJSON, each to be parsed alone; refuse what is not JSON."""
    body = body.removeprefix(_BOM).strip(_BLANK)
    if not body:
        raise ReceiptError("The body is empty: send a JSON object, an array of objects, or NDJSON.")
    if _is_lines(content_type):
        if _lines(body) > MAX_ITEMS:
            raise TooManyReceipts(MAX_ITEMS)
        return [item for line in body.split(b"\n") if (item := line.strip(_BLANK))]
    items = _split_array(body) if body.startswith(b"[") else _split_values(body)
    if items is None:
        raise ReceiptError("The body is not JSON: send a JSON object, an array of objects, or NDJSON.")
    return items


def _is_lines(content_type: str | None) -> bool:
    kind = (content_type or "").lower()
    return "ndjson" in kind or "jsonl" in kind


def _split_array(body: bytes) -> list[bytes] | None:
    if body.count(b",") >= MAX_ITEMS * _COMMAS:
        # Among so many there may be millions of items: this counts them on the way.
        return json_text.split_array(body, most=MAX_ITEMS)
    try:
        items = _ITEMS.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return json_text.split_array(body, most=MAX_ITEMS)
    if len(items) > MAX_ITEMS:
        raise TooManyReceipts(MAX_ITEMS)
    return [bytes(item) for item in items]


def _split_values(body: bytes) -> list[bytes] | None:
    try:
        return [bytes(_RAW.decode(body))]
    except (msgspec.DecodeError, ValueError, RecursionError):
        return json_text.split_values(body, most=MAX_ITEMS) if body.startswith(b"{") else None


def parse_lines(
    body: bytes, content_type: str | None, *, now_us: int, retention_us: int
) -> list[Receipt] | None:
    """Return the receipts of NDJSON that is all good; None for anything else, to be parsed item by item.

    Reading all lines at once costs a third less than one after the other.
    """
    # No line of a body within the limit of one item is beyond that limit.
    if not _is_lines(content_type) or len(body) > MAX_ITEM_BYTES or _holds_nul(body):
        return None
    body = body.strip(_BLANK)
    try:
        posted = _WIRE.decode_lines(body)
        if len(posted) != _lines(body) or not _are_ids([wire.id for wire in posted]):
            return None
        return [_receipt(wire, now_us=now_us, retention_us=retention_us) for wire in posted]
    except (msgspec.DecodeError, ValueError, RecursionError, ReceiptError):
        return None


def _lines(body: bytes) -> int:
    """Count lines by what is left without their ends, which takes a quarter of counting these."""
    return len(body) - len(body.replace(b"\n", b"")) + 1


def _are_ids(texts: list[str]) -> bool:
    """Ask all at once, which costs a third of asking one after the other; none may hold what parts them."""
    joined = "\n".join(texts)
    return joined.count("\n") == len(texts) - 1 and _IDS.fullmatch(joined) is not None


def parse(item: bytes, *, now_us: int, retention_us: int) -> Receipt:
    """Return the receipt of one item; raise `ReceiptError` with field, fix and, where readable, the id."""
    try:
        wire = _decode(item)
        if not ID.fullmatch(wire.id):
            raise refusal_of("id")
        return _receipt(wire, now_us=now_us, retention_us=retention_us)
    except ReceiptError as error:
        error.id = _id_of(item)
        raise


def _decode(item: bytes) -> Posted:
    if len(item) > MAX_ITEM_BYTES:
        raise ReceiptError(f"The receipt is larger than {MAX_ITEM_BYTES} bytes: shorten input or output.")
    if _holds_nul(item):
        return _decode_mended(item)
    try:
        return _WIRE.decode(item)
    except msgspec.ValidationError as error:
        raise refusal(str(error)) from None
    except UnicodeDecodeError:
        raise ReceiptError("It is not valid UTF-8.") from None
    except RecursionError:
        raise json_text.too_deep() from None
    except msgspec.DecodeError:
        return _decode_mended(item)


def _holds_nul(body: bytes) -> bool:
    """Look for one byte, which costs nothing, then from the end, which takes a third of the usual search."""
    return b"\\" in body and body.rfind(b"\\u0000") >= 0


def _decode_mended(item: bytes) -> Posted:
    try:
        return _WIRE.decode(json_text.mend(item))
    except msgspec.DecodeError as error:
        raise refusal(str(error)) from None


def _id_of(item: bytes) -> str | None:
    try:
        found = _ONLY_ID.decode(item).id
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return found if ID.fullmatch(found) else None


def _receipt(wire: Posted, *, now_us: int, retention_us: int) -> Receipt:
    _check_required(wire)
    _check_facts(wire)
    values = (
        *structs.astuple(wire)[:_FACTS],
        check_created_at(
            (wire.created_at - _EPOCH) // _MICROSECOND, now_us=now_us, retention_us=retention_us
        ),
        round(wire.duration_ms * 1000),
        wire.api_type or "chat",
        wire.streamed or False,
        _cost(wire.cost) if wire.cost else None,
        wire.attempts or (),
        wire.capabilities or (),
    )
    receipt = Receipt(*values)
    return receipt if receipt.input is None and receipt.output is None else _with_narrow_content(receipt)


def _check_required(wire: Posted) -> None:
    """The structs also serve receipts that we build ourselves, where these may be unknown."""
    usage = wire.usage
    if usage is not None and (usage.input_tokens is None or usage.output_tokens is None):
        field = "usage.input_tokens" if usage.input_tokens is None else "usage.output_tokens"
        raise ReceiptError(f"{field} is required.", field=field)
    if wire.error is not None and not wire.error.message:
        raise ReceiptError("error.message must not be empty.", field="error.message")


def check_created_at(at_us: int, *, now_us: int, retention_us: int) -> int:
    """Return the instant when a request of then may be stored now; raise `ReceiptError` when it may not."""
    if at_us > now_us + AHEAD_US:
        raise ReceiptError(
            "created_at is more than 10 minutes ahead: check the clock of the sender.", field="created_at"
        )
    if at_us < now_us - retention_us:
        days = retention_us // 86_400_000_000
        raise ReceiptError(
            f"created_at is older than the retention of {days} days: send receipts sooner.",
            field="created_at",
        )
    return at_us


def _cost(wire: PostedCost) -> Cost:
    return Cost(
        _nano_usd("total_usd", wire.total_usd),
        None if wire.input_usd is None else _nano_usd("input_usd", wire.input_usd),
        None if wire.output_usd is None else _nano_usd("output_usd", wire.output_usd),
        None if wire.upstream_usd is None else _nano_usd("upstream_usd", wire.upstream_usd),
        wire.estimated,
    )


def _nano_usd(name: str, amount: Decimal) -> int:
    if not amount.is_finite() or not _NOTHING <= amount <= _MAX_USD:
        raise ReceiptError(
            f"cost.{name} must be an amount of 0 to {_MAX_USD} USD, as text or number.", field=f"cost.{name}"
        )
    # Half a nano-USD more, cut off: it is rounded half up.
    return int(_EXACT.fma(amount, _NANO_USD, _HALF))


def _check_facts(wire: Posted) -> None:
    if wire.parameters and json_text.holds_wide_integer(wire.parameters):
        raise _too_wide("parameters")
    if wire.trace and json_text.holds_wide_integer(wire.trace):
        raise _too_wide("trace")
    if wire.metadata and json_text.holds_wide_integer(wire.metadata):
        raise _too_wide("metadata")


def _too_wide(field: str) -> ReceiptError:
    return ReceiptError(f"{field} holds a whole number beyond 64 bits: send it as text.", field=field)


def _with_narrow_content(receipt: Receipt) -> Receipt:
    """Content is any JSON: an integer beyond 64 bits, which few readers keep, becomes text."""
    changes = {
        name: narrowed
        for name, value in (("input", receipt.input), ("output", receipt.output))
        if type(value) is not str and (narrowed := json_text.narrowed(value)) is not value
    }
    return structs.replace(receipt, **changes) if changes else receipt


# -- stored ------------------------------------------------------------------------------------------


def stored(receipt: Receipt) -> tuple[bytes, bytes | None]:
    """Return what is stored of a receipt: its document, and its content where it has any."""
    if receipt.input is None and receipt.output is None:
        # Asked here for both: most receipts have none.
        return _ENCODER.encode(receipt), None
    return document(receipt), content(receipt)


def document(receipt: Receipt) -> bytes:
    """Return the receipt without content as canonical JSON: equal receipts give equal bytes."""
    if receipt.input is None and receipt.output is None:
        return _ENCODER.encode(receipt)
    return _ENCODER.encode(structs.replace(receipt, input=None, output=None))


from_document: Final = _DOCUMENT.decode
"""Return the receipt of a stored document; raise `msgspec.DecodeError` when it is none."""


def content(receipt: Receipt) -> bytes | None:
    """Return input and output as canonical JSON, or None when there is none."""
    if receipt.input is None and receipt.output is None:
        return None
    return _ENCODER.encode(_Content(input=receipt.input, output=receipt.output))


def with_content(receipt: Receipt, content: bytes | None) -> Receipt:
    """Return the receipt with the content that was stored apart from it."""
    if content is None:
        return receipt
    stored = _CONTENT.decode(content)
    return structs.replace(receipt, input=stored.input, output=stored.output)


def mended(receipt: Receipt) -> Receipt:
    """Return a receipt built from a caller's own values with everything mended that `parse` would mend.

    The gateway needs it: what a caller put into `trace` did not come through `parse`.
    """
    changes: dict[str, Any] = {}
    for name in ("trace", "parameters", "metadata", "input", "output"):
        value = getattr(receipt, name)
        if value is not None:
            changes[name] = _mended_value(value)
    for name in ("user", "session_id", "user_agent", "traceparent", "origin", "model"):
        value = getattr(receipt, name)
        if value is not None:
            changes[name] = json_text.text(value)
    return structs.replace(receipt, **changes)


def _mended_value(value: Any) -> Any:
    try:
        return json_text.clean(json_text.narrowed(value))
    except ReceiptError:
        return None
