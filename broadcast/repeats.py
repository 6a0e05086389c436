"""Repeats: a receipt whose id is known is the same again, or it is refused.

It may come with another key: the key that posted a receipt is no part of what it says. Content may be gone
when the receipt comes again, so a keyed fingerprint stays behind; without content the document is enough.
"""

from typing import Final

import msgspec

from broadcast.store.receipts import Known, NewReceipt
from broadcast.vault import ContentCipher

KEY_MEMBER: Final = b',"api_key":'
"""What the member begins with that a stored document ends with, where a key posted it."""


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """One receipt, ready to be numbered: its row, its document as it was sent, and its content.

    The content stays beside the row until somebody is known to want it.
    """

    row: NewReceipt
    sent: bytes
    content: bytes | None


def fingerprint_of(cipher: ContentCipher, sent: bytes, content: bytes | None) -> bytes:
    """Return what stands for a document and its content."""
    return cipher.fingerprint(sent if content is None else sent + b"\n" + content)


def is_same(item: Prepared, other: Prepared | Known, cipher: ContentCipher) -> bool:
    """Return whether a receipt says the same as another one with its id, stored or about to be."""
    if isinstance(other, Prepared):
        return (item.sent, item.content) == (other.sent, other.content)
    if other.document is None:
        return other.fingerprint == fingerprint_of(cipher, item.sent, item.content)
    by_a_key = item.sent[:-1] + KEY_MEMBER
    return item.content is None and (other.document == item.sent or other.document.startswith(by_a_key))
