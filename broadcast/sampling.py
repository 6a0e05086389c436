"""Which receipts a destination gets: the same ones whenever it is asked, and raising the rate only adds.

By session unless one of OpenTelemetry's six samplers is chosen, which judge by the trace:
https://opentelemetry.io/docs/specs/otel/trace/sdk/#built-in-samplers
"""

from hashlib import sha256
from typing import Final, Literal, get_args

from broadcast.receipt import Receipt
from broadcast.trace_context import parent_sampled, trace_id_of

Sampler = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]
SAMPLERS: Final[tuple[Sampler, ...]] = get_args(Sampler)
_PARENT: Final = "parentbased_"


def keep(destination_uid: str, receipt: Receipt, rate: float, sampler: str | None = None) -> bool:
    """Return whether the receipt is in the destination's sample.

    Without a sampler its session decides, or else its trace.
    """
    if sampler is None:
        return rate >= 1 or _by_session(destination_uid, receipt, rate)
    if sampler.startswith(_PARENT):
        sampled = parent_sampled(receipt.traceparent)
        if sampled is not None:
            return sampled
    root = sampler.removeprefix(_PARENT)
    return root == "always_on" or (root == "traceidratio" and _by_trace(receipt, rate))


def keeps_all(rate: float, sampler: str | None = None) -> bool:
    """Return whether no receipt needs to be asked."""
    return sampler == "always_on" or (sampler in {None, "traceidratio"} and rate >= 1)


def _by_session(destination_uid: str, receipt: Receipt, rate: float) -> bool:
    key = receipt.session_id or trace_id_of(receipt)
    digest = sha256(f"{destination_uid}:{key}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") < int(rate * 2**64)


def _by_trace(receipt: Receipt, rate: float) -> bool:
    """Judge the lower half of the trace id, as OpenTelemetry's SDKs do: they keep the same traces."""
    return int(trace_id_of(receipt)[16:], 16) < round(rate * 2**64)
