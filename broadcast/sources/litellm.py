"""LiteLLM's standard logging payloads, as its `generic_api` callback posts them, become receipts.

LiteLLM sends a payload for each try and reads no answer: so nothing is refused for want of a part that can be
done without, and the tries of one call that come together become one receipt.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import structs

from broadcast import json_text, receipt_parser
from broadcast.errors import ReceiptError
from broadcast.receipt import Receipt
from broadcast.receipt_size import fitted
from broadcast.sources import litellm_call, loose
from broadcast.sources import litellm_caller as caller
from broadcast.sources import litellm_facts as facts
from broadcast.sources.litellm_call import LATEST_S, Call

_UNKNOWN_MODEL: Final = "unknown"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_THEIR_NAMES: Final = {
    "created_at": "startTime",
    "duration_ms": "endTime",
    "api_type": "call_type",
    "trace": "metadata",
    "parameters": "model_parameters",
    "cost": "response_cost",
}


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """One receipt, and the places in the body of the payloads that it was made of."""

    places: tuple[int, ...]
    receipt: Receipt


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A payload that cannot become a receipt, and why; the field is LiteLLM's."""

    place: int
    error: ReceiptError


def read(
    body: bytes, content_type: str | None, *, now_us: int, retention_us: int
) -> tuple[list[Read], list[Refused]]:
    """Return the receipts of a body, in order, and what is refused; raise when it is not JSON at all."""
    calls: list[Call] = []
    refused: list[Refused] = []
    for place, item in enumerate(receipt_parser.split(body, content_type)):
        try:
            calls.append(litellm_call.read(place, item))
        except ReceiptError as error:
            refused.append(Refused(place=place, error=error))
    made: list[Read] = []
    for tries in _joined(calls):
        places = tuple(one.place for one in tries)
        try:
            receipt = _receipt(tries, now_us=now_us, retention_us=retention_us)
        except ReceiptError as error:
            refused.extend(Refused(place=place, error=error) for place in places)
        else:
            made.append(Read(places=places, receipt=receipt))
    return made, refused


# -- the tries of one call ---------------------------------------------------------------------------


def _joined(calls: list[Call]) -> list[list[Call]]:
    """Return the calls, each with the failed tries before it, in the order of the calls that ended them."""
    made: list[list[Call]] = []
    open_tries: dict[tuple[str, str], list[Call]] = {}
    for one in sorted(calls, key=lambda call: (call.start_us, call.place)):
        if one.whose is None:
            made.append([one])
            continue
        before = open_tries.setdefault(one.whose, [])
        if before and before[-1].end_us > one.start_us:
            made.append(open_tries.pop(one.whose))
            before = open_tries[one.whose] = []
        before.append(one)
        if not one.failed:
            made.append(open_tries.pop(one.whose))
    made.extend(open_tries.values())
    return sorted(made, key=lambda tries: tries[-1].place)


def _receipt(tries: list[Call], *, now_us: int, retention_us: int) -> Receipt:
    """Return the receipt; content that is too large to be kept is cut, and the receipt says so."""
    payload = tries[-1].payload
    receipt = _parsed(_wire(tries), now_us=now_us, retention_us=retention_us)
    return fitted(structs.replace(receipt, input=facts.asked(payload), output=facts.output(payload)))


def _parsed(wire: dict[str, Any], *, now_us: int, retention_us: int) -> Receipt:
    try:
        tamed = {name: loose.tame(name, value) for name, value in wire.items()}
        return receipt_parser.parse(msgspec.json.encode(tamed), now_us=now_us, retention_us=retention_us)
    except ReceiptError as error:
        head, dot, rest = error.field.partition(".")
        theirs = _THEIR_NAMES.get(head, head) + dot + rest
        message = error.message.replace(error.field, theirs, 1) if error.field else error.message
        raise ReceiptError(message, field=theirs, id=wire["id"]) from None


def _wire(tries: list[Call]) -> dict[str, Any]:
    """Return the posted form without content: the last try tells the facts, all of them the time."""
    first, last = tries[0], tries[-1]
    payload = last.payload
    status = facts.status(payload, failed=last.failed)
    return {
        "created_at": (_EPOCH + timedelta(microseconds=first.start_us)).isoformat(),
        "duration_ms": (last.end_us - first.start_us) / 1000,
        "status": status,
        "api_type": facts.api_type(payload),
        "streamed": last.streamed,
        "metadata": facts.more(payload),
        "id": last.id,
        "model": loose.first_text(payload.get("model"), payload.get("model_group")) or _UNKNOWN_MODEL,
        **loose.told(
            (
                ("request_id", loose.text(payload.get("litellm_call_id"))),
                ("response_model", facts.response_model(payload)),
                ("provider", facts.served_by(payload)),
                ("provider_slug", facts.provider(payload)),
                ("system", facts.maker(payload)),
                ("finish_reason", None if status == "cancelled" else facts.finish_reason(payload)),
                ("error", None if status == "succeeded" else facts.error(payload)),
                ("usage", facts.usage(payload)),
                ("cost", facts.cost(payload)),
                ("timing", _timing(first.start_us, last)),
                ("attempts", _attempts(tries)),
                ("parameters", facts.parameters(payload)),
                ("capabilities", facts.capabilities(payload)),
                ("user", caller.user(payload)),
                ("session_id", caller.session_id(payload)),
                ("trace", caller.trace(payload)),
                ("traceparent", caller.header(payload, "traceparent")),
                ("api_key", caller.api_key(payload)),
                ("app", caller.app(payload)),
                ("user_agent", loose.text(payload.get("user_agent"))),
            )
        ),
    }


def _timing(start_us: int, call: Call) -> dict[str, Any]:
    """Return the first token of a stream, and what the proxy itself took."""
    hidden = json_text.members(call.payload.get("hidden_params"))
    overhead_ms = loose.number(hidden.get("litellm_overhead_time_ms"))
    is_length = overhead_ms is not None and 0 <= overhead_ms <= LATEST_S
    return loose.told(
        (
            ("first_token_ms", _first_token_ms(start_us, call)),
            ("router_ms", overhead_ms if is_length else None),
        )
    )


def _first_token_ms(start_us: int, call: Call) -> float | None:
    seconds = loose.number(call.payload.get("completionStartTime"))
    if seconds is None or not 0 <= seconds <= LATEST_S or call.failed or not call.streamed:
        return None
    at_us = round(seconds * 1_000_000)
    return (at_us - start_us) / 1000 if call.start_us <= at_us <= call.end_us else None


def _attempts(tries: list[Call]) -> list[dict[str, Any]]:
    """Return the tries that reached a provider: none when the cache or the proxy itself answered."""
    return [
        _attempt(one, tries[0].start_us)
        for one in tries
        if facts.provider(one.payload)
        and one.payload.get("cache_hit") is not True
        and not (one.failed and facts.is_refusal(one.payload))
    ]


def _attempt(call: Call, start_us: int) -> dict[str, Any]:
    payload = call.payload
    error = facts.error(payload) if call.failed else {}
    code = error.get("code")
    return {
        "provider": facts.served_by(payload),
        "start_ms": (call.start_us - start_us) / 1000,
        "duration_ms": (call.end_us - call.start_us) / 1000,
        **loose.told(
            (
                ("provider_slug", facts.provider(payload)),
                ("model", loose.text(payload.get("model"))),
                ("id", loose.text(json_text.members(payload.get("response")).get("id"))),
                ("status_code", code if isinstance(code, int) and code <= 999 else None),
                ("error_type", error.get("type")),
                ("error_message", error.get("message")),
            )
        ),
    }
