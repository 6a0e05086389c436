"""API keys: make one, see it once, revoke it."""

from typing import Final

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from broadcast import activity
from broadcast.errors import Forbidden, SettingsError
from web import security

blueprint: Final = Blueprint("keys", __name__)
_KINDS: Final = ("api", "management")


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
    kind, name = request.form.get("kind", "api"), request.form.get("name", "")
    if kind not in _KINDS:
        return _render(wrong="Choose a kind.", name=name), 422
    if kind == "management" and not viewer.manages:
        raise Forbidden(f"Only owner and admin make management keys; yours is {viewer.role}.")
    scopes = ("chat", "receipts:write", *(("usage:read",) if request.form.get("usage") else ()))
    try:
        plain, key = services.accounts.make_key(
            workspace_id=viewer.workspace.id,
            user_id=viewer.user.id,
            kind=kind,
            name=name,
            now_us=services.clock(),
            scopes=scopes if kind == "api" else (),
        )
    except SettingsError as error:
        return _render(wrong=next(iter(error.problems.values())), name=name), 422
    return _render(made=plain, made_name=key.name, made_kind=kind)


@blueprint.post("/w/<slug>/settings/keys/<key_hash>/revoke")
@security.page("admin")
def revoke(key_hash: str) -> ResponseReturnValue:
    """End a key."""
    services, viewer = security.services(), security.viewer()
    services.accounts.revoke_key(
        workspace_id=viewer.workspace.id, user_id=viewer.user.id, key_hash=key_hash, now_us=services.clock()
    )
    return security.flash(redirect(url_for(".page", slug=viewer.workspace.slug), 303), "revoked")


def _render(**facts: str) -> str:
    viewer = security.viewer()
    keys = activity.keys_of(security.services().store, viewer.workspace)
    return render_template("keys.html", here="keys", viewer=viewer, keys=keys, **facts)
