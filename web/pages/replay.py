"""Replay: choose receipts, see how many and how large, send them again; a dialog, or a page of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast.errors import Conflict, NotFound, SettingsError
from broadcast.replay import NothingToReplay, Preview, wanted_from
from web import formats, security, zones
from web.pages.observability import Row, row_of

blueprint: Final = Blueprint("replay", __name__)
_BASE: Final = "/w/<slug>/settings/observability/<uuid:uid>/replay"
_HOUR_US: Final = 3_600_000_000
_RANGES: Final[Mapping[str, int]] = {"hour": _HOUR_US, "day": 24 * _HOUR_US}
_KINDS: Final = (*_RANGES, "own", "dead_letters", "receipt")
_SHOWN: Final = 10
_UNREADABLE: Final = "Enter a day and a time."
_Body = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the form says: `body` is the API's, None while a field is wrong."""

    what: str
    begin: str
    end: str
    receipt: str
    include_delivered: bool
    body: _Body | None
    wrong: Mapping[str, str]


@blueprint.get(_BASE)
@security.page("admin")
def page(uid: Any) -> ResponseReturnValue:
    """Show what can be replayed, and what the choice would send."""
    return _render(str(uid), _choice(security.services().clock()))


@blueprint.post(_BASE)
@security.page("admin")
def start(uid: Any) -> ResponseReturnValue:
    """Begin exactly what the preview counted."""
    services, viewer = security.services(), security.viewer()
    now_us = services.clock()
    try:
        wanted = wanted_from(_body(request.form))
        services.replays.start(viewer.workspace, viewer.user.id, str(uid), wanted, now_us=now_us)
    except (Conflict, NothingToReplay) as error:
        return _render(str(uid), _choice(now_us), refused=str(error)), 409
    except SettingsError as error:
        return _render(str(uid), _choice(now_us), refused=next(iter(error.problems.values()))), 422
    target = url_for("destination.page", slug=viewer.workspace.slug, uid=uid, _anchor="replays")
    return security.flash(redirect(target, 303), "replaying")


@blueprint.post(f"{_BASE}/<uuid:replay_uid>/stop")
@security.page("admin")
def stop(uid: Any, replay_uid: Any) -> ResponseReturnValue:
    """Stop a replay."""
    services, viewer = security.services(), security.viewer()
    services.replays.stop(
        viewer.workspace, viewer.user.id, str(uid), str(replay_uid), now_us=services.clock()
    )
    target = url_for("destination.page", slug=viewer.workspace.slug, uid=uid, _anchor="replays")
    return security.flash(redirect(target, 303), "replay_stopped")


def listed(uid: str) -> list[dict[str, Any]]:
    """Return a destination's last replays, newest first, as its page shows them."""
    found = security.services().replays.list(security.viewer().workspace, uid, limit=_SHOWN)["data"]
    return [
        {**item, "at_us": formats.instant(item["created_at"]), "percent": _percent(item)} for item in found
    ]


def _percent(item: Mapping[str, Any]) -> float:
    return round(100 * item["settled"] / item["total"], 2) if item["total"] else 100.0


# -- the choice ----------------------------------------------------------------------------------


def _choice(now_us: int) -> Choice:
    """Return what this request's address or form chose; an hour back from now where it says nothing."""
    values = request.values
    what = values.get("what", "hour")
    what = what if what in _KINDS else "hour"
    zone = zones.zone()
    begin = values.get("begin") or formats.minute(now_us - 2 * _HOUR_US, zone)
    end = values.get("end") or formats.minute(now_us, zone)
    receipt = values.get("receipt", "")[:128]
    again = bool(values.get("include_delivered"))
    body, wrong = _asked(what, begin, end, receipt, now_us)
    if body is not None and again:
        body["include_delivered"] = True
    return Choice(
        what=what,
        begin=begin,
        end=end,
        receipt=receipt,
        include_delivered=again,
        body=body,
        wrong=wrong,
    )


def _asked(what: str, begin: str, end: str, receipt: str, now_us: int) -> tuple[_Body | None, dict[str, str]]:
    if what == "dead_letters":
        return {"dead_letters": True}, {}
    if what == "receipt":
        return ({"receipt_ids": [receipt]}, {}) if receipt else (None, {"receipt": "Enter a receipt's id."})
    if what in _RANGES:
        return {"from": formats.iso(now_us - _RANGES[what]), "to": formats.iso(now_us)}, {}
    body: _Body = {}
    wrong = {}
    for name, field, text in (("from", "begin", begin), ("to", "end", end)):
        try:
            body[name] = formats.iso(formats.from_minute(text, zones.zone()))
        except (ValueError, OverflowError):
            wrong[field] = _UNREADABLE
    if not wrong and body["to"] <= body["from"]:
        wrong["end"] = "Enter a time after the first one."
    return (None if wrong else body), wrong


def _body(form: Mapping[str, str]) -> _Body:
    """Return what the preview's own form carries: instants, not words, so that the same is sent."""
    body: _Body = {name: form[name] for name in ("from", "to") if form.get(name)}
    if form.get("receipt_id"):
        body["receipt_ids"] = [form["receipt_id"]]
    if form.get("dead_letters"):
        body["dead_letters"] = True
    if form.get("include_delivered"):
        body["include_delivered"] = True
    return body


# -- show ----------------------------------------------------------------------------------------


def _render(uid: str, choice: Choice, *, refused: str = "") -> str:
    services, viewer = security.services(), security.viewer()
    now_us = services.clock()
    found = next(
        (
            item
            for item in services.connections.overview(viewer.workspace, now_us=now_us)
            if item.stored.uid == uid
        ),
        None,
    )
    if found is None:
        raise NotFound("There is no such destination in this workspace.")
    wrong, preview = dict(choice.wrong), None
    if choice.body is not None:
        try:
            preview = services.replays.preview(viewer.workspace, uid, wanted_from(choice.body), now_us=now_us)
        except SettingsError as error:
            wrong |= _placed(error.problems)
        except Conflict as error:
            refused = refused or str(error)
    row = row_of(found, now_us)
    return render_template(
        "replay.html",
        here="observability",
        viewer=viewer,
        row=row,
        choice=choice,
        wrong=wrong,
        refused=refused,
        preview=preview,
        starts=_starts(row),
        blocked=_blocked(preview),
        rejected=services.connections.ledger(viewer.workspace, uid)["rejected"],
    )


def _placed(problems: Mapping[str, str]) -> dict[str, str]:
    """Return the API's problems under the form's own names."""
    names = {"from": "begin", "to": "end", "receipt_ids": "receipt"}
    return {names.get(name, name): words for name, words in problems.items()}


def _starts(row: Row) -> str:
    if row.state == "paused":
        return "Paused: starts when it resumes."
    if row.pending:
        return f"Starts after {formats.plural(row.pending, 'waiting receipt')}."
    return "Fresh receipts go first."


def _blocked(preview: Preview | None) -> str:
    """Return why nothing would be sent, empty when something would."""
    if preview is None or preview.to_send:
        return ""
    if not preview.receipts:
        empty = preview.source == "dead_letters"
        return "There are no dead letters." if empty else "No receipt was created in this time."
    if preview.waiting == preview.receipts:
        return "They wait for their first delivery."
    if preview.already_delivered and not preview.include_delivered:
        return "All of these were delivered before."
    return "Nothing of it would be sent today."
