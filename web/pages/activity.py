"""Activity: what a window came to, the log of its requests, its sessions, and both as CSV."""

import base64
import binascii
import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast import activity, figures, overview, receipt_parser
from broadcast.generation import request_view
from broadcast.receipt import Receipt
from broadcast.request_log import STATUSES
from broadcast.store.activity import Only
from web import activity_charts, formats, security, zones
from web.asked import GROUPS, LABELS, Asked, asked

blueprint: Final = Blueprint("activity", __name__)
_CSV_AT_MOST: Final = 100_000
_SESSIONS: Final = 50
_COLUMNS: Final = tuple(
    request_view("", Receipt(id="", model="", status="succeeded", created_at_us=0, duration_us=0))
)
"""The heads of the CSV: what a row of the list holds, whatever was requested."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


@blueprint.get("/w/<slug>/activity")
@security.page()
def requests() -> str:
    """Show what was routed: figures of a window, and its requests, newest first."""
    services, viewer = security.services(), security.viewer()
    activity.remember_workspace(services.store, viewer.user, viewer.workspace)
    now_us = services.clock()
    question = asked(viewer.workspace.slug, request.args)
    before = _place(request.args.get("before"))
    shown = activity.requests_page(
        services.store, viewer.workspace, before=before, only=_of_log(question, now_us)
    )
    head = activity.head_seq(services.store, viewer.workspace)
    if head == 0:
        return render_template(
            "first_run.html",
            here="activity",
            viewer=viewer,
            head=head,
            types=services.types,
            public_url=services.config.public_url,
        )
    found = overview.look(
        services.store,
        viewer.workspace,
        question.length,
        question.only,
        facet=question.facet,
        now_us=now_us,
    )
    rows, more_rows = activity_charts.breakdown(found, question)
    return render_template(
        "activity.html",
        here="activity",
        viewer=viewer,
        asked=question,
        found=shown,
        figures=found,
        cards=activity_charts.cards(found, question),
        chart=activity_charts.chart(found, question, now_us, zones.zone()),
        latency=activity_charts.latency(found, question, now_us, zones.zone()),
        at_most=figures.AT_MOST,
        csv_at_most=_CSV_AT_MOST,
        now_us=now_us,
        rows=rows,
        more_rows=more_rows,
        choices=_choices(found, question),
        labels=LABELS,
        older=None if shown.older is None else _mark(shown.older),
        before=before,
        head=head,
    )


def _of_log(question: Asked, now_us: int) -> Only:
    """Return what the log shows: the window's requests, or those of a narrower time."""
    from_us, to_us = question.span_us
    window = overview.window_of(question.length, now_us, None)
    if from_us is None and question.length != "all":
        from_us = window.from_us
    # A router's clock may be ahead of ours: the cards count up to the window's end, and so does the log.
    to_us = window.to_us if to_us is None else to_us
    return replace(question.only, from_us=from_us, to_us=to_us)


def _choices(found: overview.Overview, question: Asked) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """Return each filter's values in this window with their addresses, the most requests first."""
    choices = []
    for name in ("model", "provider", "key"):
        by_value = found.figures.by(GROUPS[name])
        values = sorted(by_value, key=lambda value: (-by_value[value].requests, value))[:30]
        choices.append((name, [_choice(question, name, value, value or "none") for value in values]))
    choices.append(("status", [_choice(question, "status", word, word.capitalize()) for word in STATUSES]))
    choices.append(("source", [_choice(question, "source", *item) for item in formats.SOURCES.items()]))
    return choices


def _choice(question: Asked, name: str, value: str, words: str) -> tuple[str, str, bool]:
    return words, question.at(**{name: value}), question.filters.get(name) == value


@blueprint.get("/w/<slug>/activity/newer")
@security.page()
def newer() -> ResponseReturnValue:
    """Say how many receipts arrived since a page was made; the page decides when to show them."""
    viewer = security.viewer()
    after = request.args.get("after", default=0, type=int)
    return jsonify(newer=max(0, activity.count_newer(security.services().store, viewer.workspace, after)))


@blueprint.get("/w/<slug>/sessions")
@security.page()
def sessions() -> str:
    """Show the sessions, the one that was last in use first."""
    services, viewer = security.services(), security.viewer()
    before = _session_place(request.args.get("before"))
    found, older = overview.sessions_page(services.store, viewer.workspace, before, _SESSIONS)
    return render_template(
        "sessions.html",
        here="activity",
        viewer=viewer,
        asked=Asked(slug=viewer.workspace.slug, length="all"),
        found=found,
        before=before,
        older=None if older is None else _encoded(f"{older[0]}.{older[1]}"),
    )


@blueprint.get("/w/<slug>/jump")
@security.page()
def jump() -> ResponseReturnValue:
    """Go to the request that an id names."""
    viewer = security.viewer()
    text = request.args.get("id", "").strip()[:200]
    found = activity.find(security.services().store, viewer.workspace, text) if text else None
    if found is None:
        target = redirect(url_for(".requests", slug=viewer.workspace.slug), 303)
        return security.flash(target, "not_found") if text else target
    return redirect(url_for("request.page", slug=viewer.workspace.slug, receipt_id=found), 303)


# -- CSV -----------------------------------------------------------------------------------------


@blueprint.get("/w/<slug>/requests.csv")
@security.page()
def download() -> Response:
    """Return the requests of a view as CSV, newest first, which no spreadsheet takes for formulas."""
    services, viewer = security.services(), security.viewer()
    question = asked(viewer.workspace.slug, request.args)
    documents = activity.documents(
        services.store, viewer.workspace, _of_log(question, services.clock()), _CSV_AT_MOST
    )
    answer = Response(_csv(documents), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{viewer.workspace.slug}-requests.csv"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _csv(documents: Iterable[bytes]) -> Iterator[str]:
    yield _line(_COLUMNS)
    for document in documents:
        receipt = receipt_parser.from_document(document)
        yield _line(map(_cell, request_view(receipt.id, receipt).values()))


def _line(cells: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def _cell(value: Any) -> Any:
    """Return a value as a cell: a text that would begin a formula is quoted as text."""
    if isinstance(value, list):
        value = " ".join(map(str, value))
    if isinstance(value, dict):
        value = value.get("type")
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


# -- cursors -------------------------------------------------------------------------------------


def _mark(place: tuple[int, int]) -> str:
    return _encoded(f"{place[0]}.{place[1]}")


def _place(mark: str | None) -> tuple[int, int] | None:
    """Return the place a mark stands for; one that is not ours means the newest page."""
    found = _session_place(mark)
    try:
        place = None if found is None else (found[0], int(found[1]))
    except ValueError:
        return None
    return place if place is None or abs(place[1]) < 2**63 else None


def _session_place(mark: str | None) -> tuple[int, str] | None:
    if not mark:
        return None
    try:
        at, _, rest = base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4)).decode().partition(".")
        at_us = int(at)
    except (binascii.Error, ValueError):
        return None
    return (at_us, rest) if abs(at_us) < 2**63 else None


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
