"""The dead letters of a destination's page: what it rejected, with its words."""

from dataclasses import dataclass
from typing import Any, Final

from web import formats, security
from web.pages.problem import spoken
from web.pages.trail import trail

PAGE: Final = 20


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One rejected receipt, with the destination's words."""

    receipt_id: str
    at_us: int
    status_code: int | None
    reason: str
    replayable: bool


@dataclass(frozen=True, kw_only=True)
class Letters:
    """One page of them; `newer`, `older` and `here` are the parameters of its links and of itself."""

    rows: tuple[Letter, ...]
    newer: dict[str, str] | None
    older: dict[str, str] | None
    here: dict[str, str]


def letters_of(uid: str) -> Letters:
    """Return the page that this request's address asks for; a mark that is not ours means the newest."""
    shelf, workspace = security.services().connections, security.viewer().workspace
    found, place = trail("letters", "letters_back").read(
        lambda mark: shelf.dead_letters(workspace, uid, limit=PAGE, cursor=mark)
    )
    return Letters(
        rows=tuple(_letter(item) for item in found["data"]),
        newer=place.newer(),
        older=place.older(found["next_cursor"]),
        here=place.here(),
    )


def _letter(item: dict[str, Any]) -> Letter:
    return Letter(
        receipt_id=item["receipt_id"],
        at_us=formats.instant(item["at"]),
        status_code=item["status_code"],
        reason=spoken(item["reason"]),
        replayable=item["replayable"],
    )
