"""API keys: make one, see it once, revoke it."""

from typing import Any, Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast.errors import Forbidden, SettingsError
from web import security

blueprint: Final = Blueprint("keys", __name__)
_KINDS: Final = ("api", "management")
_DAY_US: Final = 86_400_000_000
LIFETIMES: Final = {
    "": "Never",
    "7": "In 7 days",
    "30": "In 30 days",
    "90": "In 90 days",
    "365": "In a year",
}
"""When a new key ends, by days."""


@blueprint.get("/w/<slug>/settings/keys")
@security.page()
def page() -> str:
    """List the keys; a member sees only names and marks, as everyone does."""
    return _render()


@blueprint.post("/w/<slug>/settings/keys")
@security.page("member")
def make() -> ResponseReturnValue:
    """Make a key and show it, once."""
    services, viewer = security.services(), security.viewer()
    kind, lifetime = request.form.get("kind", "api"), request.form.get("lifetime", "")
    if kind not in _KINDS or lifetime not in LIFETIMES:
        return _render(wrong="Choose one of the kinds and one of the times offered."), 422
    if kind == "management" and not viewer.manages:
        raise Forbidden(f"Only owner and admin make management keys; yours is {viewer.role}.")
    now_us = services.clock()
    scopes = ("chat", "receipts:write", *(("usage:read",) if request.form.get("usage") else ()))
    try:
        plain, key = services.accounts.make_key(
            workspace_id=viewer.workspace.id,
            user_id=viewer.user.id,
            kind=kind,
            name=request.form.get("name", ""),
            now_us=now_us,
            scopes=scopes if kind == "api" else (),
            expires_at_us=now_us + int(lifetime) * _DAY_US if lifetime else None,
        )
    except SettingsError as error:
        return _render(wrong=next(iter(error.problems.values()))), 422
    return _render(made=plain, made_key=key)


@blueprint.route("/w/<slug>/settings/keys/<key_hash>/revoke", methods=["GET", "POST"])
@security.page("admin")
def revoke(key_hash: str) -> ResponseReturnValue:
    """Ask for the name, then end the key."""
    services, viewer = security.services(), security.viewer()
    key = services.accounts.key_of(viewer.workspace.id, key_hash)
    if request.method == "GET" or request.form.get("name", "").strip() != key.name:
        wrong = request.method == "POST"
        words = render_template("key_revoke.html", here="keys", viewer=viewer, key=key, wrong=wrong)
        return words, 422 if wrong else 200
    services.accounts.revoke_key(
        workspace_id=viewer.workspace.id, user_id=viewer.user.id, key_hash=key_hash, now_us=services.clock()
    )
    return security.flash(redirect(url_for(".page", slug=viewer.workspace.slug), 303), "revoked")


@blueprint.post("/w/<slug>/settings/keys/<key_hash>/switch")
@security.page("admin")
def switch(key_hash: str) -> ResponseReturnValue:
    """Switch a key off for now, or on again."""
    services, viewer = security.services(), security.viewer()
    disabled = request.form.get("enabled") == "off"
    services.accounts.change_key(
        workspace_id=viewer.workspace.id,
        user_id=viewer.user.id,
        key_hash=key_hash,
        changes={"disabled": disabled},
        now_us=services.clock(),
    )
    back = redirect(url_for(".page", slug=viewer.workspace.slug), 303)
    return security.flash(back, "key_off" if disabled else "key_on")


def _render(**facts: Any) -> str:
    services, viewer = security.services(), security.viewer()
    return render_template(
        "keys.html",
        here="keys",
        viewer=viewer,
        keys=services.accounts.keys_of(viewer.workspace.id),
        lifetimes=LIFETIMES,
        given=request.form,
        now_us=services.clock(),
        public_url=services.config.public_url,
        **facts,
    )
