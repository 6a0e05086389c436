"""The workspace: its name, who is told when a destination needs attention, and its end."""

from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast import activity
from broadcast.errors import SettingsError
from broadcast.members import MANAGING
from broadcast.notice_settings import EMAIL
from broadcast.notice_webhook import FIELD, Posted, masked
from broadcast.store.workspaces import Workspace
from web import formats, security

blueprint: Final = Blueprint("workspace", __name__)


@dataclass(frozen=True, kw_only=True)
class Telling:
    """How the workspace is told: whom by mail, and where by webhook; `outcome` is what a test came to."""

    email: bool
    sends_mail: bool
    to: tuple[str, ...]
    webhook: str | None
    wrong: str = ""
    outcome: Posted | None = None
    saved: bool = False


@blueprint.get("/w/<slug>/settings/workspace")
@security.page()
def page() -> str:
    """Show the workspace."""
    return _render()


@blueprint.post("/w/<slug>/settings/workspace")
@security.page("admin")
def rename() -> ResponseReturnValue:
    """Give it another name; its address stays."""
    services, viewer = security.services(), security.viewer()
    name = request.form.get("name", "")
    try:
        services.accounts.change_workspace(
            viewer.workspace, viewer.user.id, {"name": name}, now_us=services.clock()
        )
    except SettingsError as error:
        return _render(wrong=error.problems["name"], name=name), 422
    return _back("named")


@blueprint.post("/w/<slug>/settings/workspace/email")
@security.page("admin")
def switch_email() -> ResponseReturnValue:
    """Switch the mail to owners and admins."""
    _change({EMAIL: request.form.get("enabled") == "on"})
    return _back("changed")


@blueprint.post("/w/<slug>/settings/workspace/webhook")
@security.page("admin")
def save_webhook() -> ResponseReturnValue:
    """Keep the address, whatever its test comes to, and show what that is."""
    try:
        workspace = _change({FIELD: request.form.get(FIELD, "")})
    except SettingsError as error:
        return _render(wrong_webhook=error.problems[FIELD]), 422
    return _render(workspace, outcome=_tested(workspace), saved=True)


@blueprint.post("/w/<slug>/settings/workspace/webhook/remove")
@security.page("admin")
def remove_webhook() -> ResponseReturnValue:
    """Forget the address."""
    _change({FIELD: None})
    return _back("changed")


@blueprint.post("/w/<slug>/settings/workspace/webhook/test")
@security.page("admin")
def test_webhook() -> ResponseReturnValue:
    """Post a test notice to the stored address and show what became of it."""
    workspace = security.viewer().workspace
    if workspace.notify_webhook is None:
        return _back("")
    return _render(outcome=_tested(workspace))


@blueprint.route("/w/<slug>/settings/workspace/delete", methods=["GET", "POST"])
@security.page("owner")
def delete() -> ResponseReturnValue:
    """Ask for the name, then delete the workspace with everything it owns."""
    services, viewer = security.services(), security.viewer()
    workspace = viewer.workspace
    if request.method == "GET" or request.form.get("name", "").strip() != workspace.name:
        wrong = request.method == "POST"
        owned = (
            "every request",
            formats.plural(len(services.connections.overview(workspace)), "destination"),
            formats.plural(len(services.accounts.keys_of(workspace.id)), "key"),
            formats.plural(len(activity.members_of(services.store, workspace)), "member"),
        )
        words = render_template(
            "workspace_delete.html", here="workspace", viewer=viewer, owned=owned, wrong=wrong
        )
        return words, 422 if wrong else 200
    services.accounts.delete_workspace(workspace, viewer.user.id, now_us=services.clock())
    return security.flash(redirect("/", 303), "workspace_deleted")


def _change(body: dict[str, Any]) -> Workspace:
    services, viewer = security.services(), security.viewer()
    return services.notice_settings.change(viewer.workspace, viewer.user.id, body, now_us=services.clock())


def _tested(workspace: Workspace) -> Posted:
    services, now_us = security.services(), security.services().clock()
    with services.accounts.testing(workspace.id, now_us):
        return services.notice_settings.test(workspace, security.viewer().user.id, now_us=now_us)


def _back(note: str) -> ResponseReturnValue:
    answer = redirect(url_for(".page", slug=security.viewer().workspace.slug), 303)
    return security.flash(answer, note) if note else answer


def _render(
    workspace: Workspace | None = None,
    *,
    name: str | None = None,
    wrong: str = "",
    wrong_webhook: str = "",
    outcome: Posted | None = None,
    saved: bool = False,
) -> str:
    services, viewer = security.services(), security.viewer()
    shown = workspace or viewer.workspace
    members = activity.members_of(services.store, shown)
    host = shown.notify_webhook_host
    telling = Telling(
        email=shown.notify_email,
        sends_mail=services.notice_settings.sends_mail,
        to=tuple(user.email for user, role in members if role in MANAGING),
        webhook=masked(host) if host else None,
        wrong=wrong_webhook,
        outcome=outcome,
        saved=saved,
    )
    return render_template(
        "workspace.html",
        here="workspace",
        viewer=viewer,
        telling=telling,
        wrong=wrong,
        name=shown.name if name is None else name,
    )
