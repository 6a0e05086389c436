"""A workspace of one's own, from any other or from none."""

from typing import Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast.activity import workspaces_of
from broadcast.errors import SettingsError
from web import security

blueprint: Final = Blueprint("new_workspace", __name__)


@blueprint.get("/workspaces/new")
@security.signed_in
def page() -> str:
    """Ask for a name."""
    return _form()


@blueprint.post("/workspaces/new")
@security.signed_in
def make() -> ResponseReturnValue:
    """Make a workspace that belongs to whoever asks."""
    services = security.services()
    name = request.form.get("name", "")
    try:
        made = services.accounts.create_workspace(
            name=name, owner=security.session().user, now_us=services.clock()
        )
    except SettingsError as error:
        return _form(name=name, wrong=error.problems["name"]), 422
    return security.flash(redirect(url_for("observability.page", slug=made.slug), 303), "workspace_made")


def _form(*, name: str = "", wrong: str = "") -> str:
    user = security.session().user
    return render_template(
        "new_workspace.html",
        user=user,
        name=name,
        wrong=wrong,
        has_one=bool(workspaces_of(security.services().store, user.id)),
    )
