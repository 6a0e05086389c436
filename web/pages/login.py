"""Sign in, sign out, and where `/` leads."""

from typing import Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast.activity import workspaces_of
from broadcast.errors import TooManyRequests
from broadcast.store.users import User
from web import security
from web.client_address import client_address

blueprint: Final = Blueprint("login", __name__)
_OURS: Final = ("/w/", "/join/", "/workspaces/", "/login/oidc/connect")
_WRONG: Final = "Email or password is wrong."


@blueprint.route("/login", methods=["GET", "POST"])
def page() -> ResponseReturnValue:
    """Show the form, and let in whoever knows the password."""
    if request.method == "GET":
        if security.logged_in():
            return redirect("/", 303)
        return _form(next_=request.args.get("next", ""))
    next_, email = request.form.get("next", ""), request.form.get("email", "")
    services = security.services()
    address = client_address()
    try:
        token = services.accounts.log_in(email, request.form.get("password", ""), address, services.clock())
    except TooManyRequests as error:
        return (
            _form(next_=next_, email=email, wrong=str(error)),
            429,
            {"Retry-After": str(error.retry_after_s)},
        )
    if token is None:
        return _form(next_=next_, email=email, wrong=_WRONG), 401
    return security.begin_session(token, next_ if is_ours(next_) else "/")


@blueprint.post("/logout")
def log_out() -> ResponseReturnValue:
    """End the session."""
    return security.end_session()


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """Go to the last workspace's Activity."""
    session = security.logged_in()
    if session is None:
        return redirect(url_for("login.page"), 303)
    slug = _home_slug(session.user)
    if slug is None:
        return redirect(url_for("new_workspace.page"), 303)
    return redirect(url_for("activity.requests", slug=slug), 303)


def _home_slug(user: User) -> str | None:
    mine = [workspace for workspace, _ in workspaces_of(security.services().store, user.id)]
    first = mine[0].slug if mine else None
    return next((found.slug for found in mine if found.id == user.last_workspace_id), first)


def is_ours(path: str) -> bool:
    """Return whether a path stays here; browsers read two slashes or a backslash as another host."""
    return path.startswith(_OURS) and "\\" not in path and not any(ord(char) < 33 for char in path)


def _form(*, next_: str, email: str = "", wrong: str = "") -> str:
    return render_template("login.html", next=next_, email=email, wrong=wrong)
