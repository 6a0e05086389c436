"""The receipts behind a ledger's term: every number of the proof can be looked into."""

from typing import Any, Final

from flask import Blueprint, render_template, request
from werkzeug.exceptions import NotFound

from broadcast import fated
from web import security

blueprint: Final = Blueprint("destination_receipts", __name__)
_MAX_BACK: Final = 40


@blueprint.get("/w/<slug>/settings/observability/<uuid:uid>/receipts")
@security.page()
def page(uid: Any) -> str:
    """List the receipts of one fate, or all of them."""
    services, viewer = security.services(), security.viewer()
    stored = services.connections.get(viewer.workspace, str(uid))
    fate = request.args.get("fate") or None
    if fate is not None and fate not in fated.TERMS:
        raise NotFound
    mark = request.args.get("before") or None
    back = [item for item in request.args.get("back", "").split(".")[-_MAX_BACK:] if item]
    found = fated.items(services.store, stored, fate, mark)
    newer = None
    if mark is not None:
        newer = {"before": back[-1] if back else None, "back": ".".join(back[:-1]) or None}
    return render_template(
        "destination_receipts.html",
        here="observability",
        viewer=viewer,
        stored=stored,
        fate=fate,
        terms=fated.TERMS,
        ledger=services.connections.ledger(viewer.workspace, stored.uid),
        found=found,
        newer=newer,
        older={"before": found.older, "back": ".".join([*back, *([mark] if mark else [])]) or None},
    )
