"""One destination: what it does now, the proof that nothing is lost, and the log that explains it."""

from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast import views
from broadcast.connections import UNREADABLE
from broadcast.errors import NotFound, SettingsError, TooManyRequests, VaultError
from broadcast.report import Report
from web import security
from web.pages import attempts, dead_letters, replay
from web.pages.observability import row_of

blueprint: Final = Blueprint("destination", __name__)
_BASE: Final = "/w/<slug>/settings/observability/<uuid:uid>"
TERMS: Final = ("delivered", "sampled_out", "filtered", "rejected", "expired", "pending")
_LEAST_PERCENT: Final = 1.2


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


@blueprint.get(f"{_BASE}/views/<name>")
@security.page()
def view(uid: Any, name: str) -> ResponseReturnValue:
    """Return a ready-made view as a file, with its data source where one is named."""
    services, viewer = security.services(), security.viewer()
    stored = services.connections.get(viewer.workspace, str(uid))
    kind = services.types.get(stored.type)
    if kind is None:
        raise NotFound("This destination has no such view.")
    source, namespace = request.args.get("source", "").strip(), services.config.service_name
    try:
        text = views.filled(kind, stored.config, name, namespace=namespace, source=source)
    except SettingsError as error:
        return _render(str(uid), wait=str(error)), 422
    answer = Response(text, content_type="application/octet-stream")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@blueprint.get(f"{_BASE}/preview")
@security.page("admin")
def preview(uid: Any) -> str:
    """Show what would be sent for a receipt, the newest one unless it is chosen."""
    services, viewer = security.services(), security.viewer()
    stored = services.connections.get(viewer.workspace, str(uid))
    chosen = request.args.get("receipt_id", "").strip()
    found: dict[str, Any]
    try:
        found = services.connections.specimen(
            viewer.workspace, stored.uid, chosen or None, now_us=services.clock()
        )
    except SettingsError as error:
        found = {"problems": error.problems}
    except VaultError:
        found = {"problems": {"config": UNREADABLE}}
    return render_template(
        "preview.html", here="observability", viewer=viewer, stored=stored, preview=found, chosen=chosen
    )


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
    asked = attempts.wanted()
    log, letters = attempts.log_of(found.stored, asked, now_us), dead_letters.letters_of(uid)
    return render_template(
        "destination.html",
        here="observability",
        viewer=viewer,
        row=row_of(found, now_us),
        ledger=ledger,
        terms=TERMS,
        parts=parts_of(ledger),
        off_by=abs(ledger["appended"] - sum(ledger[term] for term in TERMS)),
        log=log,
        filter=asked,
        # What the page asks for again while it is open: its own parameters, whatever else the address holds.
        asked=log.here | letters.here,
        verdicts=attempts.VERDICTS,
        times=attempts.TIMES,
        letters=letters,
        replays=replay.listed(uid),
        report=report,
        wait=wait,
        sent=sent,
        now_us=now_us,
    )


def parts_of(ledger: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Return the bar's parts as word, start and width in percent; none is too thin to be seen."""
    shares = {term: ledger[term] for term in TERMS if ledger[term] > 0}
    whole = sum(shares.values())
    if not whole:
        return []
    widths = {term: max(_LEAST_PERCENT, 100 * number / whole) for term, number in shares.items()}
    scale = 100 / sum(widths.values())
    parts, at = [], 0.0
    for term, width in widths.items():
        parts.append((term, round(at, 3), round(width * scale, 3)))
        at += width * scale
    return parts
