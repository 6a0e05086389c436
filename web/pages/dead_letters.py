"""The dead letters of a destination's page: what it rejected, with its words."""

from dataclasses import dataclass
from typing import Any, Final

from flask import request

from broadcast.errors import SettingsError
from web import formats, security
from web.pages.problem import spoken

PAGE: Final = 20
_MAX_BACK: Final = 40


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
    """One page of them; `newer` and `older` are what its links ask for."""

    rows: tuple[Letter, ...]
    newer: dict[str, Any] | None
    older: dict[str, Any] | None


def letters_of(uid: str) -> Letters:
    """Return the page that this request's address asks for; a mark that is not ours means the newest."""
    mark = request.args.get("letters") or None
    back = tuple(item for item in request.args.get("letters_back", "").split(".") if item)[-_MAX_BACK:]
    shelf, workspace = security.services().connections, security.viewer().workspace
    try:
        found = shelf.dead_letters(workspace, uid, limit=PAGE, cursor=mark)
    except SettingsError:
        mark, back = None, ()
        found = shelf.dead_letters(workspace, uid, limit=PAGE)
    older = None
    if found["next_cursor"]:
        older = _address(found["next_cursor"], (*back, mark) if mark else back)
    return Letters(
        rows=tuple(_letter(item) for item in found["data"]),
        newer=None if mark is None else _address(back[-1] if back else None, back[:-1]),
        older=older,
    )


def _address(mark: str | None, back: tuple[str, ...]) -> dict[str, Any]:
    values = {"letters": mark, "letters_back": ".".join(back)}
    return {name: value for name, value in values.items() if value}


def _letter(item: dict[str, Any]) -> Letter:
    return Letter(
        receipt_id=item["receipt_id"],
        at_us=formats.instant(item["at"]),
        status_code=item["status_code"],
        reason=spoken(item["reason"]),
        replayable=item["replayable"],
    )
