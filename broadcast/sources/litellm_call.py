"""One payload of LiteLLM: whose call it is, when it ran, and whether it failed."""

from hashlib import sha256
from typing import Any, Final

import msgspec

from broadcast import json_text
from broadcast.errors import ReceiptError
from broadcast.receipt import ID
from broadcast.sources import loose

LATEST_S: Final = 32_503_680_000.0


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One payload, with what joins the tries of a call."""

    place: int
    id: str
    payload: dict[str, Any]
    start_us: int
    end_us: int
    failed: bool

    @property
    def whose(self) -> tuple[str, str] | None:
        """Return what the tries of one call share; the trace id tells apart clients that repeat a call id."""
        call_id = loose.text(self.payload.get("litellm_call_id"))
        return (call_id, loose.text(self.payload.get("trace_id")) or "") if call_id else None

    @property
    def streamed(self) -> bool:
        """Whether the answer was a stream, or would have been."""
        asked = json_text.members(self.payload.get("model_parameters"))
        return self.payload.get("stream") is True or asked.get("stream") is True


def read(place: int, item: bytes) -> Call:
    """Return the call of one item; refuse what is no payload, or says nothing of when and how it ended."""
    payload = loose.document(item)
    if not isinstance(payload, dict):
        raise ReceiptError("Send LiteLLM's standard logging payload: a JSON object.")
    own_id = _id(payload, item)
    try:
        start_us, end_us = _times(payload)
        failed = _failed(payload)
    except ReceiptError as error:
        error.id = own_id
        raise
    return Call(place=place, id=own_id, payload=payload, start_us=start_us, end_us=end_us, failed=failed)


def _times(payload: dict[str, Any]) -> tuple[int, int]:
    """Return start and end, one made of the other and the length where it is missing."""
    start, end = _seconds(payload, "startTime"), _seconds(payload, "endTime")
    length = loose.number(payload.get("response_time"))
    length = length if length is not None and 0 <= length <= LATEST_S else 0.0
    if start is None and end is None:
        raise ReceiptError(
            "startTime is required: the seconds since 1970 at which the request began.", field="startTime"
        )
    if start is None:
        start = max((end or 0.0) - length, 0.0)
    if end is None:
        end = start + length
    return round(start * 1_000_000), round(max(start, end) * 1_000_000)


def _seconds(payload: dict[str, Any], name: str) -> float | None:
    value = payload.get(name)
    if value is None or value == "":
        return None
    seconds = loose.number(value)
    if seconds is None:
        raise ReceiptError(
            f"{name} must be seconds since 1970, as LiteLLM's standard logging payload has it: "
            "its older form, generic_api_use_v1, is not read.",
            field=name,
        )
    if not 0 <= seconds <= LATEST_S:
        raise ReceiptError(f"{name} must be seconds since 1970, not another unit of time.", field=name)
    return seconds


def _failed(payload: dict[str, Any]) -> bool:
    """Return whether the call failed; without a status, whether it tells of an error."""
    status = payload.get("status")
    if status in ("success", "failure"):
        return bool(status == "failure")
    if status not in (None, ""):
        raise ReceiptError("status must be success or failure.", field="status")
    told = json_text.members(payload.get("error_information"))
    return bool(payload.get("error_str") or told.get("error_class") or told.get("error_message"))


def _id(payload: dict[str, Any], item: bytes) -> str:
    """Return LiteLLM's id of the call, which its client has in a header; else one made of what there is.

    The id of the answer is no choice: providers repeat it, and LiteLLM repeats it from its cache.
    """
    for name in ("litellm_call_id", "id"):
        found = loose.text(payload.get(name))
        if found and found != "None":
            return found if ID.fullmatch(found) else f"litellm-{sha256(found.encode()).hexdigest()[:32]}"
    return f"litellm-{sha256(item).hexdigest()[:32]}"
