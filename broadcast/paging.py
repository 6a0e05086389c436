"""Pages of lists, newest first, with an opaque cursor to the older ones."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from broadcast.errors import SettingsError

Row = TypeVar("Row")
MOST: Final = 100
_LARGEST: Final = 2**63 - 1


def before(cursor: str | None) -> int | None:
    """Return the inside id that a cursor stands for, None for the first page."""
    if not cursor:
        return None
    try:
        found = int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        found = 0
    if not 0 < found <= _LARGEST:
        raise SettingsError({"cursor": "This cursor is not one of ours."})
    return found


def cut(rows: Sequence[Row], limit: int) -> tuple[Sequence[Row], str | None]:
    """Return one page of rows, read with one too many, and the cursor to the rest; None at the end."""
    if len(rows) <= limit:
        return rows, None
    last: Any = rows[limit - 1]
    return rows[:limit], base64.urlsafe_b64encode(str(last.id).encode()).decode().rstrip("=")


def check(limit: int) -> None:
    """Raise `SettingsError` for a page that is empty or too long."""
    if not 1 <= limit <= MOST:
        raise SettingsError({"limit": f"Enter a whole number from 1 to {MOST}."})
