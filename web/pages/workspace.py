"""The workspace: its name, its address and its members."""

from typing import Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast import activity
from broadcast.errors import SettingsError
from web import security

blueprint: Final = Blueprint("workspace", __name__)


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
        activity.rename(services.store, viewer.workspace, viewer.user, name, services.clock())
    except SettingsError as error:
        return _render(wrong=error.problems["name"], name=name), 422
    return security.flash(redirect(url_for(".page", slug=viewer.workspace.slug), 303), "named")


def _render(wrong: str = "", name: str | None = None) -> str:
    viewer = security.viewer()
    members = activity.members_of(security.services().store, viewer.workspace)
    shown = viewer.workspace.name if name is None else name
    return render_template(
        "workspace.html", here="workspace", viewer=viewer, members=members, wrong=wrong, name=shown
    )
