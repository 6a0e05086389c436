"""One destination: what it does now, the proof that nothing is lost, and the log that explains it."""

import itertools
from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast import activity
from broadcast.errors import NotFound, TooManyRequests
from broadcast.report import Report
from broadcast.store.attempts import Attempt
from web import security
from web.pages.observability import row_of

blueprint: Final = Blueprint("destination", __name__)
_BASE: Final = "/w/<slug>/settings/observability/<uuid:uid>"
_PAGE: Final = 50
_TERMS: Final = ("delivered", "sampled_out", "filtered", "rejected", "expired", "pending")


@blueprint.get(_BASE)
@security.page()
def page(uid: Any) -> str:
    """Show the destination."""
    return _render(str(uid))


@blueprint.post(f"{_BASE}/test")
@security.page("admin")
def test(uid: Any) -> ResponseReturnValue:
    """Test what is saved, and show the report on the page."""
    services, viewer = security.services(), security.viewer()
    now_us = services.clock()
    try:
        with services.accounts.testing(viewer.workspace.id, now_us):
            report = services.connections.test(viewer.workspace, {}, uid=str(uid), now_us=now_us)
    except TooManyRequests as error:
        return _render(str(uid), wait=str(error)), 429
    return _render(str(uid), report=report)


@blueprint.post(f"{_BASE}/send-trace")
@security.page("admin")
def send_trace(uid: Any) -> ResponseReturnValue:
    """Send one made-up request, outside the ledger."""
    services, viewer = security.services(), security.viewer()
    now_us = services.clock()
    try:
        with services.accounts.testing(viewer.workspace.id, now_us):
            report = services.connections.send_trace(
                viewer.workspace, viewer.user.id, str(uid), now_us=now_us
            )
    except TooManyRequests as error:
        return _render(str(uid), wait=str(error)), 429
    return _render(str(uid), report=report, sent=True)


@blueprint.post(f"{_BASE}/pause")
@security.page("admin")
def pause(uid: Any) -> ResponseReturnValue:
    """Hold its receipts."""
    return _act(security.services().connections.pause, str(uid), "paused")


@blueprint.post(f"{_BASE}/resume")
@security.page("admin")
def resume(uid: Any) -> ResponseReturnValue:
    """Send what was held."""
    return _act(security.services().connections.resume, str(uid), "resumed")


@blueprint.route(f"{_BASE}/delete", methods=["GET", "POST"])
@security.page("admin")
def delete(uid: Any) -> ResponseReturnValue:
    """Ask for the name, then delete."""
    services, viewer = security.services(), security.viewer()
    stored = services.connections.get(viewer.workspace, str(uid))
    if request.method == "GET" or request.form.get("name", "").strip() != stored.name:
        wrong = request.method == "POST"
        words = render_template(
            "destination_delete.html", here="observability", viewer=viewer, stored=stored, wrong=wrong
        )
        return words, 422 if wrong else 200
    services.connections.delete(viewer.workspace, viewer.user.id, str(uid), now_us=services.clock())
    return security.flash(redirect(url_for("observability.page", slug=viewer.workspace.slug), 303), "deleted")


def _act(action: Callable[..., Any], uid: str, words: str) -> ResponseReturnValue:
    services, viewer = security.services(), security.viewer()
    action(viewer.workspace, viewer.user.id, uid, now_us=services.clock())
    return security.flash(redirect(url_for(".page", slug=viewer.workspace.slug, uid=uid), 303), words)


def _render(uid: str, *, report: Report | None = None, wait: str | None = None, sent: bool = False) -> str:
    services, viewer = security.services(), security.viewer()
    now_us = services.clock()
    listed = services.connections.overview(viewer.workspace, now_us=now_us)
    found = next((item for item in listed if item.stored.uid == uid), None)
    if found is None:
        raise NotFound("There is no such destination in this workspace.")
    ledger = services.connections.ledger(viewer.workspace, uid)
    before_id = request.args.get("before", type=int)
    attempts = activity.attempts_of(services.store, found.stored, before_id=before_id, limit=_PAGE + 1)
    return render_template(
        "destination.html",
        here="observability",
        viewer=viewer,
        row=row_of(found, now_us),
        ledger=ledger,
        terms=_TERMS,
        parts=_parts(ledger),
        attempts=_folded(attempts[:_PAGE]),
        older=attempts[_PAGE - 1].id if len(attempts) > _PAGE else None,
        before=before_id,
        report=report,
        wait=wait,
        sent=sent,
        wrong={},
        now_us=now_us,
    )


def _parts(ledger: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Return the bar's parts as word, start and width in percent; none is too thin to be seen."""
    shares = {term: ledger[term] for term in _TERMS if ledger[term] > 0}
    whole = sum(shares.values())
    if not whole:
        return []
    least = 0.5
    widths = {term: max(least, 100 * number / whole) for term, number in shares.items()}
    scale = 100 / sum(widths.values())
    parts, at = [], 0.0
    for term, width in widths.items():
        parts.append((term, round(at, 3), round(width * scale, 3)))
        at += width * scale
    return parts


def _folded(attempts: list[Attempt]) -> list[tuple[Attempt, int]]:
    """Return attempts with how many equal ones in a row each stands for."""

    def alike(attempt: Attempt) -> tuple[Any, ...]:
        if attempt.delivered or attempt.skipped or attempt.rejected:
            return (attempt.id,)
        return attempt.verdict, attempt.status_code, attempt.reason

    runs = (list(run) for _, run in itertools.groupby(attempts, key=alike))
    return [(run[0], len(run)) for run in runs]
