"""One's own password: changed by who knows it, chosen anew by a link."""

from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast.errors import SettingsError, TooManyRequests
from web import security
from web.client_address import client_address

blueprint: Final = Blueprint("password", __name__)
_ACCOUNT: Final = "/w/<slug>/settings/account"
_UNEQUAL: Final = "The two are not the same. Type the new one again."


@blueprint.get(_ACCOUNT)
@security.page()
def account() -> str:
    """Show one's own account."""
    return _account()


@blueprint.post(_ACCOUNT)
@security.page()
def change() -> ResponseReturnValue:
    """Change the password; every other session ends."""
    session, slug = security.session(), security.viewer().workspace.slug
    try:
        new = _new()
        security.services().passwords.change(
            session.user, old=request.form.get("old", ""), new=new, keep=session.token_hash
        )
    except SettingsError as error:
        return _account(error.problems), 422
    except TooManyRequests as error:
        return _account({"old": str(error)}), 429, _later(error)
    return security.flash(redirect(url_for(".account", slug=slug), 303), "password_changed")


@blueprint.route("/reset", methods=["GET", "POST"])
def ask() -> ResponseReturnValue:
    """Ask for an address, and answer the same whether it is known or not."""
    passwords = security.services().passwords
    shown: dict[str, Any] = {"sends_mail": passwords.sends_mail, "asked": False, "wrong": "", "email": ""}
    if request.method == "GET" or not passwords.sends_mail:
        return render_template("reset_ask.html", **shown)
    email = request.form.get("email", "")
    try:
        passwords.ask(email, client_address())
    except TooManyRequests as error:
        return (
            render_template("reset_ask.html", **shown | {"wrong": str(error), "email": email}),
            429,
            _later(error),
        )
    return render_template("reset_ask.html", **shown | {"asked": True})


@blueprint.route("/reset/<reset_token>", methods=["GET", "POST"])
def choose(reset_token: str) -> ResponseReturnValue:
    """Choose a new password by a link that works once."""
    passwords = security.services().passwords
    if request.method == "GET":
        return _choice(reset_token)
    try:
        passwords.choose(reset_token, _new())
    except SettingsError as error:
        return _choice(reset_token, error.problems), 422
    return security.flash(redirect(url_for("login.page"), 303), "password_reset")


def _new() -> str:
    """Return the new password; raise `SettingsError` where it was typed in two ways."""
    new = request.form.get("new", "")
    if new != request.form.get("again", ""):
        raise SettingsError({"again": _UNEQUAL})
    return new


def _account(wrong: dict[str, str] | None = None) -> str:
    viewer, sign_ins = security.viewer(), security.services().sign_ins
    return render_template(
        "account.html",
        here="account",
        viewer=viewer,
        wrong=wrong or {},
        connected_at_us=sign_ins.connected_at_us(viewer.user) if sign_ins else None,
    )


def _choice(token: str, wrong: dict[str, str] | None = None) -> str:
    user = security.services().passwords.look(token)
    return render_template("reset.html", token=token, user=user, wrong=wrong or {})


def _later(error: TooManyRequests) -> dict[str, str]:
    return {"Retry-After": str(error.retry_after_s)}
