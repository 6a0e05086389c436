"""Which sessions a destination gets: always the same ones, and raising the rate only adds."""

from hashlib import sha256

from broadcast.receipt import Receipt
from broadcast.trace_context import trace_id_of


def keep(destination_uid: str, receipt: Receipt, rate: float) -> bool:
    """Return whether the receipt's session, or else its trace, is in the destination's sample."""
    if rate >= 1:
        return True
    if rate <= 0:
        return False
    key = receipt.session_id or trace_id_of(receipt)
    digest = sha256(f"{destination_uid}:{key}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") < int(rate * 2**64)
