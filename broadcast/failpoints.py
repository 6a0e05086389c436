"""Named places where a test kills this process: nothing is armed unless `BROADCAST_FAILPOINT` says so.

`after_send:3` ends the process without any cleaning up, as `kill -9` does, when that place is reached for
the third time.
"""

import os
from typing import Final

PLACES: Final = (
    "ingest_before_commit",
    "ingest_after_commit",
    "after_claim",
    "before_send",
    "after_answer",
    "metrics_before_send",
    "record_before_commit",
    "record_after_commit",
    "retention_before_commit",
)

_left: Final[dict[str, int]] = {}


def arm(text: str) -> None:
    """Arm the places named in `text`, comma separated; raise `ValueError` for one that does not exist."""
    _left.clear()
    for item in filter(None, text.split(",")):
        place, _, count = item.partition(":")
        if place not in PLACES:
            raise ValueError(place)
        _left[place] = int(count or "1")


def reached(place: str) -> None:
    """End the process here if this place is armed and its time has come."""
    if not _left or place not in _left:
        return
    _left[place] -= 1
    if _left[place] <= 0:
        os._exit(9)
