"""Join a workspace by an invitation: with the account that is signed in, or with the one it was made for."""

from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast.activity import workspaces_of
from broadcast.errors import SettingsError, TooManyRequests
from broadcast.store.workspaces import Workspace
from web import security
from web.client_address import client_address

blueprint: Final = Blueprint("join", __name__)


@blueprint.get("/join/<invite_token>")
def page(invite_token: str) -> str:
    """Say what the invitation opens, and for whom."""
    return _render(invite_token)


@blueprint.post("/join/<invite_token>")
def join(invite_token: str) -> ResponseReturnValue:
    """Make a member of whoever is signed in, or of the invited address once it gave its password."""
    services, session = security.services(), security.logged_in()
    if session is not None:
        return _joined(redirect(_home(services.invitations.join(invite_token, session.user)), 303))
    try:
        found = services.invitations.join_with_password(
            invite_token, request.form.get("password", ""), client_address()
        )
    except SettingsError as error:
        return _render(invite_token, wrong=error.problems["password"]), 422
    except TooManyRequests as error:
        return (
            _render(invite_token, wrong=str(error)),
            429,
            {"Retry-After": str(error.retry_after_s)},
        )
    if found is None:
        return _render(invite_token, wrong="The password is wrong."), 401
    token, workspace = found
    return _joined(security.begin_session(token, _home(workspace)))


def _home(workspace: Workspace) -> str:
    return url_for("activity.requests", slug=workspace.slug)


def _joined(answer: Any) -> ResponseReturnValue:
    return security.flash(answer, "joined")


def _render(invite_token: str, wrong: str = "") -> str:
    services, session = security.services(), security.logged_in()
    invitation, workspace = services.invitations.look(invite_token)
    user = session.user if session else None
    mine = workspaces_of(services.store, user.id) if user else []
    return render_template(
        "join.html",
        token=invite_token,
        invitation=invitation,
        workspace=workspace,
        user=user,
        is_member=any(found.id == workspace.id for found, _ in mine),
        wrong=wrong,
    )
