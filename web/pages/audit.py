"""Who changed what in a workspace, in words."""

from typing import Any, Final

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from broadcast import audit_trail
from broadcast.errors import SettingsError
from web import audit_words, security

blueprint: Final = Blueprint("audit", __name__)
PAGE: Final = 50
_MAX_BACK: Final = 40


@blueprint.get("/w/<slug>/settings/audit")
@security.page("member")
def page() -> ResponseReturnValue:
    """Show a page of the log, of everything or of one kind; an address that is not ours means the newest."""
    services, viewer = security.services(), security.viewer()
    asked = request.args.get("kind", "")
    kind = asked if asked in audit_words.KINDS else None
    mark = request.args.get("before") or None
    back = tuple(item for item in request.args.get("back", "").split(".") if item)[-_MAX_BACK:]
    only = audit_words.actions_of(kind)
    try:
        entries, older = audit_trail.entries(
            services.store, viewer.workspace, limit=PAGE, cursor=mark, only=only
        )
    except SettingsError:
        mark, back = None, ()
        entries, older = audit_trail.entries(
            services.store, viewer.workspace, limit=PAGE, cursor=None, only=only
        )
    return render_template(
        "audit.html",
        here="audit",
        viewer=viewer,
        entries=entries,
        kind=kind,
        kinds=audit_words.KINDS,
        words=audit_words.words,
        newer=None if mark is None else _address(kind, back[-1] if back else None, back[:-1]),
        older=_address(kind, older, (*back, mark) if mark else back) if older else None,
    )


def _address(kind: str | None, mark: str | None, back: tuple[str, ...]) -> dict[str, Any]:
    values = {"kind": kind, "before": mark, "back": ".".join(back)}
    return {name: value for name, value in values.items() if value}
