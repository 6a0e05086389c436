"""Who changed what in a workspace, in words."""

from typing import Final

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from broadcast import audit_trail
from web import audit_words, security
from web.pages.trail import trail

blueprint: Final = Blueprint("audit", __name__)
PAGE: Final = 50


@blueprint.get("/w/<slug>/settings/audit")
@security.page("member")
def page() -> ResponseReturnValue:
    """Show a page of the log, of everything or of one kind; an address that is not ours means the newest."""
    services, viewer = security.services(), security.viewer()
    asked = request.args.get("kind", "")
    kind = asked if asked in audit_words.KINDS else None
    only = audit_words.actions_of(kind)
    (entries, older), here = trail().read(
        lambda mark: audit_trail.entries(services.store, viewer.workspace, limit=PAGE, cursor=mark, only=only)
    )
    return render_template(
        "audit.html",
        here="audit",
        viewer=viewer,
        entries=entries,
        kind=kind,
        kinds=audit_words.KINDS,
        words=audit_words.words,
        newer=here.newer(),
        older=here.older(older),
    )
