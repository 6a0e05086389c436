"""Sign in by the operator's identity provider: away to it, and back."""

from typing import Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast.errors import SignInRefused
from broadcast.oidc_settings import CALLBACK
from broadcast.sign_in import SignIns
from web import security
from web.client_address import client_address
from web.pages.login import is_ours

blueprint: Final = Blueprint("sign_in", __name__)
_JOIN: Final = "/join/"
_STATUSES: Final = {
    "unknown_state": 400,
    "untrue": 400,
    "failed": 502,
    "unreachable": 503,
    "misconfigured": 503,
}
# Elsewhere the provider would say the same again, without a question.
_WORTH_AGAIN: Final = frozenset({"declined", "unknown_state", "untrue", "failed", "unreachable"})


@blueprint.get("/login/oidc")
def begin() -> ResponseReturnValue:
    """Go to the provider; with the address of an invitation as `next`, to join by it."""
    if not security.is_visit() or (security.logged_in() and security.from_elsewhere()):
        # An image of another site uses up nobody's tries, and its link connects no account behind one's back.
        return redirect("/", 303)
    next_, browser = request.args.get("next", ""), security.browser()
    try:
        url = _sign_ins().begin(
            browser=browser,
            address=client_address(),
            next_=next_ if is_ours(next_) else "",
            invite_token=next_.removeprefix(_JOIN) if next_.startswith(_JOIN) else None,
        )
    except SignInRefused as refused:
        return _refusal(refused)
    return security.send_away(url, browser)


@blueprint.get(CALLBACK)
def callback() -> ResponseReturnValue:
    """Let in whoever comes back with an answer that holds."""
    try:
        done = _sign_ins().finish(
            request.args.to_dict(),
            browser=security.browser(),
            address=client_address(),
            live=security.logged_in(),
        )
    except SignInRefused as refused:
        return _refusal(refused)
    if done.joined is not None:
        home = url_for("activity.requests", slug=done.joined.slug)
        return security.flash(security.begin_session(done.token, home), "joined")
    answer = security.begin_session(done.token, done.next or "/")
    return security.flash(answer, "connected") if done.connected else answer


@blueprint.get("/login/oidc/connect")
@security.signed_in
def connect() -> ResponseReturnValue:
    """Offer to connect one's own account, after a login with its password.

    A page between the two, since a form's answer may not lead to another server: the content policy says so.
    """
    user = security.session().user
    if _sign_ins().connected_at_us(user) is not None:
        return redirect("/", 303)
    return render_template("sign_in_connect.html", user=user)


@blueprint.post("/w/<slug>/settings/account/disconnect")
@security.page()
def disconnect() -> ResponseReturnValue:
    """Let the provider open one's own account no more."""
    _sign_ins().disconnect(security.session())
    to = url_for("password.account", slug=security.viewer().workspace.slug)
    return security.flash(redirect(to, 303), "disconnected")


def _sign_ins() -> SignIns:
    found = security.services().sign_ins
    if found is None:
        raise LookupError("These addresses are there only where a provider is set.")
    return found


def _refusal(refused: SignInRefused) -> tuple[str, int]:
    page = render_template(
        "sign_in_refused.html",
        words=str(refused),
        live=security.logged_in(),
        wants_password=refused.reason == "not_connected",
        worth_again=refused.reason in _WORTH_AGAIN,
    )
    return page, _STATUSES.get(refused.reason, 403)
